"""The Keras networks: one to train, one to keep.

Both have the same layers by name and share their weights. The one to train takes standardized values and gives logits;
without pooling it answers after every step, which gives a gradient that does not have to survive a whole window. The
one to keep answers after the last step, takes raw counts and gives probabilities.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from .blocklstm import BlockLstm, CarryingLstm
from .settings import Settings
from .shapes import branch_channels

layers = keras.layers


def _pooled(source: Any, channels: tuple[str, ...], settings: Settings, to_train: bool) -> Any:
    """Standardized samples to one vector per window, or, to train where nothing pools, one per step."""
    vectors = []
    for name, first, count in branch_channels(channels, settings):
        sequence = source if count == len(channels) else source[:, :, first : first + count]
        if settings.conv_filters:
            sequence = layers.Conv1D(
                settings.conv_filters,
                settings.conv_kernel,
                strides=settings.conv_stride,
                activation="relu",
                name=f"conv-{name}",
            )(sequence)
        last = len(settings.hidden) - 1
        for index, units in enumerate(settings.hidden):
            every_step = index < last or to_train or settings.pool != "last"
            sequence = _lstm(units, every_step, settings, to_train, f"lstm-{name}-{index + 1}")(sequence)
        if settings.pool == "mean":
            sequence = layers.GlobalAveragePooling1D(name=f"mean-{name}")(sequence)
        elif settings.pool == "attention":
            score = layers.Dense(1, name=f"attention-{name}")(sequence)
            weights = layers.Softmax(axis=1, name=f"weights-{name}")(score)
            sequence = layers.Flatten(name=f"sum-{name}")(layers.Dot(axes=1, name=f"dot-{name}")([weights, sequence]))
        vectors.append(sequence)
    return vectors[0] if len(vectors) == 1 else layers.Concatenate(name="join")(vectors)


def _lstm(units: int, every_step: bool, settings: Settings, to_train: bool, name: str) -> Any:
    if to_train and settings.is_stateful:
        return CarryingLstm(units, return_sequences=True, name=name)
    if to_train and not settings.recurrent_dropout:
        return BlockLstm(units, return_sequences=True, name=name)
    dropout = settings.recurrent_dropout if to_train else 0.0
    return layers.LSTM(units, return_sequences=every_step, recurrent_dropout=dropout, name=name)


def _head(vector: Any, classes: int, settings: Settings, activation: str) -> Any:
    vector = layers.Dropout(settings.dropout, name="dropout")(vector)
    for index, units in enumerate(settings.dense):
        vector = layers.Dense(units, activation="relu", name=f"dense-{index + 1}")(vector)
    return layers.Dense(classes, activation=activation, name="classes")(vector)


def build_training(
    steps: int, channels: tuple[str, ...], classes: int, settings: Settings, rows: int | None = None
) -> Any:
    """The network to train: (n, steps, channels) standardized -> (n, answers, classes) logits.

    There is an answer after every step of the LSTM, or one where its steps are pooled. With `rows`, n is always that.
    """
    inputs = keras.Input(batch_shape=(rows, steps, len(channels)))
    vector = _pooled(inputs, channels, settings, to_train=True)
    if settings.pool != "last":
        vector = layers.Reshape((1, vector.shape[-1]))(vector)
    return keras.Model(inputs, _head(vector, classes, settings, "linear"))


def build_deployable(
    trained: Any,
    channels: tuple[str, ...],
    mean: npt.NDArray[np.float64],
    deviation: npt.NDArray[np.float64],
    settings: Settings,
    steps: int | None = None,
) -> Any:
    """The network to keep: (n, steps, channels) raw counts -> (n, classes) probabilities.

    Args:
        trained: a network of `build_training`; its weights are copied.
        channels: their names.
        mean: (channels,) raw counts.
        deviation: (channels,) raw counts, positive.
        settings: the same that built the trained network.
        steps: those of the trained network where None.
    """
    inputs = keras.Input((steps or trained.input_shape[1], len(channels)), name="counts")
    normalize = layers.Normalization(mean=mean.tolist(), variance=np.square(deviation).tolist())
    vector = _pooled(normalize(inputs), channels, settings, to_train=False)
    network = keras.Model(inputs, _head(vector, trained.output_shape[-1], settings, "softmax"), name="bitwave")
    for source in trained.layers:
        if source.trainable_weights:
            network.get_layer(source.name).set_weights([weight.numpy() for weight in source.trainable_weights])
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
        if isinstance(layer, layers.LSTM) and longest > 2:
            kernel, recurrent, bias = (weight.numpy() for weight in layer.trainable_weights)
            log_time = np.log(random.uniform(1.0, longest - 1.0, layer.units))
            bias[: layer.units] = -log_time  # gate order: input, forget, cell, output
            bias[layer.units : 2 * layer.units] = log_time
            for weight, value in zip(layer.trainable_weights, (kernel, recurrent, bias), strict=True):
                weight.assign(value)


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
