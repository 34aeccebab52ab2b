"""Random changes of training windows, each with a physical meaning; see `settings.Augmentation`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bitwave.model.metadata import CountsScale

from .settings import Augmentation

FloatArray = npt.NDArray[np.float32]
DPS_PER_G = 250.0  # what weighs an angular rate against 1 g, as in `bitwave.recordings.windowing.movement_start`


def augment(
    windows: npt.NDArray[np.int16] | FloatArray,
    movable: npt.NDArray[np.bool_],
    channels: tuple[str, ...],
    options: Augmentation,
    random: np.random.Generator,
    counts: CountsScale | None = None,
) -> FloatArray:
    """(n, steps, channels) raw counts, changed and clipped to the range of int16 as the sensor would.

    Args:
        windows: raw counts.
        movable: (n,) whether a window may be shifted by repeating its first or last sample; windows of a take that is
            long enough are shifted when they are cut, with real samples.
        channels: their names; those ending in x, y, z in a row are one vector, those with g in front angular rates.
        options: how much of what.
        random: source of the changes.
        counts: what a count means; None stands for a board's scale.
    """
    count, steps, _ = windows.shape
    changed = windows.astype(np.float32)
    if options.shift or options.speed or options.warp:
        changed = _move_in_time(changed, movable, channels, options, random)
    if options.rotation:
        turns = rotations(count, options.rotation, random)
        for first in vectors(channels):
            changed[:, :, first : first + 3] = changed[:, :, first : first + 3] @ turns
    if options.amplitude:
        changed *= random.uniform(1 - options.amplitude, 1 + options.amplitude, (count, 1, 1)).astype(np.float32)
    unit = _units(channels, counts or CountsScale())
    each = (count, 1, len(channels))
    if options.bias:
        changed += unit * random.uniform(-options.bias, options.bias, each).astype(np.float32)
    if options.drift:
        ramp = np.linspace(-0.5, 0.5, steps, dtype=np.float32)[:, None]
        changed += unit * ramp * random.uniform(-options.drift, options.drift, each).astype(np.float32)
    if options.noise:
        changed += unit * options.noise * random.standard_normal(changed.shape, np.float32)
    if options.dropped:
        changed = _hold_dropped(changed, random.random((count, steps)) < options.dropped)
    np.clip(changed, -32768, 32767, out=changed)
    return changed


def _move_in_time(
    windows: FloatArray,
    movable: npt.NDArray[np.bool_],
    channels: tuple[str, ...],
    options: Augmentation,
    random: np.random.Generator,
) -> FloatArray:
    """Shift, speed and warp as one resampling: linear between samples, the first or last one repeated outside.

    A move made f times as fast turns f times as fast: angular rates are multiplied by the local speed.
    """
    count, steps, width = windows.shape
    time = np.arange(steps, dtype=np.float64)
    centre = (steps - 1) / 2
    largest = round(options.shift * steps)
    shifts = random.integers(-largest, largest + 1, count) * movable if largest else np.zeros(count)
    speed = np.exp(random.uniform(-1, 1, count) * np.log1p(options.speed))
    bend = options.warp * steps * random.uniform(-1, 1, (count, 2)) / (1, 2)
    phase = np.pi * time / max(steps - 1, 1)
    where = centre + shifts[:, None] + speed[:, None] * (time - centre)
    where += bend[:, :1] * np.sin(phase) + bend[:, 1:] * np.sin(2 * phase)
    where = np.clip(where, 0, steps - 1)
    before = np.minimum(where.astype(np.intp), max(steps - 2, 0))
    part = (where - before).astype(np.float32)[:, :, None]
    before += np.arange(count)[:, None] * steps
    rows = windows.reshape(-1, width)
    moved: FloatArray = rows.take(before, axis=0)
    step = rows.take(np.minimum(before + 1, len(rows) - 1), axis=0)
    step -= moved
    step *= part
    moved += step
    rates = [index for index, name in enumerate(channels) if name.startswith("g")]
    if rates and (options.speed or options.warp):
        slope = bend[:, :1] * np.cos(phase) + 2 * bend[:, 1:] * np.cos(2 * phase)
        local = speed[:, None] + slope * np.pi / max(steps - 1, 1)
        moved[:, :, rates] *= local[:, :, None].astype(np.float32)
    return moved


def _units(channels: tuple[str, ...], counts: CountsScale) -> FloatArray:
    """(channels,) counts of 1 g, or of 250 degree/s."""
    rate, force = counts.gyro_lsb_per_dps * DPS_PER_G, counts.accel_lsb_per_g
    return np.array([rate if name.startswith("g") else force for name in channels], np.float32)


def _hold_dropped(windows: FloatArray, dropped: npt.NDArray[np.bool_]) -> FloatArray:
    """A sample that was lost is the one before it again; the first one is never lost."""
    index = np.where(dropped, 0, np.arange(windows.shape[1]))
    last_seen = np.maximum.accumulate(index, axis=1)
    return np.take_along_axis(windows, last_seen[:, :, None], axis=1)


def vectors(channels: tuple[str, ...]) -> list[int]:
    """Index of the x channel of each x, y, z triple, such as ax, ay, az."""
    wanted = {name: [name[:-1] + axis for axis in "xyz"] for name in channels if name.endswith("x")}
    return [i for i, name in enumerate(channels) if name in wanted and list(channels[i : i + 3]) == wanted[name]]


def rotations(count: int, largest: float, random: np.random.Generator) -> FloatArray:
    """(count, 3, 3) rotations by up to `largest` degrees about random axes: Rodrigues' formula."""
    axes = random.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.deg2rad(random.uniform(-largest, largest, count))[:, None, None]
    cross: npt.NDArray[Any] = np.zeros((count, 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axes[:, 2], axes[:, 1], -axes[:, 0]
    cross -= cross.transpose(0, 2, 1)
    turned = np.eye(3) + np.sin(angles) * cross + (1 - np.cos(angles)) * cross @ cross
    return np.asarray(turned, np.float32)
