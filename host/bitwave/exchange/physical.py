"""Columns of a foreign file to g and degree/s in canonical axes, and nothing without being told.

Units are taken from the file, or from the person where the file has none; where both speak they must agree. Axes are
turned by a signed permutation such as ``y,-x,z``: canonical x is the file's y, canonical y the file's -x. Only true
rotations are taken: a mirrored frame has its angular rates the other way round.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError, UsageError

FloatArray = npt.NDArray[np.float64]

STANDARD_GRAVITY = 9.80665  # m/s^2 per g
ACCEL_UNITS = {"g": 1.0, "mg": 1e-3, "m/s2": 1.0 / STANDARD_GRAVITY}
GYRO_UNITS = {"dps": 1.0, "mdps": 1e-3, "rad/s": 180.0 / math.pi}
# How files write them; anything else is no unit.
SPELLINGS = {
    "g": "g", "mg": "mg", "m/s2": "m/s2", "m/s^2": "m/s2", "m/s²": "m/s2", "ms-2": "m/s2", "m/s/s": "m/s2",
    "dps": "dps", "deg/s": "dps", "°/s": "dps", "degrees/s": "dps", "degree/s": "dps", "mdps": "mdps",
    "rad/s": "rad/s",
}  # fmt: skip
_ACCEL = re.compile(r"^(?:a|acc|accel|accelerometer|acceleration)[ _.-]?([xyz])$", re.IGNORECASE)
_GYRO = re.compile(r"^(?:g|gyr|gyro|gyroscope|rotation)[ _.-]?([xyz])$", re.IGNORECASE)
MIN_MEDIAN_G, MAX_MEDIAN_G = 0.3, 3.0


@dataclass(frozen=True)
class Told:
    """What the person says about files.

    Attributes:
        accel_unit, gyro_unit: empty where the file says it.
        axes: signed permutation.
        has_gravity: False for data without, which cannot be checked for a wrong unit.
    """

    accel_unit: str = ""
    gyro_unit: str = ""
    axes: str = "x,y,z"
    has_gravity: bool = True

    def __post_init__(self) -> None:
        for option, unit, known in (("accel", self.accel_unit, ACCEL_UNITS), ("gyro", self.gyro_unit, GYRO_UNITS)):
            if unit and unit not in known:
                raise UsageError(f"--{option}-unit {unit}: choose {', '.join(known)}")
        rotation(self.axes)


def rotation(axes: str) -> FloatArray:
    """(3, 3) matrix from the file's axes to canonical ones; raises `UsageError`."""
    matrix = np.zeros((3, 3))
    words = [word.strip().lower() for word in axes.split(",")]
    if len(words) != 3 or not all(re.fullmatch(r"[+-]?[xyz]", word) for word in words):
        raise UsageError(f"--axes {axes}: three of x, y and z with signs, like y,-x,z")
    for row, word in enumerate(words):
        matrix[row, "xyz".index(word[-1])] = -1.0 if word.startswith("-") else 1.0
    determinant = round(float(np.linalg.det(matrix)))
    if determinant == 0:
        raise UsageError(f"--axes {axes}: every axis once")
    if determinant < 0:
        raise UsageError(f"--axes {axes} mirrors the frame, which no way to mount a board does: check the signs")
    return matrix


def canonical(names: Sequence[str], units: Sequence[str], values: FloatArray, told: Told) -> FloatArray:
    """(samples, 3 or 6) in g and degree/s, canonical axes.

    Args:
        names: of the columns; those of neither acceleration nor angular rate are left out.
        units: of the columns, as the file writes them; empty where it does not.
        values: (samples, columns).
        told: by the person.

    Raises:
        RecordingError: an axis is missing or twice there, a unit is missing or contradicts what the person says, or
            gravity is not where about 1 g should be.
    """
    turned = rotation(told.axes)
    accel = _columns(_ACCEL, names)
    gyro = _columns(_GYRO, names)
    if len(accel) != 3:
        raise RecordingError(f"acceleration needs x, y and z once each: the columns are {', '.join(names)[:100]}")
    if len(gyro) not in (0, 3):
        raise RecordingError(f"angular rate needs x, y and z once each: the columns are {', '.join(names)[:100]}")
    parts = [values[:, accel] * _factor("accel", [units[i] for i in accel], told.accel_unit, ACCEL_UNITS) @ turned.T]
    if gyro:
        factor = _factor("gyro", [units[i] for i in gyro], told.gyro_unit, GYRO_UNITS)
        parts.append(values[:, gyro] * factor @ turned.T)
    median = float(np.median(np.linalg.norm(parts[0], axis=1))) if len(values) else 1.0
    if told.has_gravity and not MIN_MEDIAN_G <= median <= MAX_MEDIAN_G:
        raise RecordingError(
            f"the acceleration is {median:.2g} g in the median where gravity gives about 1: the unit is wrong, or say "
            "--without-gravity"
        )
    return np.hstack(parts)


def _columns(pattern: re.Pattern[str], names: Sequence[str]) -> list[int]:
    """Columns of x, y and z in this order."""
    matches = [(match.group(1).lower(), index) for index, name in enumerate(names) if (match := pattern.match(name))]
    axes = [axis for axis, _ in matches]
    if len(set(axes)) != len(axes):
        return []
    return [index for _, index in sorted(matches)]


def _factor(word: str, units: Sequence[str], told: str, known: dict[str, float]) -> float:
    said = {SPELLINGS.get(unit.strip().lower(), "") for unit in units}
    if len(said) > 1:
        raise RecordingError(f"the axes of {word} have different units: {', '.join(units)}")
    (unit,) = said
    if unit and unit not in known:
        raise RecordingError(f"{unit} is no unit of {word}: {', '.join(known)}")
    if unit and told and unit != told:
        raise RecordingError(f"the file says {unit}, --{word}-unit says {told}: one of them is wrong")
    if not unit and not told:
        raise RecordingError(f"there is no unit of {word} in it: say --{word}-unit {' or '.join(known)}")
    return known[unit or told]
