"""What comes before and after the network: resampling, front end, motion gate, decision.

The formulas are in `bitwave.model.metadata`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..model.metadata import Decision, Gate, Metadata, is_resampled
from ..model.quantmodel import Int8Array, Int16Array

RUN_LIMIT = 255
WEIGHT_BITS = 15


@dataclass(frozen=True)
class Event:
    """A recognised gesture.

    Attributes:
        sample: index of the sensor's sample with which the window ended, from 0.
        label: index of the class.
        score: averaged score of the class, 0..255.
    """

    sample: int
    label: int
    score: int


def resample(metadata: Metadata, raw: Int16Array, rate_hz: float | None) -> tuple[Int16Array, npt.NDArray[np.int64]]:
    """Brings a sensor's samples to the model's rate by linear interpolation; formula in `bitwave.model.metadata`.

    Args:
        metadata: gives the model's rate and hop.
        raw: (n, channels) int16 counts.
        rate_hz: of the sensor; the model's where None.

    Returns:
        (k, channels) int16 counts at the model's rate, and (k,) the index in `raw` of the sample that each came with.

    Raises:
        ModelError: the rates are too far apart, or two windows could end with one sample.
    """
    model = round(metadata.rate_hz * 1000)
    sensor = model if rate_hz is None else round(rate_hz * 1000)
    distance = abs(sensor - model)
    passes = rate_hz is None or not is_resampled(rate_hz, metadata.rate_hz)
    if sensor < 1 or distance * 2 > model or (not passes and metadata.hop < 2 and model > sensor):
        raise ModelError(f"samples of {sensor / 1000:g} Hz do not suit a model of {model / 1000:g} Hz")
    if passes or not len(raw):
        return raw, np.arange(len(raw))
    steps = np.arange(((len(raw) - 1) * model) // sensor + 1, dtype=np.int64)
    newer = -(-steps * sensor // model)
    weight = ((newer * model - steps * sensor) << WEIGHT_BITS) // model
    new = raw[newer].astype(np.int64)
    old = raw[np.maximum(newer - 1, 0)].astype(np.int64)
    moved = new + (((old - new) * weight[:, None] + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS)
    return moved.astype(np.int16), newer


def front_end(metadata: Metadata, zero_point: int, raw: Int16Array) -> Int8Array:
    """Scales raw counts per channel to the model's int8 input.

    Args:
        metadata: gives offset, multiplier and shift per channel.
        zero_point: of the model's input.
        raw: (..., channels) int16 counts.

    Returns:
        The same shape, int8: clamp8((((raw - offset) * multiplier + 2**(shift - 1)) >> shift) + zero_point).
    """
    offset, multiplier, shift = (
        np.array([getattr(channel, name) for channel in metadata.scaling], np.int64)
        for name in ("offset", "multiplier", "shift")
    )
    product = (raw.astype(np.int64) - offset) * multiplier
    scaled = (product + (np.int64(1) << (shift - 1))) >> shift
    return np.clip(scaled + zero_point, -128, 127).astype(np.int8)


def asleep(gate: Gate, samples: Int16Array) -> npt.NDArray[np.bool_]:
    """Through which samples a gate lets the network sleep; formula in `bitwave.model.metadata`.

    Args:
        gate: thresholds in counts.
        samples: (n, channels) int16 counts at the model's rate, from a reset.

    Returns:
        (n,) bool.
    """
    found = np.zeros(len(samples), np.bool_)
    reference = [0] * samples.shape[1]
    at_rest = 0
    for index, sample in enumerate(samples.tolist()):
        if any(abs(x - r) > most for x, r, most in zip(sample, reference, gate.thresholds, strict=True)):
            reference = sample
            at_rest = 0
        else:
            at_rest += 1
        found[index] = at_rest > gate.still
    return found


@dataclass(frozen=True)
class Stretch:
    """Model samples [first, end) that the network is fed in a row, from a reset; `woken` is the one that moved."""

    first: int
    woken: int
    end: int


def stretches(gate: Gate | None, sleeps: npt.NDArray[np.bool_]) -> list[Stretch]:
    """What reaches the network of a stream, where the gate lets it sleep as `asleep` says."""
    edges = np.flatnonzero(np.diff(np.r_[True, sleeps, True]))  # asleep before the stream and behind it
    found: list[Stretch] = []
    for woken, end in edges.reshape(-1, 2).tolist():
        found.append(Stretch(woken - (gate.preroll if gate and found else 0), woken, end))
    return found


class Decider:
    """The decision over successive windows' scores; state is what survives from one window to the next."""

    def __init__(self, decision: Decision, hop: int) -> None:
        """Starts from a reset; ``hop`` in samples."""
        self._decision = decision
        self._hop = hop
        self.reset()

    def reset(self) -> None:
        """Forgets all windows, and the event that others had to wait for."""
        self._time = 0
        self._free = 0  # the time from which an event is allowed: wait = max(0, free - time)
        self.wake()

    def wake(self) -> None:
        """Forgets all windows, as before the first sample behind a sleep."""
        self.averages: list[int] = []
        self._last_winner = -1
        self._run = 0
        self._is_spent = False

    def push(self, sample: int, scores: npt.NDArray[np.int8], time: int | None = None) -> Event | None:
        """One finished window.

        Args:
            sample: index of its last sample.
            scores: (classes,) int8.
            time: that index at the model's rate; a hop after the last window's where None.

        Returns:
            The event that it completes, if any.
        """
        self._time = self._time + self._hop if time is None else time
        decision = self._decision
        levels = [(int(score) + 128) << 8 for score in scores]
        if not self.averages:
            self.averages = levels
        else:
            pairs = zip(self.averages, levels, strict=True)
            self.averages = [a + ((level - a) >> decision.smoothing) for a, level in pairs]
        best = max(self.averages)
        winner = self.averages.index(best)
        second = max((a for c, a in enumerate(self.averages) if c != winner), default=0)
        passes = (
            decision.fires[winner]
            and best >= decision.thresholds[winner] << 8
            and best - second >= decision.margin << 8
        )
        if not passes:
            self._run = 0
        elif winner == self._last_winner:
            self._run = min(self._run + 1, RUN_LIMIT)
        else:
            self._run = 1
            self._is_spent = False
        self._last_winner = winner if passes else -1
        if not passes or self._run < decision.hold or self._time < self._free or self._is_spent:
            return None
        self._free = self._time + decision.refractory
        if decision.once:
            self._is_spent = True
        else:
            self._run = 0
        return Event(sample, winner, best >> 8)
