"""Recordings on disk: one CSV per take, one JSON per session.

A take is ``label.participant.session.number.csv`` with the header ``t_us,ax,ay,az,gx,gy,gz``: device time in
microseconds and raw int16 counts in canonical axes. ``participant.session.json`` beside it says what the counts mean
(scale, rate, board) and what went wrong while each take was recorded. Participants are pseudonyms.

The session file is written before a session's first take, so a take is never without its units, whenever the power
goes; a take that the session file does not list yet is a good take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from ..files import write_whole
from ..model.metadata import CountsScale, is_name
from ..wording import counted
from .session import CHANNELS, DEFAULT_COUNTS, Gap, Session, Take, check_name, read_session

COUNT_MIN, COUNT_MAX = -32768, 32767

# A step in time beyond this many sample periods is a gap even where nobody declared one.
GAP_PERIODS = 1.5
# Whoever uses a take says so where its clock is a few percent off, and resamples; beyond this nothing can be mended.
RATE_TOLERANCE = 0.50


@dataclass(frozen=True, eq=False)
class Recording:
    """One take.

    Attributes:
        time_us: (samples,) int64, device time, strictly increasing.
        samples: (samples, channels) int16, raw counts.
        channels: names of the columns.
        counts: what one count means.
        rate_hz: nominal rate of the session.
    """

    label: str
    participant: str
    session: str
    number: int
    time_us: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int16]
    rate_hz: float
    channels: tuple[str, ...] = CHANNELS
    counts: CountsScale = DEFAULT_COUNTS
    gaps: tuple[Gap, ...] = ()
    crc_errors: int = 0
    complete: bool = True

    @property
    def name(self) -> str:
        """File name without the suffix; unique in a data set."""
        return f"{self.label}.{self.participant}.{self.session}.{self.number}"

    @property
    def lost(self) -> int:
        """Samples lost in all gaps."""
        return sum(gap.lost for gap in self.gaps)

    @property
    def clipped(self) -> int:
        """Samples with at least one channel at the end of the int16 range."""
        ends = (self.samples == COUNT_MIN) | (self.samples == COUNT_MAX)
        return int(ends.any(axis=1).sum())

    @property
    def duration_s(self) -> float:
        """Time that the take covers: one period per sample, gaps included."""
        return (len(self.samples) + self.lost) / self.rate_hz

    def take(self) -> Take:
        """What the session file keeps about this take."""
        return Take(
            label=self.label,
            number=self.number,
            samples=len(self.samples),
            measured_rate_hz=round(measured_rate(self.time_us, self.gaps), 3),
            gaps=self.gaps,
            crc_errors=self.crc_errors,
            clipped=self.clipped,
            complete=self.complete,
        )


def measured_rate(time_us: npt.NDArray[np.int64], gaps: Sequence[Gap] = ()) -> float:
    """Samples per second by the clock of the board, gaps left out; 0 where that leaves nothing.

    Beside the known gaps, steps longer than `GAP_PERIODS` times the median step are taken for gaps; the rate is that of
    the mean other step.
    """
    inside = [gap.after for gap in gaps if gap.after < len(time_us) - 1]  # a gap may also end the take
    steps = np.delete(np.diff(time_us), inside)
    if not len(steps):
        return 0.0
    steps = steps[steps <= GAP_PERIODS * float(np.median(steps))]
    return float(1e6 / steps.mean())


def gaps_by_time(time_us: npt.NDArray[np.int64], rate_hz: float) -> tuple[Gap, ...]:
    """Gaps that the times alone show, at a nominal rate."""
    steps = np.diff(time_us)
    period = 1e6 / rate_hz
    rows = np.flatnonzero(steps > GAP_PERIODS * period)
    return tuple(Gap(after=int(row), lost=max(1, round(float(steps[row]) / period) - 1)) for row in rows)


def even_times(count: int, rate_hz: float, start_us: int = 0) -> npt.NDArray[np.int64]:
    """(count,) int64 times of an ideal clock, rounded to the microsecond."""
    ideal: npt.NDArray[np.float64] = np.arange(count) * (1e6 / rate_hz)
    return start_us + np.rint(ideal).astype(np.int64)


def csv_text(recording: Recording) -> str:
    """The CSV of a take."""
    header = ",".join(("t_us", *recording.channels))
    table = np.column_stack((recording.time_us, recording.samples.astype(np.int64)))
    rows = [",".join(map(str, row)) for row in table.tolist()]
    return "\n".join((header, *rows)) + "\n"


def write(folder: Path, session: Session, recordings: Iterable[Recording]) -> Session:
    """Adds takes to a session, one file each, and returns the session as it now stands on the disk.

    Args:
        folder: of the data set; made where missing.
        session: facts of the session; they must agree with a session file that is already there.
        recordings: takes of this participant and session.

    Raises:
        RecordingError: a take of this name exists, or the session on the disk has another scale, rate or channels.
        WriteError: the disk is full or read-only. Takes written before stay, and stay readable.
    """
    known = merged(folder, session)
    takes = list(recordings)
    names = [recording.name for recording in takes]
    for recording in takes:
        _check_belongs(recording, known)
        if (folder / f"{recording.name}.csv").exists() or names.count(recording.name) > 1:
            raise RecordingError(
                f"{recording.name}.csv exists in {folder}; nothing is overwritten: choose another session or number"
            )
    if not (folder / known.file_name).exists():
        write_whole(folder / known.file_name, known.to_json())
    for recording in takes:
        write_whole(folder / f"{recording.name}.csv", csv_text(recording).encode())
    known = known.model_copy(update={"takes": (*known.takes, *(recording.take() for recording in takes))})
    write_whole(folder / known.file_name, known.to_json())
    return known


def next_number(folder: Path, label: str, participant: str, session: str) -> int:
    """The first free take number, from 1."""
    numbers = [name[3] for name in map(split_name, folder.glob(f"{label}.{participant}.{session}.*.csv"))]
    return max(numbers, default=0) + 1


def merged(folder: Path, session: Session) -> Session:
    """The session as the disk knows it, else as given; raises `RecordingError` where the two do not go together."""
    path = folder / session.file_name
    if not path.exists():
        return session
    known = read_session(path)
    for fact in ("channels", "counts", "rate_hz", "source", "board"):
        if getattr(known, fact) != getattr(session, fact):
            raise RecordingError(
                f"{path} has {fact} {getattr(known, fact)}, the new takes {getattr(session, fact)}: "
                "record them as another session"
            )
    return known


def _check_belongs(recording: Recording, session: Session) -> None:
    check_name("label", recording.label)
    check_name("participant", recording.participant)
    check_name("session", recording.session)
    if (recording.participant, recording.session) != (session.participant, session.session):
        raise RecordingError(f"take {recording.name} is not of session {session.participant}.{session.session}")
    shape = (len(recording.time_us), len(session.channels))
    if recording.channels != session.channels or recording.samples.shape != shape:
        wanted = ", ".join(session.channels)
        raise RecordingError(
            f"take {recording.name} does not have one row per time of the channels of its session: {wanted}"
        )


def split_name(path: Path) -> tuple[str, str, str, int]:
    """Label, participant, session and number of a take's file; raises `RecordingError`."""
    parts = path.name.split(".")
    if len(parts) != 5 or parts[4] != "csv" or not parts[3].isdecimal() or not all(map(is_name, parts[:3])):
        raise RecordingError(f"{path}: a take is named label.participant.session.number.csv, like wave.p01.s01.1.csv")
    return parts[0], parts[1], parts[2], int(parts[3])


