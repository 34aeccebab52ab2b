"""Every error that a person can meet: one line that carries the facts and the next step, and an exit code.

Library code raises these; only the command line turns them into a process exit.
"""

from __future__ import annotations


class BitwaveError(Exception):
    """Base of all errors that a person can act on; ``str(error)`` is one line."""

    exit_code: int = 1


class ParityMismatch(BitwaveError):
    """Two engines that must agree computed different values."""

    exit_code = 1


class UsageError(BitwaveError):
    """The words of the command do not make sense together (typer's own usage errors share the code)."""

    exit_code = 2


class ModelError(BitwaveError):
    """A .tflite file is truncated, corrupt, or uses something that bitwave cannot take."""

    exit_code = 3


class ImageError(BitwaveError):
    """A model image was refused: magic, ABI, size, CRC, offsets or ranges."""

    exit_code = 4


class RecordingError(BitwaveError):
    """A recording or a session file is malformed, or a data set cannot be used as asked."""

    exit_code = 5


class LinkError(BitwaveError):
    """A port or a board is missing, vanished or answers something else."""

    exit_code = 6


class WriteError(BitwaveError):
    """A file could not be written whole; what was there before is untouched."""

    exit_code = 7


class MissingPackage(BitwaveError):
    """An optional package or program that this command needs is not installed."""

    exit_code = 8


class LeakingSplit(BitwaveError):
    """The split that was asked for would put the same person, session or take on both sides."""

    exit_code = 9


class NativeBuildError(BitwaveError):
    """The C core could not be built, or the build at hand is stale and cannot be rebuilt."""

    exit_code = 10


class OverBudget(BitwaveError):
    """No model of a search costs as little as was asked."""

    exit_code = 12


class StorageUnavailable(BitwaveError):
    """The storage of a study cannot be reached, or went away."""

    exit_code = 13


class SessionBusy(BitwaveError):
    """Another process records this session."""

    exit_code = 14


class Stopped(BitwaveError):
    """A signal ended the command before it was done; the line says what was kept."""

    exit_code = 130

    def __init__(self, line: str, exit_code: int = 130) -> None:
        """`exit_code` is 128 and the signal's number."""
        super().__init__(line)
        self.exit_code = exit_code
