"""What looks wrong in recordings, whichever folder they are in.

Gravity: the median of the acceleration over a recording stands for rest. Where its length is not about 1 g, the unit is
wrong or gravity was taken out; where its direction is far from that of the other sessions (of +z, as long as there are
fewer than three sessions), the board was mounted otherwise or axes were swapped.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..wording import counted
from .recording import COUNT_MAX, Recording, measured_rate
from .session import Session

Kind = Literal[
    "unreadable", "gap", "cut", "clipped", "duplicate", "axes", "rate", "scale", "missing", "segments", "label"
]  # fmt: skip
FloatArray = npt.NDArray[np.float64]

MIN_GRAVITY_G, MAX_GRAVITY_G = 0.5, 1.5
MAX_TURN_DEG = 60.0
SESSIONS_FOR_A_VOTE = 3
RATE_TOLERANCE = 0.02  # a model hears gestures at another speed beyond this
UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Finding:
    """Something wrong: `where` is a recording's name, a session's or a file, with the folder where it is deeper."""

    where: str
    kind: Kind
    text: str


@dataclass(frozen=True, eq=False)
class Placed:
    """A recording with the folder that it is in: ``""`` for the data set's own, ``streams/``."""

    place: str
    recording: Recording

    @property
    def name(self) -> str:
        """Of the recording, in the data set."""
        return self.place + self.recording.name

    @property
    def session(self) -> str:
        """Of its session file, in the data set."""
        return self.place + session_name(self.recording)


def session_name(recording: Recording) -> str:
    """Participant and session: one sitting, whatever was recorded in it."""
    return f"{recording.participant}.{recording.session}"


def clipped_samples(recording: Recording, facts: Session) -> int:
    """Samples with a channel at the end of int16, or of the range that the session states for the sensor."""
    ranges = np.array([facts.accel_range_g] * 3 + [facts.gyro_range_dps] * 3)
    units = np.array([recording.counts.accel_lsb_per_g] * 3 + [recording.counts.gyro_lsb_per_dps] * 3)
    limit = np.full(recording.samples.shape[1], float(COUNT_MAX))
    used = min(6, len(limit))
    limit[:used] = np.minimum(limit[:used], np.rint(ranges * units)[:used])
    return int((np.abs(recording.samples.astype(np.int32)) >= limit).any(axis=1).sum())


def of_one(placed: Placed, facts: Session) -> Iterable[Finding]:
    """Gaps, an early end, clipping and a clock that disagrees with the session."""
    name, found = placed.name, placed.recording
    if found.gaps:
        lost = "1 sample was lost" if found.lost == 1 else f"{found.lost} samples were lost"
        yield Finding(
            name, "gap", f"{lost} in {counted(len(found.gaps), 'gap')}, first after row {found.gaps[0].after}"
        )
    if not found.complete:
        yield Finding(name, "cut", f"recording stopped early, after {counted(len(found.samples), 'sample')}")
    clipped = clipped_samples(found, facts)
    if clipped:
        are = "is" if clipped == 1 else "are"
        yield Finding(name, "clipped", f"{clipped} of {len(found.samples)} samples {are} at the end of the range")
    rate = measured_rate(found.time_us, found.gaps)
    if rate and abs(rate / found.rate_hz - 1) > RATE_TOLERANCE:
        yield Finding(name, "rate", f"its clock runs at {rate:.2f} Hz, its session says {found.rate_hz:g} Hz")


def duplicates(recordings: Iterable[Placed]) -> Iterable[Finding]:
    """Recordings with the counts of an earlier one."""
    first: dict[bytes, str] = {}
    for placed in recordings:
        name = first.setdefault(hashlib.sha256(placed.recording.samples.tobytes()).digest(), placed.name)
        if name != placed.name:
            yield Finding(placed.name, "duplicate", f"the same counts as {name}")


def gravity(recording: Recording) -> FloatArray:
    """(3,) median acceleration in g; zeros where there are fewer than three channels or no sample."""
    if not recording.samples.size or recording.samples.shape[1] < 3:
        return np.zeros(3)
    median: FloatArray = np.median(recording.samples[:, :3], axis=0) / recording.counts.accel_lsb_per_g
    return median


def axes(recordings: Iterable[Placed]) -> Iterable[Finding]:
    """Sessions with gravity in an odd place; takes and streams of one sitting do not vote about each other."""
    by_session: dict[str, list[FloatArray]] = defaultdict(list)
    sitting: dict[str, str] = {}
    for placed in recordings:
        if placed.recording.channels[:3] == ("ax", "ay", "az") and len(placed.recording.samples):
            by_session[placed.session].append(gravity(placed.recording))
            sitting[placed.session] = session_name(placed.recording)
    rest = {name: np.median(np.stack(found), axis=0) for name, found in by_session.items()}
    upright: dict[str, FloatArray] = {}
    for name, mean in sorted(rest.items()):
        length = float(np.linalg.norm(mean))
        if MIN_GRAVITY_G <= length <= MAX_GRAVITY_G:
            upright[name] = mean / length
        else:
            text = f"the acceleration at rest is {length:.2f} g: another unit, another scale, or gravity was taken out"
            yield Finding(name, "axes", text)
    for name, direction in upright.items():
        others = [other for key, other in upright.items() if sitting[key] != sitting[name]]
        vote = len({sitting[key] for key in upright}) >= SESSIONS_FOR_A_VOTE
        wanted = np.median(np.stack(others), axis=0) if vote else UP
        turn = _angle(direction, wanted)
        if turn > MAX_TURN_DEG:
            who = f"in the other sessions along {_axis(wanted)}" if vote else "at rest and level it is along +z"
            yield Finding(
                name, "axes", f"gravity lies along {_axis(direction)}, {who}, {turn:.0f} degrees away: is the board on "
                "the other way round, or are axes swapped? bitwave import takes --axes",
            )  # fmt: skip


def _angle(a: FloatArray, b: FloatArray) -> float:
    """Degrees between two vectors; 0 where one has no direction."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.rad2deg(np.arccos(np.clip(a @ b / lengths, -1.0, 1.0)))) if lengths else 0.0


def _axis(direction: FloatArray) -> str:
    largest = int(np.argmax(np.abs(direction)))
    return f"{'-' if direction[largest] < 0 else '+'}{'xyz'[largest]}"


def strangers(recordings: Iterable[Placed]) -> Iterable[Finding]:
    """Sessions of another scale, rate or channels than the first one: training takes no mixture."""
    seen: set[str] = set()
    first: Placed | None = None
    for placed in recordings:
        first = first or placed
        if placed.session in seen:
            continue
        seen.add(placed.session)
        for fact, word in (("counts", "scale"), ("channels", "channels"), ("rate_hz", "rate")):
            ours, theirs = getattr(placed.recording, fact), getattr(first.recording, fact)
            if ours != theirs:
                text = f"{word} {ours}, {first.session} has {theirs}: keep them in folders of their own"
                yield Finding(placed.session, "rate" if fact == "rate_hz" else "scale", text)
