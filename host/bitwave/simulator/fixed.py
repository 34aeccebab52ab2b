"""Fixed-point arithmetic of the reference kernels on int64 arrays: the only place of the simulator that shifts.

Formulas: the arithmetic of TensorFlow Lite Micro's reference kernels, which take them from gemmlowp's fixedpoint.h.
Right shifts are arithmetic (they round toward minus infinity). Inputs are int64 arrays that hold int32 values.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..model.quantmodel import Multiplier

Int64Array = npt.NDArray[np.int64]

INT8 = (-128, 127)
INT16 = (-32768, 32767)
ONE_Q31 = 2**31 - 1


def clamp(values: Int64Array, limits: tuple[int, int]) -> Int64Array:
    """Saturation to a closed range."""
    return np.clip(values, *limits)


def high_multiply(a: Int64Array, b: Int64Array | int) -> Int64Array:
    """Rounding doubling high multiply: floor((a * b + 2**30) / 2**31), ties toward plus infinity.

    The reference saturates where both are -2**31; no factor of ours ever is.
    """
    return np.asarray((a * b + (1 << 30)) >> 31)


def rounding_divide(values: Int64Array, exponent: Int64Array | int) -> Int64Array:
    """Division by 2**exponent, ties away from zero; exponent 0..31."""
    half = (np.int64(1) << exponent) >> 1
    return np.where(values >= 0, (values + half) >> exponent, -((half - values) >> exponent))


def requantize(values: Int64Array, multiplier: Multiplier) -> Int64Array:
    """Gives values * mantissa * 2**(shift - 31), rounded twice; see `high_multiply` and `rounding_divide`."""
    shifted = values << max(multiplier.shift, 0)
    return rounding_divide(high_multiply(shifted, multiplier.mantissa), max(-multiplier.shift, 0))


@lru_cache(maxsize=1)
def sigmoid_table() -> Int64Array:
    """The reference's table, 256 entries, u0.16, entry i for the argument i / 24; (256,) int64.

    With s(i) = 65536 / (1 + exp(-i/24)): floor(s(i) - (s(i+1) + s(i-1) - 2 s(i)) / 16 + 1/2), the last one 65535.
    """
    s = 65536.0 / (1.0 + np.exp(-np.arange(-1, 257) / 24.0))
    table = np.floor(s[1:-1] - (s[2:] + s[:-2] - 2.0 * s[1:-1]) / 16.0 + 0.5).astype(np.int64)
    table[255] = 65535
    table.setflags(write=False)
    return np.asarray(table)


def _interpolate(magnitude: Int64Array, bits: int) -> Int64Array:
    """The table at magnitude / 2**bits, times 2**bits; from entry 255 on the caller takes its own limit."""
    table = sigmoid_table()
    index = np.minimum(magnitude >> bits, 254)
    low, high = table[index], table[index + 1]
    return np.asarray((low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low))


def sigmoid(values: Int64Array) -> Int64Array:
    """Logistic function, Q3.12 -> Q0.15."""
    u = 3 * values
    magnitude = np.abs(u)
    v = np.where(magnitude >> 9 >= 255, 0x7FFF << 10, _interpolate(magnitude, 9))
    return np.asarray(np.where(u >= 0, v + 512, (1 << 25) - v + 511) >> 10)


def tanh(values: Int64Array, shift: int) -> Int64Array:
    """Hyperbolic tangent, int16 at scale 2**(shift - 12) -> Q0.15."""
    u = (3 * values) << shift if shift >= 0 else (3 * values + (1 << (-shift - 1))) >> -shift
    magnitude = np.abs(u)
    v = np.where(magnitude >> 8 >= 255, 0xFFFF << 8, _interpolate(magnitude, 8))
    return np.asarray(np.where(u >= 0, v - (1 << 23) + 128, -v + (1 << 23) + 127) >> 8)


# exp(-1/8), 1/3 and exp(-2**n) for n = -2..4 in Q0.31
EXP_MINUS_EIGHTH = 1895147668
ONE_THIRD = 715827883
EXP_MINUS_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def exp_on_negative(values: Int64Array) -> Int64Array:
    """Exponential of values <= 0, Q5.26 -> Q0.31.

    values = -(bits at and above 1/4) + a remainder in [-1/4, 0). The remainder goes through a Taylor polynomial of
    degree 4 around -1/8, each set bit 2**n multiplies by exp(-2**n). 0 gives the largest Q0.31.
    """
    quarter = 1 << 24
    remainder = (values & (quarter - 1)) - quarter
    x = (remainder << 5) + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4 = high_multiply(x2, x2)
    tail = rounding_divide(high_multiply(rounding_divide(x4, 2) + x3, ONE_THIRD) + x2, 1)
    result = EXP_MINUS_EIGHTH + high_multiply(x + tail, EXP_MINUS_EIGHTH)
    whole = remainder - values
    for bit, factor in enumerate(EXP_MINUS_POWERS, start=24):
        result = np.where(whole >> bit & 1, high_multiply(result, factor), result)
    return np.where(values == 0, ONE_Q31, result)


def reciprocal_of_one_plus(values: Int64Array) -> Int64Array:
    """1 / (1 + x) for x in [0, 1), Q0.31 -> Q0.31: three Newton-Raphson steps in Q2.29 from 48/17 - 32/17 d."""
    half_denominator = (values + ONE_Q31 + 1) >> 1  # rounding half sum; the sum is positive
    x = 1515870810 + high_multiply(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_multiply(half_denominator, x)
        x = x + clamp(high_multiply(x, error) << 2, (-(2**31), ONE_Q31))
    return clamp(x << 1, (-(2**31), ONE_Q31))
