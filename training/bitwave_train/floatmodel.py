"""The trained float model as plain data, and its forward pass in NumPy with every intermediate that calibration needs.

Weights are laid out as in a .tflite file: one matrix per gate in the order input, forget, cell, output, which is also
the order in which Keras concatenates them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwave.errors import ModelError

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
class FloatModel:
    """Standardization and layers; the last dense layer gives logits.

    Attributes:
        mean: (channels,) raw counts, of the training part.
        deviation: (channels,) raw counts, positive.
    """

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    lstm: tuple[FloatLstm, ...]
    head: tuple[FloatDense, ...]

    def standardize(self, windows: npt.NDArray[np.int16]) -> FloatArray:
        """(n, steps, channels) raw counts to what the network sees."""
        return ((windows - self.mean) / self.deviation).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Activations:
    """What a forward pass saw.

    Attributes:
        hidden: per layer (n, steps, hidden).
        cell: per layer (n, steps, hidden).
        dense: per head layer (n, outputs); the last are the logits.
    """

    hidden: tuple[FloatArray, ...]
    cell: tuple[FloatArray, ...]
    dense: tuple[FloatArray, ...]

    @property
    def scores(self) -> FloatArray:
        """(n, classes) probabilities."""
        shifted = np.exp(self.dense[-1] - self.dense[-1].max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def run(model: FloatModel, standardized: FloatArray) -> Activations:
    """Runs the float model from a reset over (n, steps, channels)."""
    sequence = standardized
    hidden, cell, dense = [], [], []
    for lstm in model.lstm:
        sequence, states = _run_lstm(lstm, sequence)
        hidden.append(sequence)
        cell.append(states)
    features = sequence[:, -1]
    for layer in model.head:
        features = features @ layer.weights.T + layer.bias
        if layer.relu:
            features = np.maximum(features, 0.0)
        dense.append(features)
    return Activations(tuple(hidden), tuple(cell), tuple(dense))


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


def load(path: Path) -> FloatModel:
    """Reads a .keras file; raises `ModelError` where it is none, or cannot be quantized."""
    import keras

    try:
        network = keras.models.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be loaded: {error}; train the run again with --replace") from error
    return from_keras(network)


def from_keras(network: Any) -> FloatModel:
    """Takes the weights out of a Keras 3 model: Normalization first where there is one, then LSTM, Dropout and Dense.

    Raises:
        ModelError: another layer or activation stands in it; the message names the first.
    """
    lstm: list[FloatLstm] = []
    head: list[FloatDense] = []
    mean, deviation = np.zeros(network.input_shape[-1]), np.ones(network.input_shape[-1])
    for layer in network.layers:
        kind = type(layer).__name__
        if kind in ("InputLayer", "Dropout"):
            continue
        config = layer.get_config()
        weights = [np.asarray(value, np.float32) for value in layer.get_weights()]
        if kind == "Normalization" and not lstm:
            mean, deviation = (np.ravel(v).astype(np.float64) for v in (config["mean"], np.sqrt(config["variance"])))
        elif kind == "LSTM" and not head:
            _require(layer.name, config, {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)})
            _require(layer.name, config, {"use_bias": (True,), "go_backwards": (False,), "stateful": (False,)})
            lstm.append(_lstm_from_keras(weights))
        elif kind == "Dense" and lstm:
            _require(layer.name, config, {"activation": ("linear", "relu", "softmax"), "use_bias": (True,)})
            head.append(FloatDense(weights[0].T.copy(), weights[1], relu=config["activation"] == "relu"))
        else:
            raise ModelError(f"layer {layer.name} ({kind}) cannot be quantized: use LSTM layers, then Dense ones")
    if not lstm or not head:
        raise ModelError("the model needs at least one LSTM and one Dense layer")
    return FloatModel(mean, deviation, tuple(lstm), tuple(head))


def _lstm_from_keras(weights: list[FloatArray]) -> FloatLstm:
    kernel, recurrent, bias = weights  # (inputs, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,)
    hidden = recurrent.shape[0]
    return FloatLstm(
        kernel.T.reshape(4, hidden, -1).copy(), recurrent.T.reshape(4, hidden, hidden).copy(), bias.reshape(4, hidden)
    )


def _require(name: str, config: dict[str, Any], allowed: dict[str, tuple[object, ...]]) -> None:
    for key, values in allowed.items():
        if config[key] not in values:
            choices = " or ".join(map(str, values))
            raise ModelError(f"layer {name} has {key}={config[key]}: it must be {choices} to be quantized")
