"""Compares engines with equality: every hidden state after every step, every cell that shows, every class score.

The reference is tflite-micro where it is installed, else the simulator. An engine that is not installed is absent,
with its reason; one that is there and fails is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingPackage, ModelError
from ..model.quantmodel import Int8Array
from ..tflite.reader import read_model
from .engines import INFORMATIVE, NAMES, Engine, Outputs, open_engine

REFERENCES = ("tflite-micro", "simulator")
KINDS = ("hidden", "cell", "scores")

Progress = Callable[[str, int, int], None]  # engine, windows done, windows in all


@dataclass(frozen=True)
class Difference:
    """The first value that an engine computed otherwise.

    Attributes:
        kind: "hidden", "cell" or "scores".
        layer: LSTM layer from 0; 0 for scores.
        step: from 0; the last step for scores.
        unit: hidden unit, or class for scores.
    """

    engine: str
    kind: str
    layer: int
    window: int
    step: int
    unit: int
    reference: int
    value: int

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"{self.engine}: {self.kind} of layer {self.layer + 1}, window {self.window}, step {self.step}, "
            f"unit {self.unit}: {self.value}, the reference has {self.reference}"
        )


@dataclass
class Tally:
    """Values of one kind that were compared, and how they differed."""

    compared: int = 0
    mismatches: int = 0
    max_abs_diff: int = 0

    def add(self, reference: npt.NDArray[Any], value: npt.NDArray[Any]) -> None:
        """Counts one array against another of the same shape."""
        gaps = np.abs(reference.astype(np.int64) - value)
        self.compared += gaps.size
        self.mismatches += int(np.count_nonzero(gaps))
        self.max_abs_diff = max(self.max_abs_diff, int(gaps.max(initial=0)))


@dataclass
class EngineReport:
    """What one engine's comparison gave; ``first`` is the earliest difference in window, step, layer, unit."""

    kinds: dict[str, Tally] = field(default_factory=lambda: {kind: Tally() for kind in KINDS})
    first: Difference | None = None

    @property
    def total(self) -> Tally:
        """All kinds together."""
        tallies = self.kinds.values()
        return Tally(
            sum(t.compared for t in tallies), sum(t.mismatches for t in tallies), max(t.max_abs_diff for t in tallies)
        )


@dataclass
class ParityReport:
    """The whole comparison.

    Attributes:
        windows: number of windows.
        reference: name of the engine that the others were held against.
        engines: per engine that ran; the reference's own entry holds a second way through it, if it has one.
        absent: per engine that is not installed, or only informs and does not take the model, the reason.
    """

    windows: int
    reference: str
    engines: dict[str, EngineReport]
    absent: dict[str, str]

    @property
    def failures(self) -> list[Difference]:
        """First differences of the engines that must agree."""
        reports = ((name, report) for name, report in self.engines.items() if name not in INFORMATIVE)
        return [report.first for _, report in reports if report.first is not None]

    def to_json(self) -> dict[str, Any]:
        """The document that ``--json`` prints."""
        return {
            "windows": self.windows,
            "reference": self.reference,
            "engines": {name: _engine_json(report) for name, report in self.engines.items()},
            "absent": self.absent,
        }


def _engine_json(report: EngineReport) -> dict[str, Any]:
    kinds = {kind: vars(tally) for kind, tally in report.kinds.items() if tally.compared}
    return {**vars(report.total), "kinds": kinds, "first": None if report.first is None else vars(report.first)}


