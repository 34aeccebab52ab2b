"""The rows of a take's CSV: ``t_us`` and one int16 count per channel."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from ..wording import counted

COUNT_MIN, COUNT_MAX = -32768, 32767


def header_text(channels: tuple[str, ...]) -> str:
    """The first line."""
    return ",".join(("t_us", *channels)) + "\n"


def rows_text(time_us: npt.NDArray[np.int64], samples: npt.NDArray[np.int16]) -> str:
    """The lines of (n,) times and (n, channels) counts."""
    table = np.column_stack((time_us, samples.astype(np.int64)))
    return "".join(",".join(map(str, row)) + "\n" for row in table.tolist())


def sound_length(content: bytes, channels: tuple[str, ...]) -> int:
    """Bytes up to the end of the last sound row: after a power cut a file may end in a half row, or in zeros.

    0 where there is not even one row.
    """
    header = header_text(channels).encode()
    row = re.compile(rb"-?\d{1,19}(?:,-?\d{1,5}){%d}\n" % len(channels))
    if not content.startswith(header):
        return 0
    end = len(header)
    while found := row.match(content, end):
        end = found.end()
    return end if end > len(header) else 0


def parse_rows(path: Path, text: str, channels: tuple[str, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """(samples,) int64 times and (samples, channels) int16 counts of a file's text; raises `RecordingError`."""
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
