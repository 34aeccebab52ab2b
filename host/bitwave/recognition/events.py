"""Events of whole recordings, by every implementation that must agree.

A recording is recognised in stretches, as a board would whose recognition started with the first row: behind a gap
everything starts afresh, for a window across a gap is none, and with the sample from which on the sensor's rate is
taken to be another (`bitwave.recognition.rate`). Events are placed at rows of the recording, whatever was lost before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..errors import MissingPackage, ModelError, RecordingError, UsageError
from ..model.metadata import Metadata
from ..model.quantmodel import Int16Array, QuantModel
from ..recordings.recording import Recording, measured_rate
from ..simulator.stream import Event
from .rate import RateRule

ENGINES = ("host", "simulator", "m4-clang", "m4-gcc")

RATE_TOLERANCE = 0.02  # a model hears gestures at another speed beyond this


@dataclass(frozen=True)
class Heard:
    """Events with indices of the samples, and how many samples found the network asleep."""

    events: list[Event]
    slept: int


# From (samples, channels) counts at a rate, from a reset.
Recogniser = Callable[[Int16Array, float], Heard]


@dataclass(frozen=True)
class Replayed:
    """What one implementation said about one recording.

    Attributes:
        events: their samples are rows of the recording.
        elapsed_s: of the processor, whatever else the machine does.
        slept: how many samples found the network asleep.
        rates: (row, rate in Hz) from each of which on the samples were taken for ones of this rate; the first row's is
            what the session states.
    """

    recording: Recording
    events: tuple[Event, ...]
    elapsed_s: float
    slept: int = 0
    rates: tuple[tuple[int, float], ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds of the recording by the board's clock, lost samples included."""
        return self.recording.duration_s * self.recording.rate_hz / rate_of(self.recording)


@dataclass(frozen=True, eq=False)
class Stretch:
    """What is recognised from one reset.

    Attributes:
        first: row of the first sample.
        samples: (n, channels) int16 counts.
        rate_hz: for which they are taken.
    """

    first: int
    samples: Int16Array
    rate_hz: float


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
    rates = [(rate_of(recording), ""), *((rate_hz, f" from row {row} on") for row, rate_hz in rates_of(recording)[1:])]
    for rate_hz, where in rates:
        if abs(rate_hz / metadata.rate_hz - 1) > 0.5:
            raise ModelError(
                f"{recording.name} has {rate_hz:g} samples per second{where}, the model was trained with "
                f"{metadata.rate_hz:g}: more than half off, no resampling brings back what was not measured"
            )


def replay(recogniser: Recogniser, recording: Recording, metadata: Metadata) -> Replayed:
    """Recognises a recording; raises what `check_fits` does."""
    check_fits(recording, metadata)
    parts = list(stretches(recording))
    begun = time.process_time()
    heard = [(part.first, recogniser(part.samples, part.rate_hz)) for part in parts]
    elapsed = time.process_time() - begun
    events = [Event(event.sample + first, event.label, event.score) for first, part in heard for event in part.events]
    return Replayed(recording, tuple(events), elapsed, sum(part.slept for _, part in heard), rates_of(recording))


def rate_of(recording: Recording) -> float:
    """Samples per second of the whole: as the session says, or the board's clock where that is clearly another."""
    measured = round(measured_rate(recording.time_us, recording.gaps), 3)
    is_other = measured and abs(measured / recording.rate_hz - 1) > RATE_TOLERANCE
    return measured if is_other else recording.rate_hz


def stretches(recording: Recording) -> Iterator[Stretch]:
    """The stretches without a gap in which one rate is taken."""
    rule = RateRule(round(recording.rate_hz * 1000))
    ends = [gap.after + 1 for gap in recording.gaps]
    for start, end in zip([0, *ends], [*ends, len(recording.samples)], strict=True):
        first = start
        rate_hz = rule.taken_mhz / 1000
        for offset, rate_mhz in rule.push(recording.time_us[start:end]):
            yield Stretch(first, recording.samples[first : start + offset], rate_hz)
            first, rate_hz = start + offset, rate_mhz / 1000
        if first < end:
            yield Stretch(first, recording.samples[first:end], rate_hz)
        rule.gap()


def rates_of(recording: Recording) -> tuple[tuple[int, float], ...]:
    """(row, rate in Hz) from each of which on another rate is taken, the first row among them."""
    rates = [(0, recording.rate_hz)]
    for part in stretches(recording):
        if part.rate_hz != rates[-1][1]:
            rates.append((part.first, part.rate_hz))
    return tuple(rates)


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
