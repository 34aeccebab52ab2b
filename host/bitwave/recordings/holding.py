"""One recording at a time: a session is held by the process that records it.

The lock is the operating system's own on a hidden file beside the session, so that it ends with its process, however
that ends; the file goes when the session is free.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import SessionBusy, WriteError
from .session import check_name

WAIT_S = 1.0  # somebody may just be looking through the folder
POLL_S = 0.02

_held: set[Path] = set()  # by this process


@contextmanager
def hold(out: Path, participant: str, session: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds a session, its continuous recordings included; this process may do so again within.

    Args:
        out: folder of the data set; made where missing.
        participant: pseudonym.
        session: name of the sitting.
        wait_s: how long to wait for it.

    Raises:
        RecordingError: a name that cannot be used.
        SessionBusy: another process holds it.
        WriteError: the folder cannot be written to, or its file system knows no locks.
    """
    check_name("participant", participant)
    check_name("session", session)
    path = (out / f".{participant}.{session}.lock").resolve()
    if path in _held:
        yield
        return
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path, time.monotonic() + wait_s)
    except OSError as error:
        raise WriteError(f"{out} cannot be recorded into: {error.strerror}; choose another folder") from error
    if descriptor is None:
        raise SessionBusy(
            f"{participant} {session} is being recorded into {out} by another bitwave: wait until it ends, or give "
            "this one another --session"
        )
    _held.add(path)
    try:
        yield
    finally:
        _held.remove(path)
        _release(path, descriptor)
        if made:
            with suppress(OSError):
                out.rmdir()  # nothing came


def _acquire(path: Path, deadline: float) -> int | None:
    while (descriptor := _try(path)) is None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return descriptor


def _try(path: Path) -> int | None:
    """Opens and locks the file; None where another process has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        except PermissionError:
            if path.exists() or os.access(path.parent, os.W_OK):  # it is just being deleted
                return None
            raise
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who held it may have deleted it between the two: a file without a name is no lock.
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _release(path: Path, descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        os.close(descriptor)
        with suppress(OSError):  # somebody else has it open: it is theirs to delete
            path.unlink()
    else:
        path.unlink(missing_ok=True)
        os.close(descriptor)
