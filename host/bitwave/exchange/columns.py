"""Recordings from any CSV with a header: columns by name, units by word, takes by a list of segments or by length.

A file is one stream at one rate. With a list of segments each segment is a take: as it is, or as a window of a fixed
length that is centred on it, whose first or last sample is repeated where the stream ends. Without one, a stream is one
take, or is sliced into takes of a fixed length; its label is then the file's name.

The list of segments is a CSV with the columns ``file``, ``label``, ``start``, ``end`` (rows of the file from 0, the end
not included), and ``person`` or ``participant`` where there are several.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError, UsageError
from ..wording import counted
from .physical import ACCEL_UNITS, GYRO_UNITS, rotation

Values = npt.NDArray[np.float64]

SEGMENT_COLUMNS = ("file", "label", "start", "end")


@dataclass(frozen=True, eq=False)
class Stream:
    """Samples in g and degree/s, (samples, 3 or 6), with what they are called."""

    label: str
    participant: str
    values: Values


@dataclass(frozen=True)
class Units:
    """What the numbers of a file are, and how its axes lie; see `bitwave.exchange.physical`.

    Attributes:
        accel, gyro: by word; empty is not known.
        axes: signed permutation, like ``y,-x,z``.
    """

    accel: str = ""
    gyro: str = ""
    axes: str = "x,y,z"

    def check(self, columns: int) -> None:
        """Raises `UsageError` for a unit that is missing or not known, and for axes that no board can have."""
        told = (("accel", self.accel, ACCEL_UNITS), ("gyro", self.gyro, GYRO_UNITS))
        for option, word, known in told[: columns // 3]:
            if word not in known:
                found = f"--{option}-unit {word}: choose" if word else f"the files do not say the unit: --{option}-unit"
                raise UsageError(f"{found} {' or '.join(known)}")
        rotation(self.axes)

    def convert(self, values: Values) -> Values:
        """(n, 3 or 6) to g and degree/s in canonical axes; raises what `check` does."""
        self.check(values.shape[1])
        turned = rotation(self.axes).T
        parts = [values[:, :3] * ACCEL_UNITS[self.accel] @ turned]
        if values.shape[1] == 6:
            parts.append(values[:, 3:] * GYRO_UNITS[self.gyro] @ turned)
        return np.hstack(parts)


def read_columns(path: Path, columns: Sequence[str]) -> Values:
    """(rows, columns) float64 of the named columns.

    Raises:
        RecordingError: a column is missing or twice there, a row is ragged, a value is no finite number.
    """
    rows: list[list[float]] = []
    for number, row in _rows(path, columns):
        values = []
        for name in columns:
            try:
                value = float(row[name])
            except ValueError as error:
                raise RecordingError(f"{path}, line {number}, {name}: {row[name][:40]!r} is not a number") from error
            if not math.isfinite(value):
                raise RecordingError(f"{path}, line {number}, {name}: {row[name][:40]} is not a finite number")
            values.append(value)
        rows.append(values)
    if not rows:
        raise RecordingError(f"{path} holds no row below its header")
    return np.array(rows)


def _rows(path: Path, wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and row by column name."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from error
    reader = csv.reader(lines)
    names = [name.strip() for name in next(reader, [])]
    for name in wanted:
        if names.count(name) != 1:
            there = "is twice in" if name in names else "is missing in"
            raise RecordingError(f"{path}: column {name} {there} the header: {', '.join(names)[:100]}")
    for row in reader:
        if row:
            if len(row) != len(names):
                raise RecordingError(
                    f"{path}, line {reader.line_num}: {counted(len(row), 'value')} under {len(names)} columns"
                )
            yield reader.line_num, dict(zip(names, (field.strip() for field in row), strict=True))


def segments(
    folder: Path, table: Path, columns: Sequence[str], units: Units, window: int | None, participant: str
) -> Iterator[Stream]:
    """The takes that a list of segments names.

    Args:
        folder: of the files, which may lie deeper in it.
        table: the list of segments.
        columns: of the files.
        units: of the values.
        window: samples of every take, centred on its segment; None takes the segments as they are.
        participant: of all takes where the list does not say.

    Raises:
        RecordingError: the list or a file is malformed, or a segment lies outside of its file.
    """
    files: dict[str, Values] = {}
    for number, row in _rows(table, SEGMENT_COLUMNS):
        name = row["file"]
        if name not in files:
            files[name] = units.convert(read_columns(_find(folder, table, number, name), columns))
        values = files[name]
        start, end = _rows_of(table, number, row, len(values), name)
        who = row.get("participant") or row.get("person") or participant
        yield Stream(row["label"], who, cut(values, start, end, window))


@dataclass(frozen=True, eq=False)
class Segmented:
    """A whole file of one participant, (samples, 3 or 6) in g and degree/s, and its segments (label, start, end)."""

    participant: str
    values: Values
    segments: tuple[tuple[str, int, int], ...]


def segmented(folder: Path, table: Path, columns: Sequence[str], units: Units, participant: str) -> Iterator[Segmented]:
    """The files that a list of segments names, whole, in its order; arguments and errors as for `segments`."""
    rows: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for number, row in _rows(table, SEGMENT_COLUMNS):
        rows.setdefault(row["file"], []).append((number, row))
    for name, mine in rows.items():
        values = units.convert(read_columns(_find(folder, table, mine[0][0], name), columns))
        people = {row.get("participant") or row.get("person") or participant for _, row in mine}
        if len(people) > 1:
            raise RecordingError(f"{table}: {name} is of {' and of '.join(sorted(people))}: a recording is of one")
        found = [(row["label"], *_rows_of(table, number, row, len(values), name)) for number, row in mine]
        yield Segmented(people.pop(), values, tuple(sorted(found, key=lambda segment: segment[1])))


def _rows_of(table: Path, number: int, row: dict[str, str], length: int, name: str) -> tuple[int, int]:
    try:
        start, end = int(row["start"]), int(row["end"])
    except ValueError as error:
        raise RecordingError(f"{table}, line {number}: start and end must be whole numbers") from error
    if not 0 <= start < end <= length:
        raise RecordingError(
            f"{table}, line {number}: rows {start} to {end} are not within the {length} rows of {name}"
        )
    return start, end


def _find(folder: Path, table: Path, number: int, name: str) -> Path:
    for path in (folder / name, *sorted(folder.rglob(Path(name).name))):
        if path.is_file():
            return path
    raise RecordingError(f"{table}, line {number}: there is no file {name} in {folder}")


def cut(values: Values, start: int, end: int, window: int | None) -> Values:
    """Rows start to end, or `window` rows about their middle, the outermost rows repeated beyond the stream."""
    if window is None:
        return values[start:end]
    first = (start + end) // 2 - window // 2
    return values[np.clip(np.arange(first, first + window), 0, len(values) - 1)]


def whole_files(
    folder: Path, columns: Sequence[str], units: Units, participant: str, slices: tuple[int, int] | None
) -> Iterator[Stream]:
    """Every CSV of a folder as one stream, or sliced; the label is the file's name."""
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise RecordingError(f"{folder} holds no .csv file")
    for path in paths:
        yield from sliced([Stream(path.stem, participant, units.convert(read_columns(path, columns)))], slices)


def sliced(streams: Iterable[Stream], slices: tuple[int, int] | None) -> Iterator[Stream]:
    """Each stream as pieces of (length, hop) samples; what is left over at its end is dropped."""
    for stream in streams:
        if slices is None:
            yield stream
            continue
        length, hop = slices
        for start in range(0, len(stream.values) - length + 1, hop):
            yield Stream(stream.label, stream.participant, stream.values[start : start + length])


def averaged(streams: Iterable[Stream], factor: int) -> Iterator[Stream]:
    """Each stream at a `factor`-th of its rate, every sample the mean of `factor` in a row."""
    for stream in streams:
        kept = len(stream.values) // factor * factor
        means = stream.values[:kept].reshape(-1, factor, stream.values.shape[1]).mean(axis=1)
        yield Stream(stream.label, stream.participant, means)
