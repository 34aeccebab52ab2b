"""The `bitwave` metadata entry of a .tflite file: all that the network itself does not say.

It is JSON, versioned by ``format``; readers take every older format, and the format written is the oldest that can say
what the entry says: 2 where there is a gate or the streaming is stateful, 3 where the decision is ``once``. What comes
before the network (resampling, scaling of raw counts, motion gate) and after it (decision) has no third party, so the
formulas stand here and simulator and core implement them independently.

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
    event  = passes and run >= hold and wait == 0; then wait = refractory and run = 0
    once:    a run gives one event at most: run stays as it is, and no other event comes before a run begins with 1

``wait`` is 0 after a reset and becomes less by one with every sample of the model's rate, down to 0. The event's score
is ``a[winner] >> 8``; its sample is the last sample of the window. ``run`` saturates at 255.

Streaming. Window j covers the samples [j * hop, j * hop + window) since the last reset. With ``lanes``, each is run
from a reset of its own. With ``stateful``, states are carried on from every window to the next, and reset only where
the stream is. There the steps of an LSTM must follow one another without a break: the window is as long as the hop,
or with a convolution of kernel k and stride s in front, hop + k - s.

Motion gate, where there is one: the network sleeps while the board rests. Per sample x of the model's rate, raw counts,
with a reference r and a count of samples, both 0 after a reset::

    moves   = |x[c] - r[c]| > thresholds[c] in any channel c;  then r = x in all channels
    at_rest = 0 if it moves, else at_rest + 1
    asleep  = at_rest > still

A sample that is slept through is not fed to the network. Before the sample that wakes it, all is as after a reset but
for ``wait``, which goes on becoming less; then the stream begins anew with the last ``preroll`` samples before that
one, slept through or not. As ``still`` is a window at least, every window that saw a movement has ended before
the network sleeps; as ``preroll`` is less than a window, none ends before the sample that wakes it.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import ModelError

FORMAT = 3
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
    once: bool = False
    fires: tuple[bool, ...]


class Gate(_Frozen):
    """When the network sleeps; see the module's formulas.

    Attributes:
        thresholds: per channel, in counts: what a resting sensor's noise stays within.
        still: samples without movement before it sleeps; a window at least.
        preroll: samples before the movement that the first window begins with; less than a window.
    """

    thresholds: tuple[Annotated[int, Field(ge=0, le=65535)], ...]
    still: Annotated[int, Field(ge=1, le=65535)]
    preroll: Annotated[int, Field(ge=0, le=4095)] = 0


class CountsScale(_Frozen):
    """What one count of the raw samples means; a model is tied to the scale it was trained with."""

    accel_lsb_per_g: Annotated[float, Field(gt=0, le=65535)] = 8192.0
    gyro_lsb_per_dps: Annotated[float, Field(gt=0, le=65)] = 16.384


class Metadata(_Frozen):
    """The whole entry."""

    format: Literal[1, 2, 3] = 1
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
    streaming: Literal["lanes", "stateful"] = "lanes"
    gate: Gate | None = None

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
        if self.gate is not None:
            self._check_gate(self.gate)
        return self

    def _check_gate(self, gate: Gate) -> None:
        if len(gate.thresholds) != len(self.channels):
            raise ValueError(f"{len(self.channels)} channels but {len(gate.thresholds)} thresholds of the gate")
        if gate.still < self.window:
            raise ValueError(f"the gate sleeps after {gate.still} samples, before a window of {self.window} has ended")
        if gate.preroll >= self.window:
            raise ValueError(f"the gate's preroll of {gate.preroll} samples is not less than a window of {self.window}")

    @property
    def is_stateful(self) -> bool:
        """Whether states are carried on from window to window."""
        return self.streaming == "stateful"

    @property
    def lanes(self) -> int:
        """LSTM states in flight: ceil(window / hop), or one that is carried on."""
        return 1 if self.is_stateful else -(-self.window // self.hop)

    def to_json(self) -> bytes:
        """Compact UTF-8 JSON, a pure function of the values, in the oldest format that can say them."""
        if self.decision.once:
            return self.model_copy(update={"format": FORMAT}).model_dump_json().encode()
        late: dict[str, Any] = {"decision": {"once"}}
        if self.gate is not None or self.is_stateful:
            return self.model_copy(update={"format": 2}).model_dump_json(exclude=late).encode()
        late |= {"streaming": True, "gate": True}
        return self.model_copy(update={"format": 1}).model_dump_json(exclude=late).encode()

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
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}"


def is_name(text: str) -> bool:
    """Whether a label, participant or session name may be part of a file name (it splits at dots)."""
    return len(text) <= MAX_LABEL_LENGTH and _NAME.match(text) is not None
