"""What a training run is made of: its settings and its folder.

Layout of a run::

    config.json        everything the run was made from: settings, data set and its digest, labels, split
    model.keras        the deployable model (with --folds: trained on all recordings)
    model.tflite       the same, quantized
    history.json       loss, validation loss and accuracy per epoch, and which recordings trained and validated it
    fold-1/ ...        with --folds: the same files for each fold, whose history names the recordings held out
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitwave import __version__
from bitwave.dataset import Damaged, Dataset
from bitwave.errors import RecordingError, UsageError
from bitwave.files import write_whole
from bitwave.metadata import CountsScale, Name, first_fault

Model = TypeVar("Model", bound=BaseModel)
Hidden = Annotated[int, Field(ge=1, le=256)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Augmentation(_Frozen):
    """Random changes of a training window that another day or wrist would make; 0 switches one off.

    Attributes:
        rotation: largest turn of the sensor frame about a random axis, degrees; the strap never sits the same.
        amplitude: largest relative change of all channels; the same move, larger or smaller.
        shift: largest move of the window in time, as a fraction of the window.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 15.0
    amplitude: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.05


class Settings(_Frozen):
    """Network and training.

    Attributes:
        hidden: units per LSTM layer.
        dense: units per dense layer before the last.
        memory: longest time constant that a unit starts with, as a fraction of the window; see `model.remember`.
        dropout: of the hidden state before the head.
        l2: factor of the sum of squared kernels in the loss.
        learning_rate: peak, after warm-up and before the cosine's fall to zero.
        epochs: at most.
        batch: windows per step.
        warmup: epochs of linear rise.
        clip_norm: of the global gradient.
        patience: epochs without a better validation loss before training stops.
        validation: fraction of the training recordings that choose the best epoch.
        class_weight: 0 weighs windows alike, 1 labels alike.
        step_share: share of the loss that answers before the last step have; see `model.step_weights`.
        augmentation: see there.
        seed: of weights, order, dropout, augmentation and splits.
    """

    hidden: Annotated[tuple[Hidden, ...], Field(min_length=1, max_length=2)] = (32,)
    dense: tuple[Hidden, ...] = ()
    memory: Annotated[float, Field(ge=0, le=4)] = 0.5
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    l2: Annotated[float, Field(ge=0)] = 1e-5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-3
    epochs: Annotated[int, Field(ge=1)] = 100
    batch: Annotated[int, Field(ge=1)] = 32
    warmup: Annotated[int, Field(ge=0)] = 5
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    patience: Annotated[int, Field(ge=1)] = 40
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    class_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    step_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    augmentation: Augmentation = Augmentation()
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0


class Split(_Frozen):
    """How recordings were held out."""

    kind: Literal["none", "folds", "hold-out"] = "none"
    by: str = ""
    folds: int = 0
    participants: tuple[str, ...] = ()


class RunConfig(_Frozen):
    """config.json."""

    format: Literal[1] = 1
    tool: str = f"bitwave {__version__}"
    dataset: str
    dataset_digest: str
    damaged: Damaged = "refuse"
    labels: tuple[Name, ...]
    channels: tuple[Name, ...]
    rate_hz: float
    counts: CountsScale
    window: Annotated[int, Field(ge=1)]
    hop: Annotated[int, Field(ge=1)]
    split: Split
    settings: Settings


class Epoch(_Frozen):
    """One line of a history."""

    epoch: int
    learning_rate: float
    loss: float
    validation_loss: float
    validation_accuracy: float


class History(_Frozen):
    """history.json of one trained model."""

    format: Literal[1] = 1
    name: str
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
    def history_path(self) -> Path:
        """How it was trained."""
        return self.folder / "history.json"

    def history(self) -> History:
        """Reads history.json; raises `UsageError` where the model was not trained to its end."""
        found = _read(self.history_path, History)
        if not self.keras.exists():
            raise UsageError(f"{self.keras} is missing: train the run again with --replace")
        return found

    def clear(self) -> None:
        """Removes what an earlier training left."""
        for path in (self.keras, self.tflite, self.history_path):
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

    @property
    def folds(self) -> tuple[Part, ...]:
        """The models of the folds, in order."""
        return tuple(Part(self.folder / f"fold-{k + 1}") for k in range(self.config.split.folds))

    @property
    def tested(self) -> tuple[Part, ...]:
        """The models for which recordings were held out."""
        return self.folds or ((self.deployable,) if self.config.split.kind == "hold-out" else ())

    def check_dataset(self, dataset: Dataset) -> None:
        """Raises `RecordingError` unless these are the recordings that the run was trained on."""
        if dataset.digest != self.config.dataset_digest:
            raise RecordingError(
                f"{self.config.dataset} is not what {self.folder} was trained on (another digest): "
                "train again, or bring the old recordings back"
            )

    def parts(self) -> Iterator[Part]:
        """Every model of the run."""
        yield from self.folds
        yield self.deployable


def create(folder: Path, config: RunConfig, replace: bool = False) -> Run:
    """Starts a run's folder; raises `UsageError` where there is one already and `replace` is not set."""
    path = folder / "config.json"
    if path.exists():
        if not replace:
            raise UsageError(f"{folder} holds a run already: give another --run, or --replace to train it anew")
        for old in (folder, *sorted(folder.glob("fold-*"))):
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
