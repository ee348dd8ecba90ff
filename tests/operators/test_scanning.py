"""The scan kernel against the exact parsers: it may leave a message alone, but never read it otherwise than they do."""

from __future__ import annotations

import json
import os
import random
import struct

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from operators.scan_bytes import PADDING, words_of
from operators.scan_numbers import REACH, powers_of_five
from operators.scanning import MessageScanner
from sentinel.telemetry import TelemetrySettings, parse_messages
from sentinel.telemetry_series import SeriesTable

FUZZED = int(os.environ.get("SENTINEL_FUZZED_MESSAGES", "100000"))
"""Messages of the differential fuzz; `make test-fuzz` asks for a million."""

SETTINGS = TelemetrySettings()
LABELS = {"service": "cart", "env": "prod"}
GOOD = {"ts": 1_700_000_000.5, "name": "error_ratio", "value": 0.02, "labels": LABELS}


class Both:
    """The same messages with and without the scanner, each with a table of its own that has met the same series."""

    def __init__(self, *known: bytes):
        self.table, self.exact_table = SeriesTable(), SeriesTable()
        self.scanner = MessageScanner(self.table)
        self.parse(*known)

    def parse(self, *messages: bytes):
        """The columns of both ways, which must be equal; returns the scanner's own."""
        quick = parse_messages(messages, self.table, SETTINGS, self.scanner)
        exact = parse_messages(messages, self.exact_table, SETTINGS)
        assert quick.rejected == exact.rejected
        assert quick.messages.tolist() == exact.messages.tolist()
        assert quick.times.tobytes() == exact.times.tobytes()
        assert quick.values.tobytes() == exact.values.tobytes()
        assert [self.table.series[row] for row in quick.ids] == [self.exact_table.series[row] for row in exact.ids]
        return quick

    def taken(self, *messages: bytes) -> list[int]:
        """How many events the scanner takes of each message by itself; -1 where it leaves one alone."""
        counts: list[int] = self.scanner.scan(messages, SETTINGS.max_message_bytes).counts.tolist()
        return counts


