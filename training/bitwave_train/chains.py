"""Chains for a stateful network: takes one after the other, with a target and a weight per sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bitwave.recordings.recording import Recording
from bitwave.recordings.windowing import BACKGROUND, movement_start

from .augment import augment
from .settings import Augmentation, RunConfig, Settings

FloatArray = npt.NDArray[np.float32]
TAKES_PER_ROW = 8  # at least: a row that is one take long teaches nothing about what comes after
SETTLE_S = 0.25  # of a background take, before it counts: what came before it must be forgotten first
RISE_S = 0.25  # from the middle of a movement until it must be known
KNOWN_S = 0.6  # from the middle of a movement: later, nobody asks for it any more


@dataclass(frozen=True, eq=False)
class Marked:
    """A take with what must be known when.

    Attributes:
        samples: (samples, channels) int16 counts.
        target: index of the label.
        weights: (samples,) how much the answer after each sample counts; of 0 nothing is known or asked.
    """

    samples: npt.NDArray[np.int16]
    target: int
    weights: FloatArray


class Stretch(NamedTuple):
    """What all rows hear between two steps of the optimizer.

    Attributes:
        samples: (rows, unroll + overlap, channels) float32 counts.
        targets: (rows, steps) int32, per step of the LSTM, of the newest sample under it.
        weights: (rows, steps) likewise.
        fresh: (rows,) bool, whether a row begins anew.
    """

    samples: FloatArray
    targets: npt.NDArray[np.int32]
    weights: FloatArray
    fresh: npt.NDArray[np.bool_]


def unrolled(settings: Settings) -> int:
    """Samples from one stretch to the next: whole steps."""
    return -(-settings.unroll // settings.stride) * settings.stride


def newest_samples(settings: Settings) -> npt.NDArray[np.intp]:
    """(steps,) index in a stretch of the newest sample under each step of the LSTM."""
    steps = np.arange(unrolled(settings) // settings.stride)
    return settings.overlap + settings.stride - 1 + settings.stride * steps


def class_factors(totals: npt.NDArray[Any], length: int, power: float) -> FloatArray:
    """(classes,) factors of weights whose sums are `totals`; over `length` samples, weights have the mean 1."""
    factors = (1.0 / np.maximum(totals, 1e-9)) ** power * (totals > 0)
    found: FloatArray = (factors * length / max(float(factors @ totals), 1e-9)).astype(np.float32)
    return found


def mark(take: Recording, config: RunConfig) -> Marked:
    """A gesture counts from the middle of its movement on, rising, and not for long; background nearly throughout."""
    count = len(take.samples)
    if take.label in BACKGROUND:
        weights = (np.arange(count) >= min(SETTLE_S * config.rate_hz, count / 2)).astype(np.float32)
    else:
        middle = movement_start(take.samples, 1, take.counts)
        since = (np.arange(count) - middle) / config.rate_hz
        weights = np.where(since <= KNOWN_S, np.clip(since / RISE_S, 0, 1), 0).astype(np.float32)
    return Marked(take.samples, config.labels.index(take.label), weights)


class Chains:
    """Takes one after the other in random order, cut into stretches whose states are carried on.

    Attributes:
        takes: marked.
        rows: chains side by side.
        class_weights: (classes,) factors of the takes' weights; over all samples, weights have the mean 1.
    """

    def __init__(self, takes: Sequence[Recording], config: RunConfig) -> None:
        """Marks the takes."""
        self.takes = [mark(take, config) for take in takes]
        self.rows = min(max(1, len(takes) // TAKES_PER_ROW), config.settings.batch)
        self._config = config
        totals = np.bincount(
            [take.target for take in self.takes], [float(take.weights.sum()) for take in self.takes], len(config.labels)
        )
        length = sum(len(take.samples) for take in self.takes)
        self.class_weights = class_factors(totals, length, config.settings.class_weight)

    def stretches(self, random: np.random.Generator, augmentation: Augmentation) -> Iterator[Stretch]:
        """An epoch: successive stretches of all rows."""
        settings = self._config.settings
        changed = self._changed(random, augmentation)
        parts: list[list[int]] = [[] for _ in range(self.rows)]
        lengths = np.zeros(self.rows, np.int64)
        for index in random.permutation(len(changed)):
            shortest = int(np.argmin(lengths))
            parts[shortest].append(int(index))
            lengths[shortest] += len(changed[index])
        unroll = unrolled(settings)
        count = int((lengths.max() - settings.overlap - 1) // unroll)
        samples, targets, weights = [], [], []
        for row in parts:
            picked = list(row)
            while sum(len(changed[index]) for index in picked) < lengths.max():  # as long as the others
                picked.append(int(random.integers(len(changed))))
            samples.append(np.concatenate([changed[index] for index in picked]))
            marked = [self.takes[index] for index in picked]
            targets.append(np.concatenate([np.full(len(take.samples), take.target, np.int32) for take in marked]))
            weights.append(
                np.concatenate([take.weights * self.class_weights[take.target] for take in marked]).astype(np.float32)
            )
        newest = newest_samples(settings)
        for first in range(0, count * unroll, unroll):
            yield Stretch(
                np.stack([row[first : first + unroll + settings.overlap] for row in samples]),
                np.stack([row[first + newest] for row in targets]),
                np.stack([row[first + newest] for row in weights]),
                np.full(self.rows, first == 0),
            )

    def _changed(self, random: np.random.Generator, augmentation: Augmentation) -> list[FloatArray]:
        """Every take, changed at random; those of one length together."""
        config = self._config
        found: list[FloatArray] = [np.empty((0, 0), np.float32)] * len(self.takes)
        lengths = np.array([len(take.samples) for take in self.takes])
        for length in np.unique(lengths):
            members = np.flatnonzero(lengths == length)
            stacked = np.stack([self.takes[index].samples for index in members])
            fixed = np.zeros(len(members), np.bool_)
            moved = augment(stacked, fixed, config.channels, augmentation, random, config.counts)
            for index, samples in zip(members, moved, strict=True):
                found[index] = samples
        return found
