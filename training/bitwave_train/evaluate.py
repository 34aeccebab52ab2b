"""Float against int8 on recordings that were held out.

The int8 side is the NumPy simulator, which computes the bits of the board, behind the integer front end; the float
side is the float model in NumPy on the same raw counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitwave import simulator, tflite
from bitwave.errors import ModelError, UsageError
from bitwave.model.quantmodel import GATES, QuantModel
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.windowing import Windows, windows

from .floatmodel import FloatModel, run
from .keras_reader import load
from .runs import Part, Run

SCORE_SCALE, SCORE_ZERO_POINT = 1.0 / 256.0, -128  # of the int8 softmax


@dataclass(frozen=True)
class Saturation:
    """Share of values at a limit, 0..1, of all units, steps and windows of one layer.

    Attributes:
        gates: by gate, the pre-activation that left Q3.12.
        cell: at a limit of int16.
        hidden: at a limit of int8.
    """

    gates: dict[str, float]
    cell: float
    hidden: float


@dataclass(frozen=True)
class Scores:
    """How one side, float or int8, did on one part's windows."""

    accuracy: float
    f1: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def macro_f1(self) -> float:
        """Mean of the labels' F1."""
        return float(np.mean(list(self.f1.values())))


@dataclass(frozen=True)
class Baseline:
    """Another classifier on one part's windows, and how many weights it has."""

    name: str
    scores: Scores
    weights: int


@dataclass(frozen=True)
class Comparison:
    """One part: float against int8.

    Attributes:
        name: of the split.
        seed: that it was trained from.
        post_training: int8 without quantization-aware training, where there was such.
        windows: compared.
        agreement: share of windows with the same winner.
        largest_score_difference: over all windows and classes, in 0..1.
        input_clipped: share of int8 inputs at a limit.
        weights: of the network, biases among them.
        converter: int8 by TensorFlow's converter from the same weights, where someone asked.
        baselines: other classifiers, where someone asked.
    """

    name: str
    windows: int
    float32: Scores
    int8: Scores
    agreement: float
    largest_score_difference: float
    input_clipped: float
    saturation: tuple[Saturation, ...]
    seed: int = 0
    weights: int = 0
    post_training: Scores | None = None
    converter: Scores | None = None
    baselines: tuple[Baseline, ...] = ()


def compare(name: str, source: FloatModel, model: QuantModel, held_out: Windows) -> Comparison:
    """Runs both models over windows of raw counts."""
    metadata = model.metadata
    if metadata is None:
        raise ModelError("the .tflite file has no bitwave metadata: quantize the run again")
    raw = held_out.samples
    inputs = simulator.front_end(metadata, model.input.zero_point, raw)
    trace = simulator.run(model, inputs)
    float_scores = run(source, source.standardize(raw)).scores
    int8_scores = (trace.scores.astype(np.float64) - SCORE_ZERO_POINT) * SCORE_SCALE
    float_winner, int8_winner = float_scores.argmax(axis=1), int8_scores.argmax(axis=1)
    return Comparison(
        name=name,
        windows=len(raw),
        float32=score(float_winner, held_out.classes, metadata.labels),
        int8=score(int8_winner, held_out.classes, metadata.labels),
        agreement=float(np.mean(float_winner == int8_winner)),
        largest_score_difference=float(np.abs(float_scores - int8_scores).max()),
        input_clipped=float(np.mean((inputs == -128) | (inputs == 127))),
        saturation=tuple(_saturation(layer) for layer in trace.layers),
        weights=source.weights,
    )


def _saturation(layer: simulator.LayerTrace) -> Saturation:
    values = layer.hidden.size
    return Saturation(
        gates={g: int(n) / values for g, n in zip(GATES, layer.saturated_preactivations, strict=True)},
        cell=layer.saturated_cell / values,
        hidden=layer.saturated_hidden / values,
    )


def score(winners: npt.NDArray[np.intp], classes: npt.NDArray[np.intp], labels: Sequence[str]) -> Scores:
    """Accuracy, F1 per label (2 tp / (2 tp + fp + fn), 0 where nothing is or was called so) and confusion."""
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (classes, winners), 1)
    hits = np.diag(confusion)
    called = confusion.sum(axis=0) + confusion.sum(axis=1)
    f1 = np.divide(2.0 * hits, called, out=np.zeros(len(labels)), where=called > 0)
    return Scores(
        accuracy=float(hits.sum() / max(len(classes), 1)),
        f1={label: float(value) for label, value in zip(labels, f1, strict=True)},
        confusion=tuple(tuple(int(v) for v in row) for row in confusion),
    )


def evaluate(run_: Run, dataset: Dataset) -> list[Comparison]:
    """Compares every model of a run that has recordings held out.

    Raises:
        UsageError: nothing was held out, or a model is not trained or not quantized yet.
        RecordingError: the recordings changed since.
    """
    if not run_.tested:
        raise UsageError(f"{run_.folder} held nothing out: train it with --folds 5 or --hold-out PARTICIPANT")
    run_.check_dataset(dataset)
    return [_evaluate_part(run_, part, dataset) for part in run_.tested]


def _evaluate_part(run_: Run, part: Part, dataset: Dataset) -> Comparison:
    history = part.history()
    if not part.tflite.exists():
        raise UsageError(f"{part.tflite} is missing: run bitwave quantize {run_.folder} first")
    config = run_.config
    held_out = set(history.test)
    takes = [take for take in dataset.recordings if take.name in held_out]
    cut = windows(takes, config.labels, config.view, config.hop)
    source = load(part.keras)
    found = compare(history.name, source, tflite.read_model(part.tflite), cut)
    before = None
    if part.post_training.exists():
        before = compare(history.name, source, tflite.read_model(part.post_training), cut).int8
    return replace(found, seed=history.seed, post_training=before)
