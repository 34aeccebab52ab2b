"""The folder of a training run: its models, their histories, its configuration.

Layout of a run::

    config.json        everything the run was made from: settings, data set and its digest, labels, split
    model.keras        the deployable model (with --folds: trained on all recordings)
    model.tflite       the same, quantized
    post-training.tflite  with quantize --qat: the same without that training, to compare
    history.json       loss, validation loss and accuracy per epoch, and which recordings trained and validated it
    baselines.json     with evaluate --baselines: how other classifiers did on the same split
    fold-1/ ...        with --folds: the same files for each fold, whose history names the recordings held out
    seed-2/fold-1/ ... with --seeds: the folds again, from another seed
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from bitwave.errors import RecordingError, UsageError
from bitwave.files import write_whole
from bitwave.model.metadata import first_fault
from bitwave.recordings.dataset import Dataset

from .settings import Frozen, RunConfig

Model = TypeVar("Model", bound=BaseModel)


class Epoch(Frozen):
    """One line of a history; without validation recordings there is no loss or accuracy of them."""

    epoch: int
    learning_rate: float
    loss: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None


class History(Frozen):
    """history.json of one trained model."""

    format: Literal[1] = 1
    name: str
    seed: int = 0
    best_epoch: int
    epochs: tuple[Epoch, ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One trained model of a run: the run's folder itself or a fold's."""

    folder: Path

    @property
    def keras(self) -> Path:
        """The float model."""
        return self.folder / "model.keras"

    @property
    def tflite(self) -> Path:
        """The quantized model."""
        return self.folder / "model.tflite"

    @property
    def post_training(self) -> Path:
        """What post-training quantization gave, where the quantized model was trained further."""
        return self.folder / "post-training.tflite"

    @property
    def history_path(self) -> Path:
        """How it was trained."""
        return self.folder / "history.json"

    @property
    def baselines(self) -> Path:
        """How other classifiers did on the same split, where someone asked."""
        return self.folder / "baselines.json"

    def history(self) -> History:
        """Reads history.json; raises `UsageError` where the model was not trained to its end."""
        found = _read(self.history_path, History)
        if not self.keras.exists():
            raise UsageError(f"{self.keras} is missing: train the run again with --replace")
        return found

    def clear(self) -> None:
        """Removes what an earlier training left."""
        for path in (self.keras, self.tflite, self.post_training, self.history_path, self.baselines):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Run:
    """A run's folder and its configuration."""

    folder: Path
    config: RunConfig

    @property
    def deployable(self) -> Part:
        """The model to put on a board."""
        return Part(self.folder)

    def repeated(self, index: int) -> tuple[Part, ...]:
        """The models of one seed in the order of `train.splits`; only the first seed trains on all recordings."""
        folder = self.folder / f"seed-{index + 1}" if index else self.folder
        folds = tuple(Part(folder / f"fold-{k + 1}") for k in range(self.config.split.folds))
        return (*folds, Part(folder)) if index == 0 or not folds else folds

    @property
    def tested(self) -> tuple[Part, ...]:
        """The models for which recordings were held out, seed after seed."""
        if self.config.split.kind == "none":
            return ()
        return tuple(p for p in self.parts() if self.config.split.kind == "hold-out" or p != self.deployable)

    def check_dataset(self, dataset: Dataset) -> None:
        """Raises `RecordingError` unless these are the recordings that the run was trained on."""
        if dataset.digest != self.config.dataset_digest:
            raise RecordingError(
                f"{self.config.dataset} is not what {self.folder} was trained on (another digest): "
                "train again, or bring the old recordings back"
            )

    def parts(self) -> Iterator[Part]:
        """Every model of the run."""
        for index in range(self.config.seeds):
            yield from self.repeated(index)


def create(folder: Path, config: RunConfig, replace: bool = False, resume: bool = False) -> Run:
    """Starts a run's folder, or goes on with one.

    Raises:
        UsageError: there is a run already and neither `replace` nor `resume` is set, or it is not the one to resume.
    """
    path = folder / "config.json"
    if path.exists() and resume:
        if _read(path, RunConfig) != config:
            raise UsageError(f"{folder} holds another run: its config.json differs, so it cannot be resumed")
        return Run(folder, config)
    if path.exists():
        if not replace:
            raise UsageError(
                f"{folder} holds a run already: give another --run, --resume to go on with it, or --replace to train "
                "it anew"
            )
        for old in (folder, *sorted(folder.glob("fold-*")), *sorted(folder.glob("seed-*/**/"))):
            Part(old).clear()
    write_whole(path, as_json(config))
    return Run(folder, config)


def open_run(folder: Path) -> Run:
    """Reads a run's folder; raises `UsageError` or `RecordingError` with the first fault."""
    return Run(folder, _read(folder / "config.json", RunConfig))


def as_json(model: BaseModel) -> bytes:
    """Indented JSON that ends in a newline."""
    return (json.dumps(model.model_dump(mode="json"), indent=1) + "\n").encode()


def _read(path: Path, kind: type[Model]) -> Model:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"{path} is missing: give the folder of a finished run of bitwave train") from error
    except ValidationError as error:
        raise RecordingError(f"{path}: {first_fault(error)}") from error
