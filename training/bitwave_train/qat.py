"""Quantization-aware training: the float weights learn to live with the rounding and the clamps of the integer model.

It starts from a post-training quantized model and keeps its scales; only weights and biases move. The forward pass
computes real values that lie on the integers' grids: int8 input, weights, hidden state and dense outputs, Q3.12
pre-activations (each of the two sums clamped, then their sum), the int16 cell at its power-of-two scale, and 1/256
steps of attention's weights. Rounding is passed straight through by the gradient; outside of a range it is zero.
Source: Bengio, Léonard and Courville, "Estimating or propagating gradients through stochastic neurons", 2013.

The sigmoid and tanh tables (Q0.15) and the roundings inside one requantization are finer than all of these and are
left out, so the twin is near the integer model, not equal; what is written is the integer model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bitwave.model.quantmodel import Attention, Branch, Dense, LastStep, Lstm, Mean, Quantization, QuantModel
from bitwave.recordings.recording import Recording
from bitwave.recordings.windowing import windows

from .floatmodel import FloatBranch, FloatDense, FloatLstm, FloatModel
from .settings import RunConfig
from .trainer import Pool

MAX_UNROLLED_STEPS = 160
INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        epochs: all are run; the one with the best validation loss is kept, the start among them.
        learning_rate: peak, which falls to zero along a cosine.
    """

    epochs: int = 15
    learning_rate: float = 5e-4


def fine_tune(
    source: FloatModel,
    quantized: QuantModel,
    takes: Sequence[Recording],
    validation: Sequence[Recording],
    config: RunConfig,
    plan: Plan | None = None,
    report: Callable[[int, float, float], object] = lambda epoch, loss, validation_loss: None,
) -> QuantModel:
    """The quantized model with weights that were trained for it.

    Args:
        source: the float model that it was quantized from.
        quantized: gives all scales.
        takes: recordings to train on.
        validation: recordings that choose the best epoch; without any, the last epoch is kept.
        config: of the run: windows, augmentation, loss.
        plan: length and rate.
        report: called after each epoch with its number, loss and validation loss.
    """
    plan = plan or Plan()
    settings = config.settings
    twin = Twin(source, quantized)
    pool = Pool(takes, config)
    checked = windows(validation, config.labels, config.window, config.hop)
    seen = tf.constant(source.standardize(checked.samples)) if validation else None
    random = np.random.default_rng(settings.seed)
    optimizer = keras.optimizers.Adam(global_clipnorm=settings.clip_norm)
    optimizer.build(twin.variables)
    count, spread = len(config.labels), settings.label_smoothing

    @tf.function  # type: ignore[untyped-decorator, unused-ignore]
    def step(batch: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            wanted = tf.one_hot(targets, count, on_value=1.0 - spread + spread / count, off_value=spread / count)
            loss = tf.reduce_mean(weights * tf.nn.softmax_cross_entropy_with_logits(wanted, twin.logits(batch)))
        gradients = tape.gradient(loss, twin.variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        optimizer.apply_gradients(zip(gradients, twin.variables, strict=True))
        return loss

    forward = tf.function(twin.logits)

    def check() -> float:
        if not validation:
            return 0.0
        return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(checked.classes, forward(seen))))

    best, kept = check(), [variable.numpy() for variable in twin.variables]
    for epoch in range(plan.epochs):
        losses = []
        optimizer.learning_rate.assign(plan.learning_rate * 0.5 * (1.0 + np.cos(np.pi * epoch / plan.epochs)))
        for raw, targets in pool.batches(random):
            batch = ((raw - source.mean) / source.deviation).astype(np.float32)
            losses.append(float(step(tf.constant(batch), tf.constant(targets), tf.constant(pool.weights[targets]))))
        found = check()
        report(epoch, float(np.mean(losses)), found)
        if found < best or not validation:
            best, kept = found, [variable.numpy() for variable in twin.variables]
    for variable, value in zip(twin.variables, kept, strict=True):
        variable.assign(value)
    return twin.integers()


