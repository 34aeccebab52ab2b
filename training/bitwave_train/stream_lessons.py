"""Passages of continuous recordings as rows of stretches: an epoch of training, or what validates it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .augment import augment
from .chains import FloatArray, Stretch, class_factors, newest_samples, unrolled
from .passages import Passage, settled
from .settings import Augmentation, RunConfig

STRETCHES_PER_ROW = 16  # at least: in fewer there is little to carry on
LEAST_SLOPE = 0.1  # of changed time: it never stands still, and never runs backwards


class StreamLessons:
    """Passages in their real order, side by side in rows whose states are carried on from stretch to stretch.

    An epoch cuts passages into pieces, from another row on each time; a piece is changed at random as a whole, begins
    from a reset, and is followed in its row by another one.

    Attributes:
        passages: all of them.
        rows: pieces side by side.
        class_weights: (classes,) factors of the weights; over all samples, weights have the mean 1.
    """

    def __init__(self, passages: Sequence[Passage], config: RunConfig) -> None:
        """Counts what there is; an epoch is cut anew."""
        self.passages = passages
        self._config = config
        self._unroll = unrolled(config.settings)
        count = sum(-(-len(passage.samples) // self._unroll) for passage in passages)
        self.rows = min(max(1, count // STRETCHES_PER_ROW), config.settings.batch)
        self._longest = max(STRETCHES_PER_ROW, -(-count // self.rows)) * self._unroll
        totals = np.zeros(len(config.labels))
        for passage in passages:
            totals += np.bincount(passage.targets, passage.weights, len(config.labels))
        length = sum(len(passage.samples) for passage in passages)
        self.class_weights = class_factors(totals, length, config.settings.class_weight)

    def stretches(self, random: np.random.Generator, augmentation: Augmentation) -> Iterator[Stretch]:
        """An epoch: successive stretches of all rows. Where a row has no more, nothing counts."""
        rows: list[list[Stretch]] = [[] for _ in range(self.rows)]
        lengths = np.zeros(self.rows, np.int64)
        is_changed = augmentation != Augmentation.none()
        pieces = [self._piece(*place, random, augmentation) for place in self._places(random, is_changed)]
        for piece in sorted(pieces, key=lambda piece: -len(piece.samples)):  # the longest ones first: rows end together
            shortest = int(np.argmin(lengths))
            rows[shortest].append(piece)
            lengths[shortest] += len(piece.samples)
        joined = [_joined(row) if row else _silent(pieces[0]) for row in rows]
        for step in range(int(lengths.max())):
            at = [row if step < len(row.samples) else _silent(row) for row in joined]
            index = [step if step < len(row.samples) else 0 for row in joined]
            yield Stretch(*(np.stack([row[part][i] for row, i in zip(at, index, strict=True)]) for part in range(4)))

    def _places(self, random: np.random.Generator, is_moved: bool) -> list[tuple[Passage, int, int]]:
        """Passage, first row and end of each piece, in random order. A woken network has a start of its own."""
        found = []
        for index in random.permutation(len(self.passages)):
            passage = self.passages[int(index)]
            count = len(passage.samples)
            is_free = is_moved and not passage.is_woken and count > 2 * self._unroll
            first = int(random.integers(self._unroll)) if is_free else 0
            for start in range(first, max(first + 1, count - self._config.settings.overlap), self._longest):
                found.append((passage, start, min(count, start + self._longest + self._config.settings.overlap)))
        return found

    def _piece(
        self, passage: Passage, start: int, end: int, random: np.random.Generator, augmentation: Augmentation
    ) -> Stretch:
        """Its stretches, one row after the other, the first one from a reset."""
        config, settings = self._config, self._config.settings
        targets = passage.targets[start:end]
        weights = settled(passage, start, config)[: end - start] * self.class_weights[targets]
        samples, where = change(passage.samples[start:end], config, augmentation, random)
        targets, weights = targets[where], weights[where].astype(np.float32)
        count = max(1, -(-(len(samples) - settings.overlap) // self._unroll))
        missing = count * self._unroll + settings.overlap - len(samples)
        samples = np.pad(samples, ((0, missing), (0, 0)), mode="edge")
        targets, weights = np.pad(targets, (0, missing), mode="edge"), np.pad(weights, (0, missing))
        starts = np.arange(count)[:, None] * self._unroll
        heard = starts + newest_samples(settings)
        return Stretch(
            samples[starts + np.arange(self._unroll + settings.overlap)],
            targets[heard],
            weights[heard],
            np.arange(count) == 0,
        )


def _joined(pieces: Sequence[Stretch]) -> Stretch:
    return Stretch(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))


def _silent(row: Stretch) -> Stretch:
    """Something to hear, of which nothing is asked."""
    return row._replace(weights=np.zeros_like(row.weights))


def change(
    samples: npt.NDArray[np.int16], config: RunConfig, options: Augmentation, random: np.random.Generator
) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """A piece, changed at random as a whole, and for each of its samples the row that it was before.

    Speed is one for the piece; what `Augmentation.warp` bends in a window goes to and fro over two. A move made f times
    as fast turns f times as fast.
    """
    count = len(samples)
    slope = np.full(2 * count + 2, 1.0)
    if options.speed or options.warp:
        slope *= np.exp(random.uniform(-1, 1) * np.log1p(options.speed))
        phase = np.pi * np.arange(len(slope)) / config.view + random.uniform(0, 2 * np.pi)
        slope += options.warp * np.pi * random.uniform(-1, 1) * np.cos(phase)
        slope = np.maximum(slope, LEAST_SLOPE)
    where = np.cumsum(slope) - slope[0]
    where = where[where <= count - 1]
    before = np.minimum(where.astype(np.intp), max(count - 2, 0))
    part = (where - before)[:, None].astype(np.float32)
    older, newer = samples[before].astype(np.float32), samples[np.minimum(before + 1, count - 1)]
    moved = older + (newer - older) * part
    rates = [index for index, name in enumerate(config.channels) if name.startswith("g")]
    moved[:, rates] *= slope[: len(moved), None].astype(np.float32)
    still = options.model_copy(update={"shift": 0.0, "speed": 0.0, "warp": 0.0})
    fixed = np.zeros(1, np.bool_)
    changed = augment(moved[None], fixed, config.channels, still, random, config.counts)[0]
    return changed, np.rint(where).astype(np.intp)
