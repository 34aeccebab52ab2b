"""Quantized models become .tflite files with the `bitwave` metadata: one, or all of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bitwave import __version__, simulator
from bitwave.core import HostCore
from bitwave.errors import ModelError, UsageError
from bitwave.files import write_whole
from bitwave.model import image
from bitwave.model.metadata import Decision, Metadata
from bitwave.model.quantmodel import Int16Array, QuantModel
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.recording import Recording
from bitwave.recordings.streams import StreamTakes
from bitwave.recordings.windowing import BACKGROUND, Windows, windows
from bitwave.tflite import build as tflite_build

from .floatmodel import FloatModel
from .gate import GateDefaults
from .keras_reader import load
from .passages import long_windows
from .quantize import Options, front_end, quantize
from .runs import History, Run
from .settings import RunConfig


@dataclass(frozen=True)
class DecisionDefaults:
    """The decision before anyone calibrated it; scores are in 0..255. See `bitwave.model.metadata` for the formulas.

    Attributes:
        threshold: of the averaged score: 0.6.
        margin: to the second best: 0.2.
        hold: windows in a row that must agree: one alone may be half of another gesture.
        smoothing: 0 leaves the scores as they are.
        refractory: windows' lengths without another event, since a gesture is in several windows.
    """

    threshold: int = 154
    margin: int = 51
    hold: int = 2
    smoothing: int = 0
    refractory: float = 1.5

    def decision(self, labels: tuple[str, ...], window: int) -> Decision:
        """The same for every label, but silent ones do not fire."""
        return Decision(
            smoothing=self.smoothing,
            thresholds=(self.threshold,) * len(labels),
            margin=self.margin,
            hold=self.hold,
            refractory=min(round(self.refractory * window), 65535),
            fires=tuple(label not in BACKGROUND for label in labels),
        )


def with_metadata(
    quantized: QuantModel,
    source: FloatModel,
    config: RunConfig,
    defaults: DecisionDefaults | None = None,
    gate: GateDefaults | None = None,
) -> QuantModel:
    """The model with everything that the network itself does not say."""
    metadata = Metadata(
        tool=f"bitwave {__version__}",
        labels=config.labels,
        rate_hz=config.rate_hz,
        window=config.window,
        hop=config.hop,
        channels=config.channels,
        counts=config.counts,
        scaling=front_end(source, quantized.input),
        decision=(defaults or DecisionDefaults()).decision(config.labels, config.view),
        dataset_digest=config.dataset_digest,
        streaming=config.settings.streaming,
        gate=None if gate is None else gate.gate(config),
    )
    return replace(quantized, steps=config.window, metadata=metadata)


def write_run(
    run: Run,
    dataset: Dataset,
    options: Options | None = None,
    defaults: DecisionDefaults | None = None,
    qat_epochs: int = 0,
    resume: bool = False,
    gate: GateDefaults | None = None,
) -> Iterator[Path]:
    """Quantizes every model of a run on its own training recordings; yields each model.tflite as it is written.

    Args:
        run: trained.
        dataset: its recordings.
        options: calibration choices.
        defaults: of the decision.
        qat_epochs: of quantization-aware training; 0 is post-training quantization alone. What that gave stays beside
            the model, so that both can be compared, and stays the model where training on made it no better.
        gate: that lets the network sleep; where None the one that it was trained with, if any.
        resume: keep the models that are quantized already, with or without such training as is asked for.

    Raises:
        RecordingError: the recordings changed since training.
        UsageError: a model was not trained to its end.
        WriteError: a file could not be written.
    """
    run.check_dataset(dataset)
    config = run.config
    if gate is None and config.settings.gate:
        gate = GateDefaults(config.settings.gate)
    for part in run.parts():
        history = part.history()
        if resume and part.tflite.exists() and part.post_training.exists() == bool(qat_epochs):
            continue
        known = {*history.train, *history.validation}
        takes = [take for take in dataset.recordings if take.name in known]
        seen = windows(takes, config.labels, config.view, config.hop)
        source = load(part.keras)
        quantized = quantize(source, _observed(dataset, known, seen, config), options)
        before = None
        if qat_epochs and config.settings.is_stateful:
            raise UsageError("a stateful model is quantized without --qat: that trains on windows, each from a reset")
        if qat_epochs:
            before = quantized
            quantized = _trained_on(source, quantized, takes, seen, history, config, qat_epochs)
        # A model that lies here is one that is done, with what it is compared to: it goes first and comes last.
        for path in (part.tflite, part.post_training):
            path.unlink(missing_ok=True)
        if before is not None:
            write(part.post_training, with_metadata(before, source, config, defaults, gate))
        write(part.tflite, with_metadata(quantized, source, config, defaults, gate))
        yield part.tflite


def _observed(dataset: Dataset, known: set[str], seen: Windows, config: RunConfig) -> Int16Array:
    """What the ranges are observed on; states that are carried on may grow beyond what a window shows."""
    if isinstance(dataset, StreamTakes) and config.settings.is_stateful:
        streams = [dataset.streams[index] for index in sorted({dataset.places[name][0] for name in known})]
        return long_windows(streams, config)
    return seen.samples


def _trained_on(
    source: FloatModel,
    start: QuantModel,
    takes: list[Recording],
    seen: Windows,
    history: History,
    config: RunConfig,
    epochs: int,
) -> QuantModel:
    """The model behind quantization-aware training, or the one in front of it where that is no worse.

    With a validation part the best epoch was chosen, the start among them. Without one, what it was trained on decides:
    where rounding costs no answer there is nothing to win back.
    """
    from .qat import Plan, fine_tune  # TensorFlow, which post-training quantization needs for reading alone

    seeded = config.model_copy(update={"settings": config.settings.model_copy(update={"seed": history.seed})})
    train, validation = (
        [take for take in takes if take.name in names] for names in (history.train, history.validation)
    )
    end = fine_tune(source, start, train, validation, seeded, Plan(epochs=epochs))
    if validation:
        return end
    before, after = (_mistakes(with_metadata(model, source, config), seen) for model in (start, end))
    return end if after < before else start


def _mistakes(model: QuantModel, known: Windows) -> int:
    """Windows that the integer model answers wrongly, counted by the C core."""
    if model.metadata is None:
        raise ModelError("a model without metadata has no front end")
    inputs = simulator.front_end(model.metadata, model.input.zero_point, known.samples)
    winners = HostCore(image.build(model)).classify(inputs, trace=False).scores.argmax(axis=1)
    return int(np.count_nonzero(winners != known.classes))


def write(path: Path, model: QuantModel) -> bytes:
    """Writes the file whole and returns its bytes; raises `WriteError`."""
    content = tflite_build.write(model)
    write_whole(path, content)
    return content