class Twin:
    """The integer model in real values: float weights as variables, scales of the quantized model."""

    def __init__(self, source: FloatModel, quantized: QuantModel) -> None:
        """Takes the weights of the one and the scales of the other."""
        self._model = quantized
        self.variables: list[tf.Variable] = []
        self._branches = [
            _BranchTwin(branch, scales, self._variable)
            for branch, scales in zip(source.branches, quantized.branches, strict=True)
        ]
        self._head = [
            _DenseTwin(dense, scales, self._variable) for dense, scales in zip(source.head, quantized.head, strict=True)
        ]

    def _variable(self, value: npt.NDArray[Any]) -> tf.Variable:
        self.variables.append(tf.Variable(np.asarray(value, np.float32)))
        return self.variables[-1]

    def logits(self, standardized: tf.Tensor) -> tf.Tensor:
        """(n, steps, channels) to (n, classes)."""
        source = on_grid(standardized, self._model.input)
        vector = tf.concat([branch(source) for branch in self._branches], axis=1)
        for dense in self._head:
            vector = dense(vector)
        return vector

    def integers(self) -> QuantModel:
        """The quantized model with the weights as they are now."""
        return replace(
            self._model,
            branches=tuple(branch.integers() for branch in self._branches),
            head=tuple(dense.integers() for dense in self._head),
        )


class _DenseTwin:
    def __init__(self, dense: FloatDense, scales: Dense, variable: Callable[[npt.NDArray[Any]], tf.Variable]) -> None:
        self._scales = scales
        self._weights, self._bias = variable(dense.weights), variable(dense.bias)

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        weights = on_symmetric_grid(self._weights, np.array(self._scales.weight_scales)[:, None])
        out = tf.linalg.matmul(values, weights, transpose_b=True) + self._bias
        return on_grid(tf.nn.relu(out) if self._scales.activation == "relu" else out, self._scales.output)

    def integers(self) -> Dense:
        scales = np.array(self._scales.weight_scales)
        weights = to_int8(self._weights.numpy(), scales[:, None])
        return replace(
            self._scales, weights=weights, bias=to_int32(self._bias.numpy(), self._scales.input.scale * scales)
        )


