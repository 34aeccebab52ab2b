"""A take on its way to the disk, and what a crash left of one.

What arrives is appended to a hidden file that every byte reaches at once, and the disk itself twice a second. When the
take ends the session lists it, with its faults, and the file gets its name: a take that stands there is never without
them. What a crash left becomes a take that is marked as incomplete, the next time that anything is recorded.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import BitwaveError, RecordingError, SessionBusy, WriteError
from ..files import sync_folder, write_whole
from ..recordings.holding import hold
from ..recordings.recording import Recording, merged, parse, split_name
from ..recordings.rows import header_text, rows_text, sound_length
from ..recordings.session import STREAMS, Session, read_session
from .keeping import JOURNAL, free_number, rescue

SYNC_S = 0.5


class Journal:
    """A take on its way to the disk; a thread writes, so that the link is always read.

    Attributes:
        path: of the take that it will be.
    """

    def __init__(self, out: Path, session: Session, name: str) -> None:
        """Begins; the session file is on the disk before the first sample is."""
        self.path = out / f"{name}.csv"
        self.session = session
        self._hidden = out / f".{name}.csv{JOURNAL}"
        self._rows: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._fault: OSError | BitwaveError | None = None
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def append(self, time_us: npt.NDArray[np.int64], samples: npt.NDArray[np.int16]) -> None:
        """Adds (n,) times and (n, channels) counts."""
        self._rows.put(rows_text(time_us, samples))

    @property
    def failed(self) -> bool:
        """Whether something found no room."""
        return self._fault is not None

    def finish(self, take: Recording) -> Session:
        """Ends the journal: the session lists the take, and it is one.

        Raises:
            WriteError: there is no room; the take is in the temporary folder.
        """
        self._rows.put(None)
        self._thread.join()
        try:
            if isinstance(self._fault, OSError):
                raise self._refused(self._fault)
            if self._fault is not None:
                raise self._fault
            session = merged(self.path.parent, self.session).listing(take.take())
            write_whole(self.path.with_name(session.file_name), session.to_json())
            try:
                os.rename(self._hidden, self.path)
                sync_folder(self.path.parent)
            except OSError as error:
                raise self._refused(error) from error
        except BitwaveError as error:
            raise WriteError(f"{error}; {rescue(self.session, take)}") from error
        return session

    def _refused(self, error: OSError) -> WriteError:
        return WriteError(f"{self.path} could not be written: {error.strerror or error}; make room")

    def _write(self) -> None:
        try:
            self._begin()
            with open(self._hidden, "xb") as file:
                file.write(header_text(self.session.channels).encode())
                _sync(file)
                sync_folder(self.path.parent)  # the name, too, outlives a power cut
                self._follow(file)
                _sync(file)
        except (OSError, BitwaveError) as error:
            self._fault = error

    def _begin(self) -> None:
        """A file that somebody deleted by hand leaves its name free, and what the session said of it void."""
        label, _, _, number = split_name(self.path)
        before = merged(self.path.parent, self.session)
        session = before.without(label, number)
        place = self.path.with_name(session.file_name)
        if session != before or not place.exists():
            write_whole(place, session.to_json())

    def _follow(self, file: BinaryIO) -> None:
        """Writes what comes until the end."""
        unsynced, due = False, time.monotonic()
        while True:
            if unsynced and time.monotonic() >= due:
                _sync(file)
                unsynced, due = False, time.monotonic() + SYNC_S
            try:
                rows = self._rows.get(timeout=max(0.0, due - time.monotonic()) if unsynced else None)
            except queue.Empty:
                continue
            if rows is None:
                return
            file.write(rows.encode())
            file.flush()
            unsynced = True


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@dataclass(frozen=True)
class Leftover:
    """What became of a journal that a crash had left.

    Attributes:
        name: of the take that it is now, with its folder inside the data set.
        samples: that it holds.
        trouble: why it is no take yet; empty where it is one.
    """

    name: str
    samples: int = 0
    trouble: str = ""

    def __str__(self) -> str:
        if self.trouble:
            return f"{self.name} holds a recording that was cut off, and stays as it is: {self.trouble}"
        return f"{self.name}: {self.samples} samples recorded when an earlier run was cut off; kept, marked as cut off"


def journals(out: Path) -> Iterator[tuple[Path, str, str]]:
    """Journals in a data set, with participant and session; some may be of a recording that is running."""
    for folder in (out, out / STREAMS):
        for hidden in sorted(folder.glob(f".*.csv{JOURNAL}")):
            try:
                _, participant, session, _ = split_name(_named(hidden))
            except RecordingError:
                continue  # none of ours
            yield hidden, participant, session


def recover(out: Path) -> list[Leftover]:
    """Turns the journals that crashes left in a data set into takes marked as incomplete; live ones stay alone.

    Rows that are not whole are dropped; a journal without a row is deleted.

    Raises:
        WriteError: the disk is full or read-only; the journals stay.
    """
    found = []
    for hidden, participant, session in journals(out):
        try:
            with hold(out, participant, session, wait_s=0.0):
                took = _recover(out, hidden)
        except SessionBusy:
            continue
        if took is not None:
            found.append(took)
    return found


def _named(hidden: Path) -> Path:
    return hidden.with_name(hidden.name.removeprefix(".").removesuffix(JOURNAL))


def _recover(out: Path, hidden: Path) -> Leftover | None:
    path = _named(hidden)
    label, participant, name, number = split_name(path)
    folder = hidden.parent
    try:
        content = hidden.read_bytes()
        session = read_session(folder / f"{participant}.{name}.json")
        length = sound_length(content, session.channels)
        if not length:
            hidden.unlink()
            return None
        if path.exists():
            number = free_number(folder, label, participant, name)
            path = folder / f"{label}.{participant}.{name}.{number}.csv"
        take = parse(path, content[:length].decode(), session).take()
        # Cut off after all rows were there and the session had listed them: it knows best.
        if not any(
            (known.label, known.number, known.samples) == (label, number, take.samples) for known in session.takes
        ):
            session = session.listing(take.model_copy(update={"complete": False}))
            write_whole(folder / session.file_name, session.to_json())
        if length < len(content):
            os.truncate(hidden, length)
        os.rename(hidden, path)
        sync_folder(folder)
    except FileNotFoundError:
        return None  # its own process has finished it meanwhile
    except RecordingError as error:
        return Leftover(str(hidden.relative_to(out)), trouble=str(error))
    except OSError as error:
        raise WriteError(f"{hidden} could not be made a take: {error.strerror}") from error
    return Leftover(path.relative_to(out).with_suffix("").as_posix(), take.samples)
