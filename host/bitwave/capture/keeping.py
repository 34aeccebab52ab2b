"""Names of takes, takes that are done again, and takes that found no room: nothing recorded is lost."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from ..errors import BitwaveError, RecordingError, WriteError
from ..files import sync_folder, write_whole
from ..recordings.recording import Recording, merged, next_number, write
from ..recordings.session import Session

REDONE = "redone"
JOURNAL = ".part"


def rescue(session: Session, take: Recording) -> str:
    """Puts a take that found no room into the temporary folder; says where, or that it is lost."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="bitwave-rescued-"))
        write(folder, session.model_copy(update={"takes": ()}), [take])
    except (OSError, BitwaveError):
        return "the take is lost: the temporary folder is full as well"
    return f"the take is safe in {folder}"


def withdraw(out: Path, session: Session, take: Recording) -> Session:
    """Moves a take of a session to ``redone``, so that it can be done again; returns the session without it.

    Raises:
        RecordingError: a take of this name is there, or the folder has another session of this name.
        WriteError: the disk is full or read-only; the take is in one of the two folders.
    """
    place = out / REDONE
    if (place / f"{take.name}.csv").exists():
        raise RecordingError(f"{take.name}.csv is in {place} already: move that one elsewhere, nothing is overwritten")
    listed = merged(place, session.model_copy(update={"takes": ()})).listing(take.take())
    write_whole(place / listed.file_name, listed.to_json())
    try:
        os.rename(out / f"{take.name}.csv", place / f"{take.name}.csv")
        sync_folder(out)
        sync_folder(place)
    except OSError as error:
        raise WriteError(f"{take.name}.csv could not be moved to {REDONE}: {error.strerror}") from error
    left = merged(out, session).without(take.label, take.number)
    write_whole(out / left.file_name, left.to_json())
    return left


def free_number(out: Path, label: str, participant: str, session: str) -> int:
    """The first take number that neither the folder nor ``redone`` nor a journal has."""
    start = f".{label}.{participant}.{session}."
    waiting = (path.name.removeprefix(start).split(".")[0] for path in out.glob(f"{start}*.csv{JOURNAL}"))
    used = max((int(number) for number in waiting if number.isdecimal()), default=0)
    return max(used + 1, *(next_number(folder, label, participant, session) for folder in (out, out / REDONE)))


def rested_s(folder: Path, participant: str, session: str) -> float | None:
    """Seconds since a take was last added to a session, by the clock of its files; None where it has none."""
    stamps = [path.stat().st_mtime for path in folder.glob(f"*.{participant}.{session}.*.csv")]
    return time.time() - max(stamps) if stamps else None
