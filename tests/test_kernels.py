"""Each trick of the Cortex-M4 kernels on its own, as formula or machine code, exhaustively where 16 bits allow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bitwave import native
from bitwave.model import image
from bitwave.model.quantmodel import Multiplier
from bitwave.simulator.fixed import INT8, INT16, clamp, requantize, sigmoid, tanh
from support import need

need("unicorn", "elftools")

from kernel_rig import GROUP, Rig  # noqa: E402  # after the skip that names the packages

Int64Array = npt.NDArray[np.int64]

ALL_INT16 = np.arange(-32768, 32768)
HALF = 1 << 30
RANDOM = np.random.default_rng(2024)
# Q31 mantissas: the smallest, the largest, one of a float32 and some that fill all bits
MANTISSAS = (HALF, 2 * HALF - 1, HALF + 128 * 4711, *(int(m) for m in RANDOM.integers(HALF, 2 * HALF, 4)))


@pytest.fixture(scope="module", params=["clang", "gcc"])
def rig(request: pytest.FixtureRequest) -> Rig:
    if request.param == "gcc":
        need("arm-none-eabi-gcc")
    compiler: native.Compiler = request.param
    return Rig(compiler)


def test_two_products_from_one_halfword() -> None:
    """(256 w1 + w0) z + w0 y = 256 (w1 (x1 - 127) + w0 x0) for every pair of inputs; all factors fit int16."""
    x0, x1 = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    z = x1 - 127
    y = 256 * x0 - z
    assert (y.min(), y.max()) == (-32768, 32767)
    for w0, w1 in [(a, b) for a in (-127, -1, 0, 1, 127) for b in (-127, -1, 0, 1, 127)]:
        half = 256 * w1 + w0
        assert -32768 <= half <= 32767
        assert (half & 255) - (half & 128) * 2 == w0  # what SXTB16 finds
        np.testing.assert_array_equal(half * z + w0 * y, 256 * (w1 * (x1 - 127) + w0 * x0))


def test_a_byte_swap_and_a_complement_make_y_and_z() -> None:
    """REV16, EOR 0x007F007F: the halfword is y; the lower byte, unsigned, is -z."""
    x0, x1 = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    swapped = ((x0 & 255) << 8 | (x1 & 255)) ^ 0x007F
    np.testing.assert_array_equal(swapped - (swapped & 0x8000) * 2, 256 * x0 - (x1 - 127))
    np.testing.assert_array_equal(-(swapped & 255), x1 - 127)


def near_ties(mantissa: int, shift: int) -> Int64Array:
    """Sums whose product lies next to a tie of the second rounding, or of the first where there is one only."""
    step = 1 << max(-shift, 0)
    ties = (2 * RANDOM.integers(-(1 << 15), 1 << 15, 3000) + 1) * step // 2
    sums = (ties << 31) // (mantissa << max(shift, 0))
    return np.concatenate([sums + offset for offset in range(-2, 3)])


def kernel_rounding(sums: Int64Array, multiplier: Multiplier) -> Int64Array:
    """What ROUND_RIGHT and ROUND_LEFT do to 256 times the sums, before the clamp, step by step."""
    if multiplier.shift >= 0:
        return ((256 * sums >> (7 - multiplier.shift)) * multiplier.mantissa + (1 << 31)) >> 32
    factor = 1 << (5 + multiplier.shift)
    value = (256 * sums * multiplier.mantissa >> 32) + 64 + (1 << (6 - multiplier.shift))
    return (value * factor + np.where(sums < 0, -128 * factor, 0)) >> 12


@pytest.mark.parametrize("shift", range(-5, 8))
def test_both_roundings_at_once(shift: int) -> None:
    """Equal to the reference for 16 bits of sums, everywhere near ties, and for random large ones."""
    for mantissa in MANTISSAS:
        multiplier = Multiplier(mantissa, shift)
        largest = (1 << 23) - 1 >> max(shift, 0)
        sums = np.concatenate([ALL_INT16, near_ties(mantissa, shift), RANDOM.integers(-largest, largest, 5000)])
        sums = sums[np.abs(sums) <= largest]
        np.testing.assert_array_equal(kernel_rounding(sums, multiplier), requantize(sums, multiplier))


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("shift", range(-5, 8))
def test_roundings_of_the_machine_code(rig: Rig, shift: int, lanes: int) -> None:
    """Sums come from the bias alone; one gate has all 16-bit sums, the others ties and large ones."""
    weights = np.zeros((4, 8192 // GROUP, 1, GROUP, 2), np.int16)
    zeros = np.zeros(4, np.int8)
    multipliers = [Multiplier(mantissa, shift) for mantissa in MANTISSAS[:4]]
    limit = int((2**31 - 1 << 24) // (MANTISSAS[1] << max(5 + shift, 0))) if shift < 0 else 1 << 30
    largest = min((1 << 23) - 1, limit - 4096) >> max(shift, 0)
    for first in range(0, 65536, 8192):
        sums = np.stack(
            [
                ALL_INT16[first : first + 8192],
                RANDOM.integers(-largest, largest, 8192),
                np.resize(near_ties(MANTISSAS[2], shift), 8192),
                np.resize(near_ties(MANTISSAS[3], shift), 8192),
            ]
        )
        sums = np.clip(sums, -largest, largest)
        want = [clamp(requantize(row, multiplier), INT16) for row, multiplier in zip(sums, multipliers, strict=True)]
        # z of a zero input is -127 and meets weights of 0: the sums are the biases
        for got in rig.product(weights, 256 * sums, [zeros] * lanes, multipliers):
            np.testing.assert_array_equal(got, want)
        if lanes == 2 or shift not in (-1, 0, 2):
            break  # the same code behind other sums: once through the whole range is enough


@pytest.mark.parametrize("columns", [*range(1, 14), 30, 33, 63, 64])
def test_products_of_the_machine_code(rig: Rig, columns: int) -> None:
    """Random and extreme weights and inputs, in every layout of columns."""
    units = 11
    for extreme in (False, True):
        weights = RANDOM.integers(-127, 128, (4, units, columns)).astype(np.int8)
        vectors = [RANDOM.integers(-128, 128, columns).astype(np.int8) for _ in range(2)]
        if extreme:
            weights = RANDOM.choice(np.array([-127, 127], np.int8), weights.shape)
            vectors = [RANDOM.choice(np.array([-128, 127], np.int8), columns) for _ in range(2)]
        multipliers = [
            Multiplier(mantissa, shift) for mantissa, shift in zip(MANTISSAS[3:], (-5, -3, -2, -1), strict=True)
        ]
        for has_pair, lanes in ((True, 1), (False, 1), (False, 2)):
            data = np.frombuffer(image._packed_weights(weights, has_pair), "<i2")
            quads = image._quad_columns(columns, has_pair)
            pairs = int(columns > quads)
            groups = -(-units // GROUP)
            halves = data.reshape(4, groups, pairs + -(-quads // 4), GROUP, 2)
            bias = np.zeros((4, groups * GROUP), np.int64)
            bias[:, :units] = 127 * weights[..., 1:quads:2].astype(np.int64).sum(axis=2)
            padded = [np.concatenate([vector, RANDOM.integers(-128, 128, 4).astype(np.int8)]) for vector in vectors]
            got = rig.product(halves, 256 * bias, padded[:lanes], multipliers, pairs)
            for lane, vector in enumerate(vectors[:lanes]):
                sums = weights.astype(np.int64) @ vector.astype(np.int64)
                want = [clamp(requantize(row, multipliers[gate]), INT16) for gate, row in enumerate(sums)]
                np.testing.assert_array_equal(got[lane][:, :units], want)


def reference_step(
    gates: Int64Array, cell: Int64Array, exponent: int, output: Multiplier, zero: int
) -> tuple[Int64Array, Int64Array]:
    """The contract's cell and hidden state."""
    i, f, o = (sigmoid(gates[:, gate]) for gate in (0, 1, 3))
    kept = clamp(requantize(f * cell, Multiplier(HALF, -14)), INT16)
    added = clamp(requantize(i * tanh(gates[:, 2], 0), Multiplier(HALF, -29 - exponent)), INT16)
    state = clamp(kept + added, INT16)
    hidden = clamp(requantize(tanh(state, 15 + exponent - 3) * o, output) + zero, INT8)
    return state, hidden


