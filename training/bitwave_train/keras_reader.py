"""A Keras 3 model becomes a `FloatModel`: its graph is followed from the output back to the input."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from bitwave.errors import ModelError

from .floatmodel import FloatArray, FloatBranch, FloatConv, FloatDense, FloatLstm, FloatModel


def load(path: Path) -> FloatModel:
    """Reads a .keras file; raises `ModelError` where it is none, or cannot be quantized."""
    import keras

    try:
        network = keras.models.load_model(path, compile=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be loaded: {error}; train the run again with --replace") from error
    return from_keras(network)


def from_keras(network: Any) -> FloatModel:
    """Takes the weights out of a Keras 3 model.

    In the order of the data: Normalization where there is one; branches of a slice of the channels, Conv1D with ReLU,
    one or two LSTM layers, and the last step, GlobalAveragePooling1D, or Dense(1), Softmax over the steps, Dot and
    Flatten; Concatenate; Dense layers. Dropout may stand anywhere.

    Raises:
        ModelError: another layer or activation stands in it; the message names it.
    """
    tensor = network.outputs[0]
    head: list[FloatDense] = []
    while True:
        layer, before = _layer(tensor)
        if _kind(layer) != "Dense":
            break
        head.insert(0, _dense(layer, ("linear", "relu", "softmax")))
        tensor = before[0]
    if not head:
        raise ModelError(
            f"layer {layer.name} ({_kind(layer)}) cannot be quantized: the model must end in a Dense layer"
        )
    ends = before if _kind(layer) == "Concatenate" else [tensor]
    mean, deviation = np.zeros(network.input_shape[-1]), np.ones(network.input_shape[-1])
    branches = []
    for end in ends:
        branch, start = _branch(end)
        first, channels, start = _slice(start, network.input_shape[-1])
        branches.append(FloatBranch(first, channels, branch.lstm, branch.pool, branch.conv))
        layer, before = _layer(start)
        if _kind(layer) == "Normalization":
            config = layer.get_config()
            mean, deviation = (np.ravel(v).astype(np.float64) for v in (config["mean"], np.sqrt(config["variance"])))
            layer, before = _layer(before[0])
        if _kind(layer) != "InputLayer":
            raise _not_quantizable(layer)
    return FloatModel(mean, deviation, tuple(branches), tuple(head))


def _layer(tensor: Any) -> tuple[Any, list[Any]]:
    """The layer that made a tensor, and what it made it from; Dropout is passed over."""
    while True:
        history = tensor._keras_history
        sources = list(history.operation._inbound_nodes[history.node_index].input_tensors)
        if _kind(history.operation) != "Dropout":
            return history.operation, sources
        tensor = sources[0]


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _not_quantizable(layer: Any) -> ModelError:
    return ModelError(f"layer {layer.name} ({_kind(layer)}) cannot be quantized: use LSTM layers, then Dense ones")


def _branch(end: Any) -> tuple[FloatBranch, Any]:
    """A branch without its place, and the tensor that it starts from."""
    layer, before = _layer(end)
    pool: Literal["last", "mean"] | FloatDense = "last"
    if _kind(layer) == "GlobalAveragePooling1D":
        pool, end = "mean", before[0]
    elif _kind(layer) == "Flatten":
        pool, end = _attention(before[0])
    lstm: list[FloatLstm] = []
    while True:
        layer, before = _layer(end)
        if _kind(layer) != "LSTM":
            break
        if layer.return_sequences != (bool(lstm) or pool != "last"):
            raise ModelError(f"layer {layer.name} has return_sequences={layer.return_sequences}: it does not fit here")
        lstm.insert(0, _lstm(layer))
        end = before[0]
    if not 1 <= len(lstm) <= 2:
        raise _not_quantizable(layer) if not lstm else ModelError(f"{len(lstm)} LSTM layers in a row: 1 or 2 fit")
    conv = None
    if _kind(layer) == "Conv1D":
        conv, end = _conv(layer), before[0]
    return FloatBranch(0, 0, tuple(lstm), pool, conv), end


def _attention(tensor: Any) -> tuple[FloatDense, Any]:
    """The score layer, and the hidden states that it weighs."""
    dot, sources = _layer(tensor)
    if _kind(dot) != "Dot" or dot.get_config()["axes"] not in (1, [1, 1], (1, 1)):
        raise _not_quantizable(dot)
    weights, hidden = sources
    over_steps, before = _layer(weights)
    if _kind(over_steps) != "Softmax" or over_steps.get_config()["axis"] != 1:
        raise _not_quantizable(over_steps)
    score, before = _layer(before[0])
    if _kind(score) != "Dense" or score.units != 1 or before[0] is not hidden:
        raise _not_quantizable(score)
    return _dense(score, ("linear",)), hidden


def _slice(tensor: Any, all_channels: int) -> tuple[int, int, Any]:
    """First channel, how many, and the tensor that they are cut from."""
    layer, before = _layer(tensor)
    if _kind(layer) != "GetItem":
        return 0, all_channels, tensor
    _, key = layer._inbound_nodes[0].arguments.args
    *others, channels = key
    if len(key) != 3 or any(part != slice(None) for part in others) or channels.step not in (None, 1):
        raise ModelError(f"layer {layer.name} takes {key}: a branch takes channels, as x[:, :, 0:3]")
    first, last, _ = channels.indices(all_channels)
    return first, last - first, before[0]


def _lstm(layer: Any) -> FloatLstm:
    config = layer.get_config()
    _require(layer.name, config, {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)})
    _require(layer.name, config, {"use_bias": (True,), "go_backwards": (False,), "stateful": (False,)})
    kernel, recurrent, bias = _weights(layer)  # (inputs, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,)
    hidden = recurrent.shape[0]
    return FloatLstm(
        kernel.T.reshape(4, hidden, -1).copy(), recurrent.T.reshape(4, hidden, hidden).copy(), bias.reshape(4, hidden)
    )


def _dense(layer: Any, activations: tuple[str, ...]) -> FloatDense:
    config = layer.get_config()
    _require(layer.name, config, {"activation": activations, "use_bias": (True,)})
    kernel, bias = _weights(layer)
    return FloatDense(kernel.T.copy(), bias, relu=config["activation"] == "relu")


def _conv(layer: Any) -> FloatConv:
    config = layer.get_config()
    _require(layer.name, config, {"activation": ("linear", "relu"), "padding": ("valid",), "use_bias": (True,)})
    _require(layer.name, config, {"dilation_rate": (1, (1,), [1]), "groups": (1,)})
    kernel, bias = _weights(layer)  # (kernel, channels, filters), (filters,)
    flat = kernel.reshape(-1, kernel.shape[2]).T.copy()
    return FloatConv(
        FloatDense(flat, bias, relu=config["activation"] == "relu"), kernel.shape[0], int(config["strides"][0])
    )


def _weights(layer: Any) -> list[FloatArray]:
    return [np.asarray(value, np.float32) for value in layer.get_weights()]


def _require(name: str, config: dict[str, Any], allowed: dict[str, tuple[object, ...]]) -> None:
    for key, values in allowed.items():
        if config[key] not in values:
            choices = " or ".join(map(str, values))
            raise ModelError(f"layer {name} has {key}={config[key]}: it must be {choices} to be quantized")
