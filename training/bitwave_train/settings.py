"""What a training run is made from: network, training, augmentation, split and data, as its config.json keeps them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bitwave import __version__
from bitwave.model.metadata import CountsScale, Name
from bitwave.recordings.dataset import Damaged

Hidden = Annotated[int, Field(ge=1, le=256)]


class Frozen(BaseModel):
    """No change, no unknown key, no number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Augmentation(Frozen):
    """Random changes of a training window that another day or wrist would make; 0 switches one off.

    Attributes:
        rotation: largest turn of the sensor frame about a random axis, degrees; the strap never sits the same.
        amplitude: largest relative change of all channels; the same move, larger or smaller.
        shift: largest move of the window in time, as a fraction of the window.
        speed: largest relative change of speed; angular rates change with it.
        warp: largest displacement inside the window, as a fraction of it: a move that hurries and lingers.
        bias: largest constant offset of each channel, in g and in 250 degree/s: the sensor's zero.
        drift: largest change of that offset over a window.
        noise: standard deviation of white noise, in g and in 250 degree/s.
        dropped: share of samples that are lost and held.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 25.0
    amplitude: Annotated[float, Field(ge=0, lt=1)] = 0.25
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    speed: Annotated[float, Field(ge=0, le=1)] = 0.3
    warp: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    bias: Annotated[float, Field(ge=0, le=1)] = 0.0
    drift: Annotated[float, Field(ge=0, le=1)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    dropped: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @classmethod
    def none(cls) -> Augmentation:
        """All of them off."""
        return cls(**dict.fromkeys(cls.model_fields, 0.0))


class Settings(Frozen):
    """Network and training.

    Attributes:
        hidden: units per LSTM layer, of each branch.
        conv_filters: of a convolution over time in front of the LSTM; 0 leaves it out.
        conv_kernel: samples under it.
        conv_stride: samples from one of its steps to the next.
        pool: what becomes of the hidden states: the last one, their mean, or attention's weighted mean.
        fused: a branch for each sensor (accelerometer, gyroscope, ...) in place of one for all channels.
        dense: units per dense layer before the last.
        memory: longest time constant that a unit starts with, as a fraction of the window; see `model.remember`.
        dropout: of the hidden state before the head.
        recurrent_dropout: of the hidden state on its way back into the LSTM.
        label_smoothing: share of the target that is spread over all labels.
        l2: factor of the sum of squared kernels in the loss.
        learning_rate: peak, after warm-up and before the cosine's fall to zero.
        epochs: at most.
        batch: windows per step.
        warmup: epochs of linear rise.
        clip_norm: of the global gradient.
        patience: epochs without a better validation loss before training stops.
        validation: fraction of the training recordings that choose the best epoch; 0 trains on all and keeps the last.
        class_weight: 0 weighs windows alike, 1 labels alike.
        step_share: share of the loss that answers before the last step have; see `model.step_weights`.
        streaming: lanes, or stateful: states that are carried on from hop to hop; see `bitwave.model.metadata`.
        unroll: with stateful, samples that a gradient goes back through; states are carried on from stretch to stretch.
        gate: with stateful on continuous recordings: seconds at rest after which the network sleeps and its states are
            reset, in training and when it is quantized; 0: it never sleeps.
        augmentation: see there.
        seed: of weights, order, dropout, augmentation and splits.
    """

    hidden: Annotated[tuple[Hidden, ...], Field(min_length=1, max_length=2)] = (48,)
    conv_filters: Annotated[int, Field(ge=0, le=256)] = 32
    conv_kernel: Annotated[int, Field(ge=1, le=64)] = 5
    conv_stride: Annotated[int, Field(ge=1, le=16)] = 2
    pool: Literal["last", "mean", "attention"] = "mean"
    fused: bool = False
    dense: tuple[Hidden, ...] = ()
    memory: Annotated[float, Field(ge=0, le=4)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    l2: Annotated[float, Field(ge=0)] = 1e-5
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-3
    epochs: Annotated[int, Field(ge=1)] = 100
    batch: Annotated[int, Field(ge=1)] = 32
    warmup: Annotated[int, Field(ge=0)] = 5
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    patience: Annotated[int, Field(ge=1)] = 40
    validation: Annotated[float, Field(ge=0, lt=0.5)] = 0.15
    class_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    step_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    streaming: Literal["lanes", "stateful"] = "lanes"
    unroll: Annotated[int, Field(ge=8, le=4096)] = 120
    gate: Annotated[float, Field(ge=0)] = 0.0
    augmentation: Augmentation = Augmentation()
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0

    @model_validator(mode="after")
    def _can_be_stateful(self) -> Settings:
        if not self.is_stateful and self.gate:
            raise ValueError("lanes forget of themselves, and are trained without a gate: give it to bitwave quantize")
        if not self.is_stateful:
            return self
        if self.pool != "last":
            raise ValueError(f"stateful streaming has no window to pool over: pool {self.pool} must give way to last")
        if self.recurrent_dropout:
            raise ValueError("stateful streaming is trained without recurrent_dropout")
        if self.conv_filters and self.conv_kernel < self.conv_stride:
            raise ValueError(
                f"stateful streaming needs a kernel of its stride, {self.conv_stride}, or more: {self.conv_kernel} "
                "would leave samples out"
            )
        return self

    @property
    def is_stateful(self) -> bool:
        """Whether states are carried on."""
        return self.streaming == "stateful"

    @property
    def stride(self) -> int:
        """Samples per LSTM step."""
        return self.conv_stride if self.conv_filters else 1

    @property
    def overlap(self) -> int:
        """Samples that a stateful window shares with the one before it."""
        return self.conv_kernel - self.conv_stride if self.conv_filters else 0


class Split(Frozen):
    """How recordings were held out."""

    kind: Literal["none", "folds", "hold-out"] = "none"
    by: str = ""
    folds: int = 0
    participants: tuple[str, ...] = ()


class RunConfig(Frozen):
    """config.json.

    Attributes:
        heard: of a stateful model, whose window is no longer than its hop: samples that calibrate and evaluate it.
        streams: whether the takes are cut from continuous recordings, as `bitwave.recordings.streams` says; a stateful
            model is trained on what lies between them too.
        seeds: how often what is held out is trained: with the seed of the settings, the next one, and so on.
    """

    format: Literal[1] = 1
    tool: str = f"bitwave {__version__}"
    dataset: str
    dataset_digest: str
    damaged: Damaged = "refuse"
    streams: bool = False
    labels: tuple[Name, ...]
    channels: tuple[Name, ...]
    rate_hz: float
    counts: CountsScale
    window: Annotated[int, Field(ge=1)]
    hop: Annotated[int, Field(ge=1)]
    heard: Annotated[int, Field(ge=0)] = 0
    split: Split
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    settings: Settings

    @property
    def view(self) -> int:
        """Samples of the windows that calibrate and evaluate."""
        return self.heard or self.window

    def repeat(self, index: int) -> RunConfig:
        """The same with another seed, for folds and training alike."""
        settings = self.settings.model_copy(update={"seed": self.settings.seed + index})
        return self.model_copy(update={"settings": settings})
