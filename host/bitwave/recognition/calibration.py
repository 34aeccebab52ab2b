"""Choosing a decision: recall against false activations per hour on calibration participants.

Of all decisions with at most the false activations per hour, and at most the median delay behind a gesture's end, that
were asked for, the best one is taken. What is best must hold for people who are not there: the worth of a decision is
the mean of the calibration participants' F1 of events, and of the lowest among them, ``(mean + min) / 2``. First comes
a grid over one threshold for all classes, smoothing, margin, hold, refractory time and whether a run of windows fires
once, where neighbours in threshold count too, since a peak of one alone is luck; then the thresholds go their own ways,
class by class, as long as that gains `LEAST_GAIN`: less is an event or two, and luck again. Where several do equally
well, the middle of the longest row of thresholds stands farthest from where it would be worse. Where none does as
asked, the one that is nearest to it is taken, and the choice says so; a decision that recognises nothing keeps to
everything, and is none.
"""

from __future__ import annotations

import math
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
NEIGHBOURS = 2  # on either side
LEAST_GAIN = 0.005  # of worth, by one threshold
MOVES = 40  # single thresholds that may be changed, one after the other

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """What one decision gives on the calibration streams."""

    decision: Decision
    recall: float
    f1: float
    false_per_hour: float
    median_delay_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    """What a decision has to keep to on the calibration streams.

    Attributes:
        false_per_hour: false activations, at most.
        median_delay_s: from a gesture's end to its event, at most.
    """

    false_per_hour: float
    median_delay_s: float = math.inf


@dataclass(frozen=True)
class Choice:
    """A chosen decision, and what else there was to choose from.

    Attributes:
        chosen: the decision.
        curve: the best recall at each rate of false activations that the grid reached, by that rate.
        is_met: whether what was asked for is kept on the calibration streams, and anything recognised.
    """

    chosen: Point
    curve: tuple[Point, ...]
    is_met: bool


def calibrate(traces: Sequence[Trace], metadata: Metadata, asked: Asked) -> Choice:
    """Chooses a decision on these traces.

    Args:
        traces: of the calibration participants; models may differ, but not their labels and rate.
        metadata: of the model that will get the decision.
        asked: what to keep to.

    Raises:
        UsageError: there are no gestures or no background to choose on, or the model never fires at all.
    """
    if not any(metadata.decision.fires):
        raise UsageError("no class of this model may fire: quantize or export it again with gestures among its labels")
    people = _People(traces, metadata.decision.fires)
    if not people.gestures or people.background_s <= 0:
        raise UsageError("the calibration streams need gestures and time without any: record both")
    chosen, points = _best(people, metadata, asked)
    if not chosen.recall:  # a step on the way of single thresholds at most
        chosen, points = _best(people, metadata, asked, is_heard=True)
    is_met = (
        chosen.recall > 0
        and chosen.false_per_hour <= asked.false_per_hour
        and chosen.median_delay_s <= asked.median_delay_s
    )
    return Choice(chosen, _curve(points), is_met)


def _best(people: _People, metadata: Metadata, asked: Asked, is_heard: bool = False) -> tuple[Point, list[Point]]:
    """The best decision, of those that recognise anything where `is_heard`, and the fronts of the grids."""
    points: list[Point] = []
    best: tuple[float, Settings, int] | None = None
    for smoothing in SMOOTHINGS:
        settings = _grid(smoothing, metadata)
        outcomes = people.run(settings)
        worth = _worth(outcomes, asked, is_heard)
        smooth = np.where(worth < 0, worth, _among_neighbours(np.maximum(worth, 0.0)))
        index = _middle(smooth)
        if best is None or smooth[index] > best[0]:
            best = float(smooth[index]), settings, index
        points += _front(settings, outcomes, metadata.decision.fires)
    assert best is not None
    settings, outcomes = _own_ways(people, best[1], best[2], asked, is_heard)
    return _point(settings, outcomes, 0, metadata.decision.fires), points


class _People:
    """The calibration participants' searches, one each."""

    def __init__(self, traces: Sequence[Trace], fires: tuple[bool, ...]) -> None:
        names = sorted({trace.stream.recording.participant for trace in traces})
        self.searches = [
            Search([trace for trace in traces if trace.stream.recording.participant == name], fires) for name in names
        ]
        self.firing = np.flatnonzero(fires)
        self.gestures = sum(search.gestures for search in self.searches)
        self.background_s = sum(search.background_s for search in self.searches)

    def run(self, settings: Settings) -> list[Outcome]:
        """The outcome of every setting for each of them."""
        return [search.run(settings) for search in self.searches]


