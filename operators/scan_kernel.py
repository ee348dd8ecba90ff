"""Telemetry messages to columns, byte by byte: what is plain JSON and of a known series; all else is left alone.

It answers -1 for a message that holds anything that it does not fully understand: escapes, values nested in unknown
fields, a field given twice, a series not met before, an odd number, trailing bytes. Whole names are compared, and the
bytes of a known series verified, so that a message which it does take means the same to the exact parsers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators import scan_bytes, scan_numbers
from operators.kernels import kernel
from operators.scan_bytes import (
    HIGH,
    NONE,
    Text,
    Words,
    flat_object,
    plain_string,
    same_bytes,
    skip_space,
    spelled_hash,
)
from operators.scan_numbers import scan_number

Numbers = NDArray[np.int64]

TS, NAME, VALUE, LABELS = range(4)
"""Numbers of the four fields."""


class Known(NamedTuple):
    """What the kernel knows: the names of the four fields, and the spellings of the series in an open hash table.

    Field f's name is in `fields` up to `ends[f]`, and the word `events` behind them. Row r's name is in `keys` from `places[r, 0]` to `places[r, 1]`, its
    labels from there to `places[r, 2]`; `slots` holds rows, or -1. `powers` are `powers_of_five()`.
    """

    fields: Words
    ends: Numbers
    slots: Numbers
    keys: Words
    places: Numbers
    seed: np.uint64
    powers: Words


class Out(NamedTuple):
    """Where events go: the bits of their times and values, their rows. `spans`: the name and labels of the one at hand."""

    times: Words
    values: Words
    ids: Numbers
    spans: Numbers
    spare: Words


def find_row(words: Words, spans: Numbers, known: Known) -> int:
    """The row of the series whose name and labels stand at `spans`, or -1."""
    name, name_end, labels, labels_end = spans[0], spans[1], spans[2], spans[3]
    mask = np.uint64(len(known.slots) - 1)
    place = spelled_hash(words, labels, labels_end, spelled_hash(words, name, name_end, known.seed)) & mask
    while True:
        row = int(known.slots[np.int64(place)])
        if row < 0:
            return -1
        start, middle, stop = known.places[row, 0], known.places[row, 1], known.places[row, 2]
        if (
            middle - start == name_end - name
            and stop - middle == labels_end - labels
            and same_bytes(words, labels, known.keys, middle, labels_end - labels)
            and same_bytes(words, name, known.keys, start, name_end - name)
        ):
            return row
        place = (place + np.uint64(1)) & mask


def scan_word(text: Text, at: int, end: int) -> int:
    """The place after `true`, `false` or `null`; else -1."""
    data = text.bytes
    word = 5 if data[at] == 102 else 4
    if at + word > end:
        return -1
    a, b, c, d = data[at], data[at + 1], data[at + 2], data[at + 3]
    true = a == 116 and b == 114 and c == 117 and d == 101
    null = a == 110 and b == 117 and c == 108 and d == 108
    false = word == 5 and b == 97 and c == 108 and d == 115 and data[at + 4] == 101
    return at + word if true or null or false else -1


def which_field(words: Words, at: int, end: int, known: Known) -> int:
    """The number of the field with this whole name, or -1."""
    start = 0
    for field in range(4):
        stop = known.ends[field]
        if stop - start == end - at and same_bytes(words, at, known.fields, start, end - at):
            return field
        start = stop
    return -1


def scan_value(text: Text, at: int, end: int, field: int, known: Known, out: Out, row: int) -> int:
    """Read the value of a field; the place after it, or -1. Of an unknown field only plain scalars are passed over."""
    if field == TS:
        return scan_number(text, at, end, known.powers, out.times, row)
    if field == VALUE:
        return scan_number(text, at, end, known.powers, out.values, row)
    if field == LABELS:
        close = flat_object(text, at, end)
        out.spans[2], out.spans[3] = at, close
        return close
    byte = text.bytes[at]
    if byte == 34:
        close = plain_string(text, at + 1, end, NONE if field == NAME else HIGH)
        if field == NAME:
            out.spans[0], out.spans[1] = at + 1, close
        return close + 1 if close >= 0 else -1
    if field == NAME:
        return -1
    if byte == 45 or 48 <= byte <= 57:
        return scan_number(text, at, end, known.powers, out.spare, 0)
    return scan_word(text, at, end)


def scan_event(text: Text, at: int, end: int, known: Known, out: Out, row: int) -> int:
    """Read one event at `at` into row `row`; the place after it, or -1."""
    if at >= end or text.bytes[at] != 123:
        return -1
    seen = 0
    while True:
        at = skip_space(text, at + 1, end)
        close = plain_string(text, at + 1, end, HIGH) if at < end and text.bytes[at] == 34 else -1
        if close < 0:
            return -1
        field = which_field(text.words, at + 1, close, known)
        at = skip_space(text, close + 1, end)
        if at >= end or text.bytes[at] != 58 or (field >= 0 and seen & (1 << field)):
            return -1
        at = skip_space(text, at + 1, end)
        at = scan_value(text, at, end, field, known, out, row) if at < end else -1
        if at < 0:
            return -1
        seen |= (1 << field) if field >= 0 else 0
        at = skip_space(text, at, end)
        if at >= end or text.bytes[at] != 44:
            break
    if seen != 15 or at >= end or text.bytes[at] != 125:
        return -1
    out.ids[row] = find_row(text.words, out.spans, known)
    return at + 1 if out.ids[row] >= 0 else -1


def next_is(text: Text, at: int, end: int, byte: int) -> int:
    """The place after this byte, with white space before it and after; -1 when another one stands there."""
    at = skip_space(text, at, end) if at >= 0 else end
    return skip_space(text, at + 1, end) if at < end and text.bytes[at] == byte else -1


def batch_start(text: Text, at: int, end: int, known: Known) -> int:
    """Where the array of `{"v": 1, "events": [...]}` begins when these two fields come first in this order, else -1."""
    at = next_is(text, at, end, 123)
    if at < 0 or at + 3 > end or text.bytes[at] != 34 or text.bytes[at + 1] != 118 or text.bytes[at + 2] != 34:
        return -1
    at = next_is(text, next_is(text, next_is(text, at + 3, end, 58), end, 49), end, 44)
    if at < 0 or at + 8 > end or text.bytes[at] != 34 or text.bytes[at + 7] != 34:
        return -1
    if not same_bytes(text.words, at + 1, known.fields, known.ends[LABELS], 6):
        return -1
    at = next_is(text, at + 8, end, 58)
    return at if 0 <= at < end and text.bytes[at] == 91 else -1


def scan_message(text: Text, at: int, end: int, known: Known, out: Out, row: int) -> int:
    """Read a message that begins at `at` (no white space) into rows from `row` on; how many events, or -1."""
    batch = batch_start(text, at, end, known) if text.bytes[at] == 123 else -1
    first, many = row, batch >= 0 or text.bytes[at] == 91
    at = batch if batch >= 0 else at
    at = skip_space(text, at + 1, end) if many else at
    while row < len(out.ids):
        at = scan_event(text, at, end, known, out, row)
        if at < 0:
            return -1
        row += 1
        at = skip_space(text, at, end)
        if not many or at >= end or text.bytes[at] != 44:
            break
        at = skip_space(text, at + 1, end)
    at = next_is(text, at, end, 93) if many else at
    at = next_is(text, at, end, 125) if batch >= 0 else at
    return row - first if at == end else -1


def _scan_messages(text: Text, starts: Numbers, longest: int, known: Known, out: Out, counts: Numbers) -> int:
    """Read messages `starts[i]:starts[i + 1]` of `text`; `counts[i]` is the number of events or -1. Returns all events."""
    total = 0
    for message in range(len(counts)):
        end = starts[message + 1]
        at = skip_space(text, starts[message], end)
        counts[message] = -1
        if at < end and end - starts[message] <= longest:
            counts[message] = scan_message(text, at, end, known, out, total)
        total += max(0, counts[message])
    return total


def _add_rows(known: Known, first: int, stop: int) -> None:
    """Enter rows `first` to `stop` into the hash table, whose slots are at most half full."""
    mask = np.uint64(len(known.slots) - 1)
    for row in range(first, stop):
        start, middle, close = known.places[row, 0], known.places[row, 1], known.places[row, 2]
        seed = spelled_hash(known.keys, start, middle, known.seed)
        place = spelled_hash(known.keys, middle, close, seed) & mask
        while known.slots[np.int64(place)] >= 0:
            place = (place + np.uint64(1)) & mask
        known.slots[np.int64(place)] = row


_OWN = (find_row, scan_word, which_field, scan_value, scan_event, next_is, batch_start, scan_message)
scan_messages = kernel(_scan_messages, *scan_bytes.PARTS, *scan_numbers.PARTS, *_OWN)
add_rows = kernel(_add_rows, *scan_bytes.PARTS)
