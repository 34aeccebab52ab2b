"""Events of whole recordings, by every implementation that must agree.

A recording is recognised in stretches: behind a gap everything starts afresh, as in `bitwave.recognition.live`,
for a window across a gap is none. Events are placed at rows of the recording, whatever was lost before them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import MissingPackage, ModelError, RecordingError, UsageError
from ..model.metadata import Metadata
from ..model.quantmodel import Int16Array, QuantModel
from ..recordings.recording import Recording
from ..simulator.stream import Event

ENGINES = ("host", "simulator", "m4-clang", "m4-gcc")

# From (samples, channels) counts at a rate, from a reset, to events with indices of the samples.
Recogniser = Callable[[Int16Array, float], list[Event]]


@dataclass(frozen=True)
class Replayed:
    """What one implementation said about one recording.

    Attributes:
        events: their samples are rows of the recording.
        elapsed_s: by the clock on the wall.
    """

    recording: Recording
    events: tuple[Event, ...]
    elapsed_s: float


@dataclass(frozen=True)
class Difference:
    """The first place where an implementation says something else than the host's core; None: nothing more."""

    engine: str
    recording: str
    wanted: Event | None
    found: Event | None

    def __str__(self) -> str:
        return f"{self.recording}: host {_told(self.wanted)}, {self.engine} {_told(self.found)}"


def opened(engine: str, model: QuantModel) -> Recogniser:
    """An implementation, ready for a model with metadata.

    Raises:
        MissingPackage: what it needs is not installed.
        ModelError, ImageError: the model cannot be used.
        UsageError: there is no such implementation.
    """
    if model.metadata is None:
        raise ModelError("the .tflite file has no bitwave metadata: export it with --labels first")
    if engine == "simulator":
        from ..simulator.network import stream_events

        return lambda raw, rate_hz: stream_events(model, raw, rate_hz)
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine}: there are {', '.join(ENGINES)}")
    from ..model.image import build

    image = build(model)
    if engine == "host":
        from ..core.host import HostCore

        core = HostCore(image)
        return lambda raw, rate_hz: core.events(raw, rate_hz).events
    try:
        from ..emulator.engine import EmulatedCore
    except ImportError as error:
        raise MissingPackage(f"{error.name} is not installed: pip install 'bitwave[verify]'") from error
    emulated = EmulatedCore(image, "gcc" if engine == "m4-gcc" else "clang")
    return lambda raw, rate_hz: [
        Event(window.sample, window.label, window.score)
        for window in emulated.recognise(raw, rate_hz)
        if window.is_gesture
    ]


def check_fits(recording: Recording, metadata: Metadata) -> None:
    """Raises `RecordingError` where a recording's channels or scale are not the model's."""
    ours, theirs = recording.channels, metadata.channels
    # A model of somebody else's may name its channels as it likes; the same names in another order are a mistake.
    if len(ours) != len(theirs) or (ours != theirs and set(ours) == set(theirs)):
        raise RecordingError(
            f"{recording.name} has the channels {', '.join(ours)}, the model takes {', '.join(theirs)}"
        )
    if recording.counts != metadata.counts:
        raise RecordingError(
            f"{recording.name} has {recording.counts.accel_lsb_per_g:g} counts per g, the model was trained with "
            f"{metadata.counts.accel_lsb_per_g:g}: import it again in that scale"
        )


def replay(recogniser: Recogniser, recording: Recording, metadata: Metadata) -> Replayed:
    """Recognises a recording; raises `RecordingError` where its channels or scale are not the model's."""
    check_fits(recording, metadata)
    begun = time.perf_counter()
    events = [
        Event(event.sample + first, event.label, event.score)
        for first, samples in stretches(recording)
        for event in recogniser(samples, recording.rate_hz)
    ]
    return Replayed(recording, tuple(events), time.perf_counter() - begun)


def stretches(recording: Recording) -> Iterator[tuple[int, npt.NDArray[np.int16]]]:
    """First row and (n, channels) samples of each stretch without a gap."""
    first = 0
    for gap in recording.gaps:
        yield first, recording.samples[first : gap.after + 1]
        first = gap.after + 1
    if first < len(recording.samples):
        yield first, recording.samples[first:]


def compare(engine: str, wanted: Iterable[Replayed], found: Iterable[Replayed]) -> Difference | None:
    """The first difference between the host's events and another's of the same recordings."""
    for ours, theirs in zip(wanted, found, strict=True):
        if ours.events == theirs.events:
            continue
        longest = max(len(ours.events), len(theirs.events))
        for index in range(longest):
            pair = [side.events[index] if index < len(side.events) else None for side in (ours, theirs)]
            if pair[0] != pair[1]:
                return Difference(engine, ours.recording.name, pair[0], pair[1])
    return None


def _told(event: Event | None) -> str:
    if event is None:
        return "has no event more"
    return f"says class {event.label} with {event.score} at row {event.sample}"
