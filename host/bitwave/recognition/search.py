"""Many decisions at once on score traces: the core's rule, for whole arrays of parameters.

The decision is that of `bitwave.model.metadata`, the scoring that of `bitwave.recognition.event_score`; both are done
here window after window for all settings together. Which class leads depends on nothing but the smoothing, and most
windows pass for no setting: only the others are visited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..model.metadata import Decision
from ..recordings.windowing import BACKGROUND
from .event_score import GRACE_S, background_s
from .traces import Said, Trace

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Settings:
    """Decisions to try, one per entry; they share the smoothing.

    Attributes:
        thresholds: (settings, classes), 0..255.
        margin, hold, refractory, once: (settings,), as in `Decision`.
    """

    smoothing: int
    thresholds: Ints
    margin: Ints
    hold: Ints
    refractory: Ints
    once: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.margin)

    def decision(self, index: int, fires: tuple[bool, ...]) -> Decision:
        """One of them, as a model keeps it."""
        return Decision(
            smoothing=self.smoothing,
            thresholds=tuple(self.thresholds[index].tolist()),
            margin=int(self.margin[index]),
            hold=int(self.hold[index]),
            refractory=int(self.refractory[index]),
            once=bool(self.once[index]),
            fires=fires,
        )

    def only(self, index: int) -> Settings:
        """One of them, alone."""
        return self._picked(np.array([index]))

    def repeated(self, count: int) -> Settings:
        """A single one, as often."""
        return self._picked(np.zeros(count, np.int64))

    def _picked(self, indices: Ints) -> Settings:
        return Settings(
            self.smoothing,
            self.thresholds[indices],
            self.margin[indices],
            self.hold[indices],
            self.refractory[indices],
            self.once[indices],
        )

    @classmethod
    def of(cls, decision: Decision) -> Settings:
        """A single one."""
        return cls(
            decision.smoothing,
            np.array([decision.thresholds], np.int64),
            np.array([decision.margin], np.int64),
            np.array([decision.hold], np.int64),
            np.array([decision.refractory], np.int64),
            np.array([decision.once], np.bool_),
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """Per setting, (settings,) int64 counts over all streams, by the rule of `event_score`.

    Attributes:
        gestures: made, the same for all.
        background_s: seconds outside all gestures' windows.
        delays_s: (gestures, settings) float32, from each gesture's end to its event; NaN where it was missed.
    """

    gestures: int
    background_s: float
    hits: Ints
    repeated: Ints
    wrong: Ints
    false: Ints
    delays_s: npt.NDArray[np.float32]

    def __add__(self, other: Outcome) -> Outcome:
        """Both together, for the same settings."""
        return Outcome(
            self.gestures + other.gestures,
            self.background_s + other.background_s,
            self.hits + other.hits,
            self.repeated + other.repeated,
            self.wrong + other.wrong,
            self.false + other.false,
            np.concatenate((self.delays_s, other.delays_s)),
        )

    @property
    def events(self) -> Ints:
        """All events."""
        return self.hits + self.repeated + self.wrong + self.false

    @property
    def median_delay_s(self) -> npt.NDArray[np.float64]:
        """Middle delay of the hits; 0 where there is none."""
        ordered = np.sort(self.delays_s, axis=0)  # NaN comes last
        hits = np.count_nonzero(~np.isnan(ordered), axis=0)
        ordered = np.concatenate((ordered, np.zeros((1, len(hits)), np.float32)))
        low, high = (
            np.take_along_axis(ordered, at[None], axis=0)[0] for at in (np.maximum(hits - 1, 0) // 2, hits // 2)
        )
        return np.where(hits > 0, (low.astype(np.float64) + high) / 2.0, 0.0)

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """Of events; 0 where there is neither gesture nor event."""
        f1: npt.NDArray[np.float64] = 2.0 * self.hits / np.maximum(self.events + self.gestures, 1)
        return f1

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """Share of gestures that are hit; 0 without gestures."""
        recall: npt.NDArray[np.float64] = self.hits / max(self.gestures, 1)
        return recall

    @property
    def false_per_hour(self) -> npt.NDArray[np.float64]:
        """False activations per hour of background."""
        rate: npt.NDArray[np.float64] = self.false * 3600.0 / max(self.background_s, 1e-9)
        return rate


@dataclass(frozen=True, eq=False)
class _Moments:
    """What is the same for every setting of one smoothing: (windows,) each."""

    winner: Ints
    best: Ints  # Q8.8
    lead: Ints  # Q8.8, to the second
    goes_on: npt.NDArray[np.bool_]  # the window before is of the same stretch and has the same winner


class Search:
    """Streams' score traces, ready to try decisions on."""

    def __init__(self, traces: Sequence[Trace], fires: tuple[bool, ...]) -> None:
        """Looks up which gestures an event at each window could belong to.

        Args:
            traces: by models with the same labels.
            fires: per class, whether it may fire at all.
        """
        self._traces = traces
        self._rates = [trace.rate_hz for trace in traces]
        self.fires = np.array(fires)
        self._known: dict[int, list[_Moments]] = {}
        self.gestures = 0
        self.background_s = 0.0
        self._ends: list[int] = []  # of each gesture, its last row
        self._around: list[list[list[tuple[int, int]]]] = []
        for trace in traces:
            recording = trace.stream.recording
            made = [s for s in trace.stream.segments if s.label not in BACKGROUND]
            self.background_s += background_s(made, len(recording.samples), trace.rate_hz)
            around: list[list[tuple[int, int]]] = [[] for _ in trace.rows]
            grace = round(GRACE_S * trace.rate_hz)
            for segment in sorted(made, key=lambda g: (g.end, g.start)):
                label = trace.labels.index(segment.label) if segment.label in trace.labels else -1
                first, last = np.searchsorted(trace.rows, (segment.start, segment.end + grace))
                for window in range(first, last):
                    around[window].append((self.gestures, label))
                self._ends.append(segment.end - 1)
                self.gestures += 1
            self._around.append(around)

    def run(self, settings: Settings) -> Outcome:
        """The outcome of every setting."""
        counts = {kind: np.zeros(len(settings), np.int64) for kind in ("hits", "repeated", "wrong", "false")}
        taken = np.zeros((self.gestures, len(settings)), np.bool_)
        delays = np.full((self.gestures, len(settings)), np.nan, np.float32)
        for index, moments in enumerate(self._moments(settings.smoothing)):
            around = self._around[index]
            winners = moments.winner.tolist()
            rows, rate_hz = self._traces[index].rows, self._rates[index]
            for window, events in self._decide(index, moments, settings):
                left = events
                mine = [gesture for gesture, label in around[window] if label == winners[window]]
                for gesture in mine:
                    hit = left & ~taken[gesture]
                    taken[gesture] |= hit
                    delays[gesture, hit] = (rows[window] - self._ends[gesture]) / rate_hz
                    counts["hits"] += hit
                    left = left & ~hit
                counts["repeated" if mine else "wrong" if around[window] else "false"] += left
        return Outcome(self.gestures, self.background_s, **counts, delays_s=delays)

    def events(self, decision: Decision) -> list[list[Said]]:
        """The events of one decision, per stream; the core with that decision says the same."""
        settings = Settings.of(decision)
        found = []
        for index, moments in enumerate(self._moments(decision.smoothing)):
            trace = self._traces[index]
            found.append(
                [
                    Said(trace.labels[moments.winner[at]], int(trace.rows[at]), int(moments.best[at] >> 8))
                    for at, _ in self._decide(index, moments, settings)
                ]
            )
        return found

    def _decide(self, index: int, moments: _Moments, settings: Settings) -> list[tuple[int, npt.NDArray[np.bool_]]]:
        """Windows of a stream with an event, and (settings,) for which of the settings."""
        times = self._traces[index].times
        thresholds = settings.thresholds.T << 8
        margin = settings.margin << 8
        may = self.fires[moments.winner] & (moments.best >= thresholds.min(axis=1)[moments.winner])
        may &= moments.lead >= margin.min(initial=255 << 8)
        run = np.zeros(len(settings), np.int64)
        spent = np.zeros(len(settings), np.bool_)
        free = np.zeros(len(settings), np.int64)
        before = -2
        found = []
        for window in np.flatnonzero(may).tolist():
            passes = (moments.best[window] >= thresholds[moments.winner[window]]) & (moments.lead[window] >= margin)
            if window != before + 1 or not moments.goes_on[window]:
                run[:] = 0
            before = window
            run = np.where(passes, run + 1, 0)
            spent &= run > 1
            events = passes & (run >= settings.hold) & (times[window] >= free) & ~spent
            if events.any():
                free = np.where(events, times[window] + settings.refractory, free)
                run[events & ~settings.once] = 0
                spent |= events & settings.once
                found.append((window, events))
        return found

    def _moments(self, smoothing: int) -> list[_Moments]:
        if smoothing not in self._known:
            self._known[smoothing] = [_moments(trace, smoothing) for trace in self._traces]
        return self._known[smoothing]


def _moments(trace: Trace, smoothing: int) -> _Moments:
    averages = averaged(trace, smoothing)
    rows = np.arange(len(averages))
    winner = averages.argmax(axis=1) if len(rows) else np.empty(0, np.int64)
    best = averages[rows, winner]
    others = averages.copy()
    others[rows, winner] = 0
    lead = best - others.max(axis=1, initial=0)
    goes_on = ~trace.fresh & (np.roll(winner, 1) == winner)
    return _Moments(winner, best, lead, goes_on)


def averaged(trace: Trace, smoothing: int) -> Ints:
    """(windows, classes) Q8.8 averages, begun anew with every fresh window."""
    levels = trace.scores << 8
    if not smoothing:
        return levels
    averages = np.empty_like(levels)
    current = np.zeros(levels.shape[1], np.int64)
    for index, (level, fresh) in enumerate(zip(levels, trace.fresh.tolist(), strict=True)):
        current = level if fresh else current + ((level - current) >> smoothing)
        averages[index] = current
    return averages