def dumped(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


@pytest.fixture
def both():
    return Both(dumped(), dumped(name="latency"), json.dumps(GOOD, separators=(",", ":")).encode())


PLAIN = [
    (dumped(), 1),
    (json.dumps(GOOD, separators=(",", ":")).encode(), 1),
    (json.dumps([GOOD, {**GOOD, "name": "latency"}]).encode(), 2),
    (json.dumps({"v": 1, "events": [GOOD] * 3}).encode(), 3),
    (b" \n\t\r" + json.dumps(dict(reversed(GOOD.items()))).encode() + b"\n ", 1),
    (dumped(host="a", pid=7, ok=True, no=None, off=False, t=-1.5e3), 1),
    (dumped(value=3), 1),
    (dumped(value=-2.5e-7), 1),
    (dumped(value=0), 1),
]


@pytest.mark.parametrize(("message", "events"), PLAIN, ids=lambda value: str(value)[:50])
def test_plain_messages_of_known_series_are_taken(both, message, events):
    assert both.taken(message) == [events]
    both.parse(message, message)


LEFT = [
    b"",
    b"  ",
    b"[]",
    b"{}",
    b'{"v": 1, "events": []}',
    dumped() + b"x",
    dumped() + dumped(),
    dumped()[:-1],
    dumped()[:-1] + b",}",
    b"[" + dumped() + b",]",
    b"[" + dumped() + b" " + dumped() + b"]",
    b"[" + dumped() + b"]]",
    json.dumps({"v": 1, "events": [GOOD], "more": 1}).encode(),
    json.dumps({"v": 2, "events": [GOOD]}).encode(),
    b'{"v": 10, "events": [' + dumped() + b"]}",
    dumped(name="unknown"),
    dumped(name="error_rati"),
    dumped(name="error_ratiO"),
    dumped(labels={**LABELS, "zone": "b"}),
    dumped(labels={**LABELS, "zone": {"a": "b"}}),
    dumped()[:-1] + b', "value": 1}',
    dumped(more={"a": 1}),
    dumped(more="\\"),
    dumped(more="ü").replace(b"\\u00fc", "ü".encode()),
    dumped(value=-0.0),
    dumped(value="1"),
    dumped(ts="2023-11-14T22:13:20Z"),
    dumped(value=None),
    dumped().replace(b"0.02", b"00.02"),
    dumped().replace(b"0.02", b"+1"),
    dumped().replace(b"0.02", b".5"),
    dumped().replace(b"0.02", b"5."),
    dumped().replace(b"0.02", b"1e"),
    dumped().replace(b"0.02", b"-"),
    dumped().replace(b"0.02", b"NaN"),
    dumped().replace(b"0.02", b"1e999"),
    dumped().replace(b"0.02", b"12345678901234567890"),
    dumped().replace(b'"value"', b'"Value"'),
    dumped().replace(b'"value"', b'"values"'),
    dumped().replace(b"error_ratio", b"error_\\u0072atio"),
    dumped().replace(b"error_ratio", b"error\nratio"),
]


@pytest.mark.parametrize("message", LEFT, ids=lambda value: str(value)[-50:])
def test_what_is_not_plain_is_left_to_the_exact_way(both, message):
    assert both.taken(message) == [-1]
    both.parse(dumped(), message, dumped())


def test_a_message_that_is_too_long_is_left(both):
    assert both.scanner.scan([dumped()], len(dumped()) - 1).counts.tolist() == [-1]


def test_order_holds_between_messages_of_both_ways(both):
    odd = [dumped(value=index, more={}) if index % 3 else dumped(value=index) for index in range(50)]
    assert both.parse(*odd).values.tolist() == list(range(50))


def test_thousands_of_series_are_told_apart_and_met_once():
    names = [dumped(name=f"m{index}", value=index) for index in range(5000)]
    both = Both()
    for start in range(0, 5000, 700):
        both.parse(*names[start : start + 700])
    assert both.taken(*names) == [1] * 5000
    assert both.parse(*names).ids.tolist() == list(range(5000))


def test_a_table_that_was_trimmed_is_learned_anew():
    both = Both()
    both.table = SeriesTable(limit=10)
    both.scanner = MessageScanner(both.table)
    for start in range(0, 60, 12):
        messages = [dumped(name=f"m{index}") for index in range(start, start + 12)]
        both.table.trim()
        both.parse(*messages)
        assert both.taken(*messages) == [1] * 12
    assert both.taken(dumped(name="m0")) == [-1]


def test_a_series_whose_hash_stands_in_the_way_is_passed_by(both):
    """All slots before the series' own are taken by another row: its bytes are compared, and it is not it."""
    scanner = both.scanner
    both.taken(dumped())
    row = both.table.rows[("latency", json.dumps(LABELS).encode())]
    own = int(np.flatnonzero(scanner._slots == 0)[0])
    after = next(slot for slot in range(own + 1, own + 100) if scanner._slots[slot % len(scanner._slots)] < 0)
    scanner._slots[own : after + 1] = [row] * (after - own) + [0]
    assert scanner.scan([dumped()], 10_000).ids.tolist() == [0]


ONE_SERIES = Both(dumped())


def bits(text: str) -> int | None:
    """What the kernel makes of a number as a value, as bits; None when it leaves it."""
    message = dumped().replace(b"0.02", text.encode())
    scanned = ONE_SERIES.scanner.scan([message], 10_000)
    return int(scanned.values.view(np.uint64)[0]) if scanned.counts[0] == 1 else None


def exact(text: str) -> int:
    return int.from_bytes(struct.pack("<d", float(text)), "little")


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e9, 1e9).map(repr),
    st.integers(-(2**63), 2**63).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@settings(max_examples=1000)
@given(numbers)
@example("9007199254740993")
@example("9007199254740993.0")
@example("0.500000000000000166533453693773481063544750213623046875")
@example("8.5e-323")
@example("2.2250738585072011e-308")
@example("1448997445238699")
@example("0.000000000000000000012345678901234567")
def test_numbers_are_the_nearest_doubles(text):
    found = bits(text)
    assert found is None or found == exact(text)


