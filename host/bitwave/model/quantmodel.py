"""The quantized model as plain data: what a .tflite file says, once it has been read and checked.

Everything behind the file (simulator, model image, C arrays, reports) is a pure function of a `QuantModel`.
Gate order everywhere is that of the file: input, forget, cell, output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .metadata import Metadata

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]

Activation = Literal["none", "relu", "relu6"]

GATES = ("input", "forget", "cell", "output")


@dataclass(frozen=True)
class Quantization:
    """Affine quantization of a tensor: real = scale * (q - zero_point); scale is an exact float32."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Multiplier:
    """real = mantissa * 2**(shift - 31); mantissa in Q31 within [2**30, 2**31), or 0."""

    mantissa: int
    shift: int


def quantize_multiplier(real: float) -> Multiplier:
    """Splits a positive real factor into Q31 mantissa and shift.

    Source: `QuantizeMultiplier` of TensorFlow Lite: frexp, round half away from zero, shift below -31 flushes to 0.
    """
    if real == 0.0:
        return Multiplier(0, 0)
    fraction, shift = math.frexp(real)
    mantissa = math.floor(fraction * (1 << 31) + 0.5)
    if mantissa == 1 << 31:
        mantissa //= 2
        shift += 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier(mantissa, shift)


@dataclass(frozen=True, eq=False)
class Lstm:
    """One int8 LSTM layer. Weight scales are per tensor (one per gate), weights symmetric.

    Attributes:
        input: quantization of the layer's input, int8.
        hidden_state: quantization of hidden state and output, int8.
        cell_exponent: log2 of the cell state's scale, int16 (scale 2**cell_exponent).
        input_weights: (4, hidden, inputs) int8.
        recurrent_weights: (4, hidden, hidden) int8.
        bias: (4, hidden) int32, at scale input.scale * input_scales[gate].
        input_scales: four float32 values, exact.
        recurrent_scales: four float32 values, exact.
        cell_clip: 0, or the symmetric clamp of the cell in int16 counts.
    """

    input: Quantization
    hidden_state: Quantization
    cell_exponent: int
    input_weights: Int8Array
    recurrent_weights: Int8Array
    bias: Int32Array
    input_scales: tuple[float, float, float, float]
    recurrent_scales: tuple[float, float, float, float]
    cell_clip: int = 0

    @property
    def hidden(self) -> int:
        """Number of units."""
        return int(self.input_weights.shape[1])

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return int(self.input_weights.shape[2])

    @property
    def input_multipliers(self) -> tuple[Multiplier, ...]:
        """Per gate: float32 scales widened to double, sx * sw / 2**-12."""
        return tuple(quantize_multiplier(self.input.scale * s / 2.0**-12) for s in self.input_scales)

    @property
    def recurrent_multipliers(self) -> tuple[Multiplier, ...]:
        """Per gate: sh * sw / 2**-12."""
        return tuple(quantize_multiplier(self.hidden_state.scale * s / 2.0**-12) for s in self.recurrent_scales)

    @property
    def forget_multiplier(self) -> Multiplier:
        """Of f * c: 2**-15."""
        return quantize_multiplier(2.0**-15)

    @property
    def input_gate_multiplier(self) -> Multiplier:
        """Of i * g: 2**-30 / sc."""
        return quantize_multiplier(2.0**-30 / 2.0**self.cell_exponent)

    @property
    def output_multiplier(self) -> Multiplier:
        """Of tanh(c) * o: 2**-30 / sh."""
        return quantize_multiplier(2.0**-30 / self.hidden_state.scale)

    @property
    def cell_tanh_shift(self) -> int:
        """Shift that brings the cell state to the tanh table's input: 15 + log2(sc) - 3."""
        return 15 + self.cell_exponent - 3


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected int8 layer.

    Attributes:
        input: quantization of the input, int8.
        output: quantization of the output, int8.
        weights: (outputs, inputs) int8, zero point 0.
        bias: (outputs,) int32, at scale input.scale * weight scale.
        weight_scales: exact float32 values: one for the tensor, or one per output where the file quantizes per channel.
        activation: the fused activation.
    """

    input: Quantization
    output: Quantization
    weights: Int8Array
    bias: Int32Array
    weight_scales: tuple[float, ...]
    activation: Activation = "none"

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return int(self.weights.shape[0])

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return int(self.weights.shape[1])

    @property
    def multipliers(self) -> tuple[Multiplier, ...]:
        """One for the tensor, or one per output: float32 scales widened to double, sx * sw / sy.

        Source: `CalculateOpDataFullyConnected` of TensorFlow Lite Micro. Some versions of its sources round the
        product sx * sw of a single scale to float32; the package `tflite-micro` does not, as ties show.
        """
        return tuple(quantize_multiplier(self.input.scale * s / self.output.scale) for s in self.weight_scales)

    @property
    def activation_min(self) -> int:
        """Lower clamp of the int8 output: the output's zero point for ReLU and ReLU6, else -128."""
        return -128 if self.activation == "none" else max(-128, self.output.zero_point)

    @property
    def activation_max(self) -> int:
        """Upper clamp of the int8 output: what 6.0 quantizes to for ReLU6, else 127.

        Source: `CalculateActivationRangeQuantized` of TensorFlow Lite: float32 division, ties away from zero.
        """
        if self.activation != "relu6":
            return 127
        quotient = float(np.float32(6.0) / np.float32(self.output.scale))
        return min(127, self.output.zero_point + math.floor(quotient + 0.5))


