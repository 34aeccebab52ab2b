"""What the report shows beyond the figures of `evaluate`: every answer, where the integers strain, the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bitwave import simulator, tflite
from bitwave.errors import BitwaveError, ImageError, ModelError
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.windowing import windows

from .evaluate import SCORE_SCALE, SCORE_ZERO_POINT, Comparison, compare
from .floatmodel import FloatModel, run
from .keras_reader import load
from .runs import History, Part, Run

Array = npt.NDArray[np.float64]
Z_95 = 1.959964  # of the normal distribution, two-sided 95 %
DRAWS = 1000  # of the bootstrap
WORST = 6


@dataclass(frozen=True, eq=False)
class LayerStrain:
    """One LSTM layer over the steps of a window.

    Attributes:
        gates: (4, steps) share of pre-activations at a limit of Q3.12.
        gate_use: (4, steps) largest pre-activation as a share of what Q3.12 holds.
        cell: (steps,) share of cells at a limit of int16.
        cell_use: (steps,) largest cell as a share of the int16 range.
        hidden: (steps,) share of hidden values at a limit of int8.
        hidden_use: (steps,) share of the int8 codes between the smallest and the largest hidden value.
        cell_drift: (steps,) root mean square of int8 minus float cell, relative to that of the float cell of all steps.
    """

    gates: Array
    gate_use: Array
    cell: Array
    cell_use: Array
    hidden: Array
    hidden_use: Array
    cell_drift: Array


@dataclass(frozen=True, eq=False)
class Detail:
    """One part in full.

    Attributes:
        classes: (n,) true class.
        winners: (n,) int8 answer.
        margin: (n,) score of the answer minus that of the truth, 0..1; 0 where it is right.
        participants: (n,) of the recordings.
        samples: (n, steps, channels) raw counts.
        names: (n,) of the recordings.
    """

    comparison: Comparison
    history: History
    classes: npt.NDArray[np.intp]
    winners: npt.NDArray[np.intp]
    margin: Array
    participants: tuple[str, ...]
    names: tuple[str, ...]
    samples: npt.NDArray[np.int16]
    strain: tuple[LayerStrain, ...]


def detail(run_: Run, part: Part, dataset: Dataset) -> Detail:
    """Runs one part's models over what was held out; raises what `evaluate.evaluate` does."""
    history = part.history()
    names = set(history.test)
    takes = [take for take in dataset.recordings if take.name in names]
    config = run_.config
    cut = windows(takes, config.labels, config.view, config.hop)
    source, model = load(part.keras), tflite.read_model(part.tflite)
    if model.metadata is None:
        raise ModelError(f"{part.tflite} has no bitwave metadata: quantize the run again")
    trace = simulator.run(model, simulator.front_end(model.metadata, model.input.zero_point, cut.samples))
    scores = (trace.scores.astype(np.float64) - SCORE_ZERO_POINT) * SCORE_SCALE
    winners = scores.argmax(axis=1)
    rows = np.arange(len(scores))
    return Detail(
        comparison=compare(history.name, source, model, cut),
        history=history,
        classes=cut.classes,
        winners=winners,
        margin=scores[rows, winners] - scores[rows, cut.classes],
        participants=tuple(takes[index].participant for index in cut.recording),
        names=tuple(takes[index].name for index in cut.recording),
        samples=cut.samples,
        strain=_strain(source, model, trace, cut.samples),
    )


