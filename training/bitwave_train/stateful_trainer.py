"""Training on chained takes or on streams by truncated back-propagation: states are carried on, gradients are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from bitwave.errors import UsageError
from bitwave.recordings.recording import Recording

from .augment import FloatArray
from .blocklstm import CarryingLstm
from .chains import Chains, Stretch, unrolled
from .course import Check, Course, learning_rate
from .model import build_deployable, build_training, remember
from .passages import Passage
from .runs import Epoch
from .settings import Augmentation, RunConfig
from .stream_lessons import StreamLessons
from .trainer import standardization

Heard = Sequence[Recording] | Sequence[Passage]
Lessons = Chains | StreamLessons


def _lessons(heard: Heard, config: RunConfig) -> Lessons:
    passages = [one for one in heard if isinstance(one, Passage)]
    return StreamLessons(passages, config) if passages else Chains(cast("Sequence[Recording]", heard), config)


class StatefulTrainer:
    """What `Trainer` is for windows, for a stateful model; the graph is traced anew for each number of rows."""

    def __init__(self, config: RunConfig) -> None:
        """Nothing is built before the rows are known."""
        self.config = config

    def fit(
        self,
        takes: Heard,
        validation: Heard,
        report: Callable[[Epoch], object],
        seed: int | None = None,
    ) -> tuple[list[Epoch], int, Any]:
        """See `Trainer.fit`; takes are chained. Validation is stretches too, always the same ones, unchanged."""
        settings = self.config.settings
        seed = settings.seed if seed is None else seed
        random = np.random.default_rng(seed)
        lessons = _lessons(takes, self.config)
        mean, deviation = standardization(np.concatenate([take.samples for take in takes])[None])
        fitted = _Fitted(self.config, lessons.rows, seed)
        checked = _lessons(validation, self.config) if validation else None
        other = _Fitted(self.config, checked.rows, seed) if checked else None
        course = Course(settings, report)
        for epoch in range(settings.epochs):
            parts = list(lessons.stretches(random, settings.augmentation))
            if not parts:
                raise UsageError(f"the recordings are shorter than --unroll {settings.unroll}: give a smaller one")
            losses = []
            for step, part in enumerate(parts):
                rate = learning_rate(settings, epoch + step / len(parts))
                batch = ((part.samples - mean) / deviation).astype(np.float32)
                losses.append(fitted.step(part._replace(samples=batch), rate))
            check: Check | None = None
            if checked is not None and other is not None:
                other.weights = fitted.weights
                check = _check(other, checked, mean, deviation)
            if course.add(losses, check, lambda: fitted.weights):
                break
        fitted.weights = course.best_weights
        config = self.config
        kept = build_deployable(fitted.network, config.channels, mean, deviation, settings, config.window)
        return course.history, course.best_epoch, kept


class _Fitted:
    """A network for so many rows, and its optimizer."""

    def __init__(self, config: RunConfig, rows: int, seed: int) -> None:
        settings = self._settings = config.settings
        self._classes = len(config.labels)
        unroll = unrolled(settings)
        keras.utils.set_random_seed(seed)
        self.network = build_training(unroll + settings.overlap, config.channels, self._classes, settings, rows)
        remember(self.network, settings.memory * config.view / settings.stride, np.random.default_rng(seed))
        self._optimizer = keras.optimizers.Adam(global_clipnorm=settings.clip_norm)
        self._optimizer.build(self.network.trainable_variables)
        self._kernels = [variable for variable in self.network.trainable_variables if len(variable.shape) > 1]
        self._step = tf.function(self._step_eagerly)
        self._logits = tf.function(self._logits_eagerly)

    @property
    def weights(self) -> list[FloatArray]:
        """Of everything that is trained; states are none of it."""
        return [variable.numpy() for variable in self.network.trainable_variables]

    @weights.setter
    def weights(self, values: Sequence[FloatArray]) -> None:
        for variable, value in zip(self.network.trainable_variables, values, strict=True):
            variable.assign(value)

    def step(self, part: Stretch, rate: float) -> float:
        """One stretch of all rows, its samples standardized."""
        self._optimizer.learning_rate.assign(rate)
        return float(self._step(*(tf.constant(values) for values in part)))

    def logits(self, part: Stretch) -> FloatArray:
        """(rows, steps, classes) of a stretch, its samples standardized."""
        found: FloatArray = self._logits(tf.constant(part.samples), tf.constant(part.fresh)).numpy()
        return found

    def _forget(self, fresh: tf.Tensor) -> None:
        for layer in self.network.layers:
            if isinstance(layer, CarryingLstm):
                layer.forget(fresh)

    def _logits_eagerly(self, batch: tf.Tensor, fresh: tf.Tensor) -> tf.Tensor:
        self._forget(fresh)
        return self.network(batch, training=False)

    def _step_eagerly(self, batch: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, fresh: tf.Tensor) -> tf.Tensor:
        self._forget(fresh)
        classes, spread = self._classes, self._settings.label_smoothing
        wanted = tf.one_hot(targets, classes, on_value=1.0 - spread + spread / classes, off_value=spread / classes)
        with tf.GradientTape() as tape:
            logits = self.network(batch, training=True)
            loss = tf.reduce_mean(weights * tf.nn.softmax_cross_entropy_with_logits(wanted, logits))
            total = loss + self._settings.l2 * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in self._kernels])
        variables = self.network.trainable_variables
        gradients = tape.gradient(total, variables)
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss


def _check(fitted: _Fitted, checked: Lessons, mean: Any, deviation: Any) -> Check:
    """Loss and accuracy over the answers that are asked for."""
    lost = right = asked = 0.0
    for part in checked.stretches(np.random.default_rng(0), Augmentation.none()):
        logits = fitted.logits(part._replace(samples=((part.samples - mean) / deviation).astype(np.float32)))
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(part.targets, logits).numpy()
        lost += float((entropy * part.weights).sum())
        right += float(((np.argmax(logits, axis=2) == part.targets) * part.weights).sum())
        asked += float(part.weights.sum())
    return lost / max(asked, 1e-9), right / max(asked, 1e-9)
