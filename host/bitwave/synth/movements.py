"""What the virtual hand does: minimum-jerk reaches and arcs, put together to gestures and to other movements.

A pose is six numbers: position x forward, y left, z up of the elbow in metres, and the forearm's roll, pitch and yaw in
radians. A movement adds to the pose over a while and leaves its end there, so poses stay continuous whatever follows.

The course of a movement is the minimum-jerk polynomial ``s(u) = 10 u^3 - 15 u^4 + 6 u^5`` (Flash and Hogan, 1985:
the point-to-point movement of people's hands): velocity and acceleration are zero at both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
AXES = ("x", "y", "z", "roll", "pitch", "yaw")


def minimum_jerk(u: FloatArray) -> FloatArray:
    """s(u) with u clamped to 0..1; exactly 0 before and 1 after."""
    v: FloatArray = np.clip(u, 0.0, 1.0)
    course: FloatArray = v * v * v * (10.0 + v * (6.0 * v - 15.0))
    return course


class Movement(Protocol):
    """One stroke of the hand. Times in seconds."""

    @property
    def start(self) -> float:
        """When it begins."""

    @property
    def end(self) -> float:
        """When it has reached its end."""

    def pose(self, time: FloatArray) -> FloatArray:
        """(n,) times to (n, 6) added to the pose; constant before the start and after the end."""


@dataclass(frozen=True)
class Reach:
    """A straight stroke: `change` (6 numbers) is covered within `duration`."""

    start: float
    duration: float
    change: tuple[float, ...]

    @property
    def end(self) -> float:
        """When it has reached its end."""
        return self.start + self.duration

    def pose(self, time: FloatArray) -> FloatArray:
        """(n,) times to (n, 6) added to the pose."""
        course = minimum_jerk((time - self.start) / self.duration)
        return np.outer(course, self.change)


@dataclass(frozen=True)
class Arc:
    """A full turn of the hand in the plane across the body, through the lowest point, back to where it began."""

    start: float
    duration: float
    width: float
    height: float

    @property
    def end(self) -> float:
        """When it has reached its end."""
        return self.start + self.duration

    def pose(self, time: FloatArray) -> FloatArray:
        """(n,) times to (n, 6) added to the pose."""
        angle = 2.0 * np.pi * minimum_jerk((time - self.start) / self.duration)
        pose = np.zeros((len(time), 6))
        pose[:, 1] = self.width * np.sin(angle)
        pose[:, 2] = self.height * (1.0 - np.cos(angle))
        return pose


@dataclass(frozen=True)
class Style:
    """How one repetition is done.

    Attributes:
        amplitude: factor on every way and angle.
        tempo: factor on the speed; durations are divided by it.
        heading: direction of "forward" in radians about the vertical, which people never keep exactly.
    """

    amplitude: float
    tempo: float
    heading: float


class Sketch:
    """Strokes one after the other, from time zero, in a style; together they end where they began."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.time = 0.0
        self.movements: list[Movement] = []

    def reach(self, duration: float, *, wait: float = 0.0, **change: float) -> Sketch:
        """Adds a stroke, in metres and degrees, after the last one and a pause of `wait` seconds."""
        self.time += wait / self.style.tempo
        values = [change.get(axis, 0.0) * self.style.amplitude for axis in AXES]
        turn = np.array([[np.cos(self.style.heading), -np.sin(self.style.heading)],
                         [np.sin(self.style.heading), np.cos(self.style.heading)]])  # fmt: skip
        x, y = turn @ values[:2]
        angles = np.deg2rad(values[3:])
        self._add(Reach(self.time, duration / self.style.tempo, (float(x), float(y), values[2], *map(float, angles))))
        return self

    def there_and_back(self, out: float, back: float, *, hold: float = 0.0, **change: float) -> Sketch:
        """A stroke and its return."""
        self.reach(out, **change)
        return self.reach(back, wait=hold, **{axis: -value for axis, value in change.items()})

    def arc(self, duration: float, width: float, height: float) -> Sketch:
        """Adds a full turn, in metres."""
        amplitude = self.style.amplitude
        self._add(Arc(self.time, duration / self.style.tempo, width * amplitude, height * amplitude))
        return self

    def _add(self, movement: Movement) -> None:
        self.movements.append(movement)
        self.time = movement.end


Draw = Callable[[Sketch, np.random.Generator], object]