def compare(
    data: bytes,
    windows: Int8Array,
    names: Sequence[str] = NAMES,
    progress: Progress | None = None,
    more: Mapping[str, Engine] | None = None,
) -> ParityReport:
    """Runs the windows through all engines and counts differences.

    Args:
        data: bytes of the .tflite file.
        windows: (windows, steps, channels) int8.
        names: engines to use; the reference is the first of `REFERENCES` among them that is installed.
        progress: called after each batch.
        more: engines that are open already, by name, like a board behind a link.

    Raises:
        ModelError: the file is not one that bitwave takes.
        MissingPackage: none of the references is installed.
    """
    model = read_model(data)
    absent: dict[str, str] = {}
    engines: dict[str, Engine] = {}
    for name in names:
        try:
            engines[name] = open_engine(name, data, model)
        except MissingPackage as error:
            absent[name] = str(error)
    engines.update(more or {})
    reference = next((name for name in REFERENCES if name in engines), None)
    if reference is None:
        raise MissingPackage("parity needs tflite-micro or the simulator as its reference")
    wanted = _reference_values(reference, engines[reference], windows, progress)
    reports = {}
    for name, engine in engines.items():
        report = reports[name] = EngineReport()
        if name == reference:
            _compare_second_way(report, name, wanted)
            continue
        try:
            for first, outputs in _batches(name, engine, windows, progress):
                count_differences(report, name, _cut(wanted.outputs, first, len(outputs.scores)), outputs, first)
        except ModelError as error:
            if name not in INFORMATIVE:
                raise
            absent[name] = str(error)
            del reports[name]
    return ParityReport(len(windows), reference, reports, absent)


@dataclass(frozen=True, eq=False)
class _Reference:
    outputs: Outputs
    step_hidden: tuple[Int8Array, ...]  # empty where the engine has only one way


def _batches(name: str, engine: Engine, windows: Int8Array, progress: Progress | None) -> Iterator[tuple[int, Outputs]]:
    for first in range(0, len(windows), engine.batch):
        yield first, engine.run(windows[first : first + engine.batch])
        if progress is not None:
            progress(name, min(first + engine.batch, len(windows)), len(windows))


def _reference_values(name: str, engine: Engine, windows: Int8Array, progress: Progress | None) -> _Reference:
    parts = []
    second = []
    for _, outputs in _batches(name, engine, windows, progress):
        parts.append(outputs)
        second.append(getattr(engine, "step_hidden", ()))
    joined = Outputs(
        np.concatenate([part.scores for part in parts]),
        _join([part.hidden for part in parts]),
        _join([part.cell for part in parts]),
    )
    return _Reference(joined, _join(second))


def _join(parts: Sequence[tuple[npt.NDArray[Any], ...]]) -> tuple[npt.NDArray[Any], ...]:
    return tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))


def _cut(outputs: Outputs, first: int, count: int) -> Outputs:
    last = first + count
    return Outputs(
        outputs.scores[first:last],
        tuple(layer[first:last] for layer in outputs.hidden),
        tuple(layer[first:last] for layer in outputs.cell),
    )


def _compare_second_way(report: EngineReport, name: str, reference: _Reference) -> None:
    """The oracle one step per invoke against the oracle one window per invoke."""
    outputs = reference.outputs
    empty = outputs.scores[:, :0]
    wanted = Outputs(empty, outputs.hidden if reference.step_hidden else ())
    count_differences(report, name, wanted, Outputs(empty, reference.step_hidden), 0)


def count_differences(report: EngineReport, name: str, reference: Outputs, outputs: Outputs, window: int) -> None:
    """Adds one batch, whose first window has the number ``window``, to a report; kinds that one lacks are left out."""
    found: list[Difference] = []
    steps = max((layer.shape[1] for layer in reference.hidden), default=1)
    pairs: list[tuple[str, int, npt.NDArray[Any], npt.NDArray[Any]]] = []
    for kind in ("hidden", "cell"):
        layers = zip(getattr(reference, kind), getattr(outputs, kind), strict=False)
        pairs += [(kind, layer, wanted, value) for layer, (wanted, value) in enumerate(layers)]
    pairs.append(("scores", 0, reference.scores[:, None], outputs.scores[:, None]))
    for kind, layer, wanted, value in pairs:
        if wanted.shape != value.shape:
            raise ValueError(f"{name} gives {kind} of the shape {value.shape}, the reference {wanted.shape}")
        report.kinds[kind].add(wanted, value)
        places = np.argwhere(wanted != value)
        if len(places):
            at = tuple(int(place) for place in places[0])
            step = steps - 1 if kind == "scores" else at[1]
            found.append(Difference(name, kind, layer, window + at[0], step, at[2], int(wanted[at]), int(value[at])))
    if report.first is None and found:
        report.first = min(found, key=lambda d: (d.window, d.step, d.kind == "scores", d.layer, d.unit))
