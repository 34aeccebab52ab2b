"""Gestures in continuous recordings: found by movement energy, corrected by hand, cut into takes.

Energy of a sample: ``|a - g|^2 + |w - median(w)|^2``. Acceleration a is in g, against its median over 2 s around (where
gravity points then, whatever a short movement does); angular rate w is in units of 250 degree/s, against its median
(the bias). It is averaged over 0.15 s. A segment begins where the energy rises above a threshold and reaches to where
it falls below a quarter of it on both sides; segments less than 0.3 s apart are one, shorter than 0.2 s none. The
threshold is half-way, in decibels, between the recording's quiet (its 20th percentile) and its movements (its 98th),
and never below (0.1 g)^2.

Corrections: ``segments/NAME.csv`` beside the recordings, ``label,start,end`` in rows of the recording, end exclusive.
It is written once; from then on it belongs to the person who edits it. The label ``?`` stands for one without a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from ..files import write_whole
from ..model.metadata import is_name
from ..synth.wrist import Interval
from .recording import Recording
from .session import STREAM, Gap

FOLDER = "segments"
HEADER = "label,start,end"
UNNAMED = "?"
SEGMENT_LINE = re.compile(
    rb"^(?P<label>[^,\r\n]*,\s*)(?P<start>[0-9]{1,12})(?P<comma>\s*,\s*)(?P<end>[0-9]{1,12})", re.MULTILINE
)

GRAVITY_S, SMOOTH_S = 2.0, 0.15
JOIN_S, SHORTEST_S = 0.3, 0.2
QUIET_PERCENT, MOVING_PERCENT = 20.0, 98.0
MIN_ENERGY = 0.01
GYRO_UNIT_DPS = 250.0
MARGIN_S = 0.25

FloatArray = npt.NDArray[np.float64]


def energy(recording: Recording) -> FloatArray:
    """(samples,) movement energy by the module's formula, g squared; channels beyond the first six do not count."""
    if not len(recording.samples):
        return np.empty(0)
    rate = recording.rate_hz
    accel = recording.samples[:, :3] / recording.counts.accel_lsb_per_g
    turning = recording.samples[:, 3:6] / (recording.counts.gyro_lsb_per_dps * GYRO_UNIT_DPS)
    moved = [column - _median(column, GRAVITY_S * rate) for column in accel.T]
    moved += [column - np.median(column) for column in turning.T]
    return _mean(np.square(moved).sum(axis=0), SMOOTH_S * rate)


