"""How well events fit what was done: the rule, and the figures. Pure: no files, no model.

A gesture covers the samples start <= i < end; its *window* reaches half a second further. Events are taken in order:

- an event in the window of a gesture of its label that has no event yet is a **hit** (of those gestures, the one whose
  window ends first); its delay is the time from the gesture's last sample to the event, negative where it came before;
- else, in the window of a gesture of its label, it is **repeated**: a gesture counts once;
- else, in the window of another gesture, it is **wrong**;
- else it is a **false activation**; their rate is per hour of the time outside all windows, which is where they happen.

A gesture without a hit is a **miss**, whatever else was said about it. Then::

    precision = hits / events    recall = hits / gestures    F1 = 2 hits / (events + gestures)

Background labels (idle, unknown and the like) are no gestures. A figure that has nothing below its line is None.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..recordings.windowing import BACKGROUND

GRACE_S = 0.5


class Made(Protocol):
    """What was done: samples start <= i < end; `bitwave.synth.Interval` is one."""

    @property
    def label(self) -> str:
        """A gesture, or a background label."""

    @property
    def start(self) -> int:
        """First sample."""

    @property
    def end(self) -> int:
        """The sample behind the last one."""


class Said(Protocol):
    """What was recognised; `bitwave.recognition.live.LiveEvent` is one."""

    @property
    def label(self) -> str:
        """The gesture."""

    @property
    def sample(self) -> int:
        """When, counted as the intervals are."""


@dataclass(frozen=True)
class Tally:
    """Counts of one class, one participant, or all; tallies add up.

    Attributes:
        gestures: that were made.
        hits, repeated, wrong, false: events of each kind.
        background_s: seconds outside all windows.
        delays_s: (hits,) seconds from the end of each gesture that was hit to its event.
    """

    gestures: int = 0
    hits: int = 0
    repeated: int = 0
    wrong: int = 0
    false: int = 0
    background_s: float = 0.0
    delays_s: tuple[float, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.gestures + other.gestures,
            self.hits + other.hits,
            self.repeated + other.repeated,
            self.wrong + other.wrong,
            self.false + other.false,
            self.background_s + other.background_s,
            self.delays_s + other.delays_s,
        )

    @property
    def events(self) -> int:
        """All events."""
        return self.hits + self.repeated + self.wrong + self.false

    @property
    def misses(self) -> int:
        """Gestures without a hit."""
        return self.gestures - self.hits

    @property
    def precision(self) -> float | None:
        """Share of events that are hits."""
        return _share(self.hits, self.events)

    @property
    def recall(self) -> float | None:
        """Share of gestures that are hit."""
        return _share(self.hits, self.gestures)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.hits, self.events + self.gestures)

    @property
    def false_per_hour(self) -> float | None:
        """False activations per hour outside all windows."""
        return _share(self.false * 3600.0, self.background_s)

    @property
    def median_delay_s(self) -> float | None:
        """Middle delay of the hits."""
        return statistics.median(self.delays_s) if self.delays_s else None

    def summary(self) -> dict[str, float | int | None]:
        """For ``--json``."""
        figures = {
            "precision": self.precision, "recall": self.recall, "f1": self.f1,
            "false_per_hour": self.false_per_hour, "median_delay_s": self.median_delay_s,
        }  # fmt: skip
        return {
            "gestures": self.gestures, "events": self.events, "hits": self.hits, "misses": self.misses,
            "wrong": self.wrong, "repeated": self.repeated, "false": self.false,
            "background_hours": round(self.background_s / 3600.0, 4),
        } | {name: None if value is None else round(value, 4) for name, value in figures.items()}  # fmt: skip


@dataclass(frozen=True)
class Score:
    """Tallies of one stream or of many.

    Attributes:
        classes: by label, of every label that was made or said.
        participants: by pseudonym.
        confused: how often a label (second) was said in the window of another gesture (first).
    """

    classes: Mapping[str, Tally] = field(default_factory=dict)
    participants: Mapping[str, Tally] = field(default_factory=dict)
    confused: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def total(self) -> Tally:
        """Everything together."""
        return sum(self.participants.values(), Tally())

    @property
    def by_class(self) -> dict[str, Tally]:
        """The classes by label, their false activations over the background of all streams, whoever made what there."""
        outside = self.total.background_s
        return {label: replace(tally, background_s=outside) for label, tally in sorted(self.classes.items())}

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 of the classes that were made."""
        found = [tally.f1 or 0.0 for tally in self.classes.values() if tally.gestures]
        return statistics.fmean(found) if found else None

    def __add__(self, other: Score) -> Score:
        """Both together."""
        return Score(
            _merged(self.classes, other.classes),
            _merged(self.participants, other.participants),
            Counter(self.confused) + Counter(other.confused),
        )

    def summary(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "total": self.total.summary() | {"macro_f1": None if self.macro_f1 is None else round(self.macro_f1, 4)},
            "classes": {label: tally.summary() for label, tally in self.by_class.items()},
            "participants": {who: tally.summary() for who, tally in sorted(self.participants.items())},
            "confused": [{"made": made, "said": said, "count": n} for (made, said), n in sorted(self.confused.items())],
        }


