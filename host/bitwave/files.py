"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from .errors import WriteError


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file so that a reader, a crash or Ctrl-C sees the old content or the new, never a half.

    A temporary file in the same folder is written, synchronised to the disk and renamed over the target; missing
    parent folders are made. What is there and no regular file, a device or a pipe, is written to and not replaced.

    Raises:
        WriteError: the disk is full, the folder is read-only and the like; the old content is untouched.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)  # a folder refuses here
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    except OSError as error:
        raise _refused(target, error) from error
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _new_file_mode(target))  # noqa: PTH101
        os.replace(temporary, target)  # noqa: PTH105
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        # Gone after a rename; still there after an error or a KeyboardInterrupt at any point above.
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder outlive a power cut, where the system has a way to; raises `OSError`."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_file_mode(target: Path) -> int:
    """The old file's permissions, else what a plain open() would give: mkstemp alone gives 0600."""
    try:
        return target.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0o022)
        os.umask(mask)
        return 0o666 & ~mask


def _refused(target: Path, error: OSError) -> WriteError:
    why = error.strerror or str(error)
    return WriteError(f"{target} could not be written: {why}; make room or choose another folder")
