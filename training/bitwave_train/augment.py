"""Random changes of training windows, each with a physical meaning; see `settings.Augmentation`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .settings import Augmentation

FloatArray = npt.NDArray[np.float32]


def augment(
    windows: npt.NDArray[np.int16],
    movable: npt.NDArray[np.bool_],
    channels: tuple[str, ...],
    options: Augmentation,
    random: np.random.Generator,
) -> FloatArray:
    """(n, steps, channels) raw counts, changed and clipped to the range of int16 as the sensor would.

    Args:
        windows: raw counts.
        movable: (n,) whether a window may be shifted by repeating its first or last sample; windows of a take that is
            long enough are shifted when they are cut, with real samples.
        channels: their names; those ending in x, y, z in a row are one vector.
        options: how much of what.
        random: source of the changes.
    """
    changed = windows.astype(np.float32)
    count, steps, _ = changed.shape
    if options.shift:
        largest = round(options.shift * steps)
        shifts = random.integers(-largest, largest + 1, count) * movable
        index = np.clip(np.arange(steps) + shifts[:, None], 0, steps - 1)
        changed = np.take_along_axis(changed, index[:, :, None], axis=1)
    if options.rotation:
        turns = rotations(count, options.rotation, random)
        for first in vectors(channels):
            changed[:, :, first : first + 3] = changed[:, :, first : first + 3] @ turns
    if options.amplitude:
        changed *= random.uniform(1 - options.amplitude, 1 + options.amplitude, (count, 1, 1)).astype(np.float32)
    np.clip(changed, -32768, 32767, out=changed)
    return changed


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
