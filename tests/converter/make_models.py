"""Makes the .tflite files here: models of the TensorFlow converter, with random weights (tf-keras, fixed seed).

Run: python tests/converter/make_models.py FOLDER [NAME...]. The files are inputs of the tests; their bytes depend on
the TensorFlow version.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# name: steps, channels, units per LSTM layer, units of the hidden dense layer, classes
MODELS = {
    "one-layer": (19, 6, (13,), 9, 5),
    "two-layers": (11, 5, (7, 10), 6, 3),
}


def convert(steps: int, channels: int, units: tuple[int, ...], dense: int, classes: int) -> bytes:
    """One model: from a concrete function of one window, int8 in and out."""
    import numpy as np
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(5)
    source = layer = tf_keras.Input((steps, channels), batch_size=1)
    for index, count in enumerate(units):
        # gates far from their linear middle, cells that grow: wide ranges to quantize
        wide = tf_keras.initializers.RandomNormal(0.0, 0.7, seed=index)
        layer = tf_keras.layers.LSTM(
            count, return_sequences=index < len(units) - 1, kernel_initializer=wide, recurrent_initializer=wide
        )(layer)
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
