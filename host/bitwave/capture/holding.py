"""One recording at a time: a session is held by the process that records it.

The lock is the operating system's own on a hidden file beside the session, so that it ends with its process, however
that ends; the file goes when the session is free.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import SessionBusy, WriteError
from ..recordings.session import check_name

WAIT_S = 1.0  # somebody may just be looking through the folder


def lock_name(participant: str, session: str) -> str:
    """Name of the hidden file."""
    return f".{participant}.{session}.lock"


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
        WriteError: the folder cannot be written to.
    """
    check_name("participant", participant)
    check_name("session", session)
    path = out / lock_name(participant, session)
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, is_singleton=True)
        lock.acquire(timeout=wait_s)
    except Timeout as error:
        raise SessionBusy(
            f"{participant} {session} is being recorded into {out} by another bitwave: wait until it ends, or give "
            "this one another --session"
        ) from error
    except OSError as error:
        raise WriteError(f"{out} cannot be recorded into: {error.strerror}; choose another folder") from error
    try:
        yield
    finally:
        if lock.lock_counter == 1 and sys.platform != "win32":  # Windows removes it on release
            path.unlink(missing_ok=True)  # whoever waits for this very file sees that it is no longer the lock
        lock.release()
        if made:
            with suppress(OSError):
                out.rmdir()  # nothing came
