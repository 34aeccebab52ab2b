"""Post-training quantization: a float model and windows of the training part become a `QuantModel`.

Ranges are observed by running the float model in NumPy over the calibration windows. Targets are those that the
reference kernels take: int8 input and hidden state (affine, per tensor), int8 weights (symmetric, one scale per gate,
per dense layer and per filter of a convolution), int16 cell (power-of-two scale), Q3.12 gates, int32 bias at the
product of the scales.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from bitwave.errors import UsageError
from bitwave.model.metadata import ChannelScaling
from bitwave.model.quantmodel import (
    Attention,
    Branch,
    Conv,
    Dense,
    Int8Array,
    LastStep,
    Lstm,
    Mean,
    Pool,
    Quantization,
    QuantModel,
    Softmax,
)

from .floatmodel import BranchActivations, FloatBranch, FloatDense, FloatLstm, FloatModel, run

Array = npt.NDArray[np.float64]
Choice = Literal["percentile", "mse"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

# The kernels reject a cell scale above 2**-9; below 2**-15 the cell could not reach +-1.
CELL_EXPONENTS = range(-15, -8)
# Fractions of the observed range that the MSE choice tries, widest first.
CLIP_FRACTIONS = np.linspace(1.0, 0.3, 57)
MSE_SAMPLES = 50_000
INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Options:
    """How ranges become scales.

    Attributes:
        activations: "percentile" clips to the central `percentile` percent of observed values; "mse" takes the fraction
            of the observed range with the smallest mean squared error.
        percentile: in percent; 100 keeps every observed value.
        weights: "percentile" keeps every weight; "mse" may clip the largest.
    """

    activations: Choice = "mse"
    percentile: float = 99.99
    weights: Choice = "mse"


def options(activations: str, percentile: float, weights: str) -> Options:
    """Checks choices that came as text; raises `UsageError`."""
    for name, choice in (("activations", activations), ("weights", weights)):
        if choice not in CHOICES:
            raise UsageError(f"--{name} {choice}: choose {' or '.join(CHOICES)}")
    return Options(cast(Choice, activations), percentile, cast(Choice, weights))


def quantize(model: FloatModel, windows: npt.NDArray[np.int16], options: Options | None = None) -> QuantModel:
    """Quantizes a float model, without metadata.

    Args:
        model: weights and standardization.
        windows: (n, steps, channels) int16 raw counts of the training part.
        options: calibration choices.
    """
    options = options or Options()
    standardized = model.standardize(windows)
    seen = run(model, standardized)
    source = affine(standardized, options)
    joined = affine(
        np.concatenate([_joined(b, a) for b, a in zip(model.branches, seen.branches, strict=True)]), options
    )
    branches = tuple(
        _quantize_branch(branch, source, joined, found, options)
        for branch, found in zip(model.branches, seen.branches, strict=True)
    )
    head: list[Dense] = []
    inputs = joined
    for dense, output in zip(model.head, seen.dense, strict=True):
        head.append(_quantize_dense(dense, inputs, affine(output, options), options))
        inputs = head[-1].output
    return QuantModel(
        steps=windows.shape[1],
        channels=windows.shape[2],
        input=source,
        branches=branches,
        head=tuple(head),
        softmax=Softmax(input=inputs),
    )


def _joined(branch: FloatBranch, seen: BranchActivations) -> npt.NDArray[Any]:
    """The values that share one quantization, since they meet in the head; a last step is quantized as all are."""
    return (seen.hidden[-1] if branch.pool == "last" else seen.pooled).ravel()


def _quantize_branch(
    branch: FloatBranch, source: Quantization, joined: Quantization, seen: BranchActivations, options: Options
) -> Branch:
    inputs, conv = source, None
    if branch.conv is not None and seen.conv is not None:
        taps = _quantize_dense(branch.conv.layer, source, affine(seen.conv, options), options, per_output=True)
        conv, inputs = Conv(taps, branch.conv.kernel, branch.conv.stride), taps.output
    layers: list[Lstm] = []
    for index, (lstm, hidden, cell) in enumerate(zip(branch.lstm, seen.hidden, seen.cell, strict=True)):
        shared = branch.pool == "last" and index == len(branch.lstm) - 1
        state = joined if shared else affine(hidden, options)
        layers.append(_quantize_lstm(lstm, inputs, state, cell, options))
        inputs = state
    pool: Pool = LastStep()
    if branch.pool == "mean":
        pool = Mean(inputs, joined)
    elif isinstance(branch.pool, FloatDense) and seen.score is not None:
        score = _quantize_dense(branch.pool, inputs, affine(seen.score, options), options)
        pool = Attention(score, Softmax(score.output), joined)
    return Branch(branch.first_channel, branch.channels, tuple(layers), pool, conv)


def front_end(model: FloatModel, source: Quantization) -> tuple[ChannelScaling, ...]:
    """The integer map from raw counts to int8 that stands for standardization and input quantization together.

    Per channel ``q = (raw - mean) / (deviation * scale) + zero point``; the factor becomes a multiplier of 14 bits and
    a shift. The formula is that of `bitwave.model.metadata`.
    """
    return tuple(
        ChannelScaling.from_factor(1.0 / (float(deviation) * source.scale), round(float(mean)))
        for mean, deviation in zip(model.mean, model.deviation, strict=True)
    )


def affine(values: npt.NDArray[Any], options: Options) -> Quantization:
    """int8 scale and zero point for observed values; the range always holds 0, which is then exact."""
    flat = np.asarray(values, np.float64).ravel()
    tail = (100.0 - options.percentile) / 2 if options.activations == "percentile" else 0.0
    low, high = (float(v) for v in np.percentile(flat, (tail, 100.0 - tail)))
    if options.activations == "percentile":
        return _range_to_quantization(low, high)
    sample = flat[:: max(1, len(flat) // MSE_SAMPLES)]
    tries = [_range_to_quantization(low * f, high * f) for f in CLIP_FRACTIONS]
    return tries[_first_smallest(tries, lambda q: _affine_error(sample, q))]


def _range_to_quantization(low: float, high: float) -> Quantization:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255.0)) or float(np.float32(1.0 / 128))
    zero_point = min(max(round(-128 - low / scale), -128), 127)
    return Quantization(scale, zero_point)


def _affine_error(sample: Array, quantization: Quantization) -> float:
    steps = np.clip(np.rint(sample / quantization.scale) + quantization.zero_point, -128, 127)
    return float(np.square((steps - quantization.zero_point) * quantization.scale - sample).sum())


def symmetric(weights: npt.NDArray[Any], choice: Choice) -> tuple[Int8Array, float]:
    """int8 weights within +-127 and their float32 scale."""
    values = np.asarray(weights, np.float64)
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    fractions = CLIP_FRACTIONS if choice == "mse" else CLIP_FRACTIONS[:1]
    scales = [float(np.float32(largest * f / 127.0)) for f in fractions]
    best = scales[_first_smallest(scales, lambda s: float(np.square(_rounded(values, s) * s - values).sum()))]
    return _rounded(values, best).astype(np.int8), best


def _rounded(values: Array, scale: float) -> Array:
    return cast(Array, np.clip(np.rint(values / scale), -127, 127))


def _first_smallest(candidates: list[Any], error: Callable[[Any], float]) -> int:
    return int(np.argmin([error(candidate) for candidate in candidates]))


def cell_exponent(cell: npt.NDArray[Any]) -> int:
    """log2 of the smallest power-of-two scale at which no observed cell value clips, within what the kernels take."""
    largest = float(np.abs(cell).max(initial=0.0))
    wanted = math.ceil(math.log2(largest / 32767.0)) if largest > 0 else CELL_EXPONENTS[0]
    return min(max(wanted, CELL_EXPONENTS[0]), CELL_EXPONENTS[-1])


def _quantize_lstm(
    lstm: FloatLstm, inputs: Quantization, hidden: Quantization, cell: npt.NDArray[Any], options: Options
) -> Lstm:
    kernels = [symmetric(gate, options.weights) for gate in lstm.input_weights]
    recurrent = [symmetric(gate, options.weights) for gate in lstm.recurrent_weights]
    input_scales = cast("tuple[float, float, float, float]", tuple(scale for _, scale in kernels))
    recurrent_scales = cast("tuple[float, float, float, float]", tuple(scale for _, scale in recurrent))
    bias = np.stack([_bias(b, inputs.scale * s) for b, s in zip(lstm.bias, input_scales, strict=True)])
    return Lstm(
        input=inputs,
        hidden_state=hidden,
        cell_exponent=cell_exponent(cell),
        input_weights=np.stack([weights for weights, _ in kernels]),
        recurrent_weights=np.stack([weights for weights, _ in recurrent]),
        bias=bias,
        input_scales=input_scales,
        recurrent_scales=recurrent_scales,
    )


def _quantize_dense(
    dense: FloatDense, inputs: Quantization, output: Quantization, options: Options, per_output: bool = False
) -> Dense:
    rows = dense.weights[:, None] if per_output else dense.weights[None]
    found = [symmetric(row, options.weights) for row in rows]
    scales = tuple(scale for _, scale in found)
    bias = _bias(dense.bias, inputs.scale * np.array(scales))
    return Dense(
        input=inputs,
        output=output,
        weights=np.concatenate([weights for weights, _ in found]),
        bias=bias,
        weight_scales=scales,
        activation="relu" if dense.relu else "none",
    )


def _bias(values: npt.NDArray[Any], scale: float | npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.asarray(np.clip(np.rint(values.astype(np.float64) / scale), -INT32_MAX, INT32_MAX), np.int32)
