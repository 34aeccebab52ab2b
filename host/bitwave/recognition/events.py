"""Events of whole recordings, by every implementation that must agree.

A recording is recognised in stretches: behind a gap everything starts afresh, as in `bitwave.recognition.live`,
for a window across a gap is none. So it does where the clock of the board says that the samples come at another rate
from there on. Events are placed at rows of the recording, whatever was lost before them.
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
from ..recordings.recording import Recording, measured_rate
from ..simulator.stream import Event

ENGINES = ("host", "simulator", "m4-clang", "m4-gcc")

RATE_TOLERANCE = 0.02  # a model hears gestures at another speed beyond this
WATCH_S = 2.0  # of a recording's clock: how often a drift is looked for


@dataclass(frozen=True)
class Heard:
    """Events with indices of the samples, and how many samples found the network asleep."""

    events: list[Event]
    slept: int


# From (samples, channels) counts at a rate, from a reset.
Recogniser = Callable[[Int16Array, float], Heard]


@dataclass(frozen=True, eq=False)
class Stretch:
    """Part of a recording without a gap and at one rate.

    Attributes:
        first: its first row in the recording.
        samples: (n, channels) int16 counts.
        rate_hz: of its samples.
    """

    first: int
    samples: Int16Array
    rate_hz: float


@dataclass(frozen=True)
class Replayed:
    """What one implementation said about one recording.

    Attributes:
        events: their samples are rows of the recording.
        elapsed_s: of the processor, whatever else the machine does.
        slept: how many samples found the network asleep.
        rate_hz: of the samples, all together.
        rates: lowest and highest rate in Hz at which parts of it were recognised.
    """

    recording: Recording
    events: tuple[Event, ...]
    elapsed_s: float
    slept: int = 0
    rate_hz: float = 0.0
    rates: tuple[float, float] = (0.0, 0.0)

    @property
    def duration_s(self) -> float:
        """Seconds of the recording by the rate that it was recognised at, lost samples included."""
        return self.recording.duration_s * self.recording.rate_hz / self.rate_hz


@dataclass(frozen=True)
class Difference:
    """The first place where an implementation says something else than the host's core; None: nothing more.

    Where the events are the same, it is in how many samples were slept through.
    """

    engine: str
    recording: str
    wanted: Event | None
    found: Event | None
    slept: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        if self.wanted == self.found:
            ours, theirs = self.slept
            return f"{self.recording}: host sleeps through {ours} samples, {self.engine} through {theirs}"
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
        from ..simulator.network import run_stream

        def simulated(raw: Int16Array, rate_hz: float) -> Heard:
            found = run_stream(model, raw, rate_hz)
            return Heard(found.events, found.slept)

        return simulated
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine}: there are {', '.join(ENGINES)}")
    from ..model.image import build

    image = build(model)
    if engine == "host":
        from ..core.host import HostCore

        core = HostCore(image)

        def here(raw: Int16Array, rate_hz: float) -> Heard:
            found = core.events(raw, rate_hz)
            return Heard(found.events, found.slept)

        return here
    try:
        from ..emulator.engine import EmulatedCore
    except ImportError as error:
        raise MissingPackage(f"{error.name} is not installed: pip install 'bitwave[verify]'") from error
    emulated = EmulatedCore(image, "gcc" if engine == "m4-gcc" else "clang")

    def on_m4(raw: Int16Array, rate_hz: float) -> Heard:
        found = [window for window in emulated.recognise(raw, rate_hz) if window.is_gesture]
        return Heard([Event(window.sample, window.label, window.score) for window in found], emulated.slept)

    return on_m4


def check_fits(recording: Recording, metadata: Metadata) -> None:
    """Raises `RecordingError` for channels or a scale that are not the model's, `ModelError` for a rate far from it."""
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
    for rate_hz in rates_of(recording):
        if abs(rate_hz / metadata.rate_hz - 1) > 0.5:
            raise ModelError(
                f"{recording.name} has {rate_hz:g} samples per second, the model was trained with "
                f"{metadata.rate_hz:g}: more than half off, no resampling brings back what was not measured"
            )


