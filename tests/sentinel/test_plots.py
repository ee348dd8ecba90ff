"""The picture of a series: it shows what it was given, and says what is wrong with what it cannot draw."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sentinel.errors import PermanentError
from sentinel.plots import SeriesPlot, plot_series
from sentinel.series import Window

PLOT = SeriesPlot(
    title="latency of <web>",
    unit="latency_p95_seconds",
    times=[1_700_000_000 + 60 * n for n in range(100)],
    values=[math.sin(n / 9) for n in range(100)],
    low=[-1.1] * 99 + [math.nan],
    high=[1.1] * 99 + [math.nan],
    alerts=[Window(1_700_001_000, 1_700_002_000), Window(1_700_003_000, 1_700_003_060)],
    labelled=[Window(1_700_000_900, 1_700_002_100)],
)


@pytest.fixture(autouse=True)
def _matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")


def test_an_svg_names_everything_that_is_drawn_and_is_the_same_again(tmp_path: Path) -> None:
    plot_series(PLOT, tmp_path / "one.svg")
    plot_series(PLOT, tmp_path / "two.svg")
    text = (tmp_path / "one.svg").read_text()
    for words in ("latency of &lt;web&gt;", "latency_p95_seconds", "normal band", "alert", "labelled fault"):
        assert text.count(words) >= 1, words
    assert text == (tmp_path / "two.svg").read_text()
    bare = replace(PLOT, low=(), high=(), alerts=(), labelled=())
    plot_series(bare, tmp_path / "bare.svg")
    without = (tmp_path / "bare.svg").read_text()
    assert not any(words in without for words in ("normal band", "alert", "labelled fault"))


def test_a_png_is_a_png(tmp_path: Path) -> None:
    plot_series(PLOT, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("plot", "name", "words"),
    [
        (PLOT, "one.gif", r"\.svg or \.png"),
        (replace(PLOT, values=[1.0]), "one.svg", "1 values for 100 times"),
        (replace(PLOT, low=()), "one.svg", "both low and high"),
        (replace(PLOT, low=[0.0], high=[1.0]), "one.svg", "1 low for 100 times"),
    ],
)
def test_what_cannot_be_drawn_is_a_clear_error(plot: SeriesPlot, name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=words):
        plot_series(plot, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_without_matplotlib_the_error_names_the_extra(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pathlib import Path\n"
        "from sentinel.plots import SeriesPlot, plot_series\n"
        "plot_series(SeriesPlot(title='t', unit='u', times=[0.0], values=[1.0]), Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "one.svg")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "PermanentError: plots need matplotlib: pip install 'aiops-sentinel[plots]'" in ended.stderr
