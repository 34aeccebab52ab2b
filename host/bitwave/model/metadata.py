"""The `bitwave` metadata entry of a .tflite file: all that the network itself does not say.

It is JSON, versioned by ``format``; readers take every older format. What comes before the network (resampling, scaling
of raw counts) and after it (decision) has no third party, so the formulas stand here and simulator and core implement
them independently.

Resampling of the sensor's samples x[n] (rate s) to the model's y[k] (rate m), rates in mHz, per channel::

    q(n, k) = n * m - k * s;  n is the first sample with q >= 0;  w = q * 2**15 // m
    y[k]    = x[n] + (((x[n-1] - x[n]) * w + 2**14) >> 15);  y[0] = x[0]

where |s - m| * 1000 <= m: y = x. A sensor with |s - m| * 2 > m is refused, and one slower than a model of hop 1 too:
two windows would end with one sample. In the decision below, samples are those of the model's rate.

Front end, per channel, int32 arithmetic, ``>>`` is the arithmetic shift (rounds toward minus infinity)::

    q = clamp8((((raw - offset) * multiplier + 2**(shift - 1)) >> shift) + zero_point)

with ``raw`` and ``offset`` int16, ``1 <= multiplier <= 2**14``, ``1 <= shift <= 30`` and the zero point of the model's
input: |raw - offset| < 2**16, so nothing overflows int32.

Decision, once per finished window, on scores ``s[c] = int8 score + 128`` (0..255), averages ``a[c]`` in Q8.8::

    first window after a reset:  a[c] = s[c] << 8
    later:                       a[c] += ((s[c] << 8) - a[c]) >> smoothing
    winner = lowest index of the largest a;  second = largest a of the others (0 with one class)
    passes = fires[winner] and a[winner] >= threshold[winner] << 8 and a[winner] - second >= margin << 8
    run    = (run + 1 if winner is the last passing winner else 1) if passes else 0
    wait   = max(0, wait - hop)                   (wait is 0 after a reset)
    event  = passes and run >= hold and wait == 0; then wait = refractory and run = 0

The event's score is ``a[winner] >> 8``; its sample is the last sample of the window. ``run`` saturates at 255.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ModelError

FORMAT = 1
NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_LABELS = 16
MULTIPLIER_BITS = 14
MAX_LABEL_LENGTH = 24
PASS_PARTS = 1000
_NAME = re.compile(NAME_PATTERN)

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_LABEL_LENGTH)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ChannelScaling(_Frozen):
    """Integer affine map of one channel from raw int16 counts to int8; see the module's formula."""

    offset: Annotated[int, Field(ge=-32768, le=32767)]
    multiplier: Annotated[int, Field(ge=1, le=1 << 14)]
    shift: Annotated[int, Field(ge=1, le=30)]

    @classmethod
    def from_factor(cls, factor: float, offset: int) -> ChannelScaling:
        """The map q = (raw - offset) * factor, its factor rounded to 14 bits.

        Raises:
            ModelError: the factor or the offset is outside of what the integers can say.
        """
        shift = min(MULTIPLIER_BITS - math.frexp(factor)[1], 30) if math.isfinite(factor) else 0
        multiplier = round(math.ldexp(factor, shift)) if shift >= 1 else 0
        if not 1 <= multiplier <= 1 << MULTIPLIER_BITS or not -32768 <= offset <= 32767:
            raise ModelError(f"a step of 1/{factor:g} counts with zero at {offset} does not fit the integer front end")
        return cls(offset=offset, multiplier=multiplier, shift=shift)


class Decision(_Frozen):
    """Parameters of the integer decision; see the module's formulas. Times in samples, scores in 0..255."""

    smoothing: Annotated[int, Field(ge=0, le=7)] = 0
    thresholds: tuple[Annotated[int, Field(ge=0, le=255)], ...]
    margin: Annotated[int, Field(ge=0, le=255)] = 0
    hold: Annotated[int, Field(ge=1, le=255)] = 1
    refractory: Annotated[int, Field(ge=0, le=65535)] = 0
    fires: tuple[bool, ...]


class CountsScale(_Frozen):
    """What one count of the raw samples means; a model is tied to the scale it was trained with."""

    accel_lsb_per_g: Annotated[float, Field(gt=0, le=65535)] = 8192.0
    gyro_lsb_per_dps: Annotated[float, Field(gt=0, le=65)] = 16.384


class Metadata(_Frozen):
    """The whole entry."""

    format: Literal[1] = 1
    tool: str = Field(max_length=64)
    labels: Annotated[tuple[Name, ...], Field(min_length=2, max_length=MAX_LABELS)]
    rate_hz: Annotated[float, Field(gt=0, le=10000)]
    window: Annotated[int, Field(ge=1, le=4096)]
    hop: Annotated[int, Field(ge=1, le=4096)]
    channels: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)]
    counts: CountsScale = CountsScale()
    scaling: tuple[ChannelScaling, ...]
    decision: Decision
    dataset_digest: str = Field(max_length=80)
    weights_digest: str = Field(default="", max_length=80)

    @model_validator(mode="after")
    def _lengths_agree(self) -> Metadata:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels repeat")
        if len(self.scaling) != len(self.channels):
            raise ValueError(f"{len(self.channels)} channels but {len(self.scaling)} scalings")
        for name, values in (("thresholds", self.decision.thresholds), ("fires", self.decision.fires)):
            if len(values) != len(self.labels):
                raise ValueError(f"{len(self.labels)} labels but {len(values)} {name}")
        if self.hop > self.window:
            raise ValueError(f"hop {self.hop} is longer than the window {self.window}")
        return self

    @property
    def lanes(self) -> int:
        """LSTM states in flight: ceil(window / hop)."""
        return -(-self.window // self.hop)

    def to_json(self) -> bytes:
        """Compact UTF-8 JSON, a pure function of the values."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, text: bytes) -> Metadata:
        """Parses and checks; raises `ModelError` with the first fault."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ModelError(f"the bitwave metadata is not usable: {first_fault(error)}") from error


def is_resampled(rate_hz: float, model_rate_hz: float) -> bool:
    """Whether a sensor's samples are brought to the model's rate, or pass through as they are."""
    sensor, model = round(rate_hz * 1000), round(model_rate_hz * 1000)
    return abs(sensor - model) * PASS_PARTS > model


def first_fault(error: ValidationError) -> str:
    """One line for the first fault that pydantic found: where, and what."""
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"]) or "the whole"
    return f"{where}: {fault['msg']}"


def is_name(text: str) -> bool:
    """Whether a label, participant or session name may be part of a file name (it splits at dots)."""
    return len(text) <= MAX_LABEL_LENGTH and _NAME.match(text) is not None
