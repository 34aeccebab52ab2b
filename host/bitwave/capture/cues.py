"""What is asked of a person who records, and what is told meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..recordings.recording import Recording
from ..recordings.session import Session

Phase = Literal["count-in", "take", "saved", "redo", "over"]


@dataclass(frozen=True)
class Cue:
    """One take that is asked for.

    Attributes:
        seconds: length of the take.
        count_in_s: rest before it, by the board's clock.
        say: what to tell the person, beside the label.
    """

    label: str
    seconds: float = 1.5
    count_in_s: float = 3.0
    say: str = ""


@dataclass(frozen=True)
class CapturePlan:
    """Takes of one label, one after the other.

    Attributes:
        out: folder of the data set.
        count: takes.
        seconds: length of a take.
        count_in_s: rest before each take, by the board's clock.
    """

    out: Path
    label: str
    participant: str
    session: str = "s01"
    count: int = 10
    seconds: float = 1.5
    count_in_s: float = 3.0

    @property
    def cues(self) -> tuple[Cue, ...]:
        """The takes."""
        return (Cue(self.label, self.seconds, self.count_in_s),) * self.count


@dataclass(frozen=True)
class Progress:
    """A moment of a recording.

    Attributes:
        phase: count-in, take, saved (a take has just been written), redo (it was moved aside), or over.
        cue: the take that this is about.
        take: from 1.
        of: takes in all.
        elapsed_s: seconds of this phase so far.
        rate_hz: measured over the last second.
        lost: samples lost since the start.
        crc_errors: since the start.
        clipped: samples at the end of the range since the start.
        last: newest sample, counts.
        faults: of the take that has just been saved; empty where it is sound.
    """

    phase: Phase
    cue: Cue
    take: int
    of: int
    elapsed_s: float
    rate_hz: float
    lost: int
    crc_errors: int
    clipped: int
    last: tuple[int, ...]
    faults: str = ""


@dataclass(frozen=True)
class CaptureReport:
    """What was recorded; `session` as it now stands on the disk.

    Attributes:
        redone: names of takes that were moved aside.
    """

    session: Session
    recordings: tuple[Recording, ...]
    redone: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """Samples lost within takes."""
        return sum(take.lost for take in self.recordings)

    @property
    def clipped(self) -> int:
        """Samples at the end of the range within takes."""
        return sum(take.clipped for take in self.recordings)

    @property
    def crc_errors(self) -> int:
        """Damaged frames within takes."""
        return sum(take.crc_errors for take in self.recordings)
