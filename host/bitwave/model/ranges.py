"""Proves, once per model, that the integer arithmetic stays inside int32 for every possible input.

The reference kernels do not check this and would overflow; behind this check no engine needs to.
"""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from .quantmodel import (
    Attention,
    Branch,
    Dense,
    Int8Array,
    Int32Array,
    Lstm,
    Mean,
    Multiplier,
    Quantization,
    QuantModel,
    Softmax,
)

ACCUMULATOR_LIMIT = 2**31 - 2**8  # leaves room for adding a zero point after the requantization
MAX_ATTENTION_STEPS = 511  # the softmax's sum of exponentials stays below 2**9, which its final shift needs
CELL_EXPONENTS = range(-29, 3)  # of the scale: products i*g need no left shift, 3 * 2**shift * cell fits int32


def check_ranges(model: QuantModel) -> None:
    """Raises `ModelError` naming the layer whose accumulator, multiplier or cell scale could overflow."""
    for index, lstm in enumerate(model.lstm):
        _check_lstm(f"LSTM layer {index + 1}", lstm)
    for index, branch in enumerate(model.branches):
        _check_branch(f"branch {index + 1}", branch, branch.steps(model.steps))
    for index, dense in enumerate(model.head):
        _check_dense(f"dense layer {index + 1}", dense)
    if model.softmax is not None:
        _check_softmax("the softmax", model.softmax)


def _check_branch(name: str, branch: Branch, steps: int) -> None:
    if steps < 1:
        raise ModelError(f"the convolution of {name} is longer than the window")
    if branch.conv is not None:
        _check_dense(f"the convolution of {name}", branch.conv.layer)
    pool = branch.pool
    if isinstance(pool, Mean):
        # 255 * n is shifted by shift - floor(log2(n)), whatever n
        _check_sum(f"the mean of {name}", 510, pool.multiplier(1))
    elif isinstance(pool, Attention):
        if steps > MAX_ATTENTION_STEPS:
            raise ModelError(f"the attention of {name} is over {steps} steps; {MAX_ATTENTION_STEPS} fit")
        _check_dense(f"the attention score of {name}", pool.score)
        _check_softmax(f"the attention of {name}", pool.softmax)
        _check_sum(f"the attention of {name}", 255 * 255 * steps, pool.multiplier)


def _check_softmax(name: str, softmax: Softmax) -> None:
    if softmax.beta * softmax.input.scale * 2.0**26 <= 1.0:
        raise ModelError(f"{name} has logits of a scale too small for its fixed-point exponential")


def _check_lstm(name: str, lstm: Lstm) -> None:
    if lstm.cell_exponent not in CELL_EXPONENTS:
        raise ModelError(f"{name} has the cell scale 2**{lstm.cell_exponent}; 2**-29 to 2**2 fit")
    if lstm.output_multiplier.shift > 0:
        raise ModelError(f"{name} has the hidden scale {lstm.hidden_state.scale:g}, too small for int8")
    no_bias = np.zeros(lstm.hidden, np.int32)
    for gate in range(4):
        for what, source, weights, bias, multiplier in (
            ("input", lstm.input, lstm.input_weights[gate], lstm.bias[gate], lstm.input_multipliers[gate]),
            ("hidden", lstm.hidden_state, lstm.recurrent_weights[gate], no_bias, lstm.recurrent_multipliers[gate]),
        ):
            _check_accumulator(f"{name}, gate {gate}, {what} side", source, weights, bias, (multiplier,))


def _check_dense(name: str, dense: Dense) -> None:
    _check_accumulator(name, dense.input, dense.weights, dense.bias, dense.multipliers)


def _check_accumulator(
    name: str, source: Quantization, weights: Int8Array, bias: Int32Array, multipliers: tuple[Multiplier, ...]
) -> None:
    """Bounds every partial sum: sum of |w| times the largest |x - zx|, plus |b|, before and after the left shift."""
    largest = max(127 - source.zero_point, source.zero_point + 128)
    bounds = np.abs(weights.astype(np.int64)).sum(axis=1) * largest + np.abs(bias.astype(np.int64))
    if len(multipliers) == 1:
        return _check_sum(name, int(bounds.max()), multipliers[0])
    for bound, multiplier in zip(bounds, multipliers, strict=True):
        _check_sum(name, int(bound), multiplier)


def _check_sum(name: str, bound: int, multiplier: Multiplier) -> None:
    left = max(multiplier.shift, 0)
    if left > 30 or bound << left > ACCUMULATOR_LIMIT:
        raise ModelError(f"{name} could overflow 32 bits; its scales or its bias are out of all proportion")
