"""What a folder of recordings holds, and what looks wrong in it. Nothing here stops at a bad take, or writes.

Gravity: the median of the acceleration over a take stands for rest. Where its length is not about 1 g, the unit is
wrong or gravity was taken out; where its direction is far from that of the other sessions (of +z, as long as there are
fewer than three sessions), the board was mounted otherwise or axes were swapped.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from .recording import COUNT_MAX, Recording, even_times, measured_rate, read, split_name
from .session import Session, read_session

Kind = Literal["unreadable", "gap", "cut", "clipped", "duplicate", "axes", "rate", "scale", "missing"]
FloatArray = npt.NDArray[np.float64]

MIN_GRAVITY_G, MAX_GRAVITY_G = 0.5, 1.5
MAX_TURN_DEG = 60.0
SESSIONS_FOR_A_VOTE = 3
RATE_TOLERANCE = 0.02  # a model hears gestures at another speed beyond this
UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Finding:
    """Something wrong: `where` is a take's name, a session's name or a file."""

    where: str
    kind: Kind
    text: str


@dataclass(frozen=True, eq=False)
class Survey:
    """A folder of recordings.

    Attributes:
        recordings: those that can be read, by label, participant, session and number.
        sessions: session files that can be read, by ``participant.session``.
    """

    recordings: tuple[Recording, ...]
    sessions: dict[str, Session]
    findings: tuple[Finding, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """By name."""
        return tuple(sorted({take.label for take in self.recordings}))

    @property
    def participants(self) -> tuple[str, ...]:
        """By name."""
        return tuple(sorted({take.participant for take in self.recordings}))

    def of(self, participant: str | None = None, label: str | None = None) -> list[Recording]:
        """The takes of a participant, of a label, of both."""
        return [
            take for take in self.recordings if participant in (None, take.participant) and label in (None, take.label)
        ]

    def summary(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "recordings": len(self.recordings),
            "seconds": seconds(self.recordings),
            "labels": {
                label: {
                    "recordings": len(self.of(label=label)),
                    "seconds": seconds(self.of(label=label)),
                    "participants": {who: len(self.of(who, label)) for who in self.participants},
                }
                for label in self.labels
            },
            "sessions": {name: self._session(name, facts) for name, facts in self.sessions.items()},
            "findings": [vars(finding) for finding in self.findings],
        }

    def _session(self, name: str, facts: Session) -> dict[str, object]:
        takes = [take for take in self.recordings if _session_name(take) == name]
        rates = [rate for take in takes if (rate := measured_rate(take.time_us, take.gaps))]
        return {
            "source": facts.source,
            "board": facts.board,
            "recordings": len(takes),
            "seconds": seconds(takes),
            "rate_hz": facts.rate_hz,
            "measured_rate_hz": [round(min(rates), 3), round(max(rates), 3)] if rates else [],
            "lost": sum(take.lost for take in takes),
            "crc_errors": sum(take.crc_errors for take in takes),
            "clipped": sum(clipped_samples(take, facts) for take in takes),
        }


def seconds(takes: Iterable[Recording]) -> float:
    """Time that takes cover together, to the hundredth."""
    return round(sum(take.duration_s for take in takes), 2)


def survey(folder: Path) -> Survey:
    """Reads all that can be read in a folder; raises `RecordingError` where it holds no recording at all."""
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise RecordingError(f"{folder} holds no recording: give the folder that bitwave record or import wrote")
    sessions: dict[str, Session] = {}
    takes: list[Recording] = []
    findings: list[Finding] = []
    for path in sorted(folder.glob("*.json")):
        try:
            facts = read_session(path)
        except RecordingError as error:
            findings.append(Finding(path.name, "unreadable", str(error)))
        else:
            sessions[f"{facts.participant}.{facts.session}"] = facts
    for path in paths:
        try:
            _, participant, session, _ = split_name(path)
            takes.append(read(path, sessions.get(f"{participant}.{session}")))
        except RecordingError as error:
            findings.append(Finding(path.stem, "unreadable", str(error)))
    takes.sort(key=lambda r: (r.label, r.participant, r.session, r.number))
    for take in takes:
        findings += _of_take(take, sessions[_session_name(take)])
    findings += [*_duplicates(takes), *_axes(takes), *_strangers(takes), *_missing(folder, sessions)]
    return Survey(tuple(takes), sessions, tuple(findings))


def clipped_samples(take: Recording, facts: Session) -> int:
    """Samples with a channel at the end of int16, or of the range that the session states for the sensor."""
    ranges = np.array([facts.accel_range_g] * 3 + [facts.gyro_range_dps] * 3)
    units = np.array([take.counts.accel_lsb_per_g] * 3 + [take.counts.gyro_lsb_per_dps] * 3)
    limit = np.full(take.samples.shape[1], float(COUNT_MAX))
    used = min(6, len(limit))
    limit[:used] = np.minimum(limit[:used], np.rint(ranges * units)[:used])
    return int((np.abs(take.samples.astype(np.int32)) >= limit).any(axis=1).sum())


def _session_name(take: Recording) -> str:
    return f"{take.participant}.{take.session}"


def _of_take(take: Recording, facts: Session) -> Iterable[Finding]:
    if take.gaps:
        first = take.gaps[0].after
        yield Finding(
            take.name, "gap", f"{take.lost} samples were lost in {len(take.gaps)} gaps, first after row {first}"
        )
    if not take.complete:
        yield Finding(take.name, "cut", f"recording stopped early, after {len(take.samples)} samples")
    clipped = clipped_samples(take, facts)
    if clipped:
        yield Finding(take.name, "clipped", f"{clipped} of {len(take.samples)} samples are at the end of the range")
    rate = measured_rate(take.time_us, take.gaps)
    if rate and abs(rate / take.rate_hz - 1) > RATE_TOLERANCE:
        yield Finding(take.name, "rate", f"its clock runs at {rate:.2f} Hz, its session says {take.rate_hz:g} Hz")


def _duplicates(takes: Sequence[Recording]) -> Iterable[Finding]:
    first: dict[bytes, str] = {}
    for take in takes:
        name = first.setdefault(hashlib.sha256(take.samples.tobytes()).digest(), take.name)
        if name != take.name:
            yield Finding(take.name, "duplicate", f"the same counts as {name}")


def gravity(take: Recording) -> FloatArray:
    """(3,) median acceleration of a take in g; zeros where it has fewer than three channels or no sample."""
    if not take.samples.size or take.samples.shape[1] < 3:
        return np.zeros(3)
    median: FloatArray = np.median(take.samples[:, :3], axis=0) / take.counts.accel_lsb_per_g
    return median


def _axes(takes: Sequence[Recording]) -> Iterable[Finding]:
    by_session: dict[str, list[FloatArray]] = defaultdict(list)
    for take in takes:
        if take.channels[:3] == ("ax", "ay", "az"):
            by_session[_session_name(take)].append(gravity(take))
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
        others = [other for key, other in upright.items() if key != name]
        vote = len(others) + 1 >= SESSIONS_FOR_A_VOTE
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


def _strangers(takes: Sequence[Recording]) -> Iterable[Finding]:
    """Sessions of another scale, rate or channels than the first one: training takes no mixture."""
    seen: set[str] = set()
    for take in takes:
        name = _session_name(take)
        if name in seen:
            continue
        seen.add(name)
        for fact, word in (("counts", "scale"), ("channels", "channels"), ("rate_hz", "rate")):
            ours, theirs = getattr(take, fact), getattr(takes[0], fact)
            if ours != theirs:
                text = f"{word} {ours}, {_session_name(takes[0])} has {theirs}: keep them in folders of their own"
                yield Finding(name, "rate" if fact == "rate_hz" else "scale", text)


def _missing(folder: Path, sessions: dict[str, Session]) -> Iterable[Finding]:
    """Takes that a session file lists and that are not there: two sessions of one name were copied together."""
    for name, facts in sessions.items():
        gone = [
            f"{take.label}.{name}.{take.number}"
            for take in facts.takes
            if not (folder / f"{take.label}.{name}.{take.number}.csv").exists()
        ]
        if gone:
            why = "deleted, or two sessions had one name"
            yield Finding(name, "missing", f"{len(gone)} takes that its file lists are not here, like {gone[0]}: {why}")


def filled(take: Recording, longest_s: float) -> Recording | None:
    """A take whose gaps are filled by straight lines, or None where a gap is longer or ends the take."""
    if any(gap.lost / take.rate_hz > longest_s or gap.after + 1 >= len(take.samples) for gap in take.gaps):
        return None
    lost_before = np.zeros(len(take.samples), np.int64)
    for gap in take.gaps:
        lost_before[gap.after + 1 :] += gap.lost
    rows = np.arange(len(take.samples)) + lost_before
    whole = np.arange(rows[-1] + 1)
    columns = [np.rint(np.interp(whole, rows, column)) for column in take.samples.T.astype(np.float64)]
    times = np.rint(np.interp(whole, rows, take.time_us - take.time_us[0])).astype(np.int64) + take.time_us[0]
    if (np.diff(times) <= 0).any():  # gaps by index whose times do not show them
        times = even_times(len(whole), take.rate_hz, int(take.time_us[0]))
    return replace(take, samples=np.stack(columns, axis=1).astype(np.int16), time_us=times, gaps=())
