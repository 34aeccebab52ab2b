"""Score traces: what a model's network says about a stream, window by window, before any decision.

They are computed once by the C core; `bitwave.recognition.search` then tries decisions on them.

An event counts until half a second after its gesture. A recording that ends sooner would hide it, so the stream goes on
that long with its last sample; rows behind the recording's end count on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.host import HostCore
from ..errors import ModelError
from ..model.image import build
from ..model.metadata import Metadata
from ..model.quantmodel import Int16Array, QuantModel
from ..recordings.streams import Stream
from ..simulator.stream import asleep, resample
from ..simulator.stream import stretches as awakenings
from .event_score import GRACE_S, Score, score
from .events import check_fits, rate_of, stretches

BREAK = 1 << 20  # model samples between two stretches: longer than any refractory time


@dataclass(frozen=True)
class Said:
    """An event: the label, the row of the recording, and the score 0..255."""

    label: str
    sample: int
    score: int


@dataclass(frozen=True, eq=False)
class Trace:
    """One stream by one model.

    Attributes:
        stream: with its segments.
        labels: of the model.
        rows: (windows,) int64, row of the recording with which each window ended.
        times: (windows,) int64, the same in samples of the model's rate; behind a gap at least `BREAK` later.
        fresh: (windows,) bool, whether it is the first one after a reset, or since the network woke.
        scores: (windows, classes) int64, 0..255.
        events: what the core said with the decision that the model has.
    """

    stream: Stream
    labels: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    fresh: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.int64]
    events: tuple[Said, ...]

    @property
    def rate_hz(self) -> float:
        """Rows per second, by the clock of the board."""
        return rate_of(self.stream.recording)

    def score(self, events: Sequence[Said] | None = None) -> Score:
        """How well events, those of the core unless others are given, fit the stream's segments."""
        of = self.stream.recording
        said = self.events if events is None else events
        return score(self.stream.segments, said, len(of.samples), self.rate_hz, of.participant)


class Tracer:
    """A model's core, ready for streams."""

    def __init__(self, model: QuantModel) -> None:
        """Opens the model; raises `ModelError` or `ImageError` where it cannot recognise."""
        if model.metadata is None:
            raise ModelError("the .tflite file has no bitwave metadata: export it with --labels first")
        self.metadata: Metadata = model.metadata
        self._core = HostCore(build(model))

    def trace(self, stream: Stream) -> Trace:
        """Runs a stream; raises what `check_fits` does."""
        recording, metadata = stream.recording, self.metadata
        check_fits(recording, metadata)
        rows, times, fresh = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.bool_)]
        scores = [np.empty((0, len(metadata.labels)), np.int64)]
        events: list[Said] = []
        at = 0
        grace = round(GRACE_S * rate_of(recording))
        for part in stretches(recording):
            samples = part.samples
            if part.first + len(samples) == len(recording.samples):
                samples = np.concatenate((samples, np.repeat(samples[-1:], grace, axis=0)))
            found = self._core.events(samples, part.rate_hz)
            ends, first_ones = self._windows(samples, part.rate_hz)
            rows.append(found.samples.astype(np.int64) + part.first)
            times.append(at + ends)
            fresh.append(first_ones)
            scores.append(found.scores.astype(np.int64) + 128)
            events += [Said(metadata.labels[e.label], e.sample + part.first, e.score) for e in found.events]
            at += len(samples) * 2 + BREAK  # the model's rate is less than twice the sensor's
        return Trace(
            stream,
            metadata.labels,
            np.concatenate(rows),
            np.concatenate(times),
            np.concatenate(fresh),
            np.concatenate(scores),
            tuple(events),
        )

    def _windows(self, samples: Int16Array, rate_hz: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """(windows,) the model's sample that ends each, and whether it is the first one since the network woke."""
        metadata = self.metadata
        resampled, _ = resample(metadata, samples, rate_hz)
        sleeps = np.zeros(len(resampled), np.bool_) if metadata.gate is None else asleep(metadata.gate, resampled)
        ends = [
            np.arange(awake.first + metadata.window - 1, awake.end, metadata.hop, dtype=np.int64)
            for awake in awakenings(metadata.gate, sleeps)
        ]
        fresh = [np.arange(len(part)) == 0 for part in ends]
        return np.concatenate([np.empty(0, np.int64), *ends]), np.concatenate([np.empty(0, np.bool_), *fresh])
