"""Decimal text to the nearest double, exactly, inside a kernel: the Eisel-Lemire algorithm.

Source: D. Lemire, "Number Parsing at a Gigabyte per Second", Software: Practice and Experience 51(8), 2021, as in the
library fast_float. What it cannot decide (more than 19 digits, exponents beyond `REACH`, negative zero, results near the
ends of the range) is left to the caller's exact way.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.scan_bytes import Text, Words, eight_digits

REACH = 60
"""Powers of ten from -60 to 60 are tabled: measurements beyond are left to the exact way."""

U64 = np.uint64
_LOW = U64(0xFFFFFFFF)
_HALF = U64(32)
_ALL = U64(0xFFFFFFFFFFFFFFFF)
_SPARE = U64(0x1FF)
_ONE = U64(1)
_ZERO = U64(0)
_TOP = U64(63)
_KEEP = U64(9)
_HIDDEN = U64(1 << 52)
_SIGN = U64(1 << 63)
_TEN = U64(10)
_EIGHT_PLACES = U64(100_000_000)


@functools.cache
def powers_of_five() -> NDArray[np.uint64]:
    """Row `q + REACH`: the upper and lower 64 bits of the 128 leading bits of 5**q, truncated (rounded up below 1)."""
    rows = np.zeros((2 * REACH + 1, 2), np.uint64)
    for q in range(-REACH, REACH + 1):
        if q >= 0:
            power = 5**q
            shift = power.bit_length() - 128
            leading = power >> shift if shift > 0 else power << -shift
        else:
            power = 5**-q
            bits = power.bit_length()
            leading = (1 << (bits + 127 if q >= -27 else 2 * bits + 128)) // power + 1
            leading >>= max(0, leading.bit_length() - 128)
        rows[q + REACH] = leading >> 64, leading & (2**64 - 1)
    return rows


def multiply(a: Any, b: Any) -> tuple[Any, Any]:
    """The upper and lower 64 bits of the product of two uint64."""
    a_low, a_high, b_low, b_high = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    low, middle, other = a_low * b_low, a_high * b_low, a_low * b_high
    carried = (low >> _HALF) + (middle & _LOW) + (other & _LOW)
    return (
        a_high * b_high + (middle >> _HALF) + (other >> _HALF) + (carried >> _HALF),
        (carried << _HALF) | (low & _LOW),
    )


def double_bits(mantissa: Any, exponent: int, powers: Words) -> tuple[Any, bool]:
    """The bits of the double nearest to `mantissa * 10**exponent`, and whether they are certain. `mantissa` is not zero."""
    if exponent < -REACH or exponent > REACH:
        return _ZERO, False
    zeros = 0
    for step in (32, 16, 8, 4, 2, 1):
        if not mantissa >> U64(64 - step):
            mantissa = mantissa << U64(step)
            zeros += step
    high, low = multiply(mantissa, powers[exponent + REACH, 0])
    if high & _SPARE == _SPARE:
        second, _ = multiply(mantissa, powers[exponent + REACH, 1])
        low = low + second
        if low < second:
            high = high + _ONE
    if low == _ALL:
        return _ZERO, False
    upper = high >> _TOP
    bits = high >> (upper + _KEEP)
    binary = ((217706 * exponent) >> 16) + 63 - zeros + int(upper) + 1023
    if binary <= 0 or binary >= 2046:
        return _ZERO, False
    exact_half = low <= _ONE and bits & U64(3) == _ONE and bits << (upper + _KEEP) == high
    if exact_half and -4 <= exponent <= 23:
        bits = bits & ~_ONE
    bits = (bits + (bits & _ONE)) >> _ONE
    if bits >= _HIDDEN << _ONE:
        bits = _HIDDEN
        binary += 1
    return (bits & ~_HIDDEN) | (U64(binary) << U64(52)), True


def scan_digits(text: Text, at: int, end: int, mantissa: Any) -> tuple[Any, int]:
    """The mantissa with the digits at `at` behind it (right for up to 19 in all), and the place after them."""
    while at < end:
        good, eight = eight_digits(text.words[at])
        if not good:
            break
        mantissa = mantissa * _EIGHT_PLACES + eight
        at += 8
    while at < end and 48 <= text.bytes[at] <= 57:
        mantissa = mantissa * _TEN + U64(text.bytes[at] - 48)
        at += 1
    return mantissa, at


def scan_exponent(text: Text, at: int, end: int) -> tuple[int, int]:
    """The number after an `e`, and the place after it; -1 for the place when there is none. Beyond 9999 it is 9999."""
    below = at < end and text.bytes[at] == 45
    at += at < end and (text.bytes[at] == 45 or text.bytes[at] == 43)
    first, power = at, 0
    while at < end and 48 <= text.bytes[at] <= 57:
        power = min(power * 10 + (text.bytes[at] - 48), 9999)
        at += 1
    return (-power if below else power), (at if at > first else -1)


def significant(text: Text, first: int, digits: int) -> int:
    """How many of the `digits` from `first` on, around a point, count when there are more than 19: zeros in front do not."""
    while digits > 19 and (text.bytes[first] == 48 or text.bytes[first] == 46):
        digits -= text.bytes[first] == 48
        first += 1
    return digits


def scan_number(text: Text, at: int, end: int, powers: Words, out: Words, row: int) -> int:
    """Read a JSON number at `at` into `out[row]` (as bits); where it ends, or -1 when it needs a closer look."""
    negative = text.bytes[at] == 45
    first = at + negative
    mantissa, at = scan_digits(text, first, end, _ZERO)
    digits, exponent = at - first, 0
    if digits == 0 or (text.bytes[first] == 48 and digits > 1):
        return -1
    if at < end and text.bytes[at] == 46:
        point = at + 1
        mantissa, at = scan_digits(text, point, end, mantissa)
        exponent = point - at
        digits -= exponent
        if exponent == 0:
            return -1
    if significant(text, first, digits) > 19 or at >= end:
        return -1
    if text.bytes[at] == 69 or text.bytes[at] == 101:
        power, at = scan_exponent(text, at + 1, end)
        exponent += power
    if mantissa == _ZERO:
        out[row] = _ZERO
        return -1 if negative else at
    bits, certain = double_bits(mantissa, exponent, powers)
    out[row] = bits | _SIGN if negative else bits
    return at if certain else -1


PARTS = (scan_digits, scan_exponent, significant, multiply, double_bits, scan_number)
"""What a kernel that calls `scan_number` is made of, beside the parts of `scan_bytes`."""