def _strain(
    source: FloatModel, model: QuantModel, trace: simulator.Trace, raw: npt.NDArray[np.int16]
) -> tuple[LayerStrain, ...]:
    cells = run(source, source.standardize(raw)).cell
    found = []
    for layer, lstm, real in zip(trace.layers, model.lstm, cells, strict=True):
        pre = layer.preactivations.astype(np.int32)  # (n, steps, 4, hidden)
        cell, hidden = layer.cell.astype(np.int32), layer.hidden.astype(np.int32)
        drift = cell * 2.0**lstm.cell_exponent - real
        size = float(np.sqrt(np.square(real).mean())) or 1.0
        found.append(
            LayerStrain(
                gates=((pre == -32768) | (pre == 32767)).mean(axis=(0, 3)).T,
                gate_use=np.abs(pre).max(axis=(0, 3)).T / 32768,
                cell=((cell == -32768) | (cell == 32767)).mean(axis=(0, 2)),
                cell_use=np.abs(cell).max(axis=(0, 2)) / 32768,
                hidden=((hidden == -128) | (hidden == 127)).mean(axis=(0, 2)),
                hidden_use=(hidden.max(axis=(0, 2)) - hidden.min(axis=(0, 2)) + 1) / 256,
                cell_drift=np.sqrt(np.square(drift).mean(axis=(0, 2))) / size,
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(hits: int, of: int) -> Interval:
    """A share with the score interval of Wilson, 1927; everything where nothing was seen."""
    if of == 0:
        return Interval(0.0, 0.0, 1.0)
    share, z2 = hits / of, Z_95**2
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z_95 * np.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return Interval(share, float(max(0.0, centre - half)), float(min(1.0, centre + half)))


@dataclass(frozen=True)
class LabelFigures:
    """One label's, over all parts of one seed or more."""

    precision: Interval
    recall: Interval
    f1: Interval


def label_figures(classes: npt.NDArray[np.intp], winners: npt.NDArray[np.intp], label: int) -> LabelFigures:
    """Precision and recall with Wilson's intervals, F1 with the bootstrap's over windows (seed 0)."""
    right = (classes == label) & (winners == label)
    hits, called, there = int(right.sum()), int((winners == label).sum()), int((classes == label).sum())
    random = np.random.default_rng(0)
    draws = random.integers(0, len(classes), (DRAWS, len(classes)))
    doubled = 2 * right[draws].sum(axis=1)
    total = (classes == label)[draws].sum(axis=1) + (winners == label)[draws].sum(axis=1)
    f1 = np.divide(doubled, total, out=np.zeros(DRAWS), where=total > 0)
    low, high = np.percentile(f1, (2.5, 97.5))
    value = 2 * hits / (called + there) if called + there else 0.0
    return LabelFigures(wilson(hits, called), wilson(hits, there), Interval(value, float(low), float(high)))


def by_participant(details: Sequence[Detail]) -> dict[str, Interval]:
    """Accuracy of each participant, over all parts that held them out."""
    found: dict[str, list[bool]] = {}
    for part in details:
        for who, right in zip(part.participants, part.classes == part.winners, strict=True):
            found.setdefault(who, []).append(bool(right))
    return {who: wilson(sum(rights), len(rights)) for who, rights in sorted(found.items())}


def worst(details: Sequence[Detail], count: int = WORST) -> list[tuple[Detail, int]]:
    """The wrong answers that were given with the most conviction, and their windows; one per recording."""
    wrong = [(part, int(i)) for part in details for i in np.flatnonzero(part.classes != part.winners)]
    wrong.sort(key=lambda found: -float(found[0].margin[found[1]]))
    seen: dict[str, tuple[Detail, int]] = {}
    for part, index in wrong:
        seen.setdefault(part.names[index], (part, index))
    return list(seen.values())[:count]


def board_cost(path: Path) -> dict[str, str]:
    """Image, RAM and cycles of a model by name, or why one is not known."""
    from .cost import CLOCK_HZ, measure

    model = tflite.read_model(path)
    try:
        found = {"image": f"{len(image.build(model)):,} bytes"}
    except ImageError as error:
        return {"image": str(error)}
    try:
        cost = measure(model)
    except BitwaveError as error:
        return {**found, "cycles": str(error)}
    load = f"{cost.cycles_per_second / CLOCK_HZ:.1%} of {CLOCK_HZ // 10**6} MHz"
    return {
        **found,
        "RAM": f"{cost.ram_bytes:,} bytes",
        "windows in flight": str(model.metadata.lanes if model.metadata else 1),
        "Cortex-M4 cycles per second": f"{cost.cycles_per_second:,.0f}, {load}",
    }