class _LstmTwin:
    def __init__(self, lstm: FloatLstm, scales: Lstm, variable: Callable[[npt.NDArray[Any]], tf.Variable]) -> None:
        self._scales = scales
        self._hidden = lstm.hidden
        self._inputs, self._recurrent = variable(lstm.input_weights), variable(lstm.recurrent_weights)
        self._bias = variable(lstm.bias)

    def __call__(self, sequence: tf.Tensor) -> tf.Tensor:
        """(n, steps, inputs) to (n, steps, hidden)."""
        kernel = on_symmetric_grid(self._inputs, np.array(self._scales.input_scales)[:, None, None])
        recurrent = on_symmetric_grid(self._recurrent, np.array(self._scales.recurrent_scales)[:, None, None])
        kernel, recurrent = (tf.reshape(w, (4 * self._hidden, -1)) for w in (kernel, recurrent))
        bias = tf.reshape(self._bias, (-1,))
        projected = gate_grid(tf.linalg.matmul(sequence, kernel, transpose_b=True) + bias)
        first = tf.zeros_like(projected[:, 0, : self._hidden])

        def step(state: tuple[tf.Tensor, tf.Tensor], source: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            hidden, cell = state
            back = gate_grid(tf.linalg.matmul(hidden, recurrent, transpose_b=True))
            i, f, g, o = tf.split(gate_grid(source + back), 4, axis=1)
            kept, added = self._cell(tf.sigmoid(f) * cell), self._cell(tf.sigmoid(i) * tf.tanh(g))
            cell = self._cell(kept + added)
            return on_grid(tf.tanh(cell) * tf.sigmoid(o), self._scales.hidden_state), cell

        if projected.shape[1] is None or projected.shape[1] > MAX_UNROLLED_STEPS:
            states, _ = tf.scan(step, tf.transpose(projected, (1, 0, 2)), (first, first))
            return tf.transpose(states, (1, 0, 2))
        state, seen = (first, first), []
        for index in range(projected.shape[1]):
            state = step(state, projected[:, index])
            seen.append(state[0])
        return tf.stack(seen, axis=1)

    def _cell(self, values: tf.Tensor) -> tf.Tensor:
        scale = 2.0**self._scales.cell_exponent
        return tf.quantization.fake_quant_with_min_max_args(values, -32768 * scale, 32767 * scale, num_bits=16)

    def integers(self) -> Lstm:
        inputs, recurrent = (
            np.array(s)[:, None, None] for s in (self._scales.input_scales, self._scales.recurrent_scales)
        )
        return replace(
            self._scales,
            input_weights=to_int8(self._inputs.numpy(), inputs),
            recurrent_weights=to_int8(self._recurrent.numpy(), recurrent),
            bias=to_int32(self._bias.numpy(), self._scales.input.scale * inputs[:, :, 0]),
        )


class _BranchTwin:
    def __init__(
        self, branch: FloatBranch, scales: Branch, variable: Callable[[npt.NDArray[Any]], tf.Variable]
    ) -> None:
        self._scales = scales
        self._conv = None
        if branch.conv is not None and scales.conv is not None:
            self._conv = _DenseTwin(branch.conv.layer, scales.conv.layer, variable)
        self._lstm = [_LstmTwin(lstm, s, variable) for lstm, s in zip(branch.lstm, scales.lstm, strict=True)]
        self._score = None
        if isinstance(branch.pool, FloatDense) and isinstance(scales.pool, Attention):
            self._score = _DenseTwin(branch.pool, scales.pool.score, variable)

    def __call__(self, source: tf.Tensor) -> tf.Tensor:
        scales = self._scales
        sequence = source[:, :, scales.first_channel : scales.first_channel + scales.channels]
        if self._conv is not None and scales.conv is not None:
            frames = tf.signal.frame(sequence, scales.conv.kernel, scales.conv.stride, axis=1)
            sequence = self._conv(tf.reshape(frames, (-1, frames.shape[1], scales.conv.layer.inputs)))
        for lstm in self._lstm:
            sequence = lstm(sequence)
        if isinstance(scales.pool, LastStep):
            return sequence[:, -1]
        if isinstance(scales.pool, Mean):
            return on_grid(tf.reduce_mean(sequence, axis=1), scales.pool.output)
        assert self._score is not None
        shares = tf.nn.softmax(self._score(sequence)[:, :, 0], axis=1)
        shares = _straight_through(shares, 1.0 / 256, 0.0, 255.0 / 256)
        return on_grid(tf.linalg.matvec(sequence, shares, transpose_a=True), scales.pool.output)

    def integers(self) -> Branch:
        scales = self._scales
        conv, pool = scales.conv, scales.pool
        if conv is not None and self._conv is not None:
            conv = replace(conv, layer=self._conv.integers())
        if isinstance(pool, Attention) and self._score is not None:
            pool = replace(pool, score=self._score.integers())
        return replace(scales, conv=conv, lstm=tuple(lstm.integers() for lstm in self._lstm), pool=pool)


def on_grid(values: tf.Tensor, grid: Quantization) -> tf.Tensor:
    """Real values that int8 can say."""
    low, high = ((q - grid.zero_point) * grid.scale for q in (-128, 127))
    return tf.quantization.fake_quant_with_min_max_args(values, low, high, num_bits=8)


def on_symmetric_grid(weights: tf.Tensor, scales: npt.NDArray[np.float64]) -> tf.Tensor:
    """Weights that int8 within +-127 can say."""
    scale = scales.astype(np.float32)
    return _straight_through(weights, scale, -127 * scale, 127 * scale)


def gate_grid(values: tf.Tensor) -> tf.Tensor:
    """Pre-activations in Q3.12."""
    return tf.quantization.fake_quant_with_min_max_args(values, -8.0, 8.0 - 2.0**-12, num_bits=16)


def _straight_through(values: tf.Tensor, scale: Any, low: Any, high: Any) -> tf.Tensor:
    clipped = tf.clip_by_value(values, low, high)
    return clipped + tf.stop_gradient(tf.round(clipped / scale) * scale - clipped)


def to_int8(weights: npt.NDArray[Any], scales: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Symmetric, within +-127."""
    return np.asarray(np.clip(np.rint(weights.astype(np.float64) / scales), -127, 127), np.int8)


def to_int32(bias: npt.NDArray[Any], scales: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """At the product of the scales of input and weights."""
    return np.asarray(np.clip(np.rint(bias.astype(np.float64) / scales), -INT32_MAX, INT32_MAX), np.int32)
