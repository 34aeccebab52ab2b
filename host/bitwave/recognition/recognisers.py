"""Who recognises in a live run: the board, or the C core on this machine."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..errors import LinkError
from ..links.samples import Block
from ..wire import frames
from ..wire.codec import Frame

Found = tuple[int, int, int]  # sample, class, score
Window = tuple[int, tuple[int, ...]]  # last sample, scores 0..255
WRAP = 1 << 32
EMPTY = Block(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 0), np.int16))


class Recogniser(Protocol):
    """Where events come from; asked after each block of samples."""

    def push(self, block: Block) -> tuple[list[Found], list[Window]]:
        """Events (sample, class, score) and windows (sample, scores 0..255) since the last call."""

    @property
    def asleep(self) -> float:
        """Which part of the samples found the network asleep."""

    @property
    def cycles_per_step(self) -> int:
        """What a sample costs the board's processor, by its own count; 0: unmeasured, or no board."""

    def sampled_at(self, rate_hz: float) -> str:
        """The samples do not come at the rate that was stated; what happens now, for a person.

        Raises:
            ModelError: samples of this rate cannot be recognised.
        """


class BoardRecogniser:
    """The board's own; its frames come among the samples."""

    def __init__(self) -> None:
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

    def sampled_at(self, rate_hz: float) -> str:
        """A board goes by the rate that its sensor states."""
        return "the board recognises as if its sensor were right, and may miss gestures: bitwave doctor"

    def frame(self, frame: Frame) -> None:
        """A frame that holds no samples."""
        body = frame.body
        if isinstance(body, frames.Event):
            self._events.append((body.sample, body.label, body.score))
        elif isinstance(body, frames.Scores):
            self._windows.append((body.sample, tuple(score + 128 for score in body.scores)))
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
    """The C core on this machine."""

    def __init__(self, image: bytes, rate_hz: float | None = None) -> None:
        """Opens a model image for samples of this rate, or of the model's.

        Raises:
            ImageError: the core refuses the image.
            ModelError: the model cannot recognise, or the rate does not suit it.
        """
        from ..core.host import HostCore

        self._core = HostCore(image)
        self._samples = self._slept = 0
        self._rate_hz = rate_hz
        self._stream = self._core.stream(rate_hz)
        self._next: int | None = None
        self._origin = 0

    @property
    def asleep(self) -> float:
        """Of all samples so far."""
        return self._slept / self._samples if self._samples else 0.0

    @property
    def cycles_per_step(self) -> int:
        """There is no board that counts."""
        return 0

    def sampled_at(self, rate_hz: float) -> str:
        """Starts afresh, for samples of this rate."""
        self._core.stream(rate_hz)
        self._rate_hz = rate_hz
        self._next = None
        return "resampled from there on"

    def push(self, block: Block) -> tuple[list[Found], list[Window]]:
        """Feeds the samples, in stretches without a gap."""
        events: list[Found] = []
        windows: list[Window] = []
        if not len(block.indices):
            return events, windows
        breaks = np.flatnonzero(np.diff(block.indices) != 1) + 1
        for indices, samples in zip(np.split(block.indices, breaks), np.split(block.samples, breaks), strict=True):
            if indices[0] != self._next:
                self._stream = self._core.stream(self._rate_hz)
                self._origin = int(indices[0])
            self._next = int(indices[-1]) + 1
            found = self._stream.push(samples)
            self._samples += len(samples)
            self._slept += found.slept
            events.extend((event.sample + self._origin, event.label, event.score) for event in found.events)
            scores = found.scores.astype(int) + 128
            windows.extend(
                (int(sample) + self._origin, tuple(row.tolist()))
                for sample, row in zip(found.samples, scores, strict=True)
            )
        return events, windows
