"""The Keras networks: one to train, one to keep.

Both share their weights. The one to train answers after every step, which gives a gradient that does not have to
survive a whole window; the one to keep answers after the last step, takes raw counts and gives probabilities.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from .settings import Settings

# Up to here the loop over steps is unrolled: half the time per step, but a graph that grows with the window.
MAX_UNROLLED_STEPS = 160


def build_training(steps: int, channels: int, classes: int, settings: Settings, unroll: bool = False) -> Any:
    """The network to train: (n, steps, channels) standardized -> (n, steps, classes) logits."""
    inputs = keras.Input((steps, channels))
    sequence = inputs
    for hidden in settings.hidden:
        # Orthogonal recurrent weights are Keras' default, and matter over a hundred steps.
        layer = keras.layers.LSTM(
            hidden,
            return_sequences=True,
            recurrent_dropout=settings.recurrent_dropout,
            unroll=unroll and steps <= MAX_UNROLLED_STEPS,
        )
        sequence = layer(sequence)
    sequence = keras.layers.Dropout(settings.dropout)(sequence)
    for units in settings.dense:
        sequence = keras.layers.Dense(units, activation="relu")(sequence)
    return keras.Model(inputs, keras.layers.Dense(classes)(sequence))


def build_deployable(
    trained: Any, mean: npt.NDArray[np.float64], deviation: npt.NDArray[np.float64], settings: Settings
) -> Any:
    """The network to keep: (n, steps, channels) raw counts -> (n, classes) probabilities.

    Args:
        trained: a network of `build_training`; its weights are copied.
        mean: (channels,) raw counts.
        deviation: (channels,) raw counts, positive.
        settings: the same that built the trained network.
    """
    _, steps, channels = trained.input_shape
    inputs = keras.Input((steps, channels), name="counts")
    normalize = keras.layers.Normalization(mean=mean.tolist(), variance=np.square(deviation).tolist())
    sequence = normalize(inputs)
    last = len(settings.hidden) - 1
    layers: list[Any] = [
        keras.layers.LSTM(hidden, return_sequences=index < last) for index, hidden in enumerate(settings.hidden)
    ]
    layers.append(keras.layers.Dropout(settings.dropout))
    layers.extend(keras.layers.Dense(units, activation="relu") for units in settings.dense)
    layers.append(keras.layers.Dense(trained.output_shape[-1], activation="softmax"))
    for layer in layers:
        sequence = layer(sequence)
    network = keras.Model(inputs, sequence, name="bitwave")
    trained_layers = [layer for layer in trained.layers if not isinstance(layer, keras.layers.InputLayer)]
    for layer, source in zip(layers, trained_layers, strict=True):
        if layer.weights and not isinstance(layer, keras.layers.Dropout):
            layer.set_weights(source.get_weights())
    return network


def remember(network: Any, longest: float, random: np.random.Generator) -> None:
    """Spreads the time constants of the LSTM units over 2 to `longest` steps, before training.

    Chrono initialization: forget bias ``log(u)`` with u uniform in 1 to ``longest - 1``, input bias ``-log(u)``.
    Source: Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018.

    Args:
        network: of `build_training`.
        longest: steps; 2 or less leaves Keras' forget bias of 1.
        random: source of the spread.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.LSTM) and longest > 2:
            kernel, recurrent, bias = layer.get_weights()
            log_time = np.log(random.uniform(1.0, longest - 1.0, layer.units))
            bias[: layer.units] = -log_time  # gate order: input, forget, cell, output
            bias[layer.units : 2 * layer.units] = log_time
            layer.set_weights([kernel, recurrent, bias])


def step_weights(steps: int, share: float) -> npt.NDArray[np.float32]:
    """(steps,) how much the answer after each step counts in the loss; they sum to 1.

    The last step, the one that is deployed, has ``1 - share``. The rest of the loss rises linearly over the steps
    after the first quarter, when there is something to see.
    """
    weights = np.zeros(steps)
    ramp = np.arange(steps, dtype=np.float64)
    ramp[: steps // 4] = 0.0
    if ramp.sum() > 0:
        weights += share * ramp / ramp.sum()
    weights[-1] += 1.0 - weights.sum()
    return weights.astype(np.float32)
