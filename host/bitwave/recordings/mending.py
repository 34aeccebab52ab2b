"""Changes to a data set: a mended copy, and a participant who is forgotten."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..capture.continuous import FOLDER as STREAMS
from ..capture.holding import hold
from ..capture.keeping import REDONE
from ..errors import RecordingError, UsageError, WriteError
from ..model.metadata import is_name
from .recording import Recording, write
from .survey import Survey, filled

LONGEST_FILL_S = 0.05
SEGMENTS = "segments"  # folder beside the takes: what bitwave segment and people wrote about them
ROOMS = (".", SEGMENTS, REDONE, STREAMS, f"{STREAMS}/{SEGMENTS}", f"{STREAMS}/{REDONE}")


@dataclass(frozen=True)
class Mended:
    """What a mended copy holds: names of takes."""

    kept: int
    filled: tuple[str, ...]
    left_out: dict[str, str]


def mend(found: Survey, out: Path, longest_s: float = LONGEST_FILL_S) -> Mended:
    """Writes a copy of a data set without what cannot be trained on; the original stays as it is.

    Left out are takes that cannot be read, doubles, takes that were cut short, and takes with a gap longer than
    `longest_s`; shorter gaps are filled with straight lines. Clipped takes and odd axes stay: a person has to judge.

    Raises:
        UsageError: the folder of the copy has something in it already.
        WriteError: the disk is full or read-only.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already: nothing is overwritten, give a new folder")
    left_out = {f.where: f.text for f in found.findings if f.kind in ("unreadable", "duplicate", "cut")}
    whole: list[str] = []
    kept: dict[str, list[Recording]] = defaultdict(list)
    for take in found.recordings:
        mended = filled(take, longest_s) if take.gaps else take
        if mended is None:
            left_out.setdefault(take.name, f"{take.lost} samples are missing")
        if mended is None or take.name in left_out:
            continue
        kept[f"{take.participant}.{take.session}"].append(mended)
        if take.gaps:
            whole.append(take.name)
    for name, takes in kept.items():
        facts = found.sessions[name]
        mentioned = [take.name for take in takes if take.name in whole]
        note = f"{facts.note}; gaps filled in {len(mentioned)} takes".lstrip("; ") if mentioned else facts.note
        write(out, facts.model_copy(update={"takes": (), "note": note[:400]}), takes)
    return Mended(sum(map(len, kept.values())), tuple(whole), left_out)


def files_of(folder: Path, participant: str) -> list[Path]:
    """Every file about a participant: takes, then what was written about them, the session files last.

    Raises:
        RecordingError: no such name, or nothing is known about it.
    """
    if not is_name(participant):
        raise RecordingError(f"participant {participant!r} is no pseudonym: they look like p01")
    everything = [path for room in ROOMS for path in sorted((folder / room).glob("*"))]
    takes = [path for path in everything if _is_about(path, participant, place=1)]
    found = [*takes, *(path for path in everything if _is_about(path, participant, place=0))]
    if not found:
        known = {path.name.split(".")[0] for path in folder.glob("*.*.json")}
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
    with ExitStack() as held:
        for session in sorted({_session_of(path, participant) for path in found}):
            held.enter_context(hold(folder, participant, session))
        _delete(found)
    return found


def _delete(paths: list[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)  # a lock goes by itself
        except OSError as error:
            raise WriteError(f"{path} could not be deleted: {error.strerror}; run this again when it can be") from error


def _session_of(path: Path, participant: str) -> str:
    parts = path.name.removeprefix(".").split(".")
    return parts[parts.index(participant) + 1]


def _is_about(path: Path, participant: str, place: int) -> bool:
    """``label.participant.session.number.*`` at place 1, ``participant.session.json`` at place 0; also half-written."""
    parts = path.name.removeprefix(".").split(".")
    whole = len(parts) >= 5 if place == 1 else len(parts) >= 3 and parts[2] in ("json", "lock")
    return path.is_file() and whole and parts[place] == participant
