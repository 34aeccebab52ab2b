"""Choosing a decision: recall against false activations per hour on calibration participants.

Of all decisions with at most the false activations per hour that were asked for, the one with the highest F1 of events
is taken: first from a grid over one threshold for all classes, smoothing, margin, hold and refractory time; then the
thresholds go their own ways, class by class, as long as that gains. Where several do equally well, the middle one of
their thresholds stands farthest from where it would be worse. Where none does as asked, the one with the fewest false
activations is taken, and the choice says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..model.metadata import Decision, Metadata
from .search import Outcome, Search, Settings
from .traces import Trace

THRESHOLDS = np.arange(64, 256, 8)
MARGINS = np.array((0, 26, 51, 102))
HOLDS = np.array((1, 2, 3, 4, 6))
SMOOTHINGS = (0, 1, 2)
REFRACTORY_S = (0.4, 0.7, 1.0, 1.5)
MAX_REFRACTORY = 65535
MOVES = 40  # single thresholds that may be changed, one after the other

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """What one decision gives on the calibration streams."""

    decision: Decision
    recall: float
    f1: float
    false_per_hour: float


@dataclass(frozen=True)
class Choice:
    """A chosen decision, and what else there was to choose from.

    Attributes:
        chosen: the decision.
        curve: the best recall at each rate of false activations that the grid reached, by that rate.
        is_met: whether the rate that was asked for is kept on the calibration streams.
    """

    chosen: Point
    curve: tuple[Point, ...]
    is_met: bool


def calibrate(traces: Sequence[Trace], metadata: Metadata, false_per_hour: float) -> Choice:
    """Chooses a decision on these traces.

    Args:
        traces: of the calibration participants; models may differ, but not their labels and rate.
        metadata: of the model that will get the decision.
        false_per_hour: at most.

    Raises:
        UsageError: there are no gestures or no background to choose on.
    """
    search = Search(traces, metadata.decision.fires)
    if not search.gestures or search.background_s <= 0:
        raise UsageError("the calibration streams need gestures and time without any: record both")
    points: list[Point] = []
    best: tuple[tuple[float, float], Settings, int] | None = None
    for smoothing in SMOOTHINGS:
        settings = _grid(smoothing, metadata)
        outcome = search.run(settings)
        worth = _worth(outcome, false_per_hour)
        index = _middle(worth, settings)
        key = (float(worth[index]), float(outcome.recall[index]))
        if best is None or key > best[0]:
            best = key, settings, index
        points += _front(settings, outcome, metadata.decision.fires)
    assert best is not None
    settings, outcome, index = _own_ways(search, best[1], best[2], false_per_hour)
    chosen = _point(settings, outcome, index, metadata.decision.fires)
    return Choice(chosen, _curve(points), chosen.false_per_hour <= false_per_hour)


def _grid(smoothing: int, metadata: Metadata) -> Settings:
    refractory = np.unique(np.minimum(np.rint(np.array(REFRACTORY_S) * metadata.rate_hz), MAX_REFRACTORY))
    grid = np.meshgrid(THRESHOLDS, MARGINS, HOLDS, refractory.astype(np.int64), indexing="ij")
    threshold, margin, hold, wait = (values.ravel().astype(np.int64) for values in grid)
    return Settings(smoothing, np.tile(threshold[:, None], (1, len(metadata.labels))), margin, hold, wait)


def _worth(outcome: Outcome, most: float) -> Floats:
    """F1 where the rate is kept; else below zero, the less the more often it fires."""
    rate = outcome.false_per_hour
    worth: Floats = np.where(rate <= most, outcome.f1, -rate)
    return worth


def _middle(worth: Floats, settings: Settings) -> int:
    """Of the best ones with the same other parameters, the one with the middle threshold."""
    best = np.flatnonzero(worth == worth.max())
    first = best[0]
    alike = [
        index
        for index in best.tolist()
        if (settings.margin[index], settings.hold[index], settings.refractory[index])
        == (settings.margin[first], settings.hold[first], settings.refractory[first])
    ]
    return int(alike[len(alike) // 2])


def _own_ways(search: Search, settings: Settings, index: int, most: float) -> tuple[Settings, Outcome, int]:
    """Changes single thresholds while that gains; returns settings of which one is the result."""
    current = Settings(
        settings.smoothing, settings.thresholds[[index]], *(v[[index]] for v in
        (settings.margin, settings.hold, settings.refractory)),
    )  # fmt: skip
    outcome = search.run(current)
    classes = np.flatnonzero(search.fires)
    for _ in range(MOVES):
        tried = np.repeat(current.thresholds, len(classes) * len(THRESHOLDS), axis=0)
        which = np.repeat(classes, len(THRESHOLDS))
        tried[np.arange(len(tried)), which] = np.tile(THRESHOLDS, len(classes))
        several = Settings(current.smoothing, tried, *(np.repeat(v, len(tried)) for v in
                           (current.margin, current.hold, current.refractory)))  # fmt: skip
        found = search.run(several)
        worth = _worth(found, most)
        if worth.max() <= _worth(outcome, most)[0]:
            break
        best = np.flatnonzero(worth == worth.max())
        same = best[which[best] == which[best[0]]]
        chosen = int(same[len(same) // 2])
        current = Settings(current.smoothing, tried[[chosen]], current.margin, current.hold, current.refractory)
        outcome = search.run(current)
    return current, outcome, 0


def _point(settings: Settings, outcome: Outcome, index: int, fires: tuple[bool, ...]) -> Point:
    return Point(
        settings.decision(index, fires),
        float(outcome.recall[index]),
        float(outcome.f1[index]),
        float(outcome.false_per_hour[index]),
    )


def _front(settings: Settings, outcome: Outcome, fires: tuple[bool, ...]) -> list[Point]:
    """Settings that no other of these beats in both recall and rate, by rate."""
    order = np.lexsort((-outcome.recall, outcome.false_per_hour))
    found: list[Point] = []
    for index in order.tolist():
        if not found or outcome.recall[index] > found[-1].recall:
            found.append(_point(settings, outcome, index, fires))
    return found


def _curve(points: Sequence[Point]) -> tuple[Point, ...]:
    """The same over all smoothings."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.false_per_hour, -p.recall)):
        if not found or point.recall > found[-1].recall:
            found.append(point)
    return tuple(found)
