"""What a live run tells: its events, its moments, and all of it in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..links.samples import Block
from .recognisers import Window


@dataclass(frozen=True)
class LiveEvent:
    """A recognised gesture.

    Attributes:
        sample: the window's last sample, index since the board started.
        time_s: of that sample, since the first sample of this run.
        score: 0..255.
    """

    sample: int
    time_s: float
    label: str
    score: int

    def to_json(self) -> dict[str, object]:
        """For ``--json`` and ``--run``."""
        return vars(self) | {"time_s": round(self.time_s, 3)}


@dataclass(frozen=True)
class Update:
    """A moment of recognition.

    Attributes:
        labels: of the model.
        events: that came with it.
        scores: newest class scores, 0..255 in the order of the labels; empty before the first window.
        last: newest sample, counts.
        asleep: which part of the samples so far found the network asleep; None: the model has no gate.
        cycles_per_step: of the board, by its own count; 0: unmeasured.
    """

    elapsed_s: float
    labels: tuple[str, ...]
    events: tuple[LiveEvent, ...]
    scores: tuple[int, ...]
    rate_hz: float
    lost: int
    crc_errors: int
    last: tuple[int, ...]
    asleep: float | None = None
    cycles_per_step: int = 0


@dataclass(eq=False)
class LiveReport:
    """What happened in a run.

    Attributes:
        labels: of the model.
        recogniser: "board" or "host".
        first: index of the first sample.
        rate_hz: nominal rate of the board.
        model_rate_hz: of the model; the samples are resampled where it is another.
        gate, stateful: of the model; None: an older board does not say.
        rates: (sample, rate in Hz) from each of which on another rate was taken; none from a board that does not say.
        indices: (n,) index of each sample; with `samples` kept only where asked for.
        samples: (n, channels) int16 counts.
        windows: (sample, scores 0..255) of each finished window.
        asleep: which part of the samples found the network asleep.
        cycles_per_step: of the board, awake, by its own count; 0: unmeasured.
    """

    labels: tuple[str, ...]
    recogniser: str
    rate_hz: float
    model_rate_hz: float
    gate: bool | None = None
    stateful: bool | None = None
    rates: list[tuple[int, float]] = field(default_factory=list)
    events: list[LiveEvent] = field(default_factory=list)
    first: int = 0
    seconds: float = 0.0
    received: int = 0
    lost: int = 0
    crc_errors: int = 0
    blocks: list[Block] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    asleep: float = 0.0
    cycles_per_step: int = 0

    @property
    def sleeps(self) -> bool:
        """Whether the share of time asleep says something: the model has a gate, or does not say and has slept."""
        return self.gate or (self.gate is None and self.asleep > 0)

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """(n,) index of each kept sample."""
        return np.concatenate([np.empty(0, np.int64), *(block.indices for block in self.blocks)])

    @property
    def samples(self) -> npt.NDArray[np.int16]:
        """(n, channels) kept samples."""
        return np.concatenate([block.samples for block in self.blocks]) if self.blocks else np.empty((0, 6), np.int16)

    @property
    def counts(self) -> dict[str, int]:
        """Events by label."""
        found = Counter(event.label for event in self.events)
        return {label: found[label] for label in self.labels if found[label]}

    def summary(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "recogniser": self.recogniser,
            "labels": list(self.labels),
            "rate_hz": self.rate_hz,
            "model_rate_hz": self.model_rate_hz,
            "gate": self.gate,
            "stateful": self.stateful,
            "rates": [{"sample": sample, "rate_hz": rate_hz} for sample, rate_hz in self.rates],
            "seconds": round(self.seconds, 3),
            "samples": self.received,
            "lost": self.lost,
            "crc_errors": self.crc_errors,
            "windows": len(self.windows),
            "asleep": round(self.asleep, 4),
            "cycles_per_step": self.cycles_per_step,
            "events": [event.to_json() for event in self.events],
        }
