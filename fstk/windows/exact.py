"""Exact sums over windows, whatever the numbers and however long the window.

Every column becomes integers in one unit (a power of two for floating numbers), and every integer a few digits of
``width`` bits. A window's sum of one digit is the difference of two running sums in 64-bit integers: no rounding, and
a running sum that wraps past 2^63 wraps back in the difference. So a row outside the window leaves nothing behind,
the order of rows does not matter, a window of a million rows costs as much as one of two, and a floating sum is the
true sum, rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Digits = list[np.ndarray]
"""An integer per position, lowest digit first: Σ digit[j] · 2^(j·width); digits are int64 and may be negative."""

_ONE_ADDITION = 53  # digits below 2^53 are exact doubles, so that two of them add up with one rounding
_SMALLEST = -1074  # exponent of the smallest double


@dataclass(frozen=True)
class Integers:
    """A column of int64 values."""

    values: np.ndarray

    exponent = 0

    def bits(self) -> int:
        """Return the bits of the largest magnitude."""
        if not len(self.values):
            return 1
        return max(abs(int(self.values.max())), abs(int(self.values.min())), 1).bit_length()

    def digits(self, width: int) -> Digits:
        """Return the digits; the highest carries the sign."""
        count = -(-self.bits() // width)
        mask = np.int64((1 << width) - 1)
        low = [(self.values >> np.int64(j * width)) & mask for j in range(count - 1)]
        return [*low, self.values >> np.int64((count - 1) * width)]

    def take(self, rows: np.ndarray) -> Integers:
        return Integers(self.values[rows])


@dataclass(frozen=True)
class WideIntegers:
    """A column of 128-bit values, as words."""

    low: np.ndarray
    high: np.ndarray

    exponent = 0

    def digits(self, width: int) -> Digits:
        count = -(-128 // width)
        mask = np.int64((1 << width) - 1)
        return [*(self._bits_from(j * width) & mask for j in range(count - 1)), self._bits_from((count - 1) * width)]

    def _bits_from(self, start: int) -> np.ndarray:
        if start >= 64:
            return self.high >> np.int64(start - 64)
        if start == 0:
            return self.low.view(np.int64)
        return ((self.low >> np.uint64(start)) | (self.high.view(np.uint64) << np.uint64(64 - start))).view(np.int64)

    def take(self, rows: np.ndarray) -> WideIntegers:
        return WideIntegers(self.low[rows], self.high[rows])


class Floats:
    """A column of finite float64 values, as integers of the unit 2^``exponent``."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        size = np.abs(values)
        largest = float(size.max(initial=0.0))
        smallest = float(np.min(size, where=size > 0, initial=np.inf))
        if largest == 0.0:
            self.exponent, self._top = 0, 1
        else:
            # frexp gives a fraction in [½, 1): the value's lowest bit is at most 53 places below its exponent.
            self.exponent = max(int(np.frexp(smallest)[1]) - 53, _SMALLEST)
            self._top = int(np.frexp(largest)[1])

    def bits(self) -> int:
        return self._top - self.exponent

    def digits(self, width: int) -> Digits:
        """Return the digits, each with the sign of its value; ``width`` ≤ 53."""
        count = -(-self.bits() // width)
        rest = self.values
        digits: Digits = []
        for j in range(count - 1, 0, -1):
            # Both steps are exact: a double's leading bits, and what is left of it.
            unit = self.exponent + j * width
            digit = np.trunc(scaled(rest, -unit))
            rest = rest - scaled(digit, unit)
            digits.append(digit.astype(np.int64))
        digits.append(scaled(rest, -self.exponent).astype(np.int64))
        return digits[::-1]


Numbers = Integers | WideIntegers | Floats


class Spans:
    """Windows over summed rows: window w of point i holds the rows ``low[w, i]`` ≤ row < ``high[i]``."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self.low, self.high, self.length = low, high, high - low
        self.longest = int(self.length.max(initial=0))


def sums(digits: Digits, spans: Spans) -> Digits:
    """Return each digit summed over each window, exact while ``width`` + bits of the longest window ≤ 62."""
    out: Digits = []
    for digit in digits:
        running = np.empty(len(digit) + 1, np.int64)
        running[0] = 0
        np.cumsum(digit, out=running[1:])
        out.append(running[spans.high] - running[spans.low])
    return out


def width_for(numbers: Numbers, spans: Spans) -> int:
    """Return the digit width that makes :func:`rounded` cheapest: sums of one digit stay exact doubles."""
    return max(_ONE_ADDITION - max(spans.longest, 1).bit_length(), 24)


def rounded(digits: Digits, width: int, exponent: int) -> np.ndarray:
    """Return Σ digit[j] · 2^(j·width + exponent) as float64, rounded once to nearest; ±inf beyond the doubles."""
    if len(digits) == 1:
        return scaled(digits[0].astype(np.float64), exponent)
    if len(digits) == 2 and all(_exact_doubles(digit) for digit in digits):
        return scaled(np.ldexp(1.0, width) * digits[1] + digits[0], exponent)
    fraction, power = scientific(digits, width)
    return np.ldexp(fraction, np.clip(power + exponent, -4000, 4000))


def scientific(digits: Digits, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (fraction, power) with fraction · 2^power the number rounded once to 53 bits, |fraction| ≤ 2^64."""
    digits, negative = magnitudes(digits, width)
    head = digits[-1].view(np.uint64)
    power = np.zeros(head.shape, np.int64)
    lost = np.zeros(head.shape, bool)
    for digit in reversed(digits[:-1]):
        # Append as much of the digit as 64 bits hold; of the rest it matters only whether it is zero.
        room = np.minimum(64 - _bit_length(head), width).astype(np.uint64)
        cut = np.uint64(width) - room
        low = digit.view(np.uint64)
        head = (head << room) | (low >> cut)
        lost |= (low & ((np.uint64(1) << cut) - np.uint64(1))) != 0
        power += cut.astype(np.int64)
    fraction = (head | lost.astype(np.uint64)).astype(np.float64)
    return np.where(negative, -fraction, fraction), power


def magnitudes(digits: Digits, width: int) -> tuple[Digits, np.ndarray]:
    """Return the normal digits of the magnitudes, and which numbers are negative."""
    digits = normal(digits, width)
    negative = digits[-1] < 0
    return normal([np.where(negative, -digit, digit) for digit in digits], width), negative


def normal(digits: Digits, width: int) -> Digits:
    """Return the same integers with every digit but the highest in [0, 2^width)."""
    mask = np.int64((1 << width) - 1)
    out: Digits = []
    carry: np.ndarray | None = None
    for digit in digits[:-1]:
        value = digit if carry is None else digit + carry
        carry = value >> np.int64(width)
        out.append(value & mask)
    out.append(digits[-1] if carry is None else digits[-1] + carry)
    return out


def int64(digits: Digits, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (value modulo 2^64 as int64, whether it is the true value); ``width`` is 32."""
    low, high, fits = int128(digits, width)
    value = low.view(np.int64)
    return value, fits & (high == value >> 63)


def int128(digits: Digits, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (low uint64, high int64, whether 128 bits hold it); ``width`` is 32, digits are at most five."""
    assert width == 32, "words are made of digits of 32 bits"
    digits = normal([*digits, *(np.zeros_like(digits[0]) for _ in range(5 - len(digits)))], width)
    low = digits[0] | (digits[1] << np.int64(32))
    high = digits[2] | (digits[3] << np.int64(32))
    return low.view(np.uint64), high, digits[4] == high >> 63


def reaches(low: np.ndarray, high: np.ndarray, limit: int) -> np.ndarray:
    """Tell where a 128-bit integer is ≥ ``limit`` or ≤ −``limit``."""
    negative = high < 0
    # Two's complement: −x is ~x + 1, and the 1 carries into the high word when the low one was all ones.
    size_low = np.where(negative, ~low + np.uint64(1), low)
    size_high = np.where(negative, ~high + (low == 0), high)
    top, rest = np.int64(limit >> 64), np.uint64(limit & (2**64 - 1))
    return (size_high > top) | ((size_high == top) & (size_low >= rest)) | (size_high < 0)


def scaled(values: np.ndarray, exponent: int) -> np.ndarray:
    """Return values · 2^exponent, exactly where the result is a double."""
    if exponent == 0:
        return values
    if -1022 <= exponent <= 1023:
        return values * np.ldexp(1.0, exponent)
    return np.ldexp(values, exponent)


def _exact_doubles(digit: np.ndarray) -> bool:
    return not len(digit) or (int(digit.max()) <= (1 << 53) and int(digit.min()) >= -(1 << 53))


def _bit_length(values: np.ndarray) -> np.ndarray:
    # Clearing each bit below a set one keeps the leading bit, and the conversion from rounding up to the next power.
    return np.frexp((values & ~(values >> np.uint64(1))).astype(np.float64))[1]
