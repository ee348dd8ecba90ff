"""Bytes eight at a time, inside a kernel: the small searches that scanning JSON is made of.

`words[i]` is the little-endian uint64 of bytes i to i + 7, at any i (see `words_of`). Finding a byte among eight is the
"haszero" of S. E. Anderson's Bit Twiddling Hacks; eight digits at once are D. Lemire's, as in fast_float.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

U64 = np.uint64
_ONES = U64(0x0101010101010101)
HIGH = U64(0x8080808080808080)
"""Mask for `plain_string`: bytes from 128 on are not plain."""
NONE = U64(0)
"""Mask for `plain_string`: bytes from 128 on are plain."""
_QUOTES = U64(0x2222222222222222)
_BACKSLASHES = U64(0x5C5C5C5C5C5C5C5C)
_SPACES = U64(0x2020202020202020)
_PLACES = U64(0x0001020304050607)
_MIX = U64(0x9E3779B97F4A7C15)
_FOLD = U64(29)
_ZERO, _ONE, _SEVEN, _LAST = U64(0), U64(1), U64(7), U64(56)
_ZEROS = U64(0x3030303030303030)
_SIXES = U64(0x0606060606060606)
_UPPER = U64(0xF0F0F0F0F0F0F0F0)
_PAIRS = U64(0x000000FF000000FF)
_TEN, _EIGHT, _SIXTEEN, _HALF = U64(10), U64(8), U64(16), U64(32)
_MILLION_AND_HUNDRED = U64(0x000F424000000064)
_TEN_THOUSAND_AND_ONE = U64(0x0000271000000001)


class Text(NamedTuple):
    """Some bytes, and the same as words (`words_of`)."""

    bytes: Bytes
    words: Words


PADDING = 8
"""Bytes that must follow the text, so that a word can be read at each of its bytes."""


def text_of(data: bytes) -> Text:
    """A view of bytes that end with their padding."""
    array = np.frombuffer(data, np.uint8)
    return Text(array, words_of(array))


def words_of(text: Bytes) -> Words:
    """Every stretch of eight bytes as a uint64, overlapping, without a copy. `text` includes its padding."""
    return np.ndarray((max(0, len(text) - 7),), "<u8", buffer=text, strides=(1,))


def skip_space(text: Text, at: int, end: int) -> int:
    """Where the next byte stands that is no JSON white space."""
    data = text.bytes
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


def plain_string(text: Text, at: int, end: int, high: Any) -> int:
    """Where the string that begins at `at` (after its quote) has its closing quote; -1 when anything in it is not plain.

    Not plain are backslashes, control characters, and the bytes that the mask `high` names.
    """
    while at < end:
        word = text.words[at]
        quote, backslash = word ^ _QUOTES, word ^ _BACKSLASHES
        hit = ((quote - _ONES) & ~quote) | ((backslash - _ONES) & ~backslash) | ((word - _SPACES) & ~word)
        hit = (hit & HIGH) | (word & high)
        if hit:
            at += int((((hit & (~hit + _ONE)) >> _SEVEN) * _PLACES) >> _LAST)
            return at if at < end and text.bytes[at] == 34 else -1
        at += 8
    return -1


def string_end(words: Words, at: int, end: int) -> int:
    """The place after the closing quote of a string whose first byte is at `at`, whatever it holds; -1 without one."""
    while at < end:
        word = words[at]
        quote, backslash = word ^ _QUOTES, word ^ _BACKSLASHES
        hit = (((quote - _ONES) & ~quote) | ((backslash - _ONES) & ~backslash)) & HIGH
        if not hit:
            at += 8
            continue
        place = (((hit & (~hit + _ONE)) >> _SEVEN) * _PLACES) >> _LAST
        at += int(place)
        if (word >> (place * _EIGHT)) & U64(0xFF) == U64(34):
            return at + 1 if at < end else -1
        at += 2
    return -1


def flat_object(text: Text, at: int, end: int) -> int:
    """The place after an object without objects inside, whatever its strings hold; -1 when there is none at `at`."""
    if text.bytes[at] != 123:
        return -1
    at += 1
    while at < end:
        byte = text.bytes[at]
        at += 1
        if byte == 34:
            at = string_end(text.words, at, end)
            if at < 0:
                return -1
        elif byte == 125:
            return at
        elif byte == 123:
            return -1
    return -1


def spelled_hash(words: Words, at: int, end: int, seed: Any) -> Any:
    """A keyed hash of some bytes."""
    mixed = seed
    while at + 8 <= end:
        mixed = (mixed ^ words[at]) * _MIX
        mixed = mixed ^ (mixed >> _FOLD)
        at += 8
    if at < end:
        rest = words[at] & ((_ONE << U64(8 * (end - at))) - _ONE)
        mixed = (mixed ^ rest ^ (U64(end - at) << _LAST)) * _MIX
        mixed = mixed ^ (mixed >> _FOLD)
    return mixed * _MIX


def same_bytes(one: Words, at: int, other: Words, start: int, length: int) -> bool:
    """Whether two stretches of bytes are equal."""
    done = 0
    while done + 8 <= length:
        if one[at + done] != other[start + done]:
            return False
        done += 8
    if done == length:
        return True
    mask = (_ONE << U64(8 * (length - done))) - _ONE
    return bool((one[at + done] ^ other[start + done]) & mask == _ZERO)


def eight_digits(word: Any) -> tuple[bool, Any]:
    """Whether eight bytes are decimal digits, and the number that they are."""
    if (word & _UPPER) != _ZEROS or ((word + _SIXES) & _UPPER) != _ZEROS:
        return False, _ZERO
    word = word - _ZEROS
    word = word * _TEN + (word >> _EIGHT)
    tens = (word & _PAIRS) * _MILLION_AND_HUNDRED
    ones = ((word >> _SIXTEEN) & _PAIRS) * _TEN_THOUSAND_AND_ONE
    return True, (tens + ones) >> _HALF


PARTS = (skip_space, plain_string, string_end, flat_object, spelled_hash, same_bytes, eight_digits)
"""What kernels that scan are made of, in the order in which they call each other."""
