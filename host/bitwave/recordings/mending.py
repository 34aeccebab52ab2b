"""A mended copy of a data set; the original stays as it is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..files import write_whole
from ..wording import counted
from .findings import session_name
from .recording import Recording, even_times, write
from .room import Room
from .segments import corrections, moved
from .session import Gap
from .survey import Survey

LONGEST_FILL_S = 0.05
LEFT_OUT = ("unreadable", "duplicate", "cut")  # kinds of findings that keep a take out of the copy
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mended:
    """What a mended copy holds: names of recordings, those of streams with their folder.

    Attributes:
        kept: takes.
        streams: continuous recordings.
        segments: files of segments that went along.
        filled: recordings with gaps that were filled.
        left_out: with the reason.
    """

    kept: int
    streams: int
    segments: int
    filled: tuple[str, ...]
    left_out: dict[str, str]


def mend(found: Survey, out: Path, longest_s: float = LONGEST_FILL_S) -> Mended:
    """Writes a copy of a data set without what cannot be trained on.

    Gaps of up to `longest_s` are filled with straight lines. Left out are what cannot be read, doubles, and takes that
    were cut short or have a longer gap. A continuous recording keeps longer gaps, since nothing is trained on across
    them, and may have ended early. Its segments go along, with the rows that they have in the copy; what is wrong with
    them stays, as clipping and odd axes do: a person has to judge.

    Raises:
        UsageError: the folder of the copy has something in it already.
        WriteError: the disk is full or read-only.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already: nothing is overwritten, give a new folder")
    streams = {placed.name for placed in found.streams.placed}
    reasons = (f for f in found.findings if f.kind in LEFT_OUT)
    # A stream that ended early is only shorter.
    left_out = {f.where: f.text for f in reasons if f.kind != "cut" or f.where not in streams}
    filled_ones: list[str] = []
    takes: list[Recording] = []
    for placed in found.takes.placed:
        take, _ = filled(placed.recording, longest_s)
        if take.gaps:
            missing = "1 sample is" if take.lost == 1 else f"{take.lost} samples are"
            left_out.setdefault(placed.name, f"{missing} missing")
        if placed.name not in left_out:
            takes.append(take)
            filled_ones += [placed.name] if placed.recording.gaps else []
    _write(found.takes, takes, out, filled_ones)
    kept: list[Recording] = []
    rows_of: dict[str, Rows] = {}
    for placed in found.streams.placed:
        if placed.name not in left_out:
            stream, rows_of[placed.recording.name] = filled(placed.recording, longest_s)
            kept.append(stream)
            filled_ones += [placed.name] if len(stream.gaps) < len(placed.recording.gaps) else []
    folder = out / found.streams.place
    _write(found.streams, kept, folder, filled_ones)
    segments = 0
    for name, rows in rows_of.items():
        marked = corrections(found.streams.folder / f"{name}.csv")
        if marked.exists():
            write_whole(corrections(folder / marked.name), moved(marked.read_bytes(), rows))
            segments += 1
    return Mended(len(takes), len(kept), segments, tuple(filled_ones), left_out)


def _write(room: Room, recordings: list[Recording], out: Path, filled_ones: list[str]) -> None:
    """Writes recordings by session, whose note says in how many of them gaps were filled."""
    kept: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        kept[session_name(recording)].append(recording)
    for mine in kept.values():
        facts = room.facts(mine[0])
        mentioned = sum(room.place + one.name in filled_ones for one in mine)
        words = f"; gaps filled in {counted(mentioned, 'recording')}" if mentioned else ""
        note = (facts.note + words).lstrip("; ")[:400]
        write(out, facts.model_copy(update={"takes": (), "note": note}), mine)


def filled(recording: Recording, longest_s: float) -> tuple[Recording, Rows]:
    """A recording whose gaps of up to `longest_s` are filled by straight lines; longer ones, and one at its end, stay.

    Returns:
        The recording, and (samples,) int64: the row that each of the old ones has in it.
    """
    length = len(recording.samples)
    short = [gap for gap in recording.gaps if gap.lost / recording.rate_hz <= longest_s and gap.after + 1 < length]
    rows: Rows = np.arange(length, dtype=np.int64)
    if not short:
        return recording, rows
    for gap in short:
        rows[gap.after + 1 :] += gap.lost
    whole = np.arange(rows[-1] + 1)
    columns = [np.rint(np.interp(whole, rows, column)) for column in recording.samples.T.astype(np.float64)]
    start = int(recording.time_us[0])
    times = np.rint(np.interp(whole, rows, recording.time_us - start)).astype(np.int64) + start
    stay = [gap for gap in recording.gaps if gap not in short]
    if (np.diff(times) <= 0).any():  # gaps by index whose times do not show them
        lost_before = np.zeros(len(whole), np.int64)
        for gap in stay:
            lost_before[rows[min(gap.after, length - 1)] + 1 :] += gap.lost
        times = even_times(int(whole[-1] + lost_before[-1]) + 1, recording.rate_hz, start)[whole + lost_before]
    gaps = tuple(Gap(after=int(rows[min(gap.after, length - 1)]), lost=gap.lost) for gap in stay)
    return replace(recording, samples=np.stack(columns, axis=1).astype(np.int16), time_us=times, gaps=gaps), rows
