"""The training loop: one compiled step that serves all folds of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bitwave.recordings.recording import Recording
from bitwave.recordings.windowing import Windows, windows

from .augment import augment
from .course import Course, learning_rate
from .model import build_deployable, build_training, remember, step_weights
from .runs import Epoch
from .settings import RunConfig

FloatArray = npt.NDArray[np.float32]
SHIFTS = 11  # windows per gesture take that is longer than the window
CHUNK = 32  # batches that are changed at once


class Trainer:
    """Trains networks of one configuration, one after the other, with one compiled graph."""

    def __init__(self, config: RunConfig) -> None:
        """Builds the graph; it is traced at the first step."""
        self.config = config
        self._settings = config.settings
        keras.utils.set_random_seed(self._settings.seed)
        self._network = self._build()
        self._initial_state = [variable.numpy() for variable in self._network.non_trainable_variables]
        self._optimizer = keras.optimizers.Adam(global_clipnorm=self._settings.clip_norm)
        self._optimizer.build(self._network.trainable_variables)
        self._kernels = [variable for variable in self._network.trainable_variables if len(variable.shape) > 1]
        self._step_weights = tf.constant(step_weights(self._network.output_shape[1], self._settings.step_share))
        self._step = tf.function(self._step_eagerly)
        self._logits = tf.function(lambda batch: self._network(batch, training=False)[:, -1], reduce_retracing=True)

    def _build(self) -> Any:
        config = self.config
        return build_training(config.window, config.channels, len(config.labels), self._settings)

    def _reset(self, seed: int) -> None:
        """New weights, and an optimizer and dropout as at the start."""
        keras.utils.set_random_seed(seed)
        fresh = self._build()
        stride = self._settings.conv_stride if self._settings.conv_filters else 1
        remember(fresh, self._settings.memory * self.config.window / stride, np.random.default_rng(seed))
        self._network.set_weights(fresh.get_weights())
        for variable, value in zip(self._network.non_trainable_variables, self._initial_state, strict=True):
            variable.assign(value)
        for variable in self._optimizer.variables:
            variable.assign(tf.zeros_like(variable))

    def fit(
        self,
        takes: Sequence[Recording],
        validation: Sequence[Recording],
        report: Callable[[Epoch], object],
        seed: int | None = None,
    ) -> tuple[list[Epoch], int, Any]:
        """Trains on takes; returns the history, the best epoch and the deployable network with its weights.

        Args:
            takes: recordings to train on.
            validation: recordings that choose the best epoch, by their loss; without any, the last epoch is kept.
            report: called after each epoch.
            seed: in place of the one of the settings.
        """
        settings = self._settings
        seed = settings.seed if seed is None else seed
        self._reset(seed)
        random = np.random.default_rng(seed)
        pool = Pool(takes, self.config)
        mean, deviation = standardization(pool.windows.samples)
        checked = windows(validation, self.config.labels, self.config.window, self.config.hop)
        seen = tf.constant(((checked.samples - mean) / deviation).astype(np.float32)) if validation else None
        per_epoch = -(-pool.groups // settings.batch)
        course = Course(settings, report)
        for epoch in range(settings.epochs):
            losses = []
            for step, (raw, targets) in enumerate(pool.batches(random)):
                self._optimizer.learning_rate.assign(learning_rate(settings, epoch + step / per_epoch))
                batch = ((raw - mean) / deviation).astype(np.float32)
                losses.append(self._step(tf.constant(batch), tf.constant(targets), tf.constant(pool.weights[targets])))
            check = None if seen is None else self._check(seen, checked)
            if course.add([float(value) for value in losses], check, self._network.get_weights):
                break
        self._network.set_weights(course.best_weights)
        kept = build_deployable(self._network, self.config.channels, mean, deviation, settings)
        return course.history, course.best_epoch, kept

    def _step_eagerly(self, batch: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = self._network(batch, training=True)
            wanted = tf.broadcast_to(self._smoothed(targets)[:, None], tf.shape(logits))
            entropy = tf.nn.softmax_cross_entropy_with_logits(wanted, logits)
            loss = tf.reduce_mean(weights * tf.linalg.matvec(entropy, self._step_weights))
            total = loss + self._settings.l2 * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in self._kernels])
        variables = self._network.trainable_variables
        gradients = tape.gradient(total, variables)
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def _smoothed(self, targets: tf.Tensor) -> tf.Tensor:
        """(n, classes) the share of each label in the target."""
        classes, spread = len(self.config.labels), self._settings.label_smoothing
        return tf.one_hot(targets, classes, on_value=1.0 - spread + spread / classes, off_value=spread / classes)

    def _check(self, seen: tf.Tensor, checked: Windows) -> tuple[float, float]:
        """Loss and accuracy on the validation windows."""
        logits = self._logits(seen)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(checked.classes, logits)
        return float(tf.reduce_mean(entropy)), float(np.mean(np.argmax(logits, axis=1) == checked.classes))


class Pool:
    """The training windows, and which of them an epoch takes.

    A gesture's take that is longer than the window gives windows at several shifts; an epoch takes one of them. Windows
    of a background label are all taken.

    Attributes:
        windows: all of them.
        movable: (windows,) whether a window is the only one of its take.
        groups: windows per epoch.
        weights: (classes,) loss weights; their mean over an epoch's windows is 1.
    """

    def __init__(self, takes: Sequence[Recording], config: RunConfig) -> None:
        """Cuts the takes."""
        largest = round(config.settings.augmentation.shift * config.window)
        shifts = np.unique(np.rint(np.linspace(-largest, largest, SHIFTS)).astype(int)).tolist()
        centred = windows(takes, config.labels, config.window, config.hop)
        self.windows = windows(takes, config.labels, config.window, config.hop, shifts) if largest else centred
        self._config = config
        self._batch = config.settings.batch
        # Only a background take gives more than one window without shifts.
        background = np.bincount(centred.recording, minlength=len(takes)) > 1
        sizes = np.bincount(self.windows.recording, minlength=len(takes))
        self.movable = sizes[self.windows.recording] == 1
        members = [np.flatnonzero(self.windows.recording == index) for index in range(len(takes))]
        self._members = [
            group
            for index, found in enumerate(members)
            for group in (found[:, None] if background[index] else found[None, :])
        ]
        self.groups = len(self._members)
        classes = np.array([self.windows.classes[group[0]] for group in self._members])
        counts = np.bincount(classes, minlength=len(config.labels))
        weights = (1.0 / np.maximum(counts, 1)) ** config.settings.class_weight
        self.weights: FloatArray = (weights / weights[classes].mean()).astype(np.float32)

    def batches(self, random: np.random.Generator) -> Iterator[tuple[FloatArray, npt.NDArray[np.int32]]]:
        """An epoch's windows, changed at random, in full batches.

        Yields:
            (batch, steps, channels) raw counts, and the classes.
        """
        chosen = self.order(random)
        for first in range(0, len(chosen), CHUNK):
            batches = chosen[first : first + CHUNK]
            flat = batches.ravel()
            changed = augment(
                self.windows.samples[flat],
                self.movable[flat],
                self._config.channels,
                self._config.settings.augmentation,
                random,
                self._config.counts,
            )
            classes = self.windows.classes[flat].astype(np.int32)
            yield from zip(np.split(changed, len(batches)), np.split(classes, len(batches)), strict=True)

    def order(self, random: np.random.Generator) -> npt.NDArray[np.intp]:
        """(batches, batch) indices of an epoch's windows; the first ones fill up the last batch."""
        order = random.permutation(self.groups)
        members = [self._members[int(index)] for index in order]
        chosen = np.array([group[random.integers(len(group))] for group in members], np.intp)
        count = -(-len(chosen) // self._batch)
        return np.resize(chosen, count * self._batch).reshape(count, self._batch)


def standardization(samples: npt.NDArray[np.int16]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation per channel over (n, steps, channels), in counts; the latter at least 1."""
    flat = samples.reshape(-1, samples.shape[-1]).astype(np.float64)
    return flat.mean(axis=0), np.maximum(flat.std(axis=0), 1.0)