def _grid(smoothing: int, metadata: Metadata) -> Settings:
    refractory = np.unique(np.minimum(np.rint(np.array(REFRACTORY_S) * metadata.rate_hz), MAX_REFRACTORY))
    grid = np.meshgrid(THRESHOLDS, MARGINS, HOLDS, refractory.astype(np.int64), (0, 1), indexing="ij")
    threshold, margin, hold, wait, once = (values.ravel().astype(np.int64) for values in grid)
    thresholds = np.tile(threshold[:, None], (1, len(metadata.labels)))
    return Settings(smoothing, thresholds, margin, hold, wait, once.astype(np.bool_))


def _worth(outcomes: Sequence[Outcome], asked: Asked, is_heard: bool) -> Floats:
    """The module's worth where what was asked is kept; else below zero, the less the farther it is from that.

    Where `is_heard`, a decision that recognises nothing is the last of all.
    """
    together = sum(outcomes[1:], outcomes[0])
    excess = np.maximum(together.false_per_hour - asked.false_per_hour, 0.0)
    excess += np.maximum(together.median_delay_s - asked.median_delay_s, 0.0)
    found = np.array([outcome.f1 for outcome in outcomes if outcome.gestures])
    worth: Floats = np.where(excess > 0, -excess, (found.mean(axis=0) + found.min(axis=0)) / 2.0)
    if is_heard:
        worth[together.hits == 0] = -np.inf
    return worth


def _middle(worth: Floats) -> int:
    """Of the grid's best, the middle one of the longest row of thresholds with the same other parameters."""
    best = (worth >= worth.max() - 1e-9).reshape(len(THRESHOLDS), -1)
    column = int(np.argmax(best.sum(axis=0)))
    row = np.flatnonzero(best[:, column])
    return int(row[len(row) // 2]) * int(best.shape[1]) + column


def _among_neighbours(worth: Floats) -> Floats:
    """Mean over the thresholds around each of the grid's, the outermost ones repeated."""
    grid = worth.reshape(len(THRESHOLDS), -1)
    wider = np.pad(grid, ((NEIGHBOURS, NEIGHBOURS), (0, 0)), mode="edge")
    found: Floats = np.mean([wider[at : at + len(grid)] for at in range(2 * NEIGHBOURS + 1)], axis=0).ravel()
    return found


def _own_ways(
    people: _People, settings: Settings, index: int, asked: Asked, is_heard: bool
) -> tuple[Settings, list[Outcome]]:
    """Changes single thresholds of one of the settings while that gains; returns what it became, alone."""
    current = settings.only(index)
    outcomes = people.run(current)
    label = np.repeat(people.firing, len(THRESHOLDS))
    for _ in range(MOVES):
        tried = current.repeated(len(label))
        tried.thresholds[np.arange(len(label)), label] = np.tile(THRESHOLDS, len(people.firing))
        worth = _worth(people.run(tried), asked, is_heard)
        if worth.max() < _worth(outcomes, asked, is_heard)[0] + LEAST_GAIN:
            break
        best = np.flatnonzero(worth == worth.max())
        alike = best[label[best] == label[best[0]]]
        current = tried.only(int(alike[len(alike) // 2]))
        outcomes = people.run(current)
    return current, outcomes


def _point(settings: Settings, outcomes: Sequence[Outcome], index: int, fires: tuple[bool, ...]) -> Point:
    outcome = sum(outcomes[1:], outcomes[0])
    return Point(
        settings.decision(index, fires),
        float(outcome.recall[index]),
        float(outcome.f1[index]),
        float(outcome.false_per_hour[index]),
        float(outcome.median_delay_s[index]),
    )


def _front(settings: Settings, outcomes: Sequence[Outcome], fires: tuple[bool, ...]) -> list[Point]:
    """Settings that no other of these beats in both recall and rate, by rate."""
    outcome = sum(outcomes[1:], outcomes[0])
    order = np.lexsort((-outcome.recall, outcome.false_per_hour))
    found: list[Point] = []
    for index in order.tolist():
        if not found or outcome.recall[index] > found[-1].recall:
            found.append(_point(settings, [outcome], index, fires))
    return found


def _curve(points: Sequence[Point]) -> tuple[Point, ...]:
    """The same over all smoothings."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.false_per_hour, -p.recall)):
        if not found or point.recall > found[-1].recall:
            found.append(point)
    return tuple(found)
