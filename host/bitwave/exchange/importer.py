"""Recordings from the Arduino capture format.

Arduino's IMU_Capture sketch prints one header, ``aX,aY,aZ,gX,gY,gZ``, then the rows of each recording with a blank
line between recordings: acceleration in g, angular rate in degree/s, no time. People keep one file per label.

Counts, in double precision::

    count = clip(rint(value * lsb_per_unit), -32768, 32767)

with 8192 LSB/g and 16.384 LSB per degree/s, unless data that reach further state another; ``rint`` rounds to the
nearest, ties to even. A reading of +4 g would be 32768 and becomes 32767: such samples are counted and reported.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import RecordingError, WriteError
from ..model.metadata import CountsScale
from ..recordings.recording import COUNT_MAX, COUNT_MIN, Recording, even_times, next_number, read, write
from ..recordings.session import DEFAULT_COUNTS, Session, check_name
from ..wording import counted

HEADER = "aX,aY,aZ,gX,gY,gZ"
MIN_RATE_HZ, MAX_RATE_HZ = 1.0, 4000.0
# A hand that moves keeps the median of |a| near 1 g; m/s^2 taken for g gives 9.8, gravity removed gives about 0.
MIN_MEDIAN_G, MAX_MEDIAN_G = 0.3, 3.0


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        recordings: number of recordings by label.
        samples: samples of all recordings.
        clipped: samples with a value beyond int16, by label; labels without any are left out.
    """

    recordings: dict[str, int]
    samples: int
    clipped: dict[str, int]


def import_folder(
    folder: Path, out: Path, *, rate_hz: float, participant: str, session: str, board: str = "unknown"
) -> ImportReport:
    """Imports every CSV of a folder as one session; nothing is written unless all of it can be read.

    Args:
        folder: with one CSV per label; the label is the file name in lower case with ``_`` as ``-``.
        out: folder of the data set.
        rate_hz: sample rate, which the format does not carry.
        participant: pseudonym.
        session: name of the session.
        board: kept as it is in the session file.

    Raises:
        RecordingError: an odd rate, a file that is malformed, or takes that are there already.
        WriteError: the disk is full or read-only.
    """
    check_rate(rate_hz)
    check_name("participant", participant)
    check_name("session", session)
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise RecordingError(f"{folder} holds no .csv file: give the folder with one capture file per label")
    takes: list[Recording] = []
    clipped: dict[str, int] = {}
    for path in paths:
        label = label_of(path.stem)
        check_name(f"{path}: label", label)
        if any(take.label == label for take in takes):
            raise RecordingError(f"{path}: another file gives the label {label} too; put them into one file")
        first = next_number(out, label, participant, session)
        known = [] if first == 1 else stored(out, label, participant, session)
        for offset, values in enumerate(read_capture(path)):
            counts, beyond = to_counts(values, DEFAULT_COUNTS)
            refuse_known(f"{path}, recording {offset + 1}", counts, known, out, label)
            if beyond:
                clipped[label] = clipped.get(label, 0) + beyond
            times = even_times(len(counts), rate_hz)
            takes.append(Recording(label, participant, session, first + offset, times, counts, rate_hz))
    facts = Session(
        tool=f"bitwave {__version__}",
        source="import",
        participant=participant,
        session=session,
        board=board,
        rate_hz=rate_hz,
        note=f"Arduino capture format, {counted(len(paths), 'file')}; times are even by the rate",
    )
    write_sessions(out, [(facts, takes)])
    return ImportReport(dict(Counter(take.label for take in takes)), sum(len(t.samples) for t in takes), clipped)


def label_of(text: str) -> str:
    """A label from a file's name or a table: lower case, ``-`` for ``_`` and blanks."""
    return text.strip().lower().replace("_", "-").replace(" ", "-")


def check_rate(rate_hz: float) -> None:
    """Raises `RecordingError` for a rate that no such sensor has."""
    if not (math.isfinite(rate_hz) and MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ):
        raise RecordingError(
            f"a rate of {rate_hz:g} Hz is odd: give the sensor's, {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} "
            "(119 for an LSM9DS1)"
        )


def stored(folder: Path, label: str, participant: str, session: str) -> list[npt.NDArray[np.int16]]:
    """Counts of the takes of one label of a session."""
    return [read(path).samples for path in sorted(folder.glob(f"{label}.{participant}.{session}.*.csv"))]


