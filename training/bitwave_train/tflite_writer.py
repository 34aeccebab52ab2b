"""Quantized models become .tflite files with the `bitwave` metadata: one, or all of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bitwave import __version__
from bitwave.files import write_whole
from bitwave.model.metadata import Decision, Metadata
from bitwave.model.quantmodel import QuantModel
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.windowing import BACKGROUND, windows
from bitwave.tflite import build as tflite_build

from .floatmodel import FloatModel
from .keras_reader import load
from .quantize import Options, front_end, quantize
from .settings import Run, RunConfig


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
    quantized: QuantModel, source: FloatModel, config: RunConfig, defaults: DecisionDefaults | None = None
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
        decision=(defaults or DecisionDefaults()).decision(config.labels, config.window),
        dataset_digest=config.dataset_digest,
    )
    return replace(quantized, metadata=metadata)


def write_run(
    run: Run,
    dataset: Dataset,
    options: Options | None = None,
    defaults: DecisionDefaults | None = None,
    qat_epochs: int = 0,
    resume: bool = False,
) -> Iterator[Path]:
    """Quantizes every model of a run on its own training recordings; yields each model.tflite as it is written.

    Args:
        run: trained.
        dataset: its recordings.
        options: calibration choices.
        defaults: of the decision.
        qat_epochs: of quantization-aware training; 0 is post-training quantization alone. What that gave stays beside
            the model, so that both can be compared.
        resume: keep the models that are quantized already, with or without such training as is asked for.

    Raises:
        RecordingError: the recordings changed since training.
        UsageError: a model was not trained to its end.
        WriteError: a file could not be written.
    """
    run.check_dataset(dataset)
    config = run.config
    for part in run.parts():
        history = part.history()
        if resume and part.tflite.exists() and part.post_training.exists() == bool(qat_epochs):
            continue
        known = {*history.train, *history.validation}
        takes = [take for take in dataset.recordings if take.name in known]
        calibration = windows(takes, config.labels, config.window, config.hop).samples
        source = load(part.keras)
        quantized = quantize(source, calibration, options)
        before = None
        if qat_epochs:
            from .qat import Plan, fine_tune  # TensorFlow, which post-training quantization needs for reading alone

            before = quantized
            seeded = config.model_copy(update={"settings": config.settings.model_copy(update={"seed": history.seed})})
            train, validation = ([t for t in takes if t.name in names] for names in (history.train, history.validation))
            quantized = fine_tune(source, quantized, train, validation, seeded, Plan(epochs=qat_epochs))
        # A model that lies here is one that is done, with what it is compared to: it goes first and comes last.
        for path in (part.tflite, part.post_training):
            path.unlink(missing_ok=True)
        if before is not None:
            write(part.post_training, with_metadata(before, source, config, defaults))
        write(part.tflite, with_metadata(quantized, source, config, defaults))
        yield part.tflite


def write(path: Path, model: QuantModel) -> bytes:
    """Writes the file whole and returns its bytes; raises `WriteError`."""
    content = tflite_build.write(model)
    write_whole(path, content)
    return content
