"""The virtual wrist: raw counts of a sensor on a forearm that moves as people move.

The model, for a pose (see `bitwave.synth.movements`) with elbow position ``p`` and forearm rotation
``R = Rz(yaw) Ry(pitch) Rx(roll)``, both functions of time in closed form:

- the sensor sits at ``r`` in the forearm's frame, so its position in the world is ``q = p + R r``;
- it is strapped on with a small rotation ``M``: its axes are those of ``R M``;
- it feels ``a = (R M)^T (q'' - g)`` with ``g = (0, 0, -9.80665 m/s^2)``: at rest +1 g upwards;
- it turns with ``w``, where ``[w]x = (R M)^T (R M)'``;
- derivatives are central differences of 0.5 ms, which is exact to 1e-4 g for movements of this speed;
- the arm trembles (8 to 12 Hz) and sways (0.2 to 0.5 Hz);
- the sensor adds a bias and white noise, clips at +-4 g and +-2000 degree/s, and rounds to counts.

People differ in amplitude, tempo, posture, place and tilt of the sensor, bias and tremor; sessions of one person differ
in tilt and bias; repetitions in amplitude, tempo and heading. Everything is a function of the seed and the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import UsageError
from ..model.metadata import CountsScale
from ..recordings.recording import COUNT_MAX, COUNT_MIN, Recording, even_times
from ..recordings.session import DEFAULT_COUNTS, Session
from .movements import GESTURES, FloatArray, Movement, Reach, Style, sketch_of
from .person import Person, generator, person

RATE_HZ = 119.0
ACCEL_RANGE_G, GYRO_RANGE_DPS = 4.0, 2000.0
BACKGROUND = ("idle", "unknown")
LABELS = (*GESTURES, *BACKGROUND)
GRAVITY = 9.80665
RETURN_S = 0.5
_STEP_S = 0.5e-3
_BLOCK = 256  # samples that are computed at a time: the strokes of a long stream are looked through per block


@dataclass(frozen=True)
class Interval:
    """Where a gesture or another movement was made: samples start <= i < end."""

    label: str
    start: int
    end: int


class Wrist:
    """A person's forearm in motion, sample by sample; what is read is gone.

    The samples do not depend on how many are read at a time.
    """

    def __init__(self, participant: str = "p01", session: str = "s01", seed: int = 0, rate_hz: float = RATE_HZ) -> None:
        self.person = person(participant, session, seed)
        self.rate_hz = rate_hz
        self.position = 0
        self._busy_until = 0.0
        self._choice = generator(seed, participant, session, "choice")
        self._noise = generator(seed, participant, session, "noise")
        self._movements: list[Movement] = []
        self._base = np.concatenate((np.zeros(3), self.person.posture))

    def perform(self, label: str, delay: float = 0.0) -> Interval:
        """Plans a movement, after those planned before.

        Args:
            label: a gesture, ``unknown`` for some other movement, or ``idle`` for next to none.
            delay: seconds of rest before it.

        Returns:
            The samples that it will take.

        Raises:
            UsageError: no such label.
        """
        if label not in LABELS:
            raise UsageError(f"the virtual wrist does not know {label!r}: it does {', '.join(LABELS)}")
        start = max(self._busy_until, self.position / self.rate_hz + _STEP_S) + delay
        draw = self._choice
        style = Style(
            amplitude=self.person.amplitude * float(np.exp(draw.normal(0.0, 0.12))),
            tempo=self.person.tempo * float(np.exp(draw.normal(0.0, 0.08))),
            heading=float(draw.normal(0.0, np.deg2rad(10.0))),
        )
        strokes = [_Later(stroke, start) for stroke in sketch_of(label, style, draw)]
        self._movements.extend(strokes)
        self._busy_until = max(stroke.end for stroke in strokes)
        return Interval(label, round(start * self.rate_hz), round(self._busy_until * self.rate_hz) + 1)

    def cue(self, label: str, seconds: float) -> None:
        """Someone says "now": a gesture follows after a reaction time, a background label for all of the seconds."""
        if label not in BACKGROUND:
            self.perform(label, delay=float(self._choice.uniform(0.12, 0.3)))
            return
        planned_before = len(self._movements)
        until = self.position / self.rate_hz + seconds
        self.perform(label)
        while self._busy_until < until:
            self.perform(label, delay=float(self._choice.uniform(0.0, 0.2)))
        self._stop(planned_before, until)

    def _stop(self, planned_before: int, until: float) -> None:
        """Leaves out the strokes that would begin later, and brings the arm back to rest."""
        begun = [m for m in self._movements[planned_before:] if m.start < until]
        self._movements[planned_before:] = begun
        end = max((m.end for m in begun), default=until)
        away = sum((m.pose(np.array([m.end]))[0] for m in begun), np.zeros(6))
        self._movements.append(Reach(end, RETURN_S, tuple((-away).tolist())))
        self._busy_until = end + RETURN_S

    @property
    def busy(self) -> int:
        """Samples until all that is planned is done."""
        return max(0, round(self._busy_until * self.rate_hz) + 1 - self.position)

    def read(self, count: int) -> npt.NDArray[np.int16]:
        """The next samples: (count, 6) int16 counts, ax ay az gx gy gz."""
        parts = [self._block(min(_BLOCK, count - done)) for done in range(0, count, _BLOCK)]
        return np.concatenate(parts) if parts else np.empty((0, 6), np.int16)

    def _block(self, count: int) -> npt.NDArray[np.int16]:
        time = np.arange(self.position, self.position + count) / self.rate_hz
        self._settle(time[0] - _STEP_S)
        active = [m for m in self._movements if m.start < time[-1] + _STEP_S]
        before, now, after = (self._pose(active, time + shift) for shift in (-_STEP_S, 0.0, _STEP_S))
        accel, rate = _felt(before, now, after, self.person)
        self.position += count
        noise = self._noise.normal(size=(count, 6))
        accel += self.person.accel_bias + self.person.accel_noise * noise[:, :3]
        rate += self.person.gyro_bias + self.person.gyro_noise * noise[:, 3:]
        return to_counts(accel, rate, DEFAULT_COUNTS)

    def _settle(self, time: float) -> None:
        """Finished strokes become part of the base. Only from the front: sums keep their order, so their bits."""
        while self._movements and self._movements[0].end <= time:
            self._base = self._base + self._movements.pop(0).pose(np.array([time]))[0]

    def _pose(self, active: Iterable[Movement], time: FloatArray) -> FloatArray:
        pose = np.tile(self._base, (len(time), 1))
        for movement in active:
            pose += movement.pose(time)
        for (frequency, phase, axis), size in zip(self.person.tremor, self.person.tremor_size, strict=True):
            pose[:, int(axis)] += size * np.sin(2.0 * np.pi * frequency * time + phase)
        return pose


@dataclass(frozen=True)
class _Later:
    """A stroke of a sketch, which begins at zero, moved to its time."""

    stroke: Movement
    offset: float

    @property
    def start(self) -> float:
        return self.stroke.start + self.offset

    @property
    def end(self) -> float:
        return self.stroke.end + self.offset

    def pose(self, time: FloatArray) -> FloatArray:
        return self.stroke.pose(time - self.offset)


@dataclass(frozen=True, eq=False)
class Stream:
    """A continuous recording with the truth about it.

    Attributes:
        samples: (samples, 6) int16 counts.
        intervals: what was done when, in order; rest between them.
    """

    samples: npt.NDArray[np.int16]
    intervals: tuple[Interval, ...]
    rate_hz: float


def stream(
    plan: Sequence[str],
    participant: str = "p01",
    session: str = "stream",
    seed: int = 0,
    rate_hz: float = RATE_HZ,
    pause: tuple[float, float] = (1.0, 2.5),
) -> Stream:
    """A continuous stream in which a person does what the plan says, one after the other, with pauses (seconds)."""
    wrist = Wrist(participant, session, seed, rate_hz)
    draw = generator(seed, participant, session, "pauses")
    intervals = tuple(wrist.perform(label, delay=float(draw.uniform(*pause))) for label in plan)
    end = max((interval.end for interval in intervals), default=0) + round(pause[1] * rate_hz)
    return Stream(wrist.read(end), intervals, rate_hz)


def random_plan(count: int, labels: Sequence[str] = LABELS, seed: int = 0) -> list[str]:
    """`count` labels, drawn evenly and shuffled."""
    draw = generator(seed, "plan")
    rounds = [labels[int(i)] for _ in range(-(-count // len(labels))) for i in draw.permutation(len(labels))]
    return rounds[:count]


def takes(
    participant: str,
    session: str = "s01",
    labels: Sequence[str] = LABELS,
    count: int = 10,
    seconds: float = 1.5,
    seed: int = 0,
    rate_hz: float = RATE_HZ,
) -> list[Recording]:
    """Single takes as `bitwave record` would make them on cue, without a link between."""
    wrist = Wrist(participant, session, seed, rate_hz)
    length = round(seconds * rate_hz)
    made = []
    for label in labels:
        for number in range(1, count + 1):
            start = wrist.position
            wrist.cue(label, seconds)
            samples = wrist.read(length)
            times = even_times(length, rate_hz, round(start * 1e6 / rate_hz))
            made.append(Recording(label, participant, session, number, times, samples, rate_hz))
            wrist.read(wrist.busy + round(0.5 * rate_hz))
    return made


def session_facts(participant: str, session: str = "s01", rate_hz: float = RATE_HZ, note: str = "") -> Session:
    """The session file for takes of `takes`."""
    return Session(
        tool=f"bitwave {__version__}",
        source="synth",
        participant=participant,
        session=session,
        board="virtual wrist",
        accel_range_g=ACCEL_RANGE_G,
        gyro_range_dps=GYRO_RANGE_DPS,
        rate_hz=rate_hz,
        note=note,
    )


def to_counts(accel: FloatArray, rate: FloatArray, scale: CountsScale) -> npt.NDArray[np.int16]:
    """(n, 3) g and (n, 3) degree/s to (n, 6) int16: clip to the sensor's ranges, then round to the nearest count."""
    clipped = np.hstack(
        (
            np.clip(accel, -ACCEL_RANGE_G, ACCEL_RANGE_G) * scale.accel_lsb_per_g,
            np.clip(rate, -GYRO_RANGE_DPS, GYRO_RANGE_DPS) * scale.gyro_lsb_per_dps,
        )
    )
    return np.clip(np.rint(clipped), COUNT_MIN, COUNT_MAX).astype(np.int16)