def test_usual_numbers_are_taken():
    chance = random.Random(7)
    usual = [repr(chance.uniform(0, 1) * 10 ** chance.randint(-12, 12)) for _ in range(2000)]
    halves = [str((2 * chance.getrandbits(52) + 1) << chance.randint(1, 9)) for _ in range(500)]
    left = [text for text in usual + halves if bits(text) is None]
    wrong = [text for text in usual + halves if bits(text) not in (None, exact(text))]
    assert wrong == []
    assert len(left) < 10, "a tie that 128 bits cannot decide is rare"


def test_numbers_that_need_all_128_bits_are_the_nearest_too():
    """Only where the last nine bits of the first product are ones does the second half of the power decide."""
    chance, powers, tried = random.Random(11), powers_of_five(), 0
    while tried < 300:
        mantissa, power = chance.randint(10**16, 10**19 - 1), chance.randint(-REACH, -1)
        normal = mantissa << (64 - mantissa.bit_length())
        if (normal * int(powers[power + REACH, 0])) >> 64 & 0x1FF != 0x1FF:
            continue
        tried += 1
        text = f"{mantissa}e{power}"
        assert bits(text) in (None, exact(text)), text


def test_labels_with_escapes_are_known_by_their_spelling():
    odd = dumped(labels={"service": 'a"b\\', "ü": "{[}]", "x": "\\"})
    assert Both(odd).taken(odd, odd) == [1, 1]


def mutated(chance: random.Random, known: list[bytes]) -> bytes:
    """A good message with a few bytes cut out, doubled, exchanged, or put in from a list of awkward pieces."""
    text = bytearray(chance.choice(known))
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(0, len(text))
        match chance.randint(0, 6):
            case 0:
                del text[at : at + chance.randint(1, 8)]
            case 1:
                text[at:at] = text[max(0, at - chance.randint(1, 30)) : at]
            case 2 if at < len(text):
                text[at] ^= 1 << chance.randint(0, 7)
            case 3:
                text[at:at] = chance.choice(PIECES)
            case 4 if at < len(text):
                text[at : at + 1] = chance.choice(PIECES)
            case 5:
                other = chance.choice(known)
                text[at:] = other[chance.randint(0, len(other)) :]
            case _:
                at = text.find(chance.choice(b'":,{}[]0123456789'))
                text[at : at + 1] = chance.choice(PIECES)
    return bytes(text)


PIECES = [
    *(bytes([byte]) for byte in b'{}[]":,\\ \t\n-+.eE0199x\x00\x1f\x7f\x80\xff'),
    b'"ts"', b'"name"', b'"value"', b'"labels"', b'"v"', b'"events"', b'"service"', b"null", b"true", b"false", b"nul",
    b"NaN", b"Infinity", b"1e5", b"1e-400", b"0.1", b"00", b"-0", b"1.", b'\\"', b"\\u0041", "é".encode(), b"{}", b"[]",
]  # fmt: skip


def test_no_mutated_message_is_read_in_another_sense():
    chance = random.Random(20_260_101)
    known = [message for message, _ in PLAIN] + [dumped(labels={"service": 'a"b\\', "ü": "{[}]"})]
    both, taken = Both(*known), 0
    for start in range(0, FUZZED, 1000):
        messages = [mutated(chance, known) for _ in range(min(1000, FUZZED - start))]
        taken += sum(count > 0 for count in both.taken(*messages))
        both.parse(*messages)
    assert taken > FUZZED // 50, "the mutations hardly left anything for the kernel"


def test_nothing_is_read_beyond_the_text():
    """Whatever follows a message cut short, the padding and the next message, is no part of it."""
    both = Both(dumped())
    whole = dumped()
    cuts = [whole[:length] for length in range(len(whole))]
    assert both.taken(*cuts) == [-1] * len(cuts)
    text = np.frombuffer(whole + bytes(PADDING), np.uint8)
    assert words_of(text).tolist()[:2] == [
        int.from_bytes(whole[:8], "little"),
        int.from_bytes(whole[1:9], "little"),
    ]
    assert len(words_of(text)) == len(whole) + 1