@pytest.mark.parametrize("exponent", range(-15, -2))
def test_activations_of_the_machine_code(rig: Rig, exponent: int) -> None:
    """All 65536 values of each gate and of the cell, the others random; every cell scale that the kernels take."""
    output = Multiplier(MANTISSAS[exponent % len(MANTISSAS)], (-23, -22, -21)[exponent % 3])
    zero = (-128, -3, 0, 127)[exponent % 4]
    for swept in range(5):
        order = RANDOM.permutation(ALL_INT16) if exponent == -12 else RANDOM.choice(ALL_INT16, 8192, replace=False)
        for values in np.array_split(order, max(1, len(order) // 16384)):
            gates = RANDOM.normal(0, 9000, (len(values), 4)).clip(-32768, 32767).astype(np.int64)
            cell = RANDOM.integers(-32768, 32768, len(values))
            if swept < 4:
                gates[:, swept] = values
            else:
                cell = values
                gates[:, 1], gates[:, 0] = 32767, -32768  # all is kept, nothing is added
            got_cell, got_hidden = rig.activate(gates, cell, exponent, output, zero)
            want_cell, want_hidden = reference_step(gates, cell, exponent, output, zero)
            np.testing.assert_array_equal(got_cell, want_cell)
            np.testing.assert_array_equal(got_hidden, want_hidden)


def test_output_rounding_on_ties(rig: Rig) -> None:
    """Products next to a tie of the output's second rounding, found among all of a saturated cell's."""
    for mantissa in MANTISSAS:
        output = Multiplier(mantissa, -22)
        o = np.arange(32768)
        products = np.int64(32767) * o
        first = (products * mantissa + HALF) >> 31
        close = np.abs((first & ((1 << 22) - 1)) - (1 << 21)) < 40000
        gates = np.zeros((2 * (np.count_nonzero(close) // 2), 4), np.int64)
        gates[:, 1], gates[:, 0] = 32767, -32768
        by_gate = {int(s): g for g, s in zip(ALL_INT16, sigmoid(ALL_INT16), strict=True)}
        gates[:, 3] = [by_gate.get(int(value), 0) for value in o[close][: len(gates)]]
        for cell in (32767, -32768):
            state = np.full(len(gates), cell)
            got = rig.activate(gates, state, -12, output, 0)
            want = reference_step(gates, state, -12, output, 0)
            np.testing.assert_array_equal(got[0], want[0])
            np.testing.assert_array_equal(got[1], want[1])