@dataclass(frozen=True)
class Softmax:
    """int8 softmax; output scale 1/256, zero point -128.

    Source of the integer parameters: `PreprocessSoftmaxScaling` and `CalculateInputRadius` of TensorFlow Lite, with
    the five integer bits that `CalculateSoftmaxParams` of TensorFlow Lite Micro uses: differences to the largest
    logit are brought to Q5.26.

    Attributes:
        input: quantization of the logits, int8.
        beta: factor of the logits, float32.
    """

    input: Quantization
    beta: float = 1.0

    @property
    def multiplier(self) -> Multiplier:
        """Of beta * input scale * 2**26, capped at 2**31 - 1; the shift is never negative in a valid model."""
        return quantize_multiplier(min(self.beta * self.input.scale * 2.0**26, 2.0**31 - 1.0))

    @property
    def diff_min(self) -> int:
        """Differences below this (a negative number or 0) are treated as exp = 0: -floor(31 * 2**26 / 2**shift)."""
        return -math.floor(31 * 2.0**26 / 2.0**self.multiplier.shift)


@dataclass(frozen=True, eq=False)
class Conv:
    """A one-dimensional convolution over time, without padding or dilation (CONV_2D in the file).

    One output step is a fully connected layer over ``kernel`` successive samples, flattened with the oldest first: the
    reference kernel (`ConvPerChannel` of TensorFlow Lite) sums, scales and clamps exactly as its fully connected one,
    and `PopulateConvolutionQuantizationParams` multiplies the same scales as doubles.

    Attributes:
        layer: weights (outputs, kernel * channels) int8, biases, scales, fused activation.
        kernel: samples under it.
        stride: samples from one output step to the next.
    """

    layer: Dense
    kernel: int
    stride: int

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return self.layer.inputs // self.kernel

    def steps(self, samples: int) -> int:
        """Output steps for a window of ``samples``; 0 where the kernel does not fit once."""
        return max(0, (samples - self.kernel) // self.stride + 1)


@dataclass(frozen=True)
class LastStep:
    """The hidden state after the last step goes on as it is."""


@dataclass(frozen=True)
class Mean:
    """The mean of the hidden states over all steps (MEAN in the file).

    Attributes:
        input: quantization of the hidden states, int8.
        output: quantization of the mean, int8.
    """

    input: Quantization
    output: Quantization

    def multiplier(self, steps: int) -> Multiplier:
        """What the sum of (hidden - zero point) is multiplied by; its mantissa is not normalized.

        Source: `QuantizedMeanOrSum` of TensorFlow Lite: s = floor(log2(steps)), at most 32 and at most 31 + shift, then
        mantissa' = mantissa * 2**s / steps, rounded down, and shift' = shift - s.
        """
        whole = quantize_multiplier(self.input.scale / self.output.scale)
        bits = min(steps.bit_length() - 1, 32, 31 + whole.shift)
        return Multiplier((whole.mantissa << bits) // steps, whole.shift - bits)


@dataclass(frozen=True, eq=False)
class Attention:
    """A weighted mean of the hidden states: FULLY_CONNECTED to a score per step, SOFTMAX over steps, BATCH_MATMUL.

    Attributes:
        score: one output; its input are the hidden states.
        softmax: over the scores of all steps.
        output: quantization of the weighted sum, int8.
    """

    score: Dense
    softmax: Softmax
    output: Quantization

    @property
    def multiplier(self) -> Multiplier:
        """Of the sum of (weight + 128) * (hidden - zero point), weights of scale 1/256: sh / 256 / sy.

        Source: `BatchMatMulPrepare` of TensorFlow Lite Micro, whose float32 product of the two scales is exact here.
        """
        return quantize_multiplier(self.score.input.scale / 256.0 / self.output.scale)


Pool = LastStep | Mean | Attention


@dataclass(frozen=True, eq=False)
class Branch:
    """Some channels of the samples, on their own way to one vector per window.

    Attributes:
        first_channel: of the channels that it sees, which are neighbours.
        channels: how many it sees.
        lstm: one or two layers.
        pool: what becomes of the last layer's hidden states.
        conv: in front of the LSTM, or None.
    """

    first_channel: int
    channels: int
    lstm: tuple[Lstm, ...]
    pool: Pool = LastStep()
    conv: Conv | None = None

    @property
    def outputs(self) -> int:
        """Length of the vector."""
        return self.lstm[-1].hidden

    @property
    def output(self) -> Quantization:
        """Quantization of the vector."""
        return self.lstm[-1].hidden_state if isinstance(self.pool, LastStep) else self.pool.output

    def steps(self, samples: int) -> int:
        """Steps of the LSTM for a window of ``samples``."""
        return samples if self.conv is None else self.conv.steps(samples)


@dataclass(frozen=True, eq=False)
class QuantModel:
    """A whole model: (steps, channels) int8 in, class scores int8 out.

    The branches' vectors, one after the other, go into the head; more than one (CONCATENATION in the file) share one
    quantization. A plain model has one branch that sees all channels.

    Attributes:
        steps: T, length of a window in samples.
        channels: channels of one sample.
        input: quantization of the model's input.
        branches: one or more.
        head: one or more dense layers.
        softmax: absent where a foreign model ends in its logits.
        metadata: the parsed `bitwave` JSON, or None for a foreign file; see `bitwave.model.metadata`.
        digest: SHA-256 of the .tflite file, 32 bytes.
    """

    steps: int
    channels: int
    input: Quantization
    branches: tuple[Branch, ...]
    head: tuple[Dense, ...]
    softmax: Softmax | None
    metadata: Metadata | None = None
    digest: bytes = bytes(32)

    @property
    def classes(self) -> int:
        """Number of class scores."""
        return self.head[-1].outputs

    @property
    def lstm(self) -> tuple[Lstm, ...]:
        """All LSTM layers, branch after branch: the order of every list of layers, traces and frames."""
        return tuple(layer for branch in self.branches for layer in branch.lstm)

    @property
    def is_plain(self) -> bool:
        """Whether there is one branch that does no more than hand the last step on."""
        one = self.branches[0]
        return len(self.branches) == 1 and one.channels == self.channels and one.pool == LastStep() and not one.conv

    def layer_steps(self, samples: int) -> tuple[int, ...]:
        """Per LSTM layer its steps for a window of ``samples``."""
        return tuple(branch.steps(samples) for branch in self.branches for _ in branch.lstm)

    @property
    def least_steps(self) -> int:
        """The shortest window that gives every LSTM a step."""
        return max(1 if branch.conv is None else branch.conv.kernel for branch in self.branches)


def plain(channels: int, *lstm: Lstm) -> tuple[Branch, ...]:
    """The branches of a model that has no branches: all channels, LSTM layers, last step."""
    return (Branch(0, channels, lstm),)