def _mean(values: FloatArray, width: float) -> FloatArray:
    """Centred moving average over an odd number of samples, shorter at the ends."""
    half = max(0, round(width) // 2)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    mean: FloatArray = (sums[last] - sums[first]) / (last - first)
    return mean


def _median(values: FloatArray, width: float) -> FloatArray:
    """Moving median, taken at twenty places per width and joined by straight lines."""
    half = max(1, round(width / 2))
    if len(values) <= 2 * half:
        return np.full(len(values), np.median(values))
    places = np.unique(np.append(np.arange(half, len(values) - half, max(1, half // 10)), len(values) - half - 1))
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * half + 1)
    medians = [np.median(windows[places[at : at + 256] - half], axis=1) for at in range(0, len(places), 256)]
    joined: FloatArray = np.interp(np.arange(len(values)), places, np.concatenate(medians))
    return joined


def threshold(values: FloatArray) -> float:
    """Energy at which a segment begins."""
    if not len(values):
        return MIN_ENERGY
    quiet, moving = np.percentile(values, (QUIET_PERCENT, MOVING_PERCENT))
    return max(MIN_ENERGY, float(np.sqrt(max(quiet, 1e-9) * moving)))


def find(recording: Recording) -> list[Interval]:
    """Segments in a recording, in order; named as the recording is, unless that is ``stream``."""
    values = energy(recording)
    level = threshold(values)
    above = _runs(values > level / 4)
    begun = [(start, end) for start, end in above if values[start:end].max() > level]
    joined: list[tuple[int, int]] = []
    for start, end in begun:
        if joined and start - joined[-1][1] < JOIN_S * recording.rate_hz:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    label = UNNAMED if recording.label == STREAM else recording.label
    return [Interval(label, start, end) for start, end in joined if end - start >= SHORTEST_S * recording.rate_hz]


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def corrections(path: Path) -> Path:
    """Where the segments of a recording stand."""
    return path.parent / FOLDER / path.name


def write_segments(path: Path, segments: Sequence[Interval]) -> None:
    """Writes the plain CSV; raises `RecordingError` where there is one, `WriteError` where there is no room."""
    if path.exists():
        raise RecordingError(f"{path} exists and may hold corrections: move it away to find segments again")
    rows = [f"{segment.label},{segment.start},{segment.end}" for segment in segments]
    write_whole(path, ("\n".join((HEADER, *rows)) + "\n").encode())


def read_segments(path: Path, length: int) -> list[Interval]:
    """Reads the plain CSV that a person may have edited, sorted by start.

    Args:
        path: of the CSV.
        length: rows of the recording.

    Raises:
        RecordingError: what `check_segments` finds first, with the line.
    """
    found, faults = check_segments(path, length)
    if faults:
        line, text = faults[0]
        raise RecordingError(f"{path}, line {line}: {text}")
    return found


def check_segments(path: Path, length: int) -> tuple[list[Interval], list[tuple[int, str]]]:
    """Good segments of the plain CSV, sorted by start, and every fault with its line.

    Faults are another header, a name that cannot be a label, rows outside the recording, and segments that overlap.

    Raises:
        RecordingError: the file cannot be read.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    if not lines or lines[0].replace(" ", "") != HEADER:
        return [], [(1, f"the header must be {HEADER}")]
    found: list[tuple[Interval, int]] = []
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            try:
                found.append((_segment(line, length), number))
            except ValueError as fault:
                faults.append((number, str(fault)))
    found.sort(key=lambda entry: (entry[0].start, entry[1]))
    kept: list[tuple[Interval, int]] = []
    for segment, number in found:
        if kept and segment.start < kept[-1][0].end:
            text = f"rows {segment.start} to {segment.end} overlap another segment, that of line {kept[-1][1]}"
            faults.append((number, text))
        else:
            kept.append((segment, number))
    return [segment for segment, _ in kept], sorted(faults)


def _segment(line: str, length: int) -> Interval:
    """One row; raises `ValueError` that says what is wrong with it."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != 3 or not all(re.fullmatch("[0-9]{1,12}", field) for field in fields[1:]):
        raise ValueError("a segment is label,start,end in rows, like wave,120,240")
    if fields[0] != UNNAMED and not is_name(fields[0]):
        raise ValueError(
            f"label {fields[0][:40]!r} is not usable: up to 24 lower-case letters, digits and single dashes, or ?"
        )
    start, end = int(fields[1]), int(fields[2])
    if not start < end <= length:
        raise ValueError(f"rows {start} to {end} are not inside the recording's {length}")
    return Interval(fields[0], start, end)


def moved(content: bytes, rows: npt.NDArray[np.int64]) -> bytes:
    """The plain CSV for a recording whose rows have other numbers now; nothing else in it changes.

    Args:
        content: of the file, whatever is wrong with it.
        rows: (samples,) the new number of each row, rising; those behind the end follow on.
    """
    length = len(rows)
    if not length or rows[-1] == length - 1:
        return content

    def number(row: int) -> int:
        return int(rows[row]) if row < length else row - length + 1 + int(rows[-1])

    def line(found: re.Match[bytes]) -> bytes:
        start, end = int(found["start"]), int(found["end"])
        return b"%s%d%s%d" % (found["label"], number(start), found["comma"], number(end - 1) + 1 if end else 0)

    return SEGMENT_LINE.sub(line, content)


def cut(
    recording: Recording, segments: Sequence[Interval], background: str | None = None, seconds: float = 0.0
) -> list[tuple[Interval, Recording]]:
    """Takes of the named segments, numbered from 1 per label; segments with a gap inside are left out.

    A take reaches a quarter of a second further than its segment on both sides, more where it would be shorter than
    `seconds`, and never into another segment.

    Args:
        recording: a continuous recording.
        segments: in order, without overlap.
        background: label for the stretches between segments that are at least `seconds` long; None leaves them.
        seconds: shortest take; a window of the model to be.
    """
    borders = [0, *(edge for segment in segments for edge in (segment.start, segment.end)), len(recording.samples)]
    wanted = round(seconds * recording.rate_hz)
    margin = round(MARGIN_S * recording.rate_hz)
    pieces: list[tuple[Interval, int, int]] = []
    for index, segment in enumerate(segments):
        around = max(margin, -(-(wanted - (segment.end - segment.start)) // 2))
        low, high = borders[2 * index], borders[2 * index + 3]
        start = max(low, min(segment.start - around, high - wanted))
        end = min(high, max(segment.end + around, start + wanted))
        if segment.label != UNNAMED:
            pieces.append((segment, start, end))
    if background is not None:
        for start, end in zip(borders[::2], borders[1::2], strict=True):
            start, end = start + (margin if start else 0), end - margin
            if end - start >= max(wanted, 1):
                pieces.append((Interval(background, start, end), start, end))
    counts: dict[str, int] = {}
    takes = []
    for segment, start, end in pieces:
        if any(start <= gap.after < end - 1 for gap in recording.gaps):
            continue
        counts[segment.label] = counts.get(segment.label, 0) + 1
        takes.append((segment, piece(recording, segment.label, counts[segment.label], start, end)))
    return takes


def piece(recording: Recording, label: str, number: int, start: int, end: int) -> Recording:
    """The rows start <= i < end of a recording as a take of their own."""
    gaps = tuple(Gap(after=gap.after - start, lost=gap.lost) for gap in recording.gaps if start <= gap.after < end - 1)
    return replace(
        recording,
        label=label,
        number=number,
        time_us=recording.time_us[start:end],
        samples=recording.samples[start:end],
        gaps=gaps,
        crc_errors=0,
        complete=True,
    )