def refuse_known(
    what: str, counts: npt.NDArray[np.int16], known: Iterable[npt.NDArray[np.int16]], out: Path, label: str
) -> None:
    """Raises `RecordingError` where the data set holds these counts already."""
    if any(np.array_equal(counts, old) for old in known):
        raise RecordingError(
            f"{what}: {out} holds it already as a take of {label}; the same take twice "
            "would stand on both sides of a split: import only what is new"
        )


def write_sessions(out: Path, sessions: Sequence[tuple[Session, Sequence[Recording]]]) -> None:
    """Writes sessions with their takes, all or none: the sources are still there, and half an import helps nobody."""
    new = [facts.file_name for facts, _ in sessions if not (out / facts.file_name).exists()]
    try:
        for facts, takes in sessions:
            write(out, facts, takes)
    except (WriteError, KeyboardInterrupt):
        for name in [f"{take.name}.csv" for _, takes in sessions for take in takes] + new:
            (out / name).unlink(missing_ok=True)
        raise


def to_counts(values: npt.NDArray[np.float64], scale: CountsScale) -> tuple[npt.NDArray[np.int16], int]:
    """Turns g and degree/s into counts by the module's formula.

    Args:
        values: (samples, 3 or 6) float64, three of acceleration in g, three of angular rate in degree/s.
        scale: LSB per unit.

    Returns:
        int16 counts of the same shape, and the number of samples with a value that was clipped.
    """
    lsb = np.array([scale.accel_lsb_per_g] * 3 + [scale.gyro_lsb_per_dps] * 3)[: values.shape[1]]
    rounded = np.rint(values * lsb)
    beyond = (rounded < COUNT_MIN) | (rounded > COUNT_MAX)
    return np.clip(rounded, COUNT_MIN, COUNT_MAX).astype(np.int16), int(beyond.any(axis=1).sum())


def read_capture(path: str | os.PathLike[str]) -> list[npt.NDArray[np.float64]]:
    """Reads one file of the capture format.

    Returns:
        The recordings in the order made, each (samples, 6) float64 in g and degree/s, all of one length.

    Raises:
        RecordingError: another header, a value that is no finite number, a ragged row, recordings of different length,
            or values that cannot be g.
    """
    file = Path(path)
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{file} cannot be read: {error}") from error
    header = lines[0].strip() if lines else "nothing"
    if header != HEADER:
        raise RecordingError(f"{file}, line 1: the header must be {HEADER}, found {header[:80]}")
    blocks: list[tuple[int, list[list[float]]]] = []
    inside = False
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            inside = False
            continue
        if not inside:
            blocks.append((number, []))
            inside = True
        blocks[-1][1].append(_row(file, number, line))
    if not blocks:
        raise RecordingError(f"{file} holds no recording below its header")
    _check_lengths(file, blocks)
    recordings = [np.array(rows, dtype=np.float64) for _, rows in blocks]
    _check_unit(file, recordings)
    return recordings


def _row(file: Path, number: int, line: str) -> list[float]:
    names = HEADER.split(",")
    fields = line.split(",")
    if len(fields) != len(names):
        raise RecordingError(f"{file}, line {number}: {counted(len(fields), 'value')} under {len(names)} columns")
    values = []
    for name, field in zip(names, fields, strict=True):
        try:
            value = float(field)
        except ValueError as error:
            raise RecordingError(f"{file}, line {number}, {name}: {field.strip()[:40]!r} is not a number") from error
        if not math.isfinite(value):
            raise RecordingError(f"{file}, line {number}, {name}: {field.strip()[:40]} is not a finite number")
        values.append(value)
    return values


def _check_lengths(file: Path, blocks: list[tuple[int, list[list[float]]]]) -> None:
    usual, _ = Counter(len(rows) for _, rows in blocks).most_common(1)[0]
    for number, rows in blocks:
        if len(rows) != usual:
            raise RecordingError(
                f"{file}, line {number}: this recording has {counted(len(rows), 'row')}, the others {usual}: "
                "it was cut or two ran together; take it out or mend it"
            )


def _check_unit(file: Path, recordings: list[npt.NDArray[np.float64]]) -> None:
    length = np.linalg.norm(np.concatenate(recordings)[:, :3], axis=1)
    median = float(np.median(length))
    if not MIN_MEDIAN_G <= median <= MAX_MEDIAN_G:
        raise RecordingError(
            f"{file}: the acceleration is {median:.2g} in the median where gravity gives about 1 g: "
            "this format is in g with gravity, convert it first"
        )
