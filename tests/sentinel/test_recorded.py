"""Recorded series: what is read, how it is ordered, and how a bad file is named."""

from __future__ import annotations

import pytest

from sentinel.errors import PermanentError
from sentinel.recorded import in_time_order, read_recording
from sentinel.series import Series

CPU = Series.of("cpu_ratio", {"service": "cart"})


def write(folder, text):
    path = folder / "recorded.csv"
    path.write_text(text)
    return path


def test_the_forms_of_time_and_other_columns(tmp_path):
    text = "value,timestamp,note\n1.5,2023-11-14 22:13:20,a\n2,1700000060,b\n3,2023-11-14T23:15:20+01:00,c\n"
    recording = read_recording(write(tmp_path, text), CPU)
    assert recording.times == [1_700_000_000.0, 1_700_000_060.0, 1_700_000_120.0]
    assert recording.values == [1.5, 2.0, 3.0]
    assert recording.series == CPU


def test_rows_are_put_in_time_order(tmp_path):
    recording = read_recording(write(tmp_path, "timestamp,value\n20,2\n10,1\n"), CPU)
    assert recording.times == [10.0, 20.0]


def test_several_recordings_become_one_stream(tmp_path):
    one = read_recording(write(tmp_path, "timestamp,value\n10,1\n30,3\n"), CPU)
    memory = Series.of("memory_ratio", {"service": "cart"})
    other = read_recording(write(tmp_path, "timestamp,value\n20,2\n30,4\n"), memory)
    assert list(in_time_order([one, other])) == [
        (10.0, CPU, 1.0),
        (20.0, memory, 2.0),
        (30.0, CPU, 3.0),
        (30.0, memory, 4.0),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: the header has no column 'timestamp' and no column 'value'"),
        ("time,value\n", ":1: the header has no column 'timestamp'"),
        ("timestamp,value\n", ": has no rows"),
        ("timestamp,value\n10,1\nsoon,2\n", ":3: timestamp 'soon' is neither"),
        ("timestamp,value\n10,1\n11,x\n", ":3: value 'x' is not a number"),
        ("timestamp,value\n10\n", ":2: value None is not a number"),
        ("timestamp,value\n10,nan\n", ":2: value 'nan' is not finite"),
        ("timestamp,value\nnan,1\n", ":2: timestamp 'nan' is not finite"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(PermanentError) as caught:
        read_recording(path, CPU)
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PermanentError, match=r"nowhere\.csv: cannot be read"):
        read_recording(tmp_path / "nowhere.csv", CPU)