def score(
    made: Iterable[Made],
    said: Iterable[Said],
    samples: int,
    rate_hz: float,
    participant: str = "p01",
    first: int = 0,
    background: frozenset[str] = BACKGROUND,
) -> Score:
    """Scores the events of one stream by the module's rule.

    Args:
        made: what was done.
        said: what was recognised.
        samples: length of the stream.
        rate_hz: samples per second.
        participant: who moved.
        first: index of the stream's first sample, as intervals and events count.
        background: labels that are no gestures.
    """
    grace = round(GRACE_S * rate_hz)
    gestures = sorted((g for g in made if g.label not in background), key=lambda g: (g.end, g.start))
    left = list(gestures)
    counts: dict[str, Counter[str]] = {gesture.label: Counter() for gesture in gestures}
    delays: dict[str, list[float]] = {}
    confused: Counter[tuple[str, str]] = Counter()
    for gesture in gestures:
        counts[gesture.label]["gestures"] += 1
    for event in sorted(said, key=lambda e: e.sample):
        around = [g for g in gestures if g.start <= event.sample < g.end + grace]
        hit = next((g for g in left if g.label == event.label and g in around), None)
        kind = "hits"
        if hit is not None:
            left.remove(hit)
            delays.setdefault(event.label, []).append((event.sample - (hit.end - 1)) / rate_hz)
        elif any(g.label == event.label for g in around):
            kind = "repeated"
        elif around:
            kind = "wrong"
            confused[around[0].label, event.label] += 1
        else:
            kind = "false"
        counts.setdefault(event.label, Counter())[kind] += 1
    outside = background_s(gestures, samples, rate_hz, first)
    classes = {
        label: Tally(**kinds, background_s=outside, delays_s=tuple(delays.get(label, ())))
        for label, kinds in counts.items()
    }
    whole = sum(classes.values(), Tally())
    total = Tally(whole.gestures, whole.hits, whole.repeated, whole.wrong, whole.false, outside, whole.delays_s)
    return Score(classes, {participant: total}, confused)


def background_s(gestures: Sequence[Made], samples: int, rate_hz: float, first: int = 0) -> float:
    """Seconds of a stream outside the windows of all gestures; windows may overlap."""
    grace = round(GRACE_S * rate_hz)
    covered = 0
    reached = first
    for gesture in sorted(gestures, key=lambda g: g.start):
        start = max(gesture.start, reached)
        end = min(gesture.end + grace, first + samples)
        covered += max(0, end - start)
        reached = max(reached, end)
    return (samples - covered) / rate_hz


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _merged(one: Mapping[str, Tally], other: Mapping[str, Tally]) -> dict[str, Tally]:
    return {name: one.get(name, Tally()) + other.get(name, Tally()) for name in sorted({*one, *other})}
