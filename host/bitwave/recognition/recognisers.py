"""Who recognises in a live run: the board, or the C core on this machine."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import numpy as np

from ..errors import LinkError
from ..links.samples import Block
from ..model.quantmodel import Int16Array
from ..wire import frames
from ..wire.codec import Frame
from .rate import RateRule

Found = tuple[int, int, int]  # sample, class, score
Window = tuple[int, tuple[int, ...]]  # last sample, scores 0..255
WRAP = 1 << 32
OnStart = Callable[[int, float], None]  # sample with which recognition starts afresh, rate in Hz that is taken
EMPTY = Block(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 0), np.int16))


class Recogniser(Protocol):
    """Where events come from; asked after each block of samples.

    Attributes:
        on_start: told whenever recognition starts afresh, by an older board never; may be set.
    """

    on_start: OnStart

    def push(self, block: Block) -> tuple[list[Found], list[Window]]:
        """Events (sample, class, score) and windows (sample, scores 0..255) since the last call."""

    @property
    def asleep(self) -> float:
        """Which part of the samples found the network asleep."""

    @property
    def cycles_per_step(self) -> int:
        """What a sample costs the board's processor, by its own count; 0: unmeasured, or no board."""


def _nothing(sample: int, rate_hz: float) -> None:
    """Nobody wants to know."""


class BoardRecogniser:
    """The board's own; its frames come among the samples."""

    def __init__(self) -> None:
        self.on_start: OnStart = _nothing
        self._events: list[Found] = []
        self._windows: list[Window] = []
        self._first: frames.Counters | None = None
        self._counters: frames.Counters | None = None

    @property
    def asleep(self) -> float:
        """Since the first counters of this run."""
        if self._counters is None or self._first is None:
            return 0.0
        recognised = (self._counters.recognised - self._first.recognised) % WRAP
        return ((self._counters.slept - self._first.slept) % WRAP) / recognised if recognised else 0.0

    @property
    def cycles_per_step(self) -> int:
        """As the last counters say."""
        return 0 if self._counters is None else self._counters.cycles_per_step

    def frame(self, frame: Frame) -> None:
        """A frame that holds no samples."""
        body = frame.body
        if isinstance(body, frames.Event):
            self._events.append((body.sample, body.label, body.score))
        elif isinstance(body, frames.Scores):
            self._windows.append((body.sample, tuple(score + 128 for score in body.scores)))
        elif isinstance(body, frames.Rate):
            self.on_start(body.sample, body.rate_mhz / 1000)
        elif isinstance(body, frames.Counters):
            self._first = self._first or body
            self._counters = body
        elif isinstance(body, frames.Fault) and body.code != frames.NO_FAULT:
            raise LinkError(f"the board reports a fault: {body.text or f'code {body.code}'}")

    def push(self, block: Block) -> tuple[list[Found], list[Window]]:
        """What the frames said."""
        told = self._events, self._windows
        self._events, self._windows = [], []
        return told


class HostRecogniser:
    """The C core on this machine; follows the sensor's rate as a board does."""

    def __init__(self, image: bytes, rate_hz: float) -> None:
        """Opens a model image for a sensor of this rate.

        Raises:
            ImageError: the core refuses the image.
            ModelError: the model cannot recognise, or the rate does not suit it.
        """
        from ..core.host import HostCore

        self._core = HostCore(image)
        self._samples = self._slept = 0
        self._rule = RateRule(round(rate_hz * 1000))
        self._stream = self._core.stream(rate_hz)
        self._next: int | None = None
        self._origin = 0
        self.on_start: OnStart = _nothing

    @property
    def asleep(self) -> float:
        """Of all samples so far."""
        return self._slept / self._samples if self._samples else 0.0

    @property
    def cycles_per_step(self) -> int:
        """There is no board that counts."""
        return 0

    def push(self, block: Block) -> tuple[list[Found], list[Window]]:
        """Feeds the samples, in stretches without a gap; raises `ModelError` where their rate cannot be recognised."""
        told: tuple[list[Found], list[Window]] = [], []
        if not len(block.indices):
            return told
        breaks = [0, *(np.flatnonzero(np.diff(block.indices) != 1) + 1).tolist(), len(block.indices)]
        for start, end in pairwise(breaks):
            if int(block.indices[start]) != self._next:
                self._rule.gap()
                self._start(int(block.indices[start]), self._rule.taken_mhz / 1000)
            self._next = int(block.indices[end - 1]) + 1
            first = start
            for offset, rate_mhz in self._rule.push(block.time_us[start:end]):
                self._feed(block.samples[first : start + offset], *told)
                first = start + offset
                self._start(int(block.indices[first]), rate_mhz / 1000)
            self._feed(block.samples[first:end], *told)
        return told

    def _start(self, sample: int, rate_hz: float) -> None:
        self._stream = self._core.stream(rate_hz)
        self._origin = sample
        self.on_start(sample, rate_hz)

    def _feed(self, samples: Int16Array, events: list[Found], windows: list[Window]) -> None:
        found = self._stream.push(samples)
        self._samples += len(samples)
        self._slept += found.slept
        events.extend((event.sample + self._origin, event.label, event.score) for event in found.events)
        scores = found.scores.astype(int) + 128
        windows.extend(
            (int(sample) + self._origin, tuple(row.tolist())) for sample, row in zip(found.samples, scores, strict=True)
        )
