"""How takes come to the disk, and off it again, so that nothing recorded is lost.

A short take is written whole when it is done. A continuous recording is appended to a hidden journal that is
synchronised about once a second, and becomes a take when it ends; what a crash left becomes a take that is marked as
incomplete the next time. A take that is done again is moved to the folder ``redone``, never deleted.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import time
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from ..errors import BitwaveError, WriteError
from ..files import write_whole
from ..recordings.recording import Recording, merged, next_number, read, split_name, write
from ..recordings.session import Session

REDONE = "redone"
JOURNAL = ".part"
SYNC_S = 1.0


def keep(out: Path, session: Session, take: Recording) -> Session:
    """Writes a take; where there is no room for it, puts it into the temporary folder and raises `WriteError`."""
    try:
        return write(out, session, [take])
    except WriteError as error:
        raise WriteError(f"{error}; {rescue(session, take)}") from error


def rescue(session: Session, take: Recording) -> str:
    """Puts a take that found no room into the temporary folder; says where, or that it is lost."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="bitwave-rescued-"))
        write(folder, session.model_copy(update={"takes": ()}), [take])
    except (OSError, BitwaveError):
        return "the take is lost: the temporary folder is full as well"
    return f"the take is safe in {folder}"


def withdraw(out: Path, session: Session, take: Recording) -> Session:
    """Moves a take of a session to ``redone``, so that it can be done again; returns the session without it."""
    write(out / REDONE, session.model_copy(update={"takes": ()}), [take])
    key = (take.label, take.number)
    left = tuple(listed for listed in session.takes if (listed.label, listed.number) != key)
    session = session.model_copy(update={"takes": left})
    write_whole(out / session.file_name, session.to_json())
    try:
        (out / f"{take.name}.csv").unlink()
    except OSError as error:
        raise WriteError(f"{take.name}.csv could not be moved to {REDONE}: {error.strerror}") from error
    return session


def free_number(out: Path, label: str, participant: str, session: str) -> int:
    """The first take number that neither the folder nor ``redone`` has."""
    return max(next_number(folder, label, participant, session) for folder in (out, out / REDONE))


class Journal:
    """A continuous recording on its way to the disk; a thread writes, so that the link is always read.

    Attributes:
        path: of the take that it will be.
    """

    def __init__(self, out: Path, session: Session, name: str) -> None:
        """Begins; the session file is on the disk before the first sample is. Raises `WriteError`."""
        self.path = out / f"{name}.csv"
        self._hidden = out / f".{name}.csv{JOURNAL}"
        self.session = merged(out, session)
        if not (out / self.session.file_name).exists():
            write_whole(out / self.session.file_name, self.session.to_json())
        self._rows: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._fault: OSError | None = None
        self._rows.put(",".join(("t_us", *session.channels)) + "\n")
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def append(self, time_us: npt.NDArray[np.int64], samples: npt.NDArray[np.int16]) -> None:
        """Adds (n,) times and (n, channels) counts; raises `WriteError` where an earlier one found no room."""
        self._check()
        table = np.column_stack((time_us, samples.astype(np.int64))).tolist()
        self._rows.put("".join(",".join(map(str, row)) + "\n" for row in table))

    def finish(self, take: Recording) -> Session:
        """Ends the journal: it becomes the take, and the session lists it. Raises `WriteError`."""
        self._rows.put(None)
        self._thread.join()
        try:
            self._check()
            try:
                os.rename(self._hidden, self.path)
            except OSError as error:
                raise self._refused(error) from error
            session = self.session.model_copy(update={"takes": (*self.session.takes, take.take())})
            write_whole(self.path.with_name(session.file_name), session.to_json())
        except WriteError as error:
            raise WriteError(f"{error}; {rescue(self.session, take)}") from error
        return session

    def discard(self) -> None:
        """Ends the journal without a take: nothing came."""
        self._rows.put(None)
        self._thread.join()
        self._hidden.unlink(missing_ok=True)

    def _check(self) -> None:
        if self._fault is not None:
            raise self._refused(self._fault) from self._fault

    def _refused(self, error: OSError) -> WriteError:
        return WriteError(f"{self.path} could not be written: {error.strerror or error}; make room")

    def _write(self) -> None:
        try:
            with open(self._hidden, "x", encoding="utf-8", newline="\n") as file:
                synced = time.monotonic()
                while (rows := self._rows.get()) is not None:
                    file.write(rows)
                    if time.monotonic() - synced >= SYNC_S:
                        _sync(file)
                        synced = time.monotonic()
                _sync(file)
        except OSError as error:
            self._fault = error


def _sync(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def recover(out: Path, session: Session) -> list[Path]:
    """Turns journals that a crash left of this session into takes marked as incomplete; returns their files.

    The last line is dropped where it is cut; a journal without a row is deleted.
    """
    found = []
    for hidden in sorted(out.glob(f".*.{session.participant}.{session.session}.*.csv{JOURNAL}")):
        text = hidden.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        path = out / hidden.name.removeprefix(".").removesuffix(JOURNAL)
        if whole.count(b"\n") > 1:
            if path.exists() and path.read_bytes() != whole:  # equal: this very function was cut off
                label, participant, name, _ = split_name(path)
                path = out / f"{label}.{participant}.{name}.{free_number(out, label, participant, name)}.csv"
            write_whole(path, whole)
            take = read(path)
            known = merged(out, session)
            others = (listed for listed in known.takes if (listed.label, listed.number) != (take.label, take.number))
            listed = (*others, take.take().model_copy(update={"complete": False}))
            write_whole(out / known.file_name, known.model_copy(update={"takes": listed}).to_json())
            found.append(path)
        hidden.unlink()
    return found