def _felt(before: FloatArray, now: FloatArray, after: FloatArray, who: Person) -> tuple[FloatArray, FloatArray]:
    """Poses 0.5 ms apart, (n, 6) each, to what the sensor feels: (n, 3) g and (n, 3) degree/s."""
    rotations = [_rotation(pose[:, 3:]) for pose in (before, now, after)]
    positions = [
        pose[:, :3] + (turn * who.place).sum(axis=2) for pose, turn in zip((before, now, after), rotations, strict=True)
    ]
    acceleration = (positions[0] - 2.0 * positions[1] + positions[2]) / _STEP_S**2
    acceleration[:, 2] += GRAVITY
    strap = _rotation(who.tilt[None, :])[0]
    to_sensor = np.einsum("nij,jk->nki", rotations[1], strap)
    change = np.einsum("nij,jk->nik", (rotations[2] - rotations[0]) / (2.0 * _STEP_S), strap)
    spin = np.einsum("nij,njk->nik", to_sensor, change)
    rate = np.stack((spin[:, 2, 1] - spin[:, 1, 2], spin[:, 0, 2] - spin[:, 2, 0], spin[:, 1, 0] - spin[:, 0, 1]), 1)
    return np.einsum("nij,nj->ni", to_sensor, acceleration) / GRAVITY, np.rad2deg(rate / 2.0)


def _rotation(angles: FloatArray) -> FloatArray:
    """(n, 3) roll, pitch, yaw in radians to (n, 3, 3) matrices Rz(yaw) Ry(pitch) Rx(roll)."""
    cr, cp, cy = np.cos(angles).T
    sr, sp, sy = np.sin(angles).T
    rows = (
        (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
        (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
        (-sp, cp * sr, cp * cr),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)
