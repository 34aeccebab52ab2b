"""The trained float model as plain data, and its forward pass in NumPy with every intermediate that calibration needs.

Weights are laid out as in a .tflite file: one matrix per gate in the order input, forget, cell, output, which is also
the order in which Keras concatenates them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FloatLstm:
    """One layer.

    Attributes:
        input_weights: (4, hidden, inputs).
        recurrent_weights: (4, hidden, hidden).
        bias: (4, hidden).
    """

    input_weights: FloatArray
    recurrent_weights: FloatArray
    bias: FloatArray

    @property
    def hidden(self) -> int:
        """Number of units."""
        return int(self.bias.shape[1])


@dataclass(frozen=True, eq=False)
class FloatDense:
    """One fully connected layer: weights (outputs, inputs), bias (outputs,)."""

    weights: FloatArray
    bias: FloatArray
    relu: bool = False


@dataclass(frozen=True, eq=False)
class FloatConv:
    """A convolution over time without padding, ReLU behind it.

    Attributes:
        layer: weights (outputs, kernel * channels), the oldest sample of the kernel first.
        kernel: samples under it.
        stride: samples from one output step to the next.
    """

    layer: FloatDense
    kernel: int
    stride: int


@dataclass(frozen=True, eq=False)
class FloatBranch:
    """Some neighbouring channels on their way to one vector.

    Attributes:
        first_channel: of those that it sees.
        channels: how many.
        lstm: one or two layers.
        pool: "last", "mean", or the layer that gives attention its score, (1, hidden).
        conv: in front of the LSTM.
    """

    first_channel: int
    channels: int
    lstm: tuple[FloatLstm, ...]
    pool: Literal["last", "mean"] | FloatDense = "last"
    conv: FloatConv | None = None


@dataclass(frozen=True, eq=False)
class FloatModel:
    """Standardization and layers; the last dense layer gives logits.

    Attributes:
        mean: (channels,) raw counts, of the training part.
        deviation: (channels,) raw counts, positive.
        branches: their vectors, one after the other, go into the head.
    """

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    branches: tuple[FloatBranch, ...]
    head: tuple[FloatDense, ...]

    @property
    def weights(self) -> int:
        """How many there are, biases among them."""
        dense = [*self.head]
        for branch in self.branches:
            dense += [branch.conv.layer] if branch.conv else []
            dense += [branch.pool] if isinstance(branch.pool, FloatDense) else []
        layers = [layer for branch in self.branches for layer in branch.lstm]
        return sum(layer.weights.size + layer.bias.size for layer in dense) + sum(
            layer.input_weights.size + layer.recurrent_weights.size + layer.bias.size for layer in layers
        )

    def standardize(self, windows: npt.NDArray[np.int16]) -> FloatArray:
        """(n, steps, channels) raw counts to what the network sees."""
        return ((windows - self.mean) / self.deviation).astype(np.float32)


@dataclass(frozen=True, eq=False)
class BranchActivations:
    """What a branch saw.

    Attributes:
        conv: (n, steps, filters) behind the ReLU, or None.
        hidden: per layer (n, steps, hidden).
        cell: per layer (n, steps, hidden).
        score: (n, steps) of attention, or None.
        pooled: (n, hidden).
    """

    conv: FloatArray | None
    hidden: tuple[FloatArray, ...]
    cell: tuple[FloatArray, ...]
    score: FloatArray | None
    pooled: FloatArray


@dataclass(frozen=True, eq=False)
class Activations:
    """What a forward pass saw.

    Attributes:
        branches: each.
        dense: per head layer (n, outputs); the last are the logits.
    """

    branches: tuple[BranchActivations, ...]
    dense: tuple[FloatArray, ...]

    @property
    def cell(self) -> tuple[FloatArray, ...]:
        """Per LSTM layer, branch after branch, (n, steps, hidden)."""
        return tuple(cell for branch in self.branches for cell in branch.cell)

    @property
    def scores(self) -> FloatArray:
        """(n, classes) probabilities."""
        return softmax(self.dense[-1], axis=1)


def softmax(values: FloatArray, axis: int) -> FloatArray:
    """Exponentials that sum to 1 along an axis."""
    shifted = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True), np.float32)


def run(model: FloatModel, standardized: FloatArray) -> Activations:
    """Runs the float model from a reset over (n, steps, channels)."""
    branches = tuple(_run_branch(branch, standardized) for branch in model.branches)
    features = np.concatenate([branch.pooled for branch in branches], axis=1)
    dense = []
    for layer in model.head:
        features = run_dense(layer, features)
        dense.append(features)
    return Activations(branches, tuple(dense))


def run_dense(layer: FloatDense, values: FloatArray) -> FloatArray:
    """(..., inputs) to (..., outputs)."""
    out = values @ layer.weights.T + layer.bias
    return np.asarray(np.maximum(out, 0.0) if layer.relu else out, np.float32)


def _run_branch(branch: FloatBranch, standardized: FloatArray) -> BranchActivations:
    sequence = standardized[:, :, branch.first_channel : branch.first_channel + branch.channels]
    convolved = None
    if branch.conv is not None:
        sequence = convolved = run_dense(branch.conv.layer, _under_kernel(sequence, branch.conv))
    hidden, cell = [], []
    for lstm in branch.lstm:
        sequence, states = _run_lstm(lstm, sequence)
        hidden.append(sequence)
        cell.append(states)
    score = None
    if isinstance(branch.pool, FloatDense):
        score = run_dense(branch.pool, sequence)[:, :, 0]
        pooled = np.einsum("nt,nth->nh", softmax(score, axis=1), sequence)
    else:
        pooled = sequence[:, -1] if branch.pool == "last" else sequence.mean(axis=1)
    return BranchActivations(convolved, tuple(hidden), tuple(cell), score, pooled)


def _under_kernel(sequence: FloatArray, conv: FloatConv) -> FloatArray:
    """(n, steps, channels) to (n, steps of the output, kernel * channels)."""
    views = np.lib.stride_tricks.sliding_window_view(sequence, conv.kernel, axis=1)[:, :: conv.stride]
    return views.transpose(0, 1, 3, 2).reshape(len(views), views.shape[1], -1)


def _run_lstm(lstm: FloatLstm, sequence: FloatArray) -> tuple[FloatArray, FloatArray]:
    count, steps, _ = sequence.shape
    projected = np.einsum("ntc,ghc->tgnh", sequence, lstm.input_weights, optimize=True) + lstm.bias[:, None, :]
    hidden = np.zeros((count, lstm.hidden), np.float32)
    cell = np.zeros_like(hidden)
    all_hidden = np.empty((count, steps, lstm.hidden), np.float32)
    all_cell = np.empty_like(all_hidden)
    recurrent = lstm.recurrent_weights.transpose(0, 2, 1)
    for step in range(steps):
        gates = projected[step] + hidden @ recurrent
        cell = sigmoid(gates[1]) * cell + sigmoid(gates[0]) * np.tanh(gates[2])
        hidden = sigmoid(gates[3]) * np.tanh(cell)
        all_hidden[:, step], all_cell[:, step] = hidden, cell
    return all_hidden, all_cell


def sigmoid(values: FloatArray) -> FloatArray:
    """The logistic function by way of tanh, which cannot overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values), np.float32)
