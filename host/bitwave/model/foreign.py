"""Metadata for a .tflite file that carries none: what a person must say before a stream can be recognised.

The network of such a file takes real values (say g and degree/s, or something scaled); a board sends counts. So each
channel needs to be told how many counts make one unit of the network's input, and which count is zero.
"""

from __future__ import annotations

import math
from typing import TypeVar

from pydantic import ValidationError

from .. import __version__
from ..errors import ModelError, UsageError
from ..recordings.windowing import BACKGROUND
from .metadata import ChannelScaling, Decision, Metadata, first_fault
from .quantmodel import QuantModel

DEFAULT_THRESHOLD = 154  # of 255: a score of 0.6
IMU_CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")

_Value = TypeVar("_Value")


def scaling(counts_per_unit: float, zero_count: int, input_scale: float) -> ChannelScaling:
    """One channel's integer map from counts to the network's int8 input.

    Source: q = (raw - zero count) / (counts per unit * input scale) + zero point; see `bitwave.model.metadata`.

    Raises:
        UsageError: the factor is outside of what multiplier and shift can say.
    """
    step = counts_per_unit * input_scale
    try:
        return ChannelScaling.from_factor(1.0 / step if step > 0.0 else math.inf, zero_count)
    except ModelError as error:
        raise UsageError(
            f"{counts_per_unit:g} counts per unit with zero at {zero_count} does not fit a model whose input has steps "
            f"of {input_scale:g}; --counts-per-unit says how many counts make 1.0 at the model's input"
        ) from error


def metadata(
    model: QuantModel,
    *,
    labels: tuple[str, ...],
    rate_hz: float,
    hop: int,
    counts_per_unit: tuple[float, ...],
    zero_counts: tuple[int, ...] = (0,),
    channels: tuple[str, ...] = (),
) -> Metadata:
    """Metadata from a person's words; one value for all channels is repeated.

    Args:
        model: the network, read from its file.
        labels: in the order of the scores.
        rate_hz: sample rate that the network was trained with.
        hop: samples between windows.
        counts_per_unit: per channel, counts that make 1.0 at the network's input.
        zero_counts: per channel, the count that means 0.0.
        channels: names; those of an IMU, or ``c0, c1...``, where not given.

    Raises:
        UsageError: numbers or names do not fit the network.
    """
    if len(labels) != model.classes:
        raise UsageError(f"the model has {model.classes} classes, --labels names {len(labels)}")
    names = channels or (IMU_CHANNELS if model.channels == 6 else tuple(f"c{i}" for i in range(model.channels)))
    try:
        return Metadata(
            tool=f"bitwave {__version__} export",
            labels=labels,
            rate_hz=rate_hz,
            window=model.steps,
            hop=hop,
            channels=_per_channel(names, model.channels, "--channels"),
            scaling=tuple(
                scaling(per_unit, zero, model.input.scale)
                for per_unit, zero in zip(
                    _per_channel(counts_per_unit, model.channels, "--counts-per-unit"),
                    _per_channel(zero_counts, model.channels, "--zero-counts"),
                    strict=True,
                )
            ),
            decision=Decision(
                thresholds=(DEFAULT_THRESHOLD,) * len(labels),
                refractory=model.steps,
                fires=tuple(label not in BACKGROUND for label in labels),
            ),
            dataset_digest="",
        )
    except ValidationError as error:
        raise UsageError(f"the metadata is not usable: {first_fault(error)}") from error


def _per_channel(values: tuple[_Value, ...], channels: int, option: str) -> tuple[_Value, ...]:
    if len(values) == 1:
        return values * channels
    if len(values) != channels:
        raise UsageError(f"the model has {channels} channels, {option} names {len(values)}")
    return values
