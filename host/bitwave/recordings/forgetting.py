"""A participant who is forgotten: every file about them goes, and what else mentions them is named."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

from ..errors import RecordingError, WriteError
from ..model.metadata import is_name
from .holding import hold

NAME = "[a-z0-9]+(?:-[a-z0-9]+)*"
# Journals, pages, pictures, locks and halves of a program that was killed have more in front of the name, and behind.
RECORDING = rf"(?:^|[.~#]){NAME}\.{{who}}\.(?P<session>{NAME})\.[0-9]+(?:[.~#]|$)"
SESSION = rf"^[.~#]*(?:lock\.)?{{who}}\.(?P<session>{NAME})\.(?:json|lock)(?:[.~#]|$)"
LARGEST_READ = 1 << 20  # bytes; what people write about participants is shorter


def files_of(folder: Path, participant: str) -> list[Path]:
    """Every file about a participant, in the folders inside too: what is about recordings, the session files last.

    Raises:
        RecordingError: no such name, or nothing is known about it.
    """
    if not is_name(participant):
        raise RecordingError(f"participant {participant!r} is no pseudonym: they look like p01")
    everything = _files(folder)
    recordings, sessions = (_about(word, participant) for word in (RECORDING, SESSION))
    found = [path for path in everything if recordings.search(path.name)]
    found += [path for path in everything if sessions.search(path.name)]
    if not found:
        anybody = re.compile(SESSION.format(who=f"(?P<who>{NAME})"))
        known = {match["who"] for path in everything if (match := anybody.search(path.name))}
        raise RecordingError(f"{folder} holds nothing of {participant}: there are {', '.join(sorted(known)) or 'none'}")
    return found


def forget(folder: Path, participant: str) -> list[Path]:
    """Deletes every file about a participant and returns their names; may be run again after a crash.

    Raises:
        RecordingError: nothing is known about the participant.
        SessionBusy: one of the sessions is being recorded.
        WriteError: a file could not be deleted.
    """
    found = files_of(folder, participant)
    patterns = [_about(word, participant) for word in (RECORDING, SESSION)]
    matches = [match for path in found for pattern in patterns if (match := pattern.search(path.name))]
    with ExitStack() as held:
        for session in sorted({match["session"] for match in matches}):
            held.enter_context(hold(folder, participant, session))
        _delete(found)
    return found


def _delete(paths: list[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)  # a lock goes by itself
        except OSError as error:
            raise WriteError(f"{path} could not be deleted: {error.strerror}; run this again when it can be") from error


def mentions(folder: Path, participant: str) -> list[Path]:
    """Other files that have the pseudonym as a word in their name or text: plans, lists, exports. People decide."""
    word = re.compile(rf"(?<![a-z0-9-]){re.escape(participant)}(?![a-z0-9])")
    others = (_about(RECORDING, NAME, known=True), _about(SESSION, NAME, known=True))
    found = []
    for path in _files(folder):
        if any(pattern.search(path.name) for pattern in others):
            continue  # about somebody else; a session may have the name of a participant
        try:
            text = path.read_bytes() if path.stat().st_size <= LARGEST_READ else b""
        except OSError:
            text = b""  # its name can be looked at all the same
        if word.search(path.name) or word.search(text.decode("utf-8", "replace")):
            found.append(path)
    return found


def _files(folder: Path) -> list[Path]:
    """All that is in a folder, but for what other programs keep in hidden folders there."""
    found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts[:-1]))


def _about(pattern: str, who: str, known: bool = False) -> re.Pattern[str]:
    return re.compile(pattern.format(who=who if known else re.escape(who)))