def replay(recogniser: Recogniser, recording: Recording, metadata: Metadata) -> Replayed:
    """Recognises a recording; raises what `check_fits` does."""
    check_fits(recording, metadata)
    begun = time.process_time()
    heard = [(part.first, recogniser(part.samples, part.rate_hz)) for part in stretches(recording)]
    elapsed = time.process_time() - begun
    events = [Event(event.sample + first, event.label, event.score) for first, part in heard for event in part.events]
    slept = sum(part.slept for _, part in heard)
    return Replayed(recording, tuple(events), elapsed, slept, rate_of(recording), rates_of(recording))


def rate_of(recording: Recording) -> float:
    """Samples per second: as the session says, or as the clock of the board says where that is clearly another."""
    measured = round(measured_rate(recording.time_us, recording.gaps), 3)
    return recording.rate_hz if not measured or _is_near(measured, recording.rate_hz) else measured


def rates_of(recording: Recording) -> tuple[float, float]:
    """The lowest and the highest rate of a recording's stretches; twice the same where the clock runs evenly."""
    rates = [part.rate_hz for part in stretches(recording)] or [rate_of(recording)]
    return min(rates), max(rates)


def told_rates(rates: tuple[float, float]) -> str:
    """``119`` or ``98.4 to 119``."""
    low, high = rates
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def stretches(recording: Recording) -> Iterator[Stretch]:
    """Parts without a gap, divided where the rate leaves `RATE_TOLERANCE`, in order."""
    rate_hz = rate_of(recording)
    edges = [0, *(gap.after + 1 for gap in recording.gaps), len(recording.samples)]
    for first, end in zip(edges, edges[1:], strict=False):
        if first < end:
            for start, last, rate in _steady(recording.time_us[first:end], rate_hz):
                yield Stretch(first + start, recording.samples[first + start : first + last], rate)


def _steady(time_us: npt.NDArray[np.int64], rate_hz: float) -> list[tuple[int, int, float]]:
    """First row, end and rate of each part of one rate; the whole at `rate_hz` where that is right all along."""
    step = max(2, round(WATCH_S * rate_hz))
    edges = [*range(0, len(time_us) - step // 2, step), len(time_us)]
    rates = [measured_rate(time_us[at : end + 1]) for at, end in zip(edges, edges[1:], strict=False)]
    if all(_is_near(rate, rate_hz) for rate in rates if rate):
        return [(0, len(time_us), rate_hz)]
    starts = [0]
    now = rates[0]
    for at, rate in zip(edges[1:-1], rates[1:], strict=True):
        if not _is_near(rate, now):
            starts.append(at)
            now = rate
    ends = [*starts[1:], len(time_us)]
    return [
        (at, end, round(measured_rate(time_us[at : min(end + 1, len(time_us))]), 3))
        for at, end in zip(starts, ends, strict=True)
    ]


def _is_near(rate_hz: float, other_hz: float) -> bool:
    return abs(rate_hz / other_hz - 1) <= RATE_TOLERANCE


def compare(engine: str, wanted: Iterable[Replayed], found: Iterable[Replayed]) -> Difference | None:
    """The first difference between the host's events and another's of the same recordings."""
    for ours, theirs in zip(wanted, found, strict=True):
        if ours.events == theirs.events and ours.slept == theirs.slept:
            continue
        longest = max(len(ours.events), len(theirs.events))
        for index in range(longest):
            pair = [side.events[index] if index < len(side.events) else None for side in (ours, theirs)]
            if pair[0] != pair[1]:
                return Difference(engine, ours.recording.name, pair[0], pair[1])
        return Difference(engine, ours.recording.name, None, None, (ours.slept, theirs.slept))
    return None


def _told(event: Event | None) -> str:
    if event is None:
        return "has no event more"
    return f"says class {event.label} with {event.score} at row {event.sample}"
