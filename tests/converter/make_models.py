"""Makes the .tflite files here: models of the TensorFlow converter, with random weights (tf-keras, fixed seed).

Run: python tests/converter/make_models.py FOLDER [NAME...]. The files are inputs of the tests; their bytes depend on
the TensorFlow version.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# A branch: its channels, convolution (filters, kernel, stride) or None, units of its LSTM, pooling.
Branch = tuple[slice, "tuple[int, int, int] | None", int, str]

# name: steps, channels, units per LSTM layer or branches, units of the hidden dense layer, classes
MODELS: dict[str, tuple[int, int, tuple[int, ...] | tuple[Branch, ...], int, int]] = {
    "one-layer": (19, 6, (13,), 9, 5),
    "two-branches": (
        21,
        6,
        ((slice(0, 3), (10, 5, 2), 9, "attention"), (slice(3, 6), (7, 4, 3), 11, "mean")),
        8,
        4,
    ),
    "two-layers": (11, 5, (7, 10), 6, 3),
}


def branch(source: Any, shape: Branch) -> Any:
    """One branch from the samples to a vector."""
    import tensorflow as tf
    import tf_keras

    seen, conv, units, pooling = shape
    wide = tf_keras.initializers.RandomNormal(0.0, 0.7, seed=units)
    layer = source[:, :, seen]
    if conv is not None:
        filters, kernel, stride = conv
        layer = tf_keras.layers.Conv1D(filters, kernel, strides=stride, activation="relu")(layer)
    hidden = tf_keras.layers.LSTM(units, return_sequences=True, kernel_initializer=wide, recurrent_initializer=wide)(
        layer
    )
    if pooling == "mean":
        return tf_keras.layers.GlobalAveragePooling1D()(hidden)
    score = tf_keras.layers.Dense(1, kernel_initializer=tf_keras.initializers.RandomNormal(0.0, 3.0, seed=1))(hidden)
    weights = tf_keras.layers.Softmax()(tf_keras.layers.Reshape((1, hidden.shape[1]))(score))
    return tf.linalg.matmul(weights, hidden)[:, 0, :]


def recurrent(source: Any, units: tuple[int, ...]) -> Any:
    """LSTM layers, one after the other; the last state of the last one."""
    import tf_keras

    layer = source
    for index, count in enumerate(units):
        # gates far from their linear middle, cells that grow: wide ranges to quantize
        wide = tf_keras.initializers.RandomNormal(0.0, 0.7, seed=index)
        layer = tf_keras.layers.LSTM(
            count, return_sequences=index < len(units) - 1, kernel_initializer=wide, recurrent_initializer=wide
        )(layer)
    return layer


def convert(steps: int, channels: int, shapes: tuple[int, ...] | tuple[Branch, ...], dense: int, classes: int) -> bytes:
    """One model: from a concrete function of one window, int8 in and out."""
    import numpy as np
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(5)
    source = tf_keras.Input((steps, channels), batch_size=1)
    units = tuple(shape for shape in shapes if isinstance(shape, int))
    branches = [branch(source, shape) for shape in shapes if not isinstance(shape, int)]
    layer = tf_keras.layers.Concatenate()(branches) if branches else recurrent(source, units)
    layer = tf_keras.layers.Dense(dense, activation="relu")(layer)
    model = tf_keras.Model(source, tf_keras.layers.Dense(classes, activation="softmax")(layer))
    signature = tf.TensorSpec((1, steps, channels), tf.float32)
    function = tf.function(lambda window: model(window)).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    rng = np.random.default_rng(1)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [rng.normal(0.0, 1.5, (1, steps, channels)).astype(np.float32)] for _ in range(40)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


if __name__ == "__main__":
    for name in sys.argv[2:] or MODELS:
        Path(sys.argv[1], f"{name}.tflite").write_bytes(convert(*MODELS[name]))