def read(path: Path, session: Session | None = None) -> Recording:
    """Reads one take with its session file.

    Args:
        path: of the CSV.
        session: the parsed session file where the caller has it already.

    Raises:
        RecordingError: wrong name or column, a value that is no int16 count (NaN among them), a ragged row, time that
            does not run forward, or a clock that does not agree with the session's rate.
    """
    label, participant, session_name, number = split_name(path)
    if session is None:
        session = read_session(path.with_name(f"{participant}.{session_name}.json"))
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    times, samples = _parse(path, text, session.channels)
    declared = next((take for take in session.takes if (take.label, take.number) == (label, number)), None)
    _check_clock(path, times, session.rate_hz, declared.gaps if declared else ())
    recording = Recording(
        label=label,
        participant=participant,
        session=session_name,
        number=number,
        time_us=times,
        samples=samples,
        rate_hz=session.rate_hz,
        channels=session.channels,
        counts=session.counts,
        gaps=gaps_by_time(times, session.rate_hz),
    )
    if declared is None:
        return recording
    return replace(
        recording,
        gaps=_union(declared.gaps, recording.gaps),
        crc_errors=declared.crc_errors,
        complete=declared.complete,
    )


def _union(declared: Sequence[Gap], seen: Sequence[Gap]) -> tuple[Gap, ...]:
    """Gaps by row; the wire's sample index, which declared ones come from, knows better than the clock."""
    rows = {gap.after: gap for gap in (*seen, *declared)}
    return tuple(rows[row] for row in sorted(rows))


def _parse(path: Path, text: str, channels: tuple[str, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    lines = text.splitlines()
    wanted = ["t_us", *channels]
    if not lines or lines[0].split(",") != wanted:
        found = lines[0][:80] if lines else "nothing"
        raise RecordingError(f"{path}, line 1: the header must be {','.join(wanted)}, found {found}")
    if not text.endswith("\n"):
        raise RecordingError(f"{path}, line {len(lines)}: the file ends in the middle of a line; copy it again")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split(",")
        if len(fields) != len(wanted):
            raise RecordingError(f"{path}, line {number}: {counted(len(fields), 'value')} under {len(wanted)} columns")
        try:
            rows.append([int(field) for field in fields])
        except ValueError as error:
            column, bad = next((c, f) for c, f in zip(wanted, fields, strict=True) if not _is_integer(f))
            raise RecordingError(f"{path}, line {number}, {column}: {bad[:40]!r} is not a whole number") from error
    try:
        table = np.array(rows, dtype=np.int64).reshape(-1, len(wanted))
    except OverflowError as error:
        raise RecordingError(f"{path}: a number is beyond 64 bits") from error
    outside = (table[:, 1:] < COUNT_MIN) | (table[:, 1:] > COUNT_MAX)
    if outside.any():
        row, column_index = np.argwhere(outside)[0]
        raise RecordingError(
            f"{path}, line {row + 2}, {channels[column_index]}: {table[row, column_index + 1]} is outside int16"
        )
    return table[:, 0].copy(), table[:, 1:].astype(np.int16)


def _is_integer(field: str) -> bool:
    try:
        int(field)
    except ValueError:
        return False
    return True


def _check_clock(path: Path, times: npt.NDArray[np.int64], rate_hz: float, gaps: Sequence[Gap]) -> None:
    backwards = np.flatnonzero(np.diff(times) <= 0)
    if backwards.size:
        raise RecordingError(f"{path}, line {backwards[0] + 3}, t_us: time does not run forward")
    measured = measured_rate(times, gaps)
    if measured and abs(measured / rate_hz - 1) > RATE_TOLERANCE:
        raise RecordingError(
            f"{path}: t_us runs at {measured:.2f} Hz, its session says {rate_hz:g} Hz: one of them is wrong"
        )
