"""The same float weights by way of TensorFlow's converter: what its post-training quantization makes of them.

A tf_keras copy of the network is converted with full int8, calibrated on the windows that `quantize` sees, and read
back as any foreign model; the simulator, whose bits are those of tflite-micro, runs it. What goes in and comes out of
such a model are real values, so the float front end stays in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwave import simulator
from bitwave.errors import MissingPackage
from bitwave.model.quantmodel import Int8Array, QuantModel
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.windowing import windows
from bitwave.tflite.reader import read_model

from .evaluate import Comparison, Scores, score
from .floatmodel import FloatArray, FloatBranch, FloatDense, FloatLstm, FloatModel
from .keras_reader import load
from .runs import Part, Run
from .settings import RunConfig


def require() -> None:
    """Raises `MissingPackage` where tf_keras is not installed."""
    if find_spec("tf_keras") is None:
        raise MissingPackage("--converter needs tf_keras: pip install --no-deps 'tf-keras==2.21.*'")


def beside(
    run: Run, dataset: Dataset, comparisons: Sequence[Comparison], say: Callable[[str], object] = lambda line: None
) -> list[Comparison]:
    """The comparisons with what the converter's model of the same weights scores on the same windows.

    Args:
        run: evaluated.
        dataset: its recordings.
        comparisons: one per part that held recordings out, in their order.
        say: hears a line before a model is converted.

    Raises:
        MissingPackage: tf_keras is not installed.
        ModelError: the converter made an operator that bitwave does not take.
    """
    require()
    return [
        replace(comparison, converter=_of_part(run.config, part, dataset, say))
        for part, comparison in zip(run.tested, comparisons, strict=True)
    ]


def _of_part(config: RunConfig, part: Part, dataset: Dataset, say: Callable[[str], object]) -> Scores:
    history = part.history()
    say(f"{history.name}: TensorFlow's converter")
    known = {*history.train, *history.validation}
    seen, held_out = (
        windows([take for take in dataset.recordings if take.name in names], config.labels, config.view, config.hop)
        for names in (known, set(history.test))
    )
    source = load(part.keras)
    converted = read_model(convert(source, seen.samples))
    return score(winners(converted, source.standardize(held_out.samples)), held_out.classes, config.labels)


def convert(source: FloatModel, windows: npt.NDArray[np.int16]) -> bytes:
    """An int8 .tflite file of TensorFlow's converter.

    Args:
        source: the float model.
        windows: (n, steps, channels) raw counts to calibrate with.
    """
    import tensorflow as tf

    steps, channels = windows.shape[1:]
    network = copied(source, steps, channels)
    signature = tf.TensorSpec((1, steps, channels), tf.float32)
    function = tf.function(lambda window: network(window)).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    standardized = source.standardize(windows)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([window[None]] for window in standardized)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def inputs(converted: QuantModel, standardized: FloatArray) -> Int8Array:
    """Standardized windows in the file's own int8."""
    steps = np.rint(standardized / converted.input.scale) + converted.input.zero_point
    return np.asarray(np.clip(steps, -128, 127), np.int8)


def winners(converted: QuantModel, standardized: FloatArray) -> npt.NDArray[np.intp]:
    """(n,) class with the highest score of each window."""
    return np.asarray(simulator.run(converted, inputs(converted, standardized)).scores.argmax(axis=1), np.intp)


def copied(source: FloatModel, steps: int, channels: int) -> Any:
    """The network in tf_keras, whose LSTM the converter knows: (1, steps, channels) standardized to probabilities."""
    import tf_keras

    samples = tf_keras.Input((steps, channels), batch_size=1)
    vectors = [_branch(branch, samples) for branch in source.branches]
    layer = vectors[0] if len(vectors) == 1 else tf_keras.layers.Concatenate()(vectors)
    for index, dense in enumerate(source.head):
        last = index == len(source.head) - 1
        layer = _dense(dense, "softmax" if last else "relu" if dense.relu else None)(layer)
    return tf_keras.Model(samples, layer)


def _branch(branch: FloatBranch, samples: Any) -> Any:
    import tensorflow as tf
    import tf_keras

    layer = samples[:, :, branch.first_channel : branch.first_channel + branch.channels]
    if branch.conv is not None:
        taps, kernel = branch.conv.layer, branch.conv.kernel
        values = [taps.weights.T.reshape(kernel, branch.channels, -1), taps.bias]
        activation = "relu" if taps.relu else None
        conv = tf_keras.layers.Conv1D(len(taps.bias), kernel, strides=branch.conv.stride, activation=activation)
        layer = _with(conv, layer, values)
    for index, lstm in enumerate(branch.lstm):
        every_step = index < len(branch.lstm) - 1 or branch.pool != "last"
        layer = _lstm(lstm, layer, every_step)
    if branch.pool == "mean":
        return tf_keras.layers.GlobalAveragePooling1D()(layer)
    if isinstance(branch.pool, FloatDense):
        score = _dense(branch.pool, None)(layer)
        weights = tf_keras.layers.Softmax()(tf_keras.layers.Reshape((1, layer.shape[1]))(score))
        return tf.linalg.matmul(weights, layer)[:, 0, :]
    return layer


def _lstm(lstm: FloatLstm, layer: Any, every_step: bool) -> Any:
    import tf_keras

    hidden = lstm.hidden
    kernel = lstm.input_weights.reshape(4 * hidden, -1).T
    recurrent = lstm.recurrent_weights.reshape(4 * hidden, hidden).T
    return _with(
        tf_keras.layers.LSTM(hidden, return_sequences=every_step), layer, [kernel, recurrent, lstm.bias.ravel()]
    )


def _dense(dense: FloatDense, activation: str | None) -> Any:
    import tf_keras

    layer = tf_keras.layers.Dense(len(dense.bias), activation=activation)
    return lambda tensor: _with(layer, tensor, [dense.weights.T, dense.bias])


def _with(layer: Any, tensor: Any, values: list[FloatArray]) -> Any:
    """The layer behind a tensor, with these weights."""
    out = layer(tensor)
    layer.set_weights(values)
    return out