def _wave(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.reach(0.22, pitch=-35.0, yaw=18.0)
    for _ in range(int(draw.integers(1, 3))):
        sketch.reach(0.17, yaw=-36.0).reach(0.17, yaw=36.0)
    sketch.reach(0.22, pitch=35.0, yaw=-18.0)


def _punch(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.there_and_back(0.25, 0.38, hold=draw.uniform(0.0, 0.06), x=0.32, z=0.04, roll=25.0)


def _circle(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.arc(draw.uniform(0.8, 0.9), 0.16, -0.16)


def _twist(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.there_and_back(0.3, 0.33, hold=draw.uniform(0.02, 0.1), roll=-85.0)


def _chop(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.reach(0.24, pitch=-38.0, z=0.06).reach(0.2, pitch=65.0, z=-0.18)
    sketch.reach(0.36, wait=draw.uniform(0.0, 0.06), pitch=-27.0, z=0.12)


def _swipe(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.there_and_back(0.32, 0.45, hold=draw.uniform(0.0, 0.08), y=0.34, yaw=40.0, roll=-18.0)


GESTURES: dict[str, Draw] = {
    "chop": _chop,
    "circle": _circle,
    "punch": _punch,
    "swipe": _swipe,
    "twist": _twist,
    "wave": _wave,
}


def _walk(sketch: Sketch, draw: np.random.Generator) -> None:
    step = draw.uniform(0.45, 0.6)
    sketch.reach(step / 2, pitch=14.0, z=0.02)
    for _ in range(int(draw.integers(1, 4))):
        sketch.reach(step / 2, pitch=-14.0, z=-0.02).reach(step / 2, pitch=-14.0, z=0.02)
        sketch.reach(step / 2, pitch=14.0, z=-0.02).reach(step / 2, pitch=14.0, z=0.02)
    sketch.reach(step / 2, pitch=-14.0, z=-0.02)


def _scratch(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.reach(0.4, pitch=-50.0, roll=30.0)
    for _ in range(int(draw.integers(3, 7))):
        sketch.there_and_back(0.11, 0.11, yaw=9.0, x=0.02)
    sketch.reach(0.45, pitch=50.0, roll=-30.0)


def _drink(sketch: Sketch, draw: np.random.Generator) -> None:
    sketch.there_and_back(0.8, 0.9, hold=draw.uniform(0.3, 0.8), pitch=-55.0, roll=-40.0, z=0.15)


def _take_away(sketch: Sketch, draw: np.random.Generator) -> None:
    side = draw.uniform(-0.3, 0.3)
    sketch.there_and_back(0.6, 0.7, hold=0.15, x=0.2, y=side, z=draw.uniform(-0.15, 0.1), roll=draw.uniform(-40, 40))


def _fidget(sketch: Sketch, draw: np.random.Generator) -> None:
    for _ in range(int(draw.integers(3, 7))):
        change = {axis: float(draw.normal(0.0, 0.05)) for axis in AXES[:3]}
        change |= {axis: float(draw.normal(0.0, 11.0)) for axis in AXES[3:]}
        sketch.there_and_back(draw.uniform(0.3, 0.6), draw.uniform(0.3, 0.6), **change)


def _knock(sketch: Sketch, draw: np.random.Generator) -> None:
    for _ in range(int(draw.integers(2, 4))):
        sketch.there_and_back(0.1, 0.12, pitch=16.0, x=0.03)


UNKNOWN: dict[str, Draw] = {
    "walk": _walk,
    "scratch": _scratch,
    "drink": _drink,
    "take-away": _take_away,
    "fidget": _fidget,
    "knock": _knock,
}


def sketch_of(label: str, style: Style, draw: np.random.Generator) -> Sequence[Movement]:
    """The strokes of one gesture, or of one other movement (label ``unknown``), or none (``idle``).

    Raises:
        KeyError: no such gesture.
    """
    sketch = Sketch(style)
    if label == "unknown":
        kinds = tuple(UNKNOWN)
        UNKNOWN[kinds[int(draw.integers(len(kinds)))]](sketch, draw)
    elif label == "idle":
        # Someone at rest shifts the arm now and then, slowly.
        shift = {axis: float(draw.normal(0.0, 2.0)) for axis in ("roll", "pitch", "yaw")}
        sketch.there_and_back(draw.uniform(0.6, 1.0), draw.uniform(0.6, 1.0), hold=draw.uniform(0.0, 1.0), **shift)
    else:
        GESTURES[label](sketch, draw)
        _stray(sketch, draw)
    return sketch.movements


def _stray(sketch: Sketch, draw: np.random.Generator) -> None:
    """Nobody moves along one axis alone: a random way out and back again goes along with the whole gesture."""
    turn = draw.uniform(0.35, 0.65) * sketch.time
    change = (*draw.normal(0.0, 0.035, 3).tolist(), *np.deg2rad(draw.normal(0.0, 11.0, 3)).tolist())
    sketch.movements.append(Reach(0.0, turn, change))
    sketch.movements.append(Reach(turn, sketch.time - turn, tuple(-value for value in change)))
