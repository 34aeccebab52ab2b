"""One folder of recordings, read as far as it can be: nothing here stops at a bad one, or writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecordingError
from ..wording import counted
from .findings import Finding, Placed, clipped_samples, of_one, session_name
from .recording import Recording, measured_rate, read, split_name
from .session import Session, read_session

OnRead = Callable[[Path], None]


@dataclass(frozen=True, eq=False)
class Room:
    """A folder of takes, or of continuous recordings.

    Attributes:
        place: of the folder in the data set: ``""`` or ``streams/``.
        recordings: those that can be read, by label, participant, session and number.
        sessions: session files that can be read, by ``participant.session``.
        findings: about these recordings, each taken alone.
    """

    folder: Path
    place: str = ""
    recordings: tuple[Recording, ...] = ()
    sessions: dict[str, Session] | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def placed(self) -> list[Placed]:
        """The recordings with where they are."""
        return [Placed(self.place, found) for found in self.recordings]

    def facts(self, recording: Recording) -> Session:
        """The session file of one of the recordings."""
        return (self.sessions or {})[session_name(recording)]

    def summary(self) -> dict[str, dict[str, Any]]:
        """What ``--json`` says about each session."""
        return {self.place + name: self._session(name, facts) for name, facts in (self.sessions or {}).items()}

    def _session(self, name: str, facts: Session) -> dict[str, Any]:
        mine = [found for found in self.recordings if session_name(found) == name]
        rates = [rate for found in mine if (rate := measured_rate(found.time_us, found.gaps))]
        return {
            "source": facts.source,
            "board": facts.board,
            "recordings": len(mine),
            "seconds": seconds(mine),
            "rate_hz": facts.rate_hz,
            "measured_rate_hz": [round(min(rates), 3), round(max(rates), 3)] if rates else [],
            "lost": sum(found.lost for found in mine),
            "crc_errors": sum(found.crc_errors for found in mine),
            "clipped": sum(clipped_samples(found, facts) for found in mine),
        }


def seconds(recordings: Iterable[Recording]) -> float:
    """Time that recordings cover together, to the hundredth."""
    return round(sum(found.duration_s for found in recordings), 2)


def read_room(folder: Path, place: str = "", on_read: OnRead | None = None) -> Room:
    """Reads all that can be read in a folder; empty where there is nothing.

    Args:
        folder: of the recordings.
        place: of it in the data set.
        on_read: told each recording's file before it is read.
    """
    sessions: dict[str, Session] = {}
    recordings: list[Recording] = []
    findings: list[Finding] = []
    for path in sorted(folder.glob("*.json")):
        try:
            facts = read_session(path)
        except RecordingError as error:
            findings.append(Finding(place + path.name, "unreadable", str(error)))
        else:
            sessions[f"{facts.participant}.{facts.session}"] = facts
    for path in recordings_in(folder):
        if on_read is not None:
            on_read(path)
        try:
            _, participant, session, _ = split_name(path)
            recordings.append(read(path, sessions.get(f"{participant}.{session}")))
        except RecordingError as error:
            findings.append(Finding(place + path.stem, "unreadable", str(error)))
    recordings.sort(key=lambda r: (r.label, r.participant, r.session, r.number))
    for found in recordings:
        findings += of_one(Placed(place, found), sessions[session_name(found)])
    findings += _missing(folder, place, sessions)
    return Room(folder, place, tuple(recordings), sessions, tuple(findings))


def recordings_in(folder: Path) -> list[Path]:
    """The files that are recordings, or should be."""
    return sorted(path for path in folder.glob("*.csv") if not path.name.startswith("."))


def _missing(folder: Path, place: str, sessions: dict[str, Session]) -> Iterable[Finding]:
    """Recordings that a session file lists and that are not there: two sessions of one name were copied together."""
    for name, facts in sessions.items():
        listed = [f"{take.label}.{name}.{take.number}" for take in facts.takes]
        gone = [one for one in listed if not (folder / f"{one}.csv").exists()]
        if gone:
            what = counted(len(gone), "take that its file lists is", "takes that its file lists are")
            text = f"{what} not here, like {gone[0]}: deleted, or two sessions had one name"
            yield Finding(place + name, "missing", text)
