"""What a data set holds: takes, continuous recordings and the segments in them, and what looks wrong.

Nothing here stops at a bad file, or writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RecordingError
from ..synth.wrist import Interval
from ..wording import counted
from .findings import Finding, axes, duplicates, strangers
from .origins import disagreements, origins
from .recording import Recording, split_name
from .room import OnRead, Room, read_room, recordings_in, seconds
from .segments import FOLDER as SEGMENTS
from .segments import UNNAMED, check_segments, corrections
from .session import STREAM, STREAMS, Session


@dataclass(frozen=True)
class Marked:
    """A segment and the seconds that it lasts, with who made the movement."""

    label: str
    participant: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Survey:
    """A data set.

    Attributes:
        takes: its own folder.
        streams: the continuous recordings.
        segments: of each continuous recording whose segments are marked without a fault, by its name there.
        cut: takes that were cut from one of the continuous recordings.
    """

    takes: Room
    streams: Room
    segments: dict[str, tuple[Interval, ...]]
    cut: int
    findings: tuple[Finding, ...]

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """The takes that can be read."""
        return self.takes.recordings

    @property
    def sessions(self) -> dict[str, Session]:
        """Session files of the takes, by ``participant.session``."""
        return self.takes.sessions or {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Of takes, by name."""
        return tuple(sorted({take.label for take in self.recordings}))

    @property
    def participants(self) -> tuple[str, ...]:
        """Of takes and streams, by name."""
        return tuple(sorted({found.participant for found in (*self.recordings, *self.streams.recordings)}))

    def of(self, participant: str | None = None, label: str | None = None) -> list[Recording]:
        """The takes of a participant, of a label, of both."""
        return [
            take for take in self.recordings if participant in (None, take.participant) and label in (None, take.label)
        ]

    def marked(self) -> list[Marked]:
        """Every segment that is marked without a fault, named or not."""
        return [
            Marked(segment.label, stream.participant, (segment.end - segment.start) / stream.rate_hz)
            for stream in self.streams.recordings
            for segment in self.segments.get(stream.name, ())
        ]

    def to_segment(self) -> list[Path]:
        """Continuous recordings that nobody has looked for segments in."""
        paths = [self.streams.folder / f"{stream.name}.csv" for stream in self.streams.recordings]
        return [path for path in paths if not corrections(path).exists()]

    def to_name(self) -> dict[Path, int]:
        """Segments without a name, by the file that wants one for each."""
        paths = {name: corrections(self.streams.folder / f"{name}.csv") for name in self.segments}
        waiting = {paths[name]: sum(s.label == UNNAMED for s in found) for name, found in self.segments.items()}
        return {path: number for path, number in waiting.items() if number}

    def next_steps(self) -> list[str]:
        """What the continuous recordings wait for, one line each."""
        steps = []
        if waiting := self.to_segment():
            are = "stream is" if len(waiting) == 1 else "streams are"
            where = waiting[0] if len(waiting) == 1 else self.streams.folder
            steps.append(f"{len(waiting)} {are} not segmented yet: run bitwave segment {where}")
        for path, number in self.to_name().items():
            have = counted(number, "segment has", "segments have")
            steps.append(f"{have} no name in {path}: write one in the place of each {UNNAMED}")
        return steps

    def summary(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "recordings": len(self.recordings),
            "seconds": seconds(self.recordings),
            "labels": {
                label: {
                    "recordings": len(self.of(label=label)),
                    "seconds": seconds(self.of(label=label)),
                    "participants": {who: len(self.of(who, label)) for who in self.participants},
                }
                for label in self.labels
            },
            "sessions": self.takes.summary(),
            "streams": self._streams(),
            "findings": [vars(finding) for finding in self.findings],
        }

    def _streams(self) -> dict[str, object]:
        marked = self.marked()
        labels: dict[str, dict[str, object]] = {}
        for label in sorted({one.label for one in marked}):
            mine = [one for one in marked if one.label == label]
            labels[label] = {
                "segments": len(mine),
                "seconds": round(sum(one.seconds for one in mine), 2),
                "participants": {who: sum(one.participant == who for one in mine) for who in self.participants},
            }
        return {
            "recordings": len(self.streams.recordings),
            "seconds": seconds(self.streams.recordings),
            "segments": len(marked),
            "labels": labels,
            "sessions": self.streams.summary(),
            "not_segmented": [path.name for path in self.to_segment()],
            "without_a_name": {path.name: number for path, number in self.to_name().items()},
            "takes_cut_from_them": self.cut,
            "next": self.next_steps(),
        }


def survey(folder: Path, on_read: OnRead | None = None) -> Survey:
    """Reads all that can be read of a data set, or of the folder of its continuous recordings alone.

    Args:
        folder: of the data set.
        on_read: told each recording's file before it is read.

    Raises:
        RecordingError: it holds no recording at all.
    """
    mine, inside = recordings_in(folder), recordings_in(folder / STREAMS)
    if not mine and not inside:
        raise RecordingError(f"{folder} holds no recording: give the folder that bitwave record or import wrote")
    if _are_streams(folder, mine):
        takes, streams = Room(folder), read_room(folder, "", on_read)
    else:
        takes = read_room(folder, "", on_read)
        streams = read_room(folder / STREAMS, f"{STREAMS}/", on_read)
    segments: dict[str, tuple[Interval, ...]] = {}
    findings = [*takes.findings, *streams.findings]
    for room in (takes, streams):
        findings += duplicates(room.placed)
        good, faults = _segments(room)
        findings += faults
        if room is streams:
            segments = good
    everything = [*takes.placed, *streams.placed]
    findings += [*axes(everything), *strangers(everything)]
    cut = origins(takes.recordings, streams.placed)
    twins = {finding.where for finding in findings if finding.kind == "duplicate"}
    fresh = [take for take in takes.recordings if take.name not in twins]
    findings += disagreements(fresh, cut, {streams.place + name: found for name, found in segments.items()})
    return Survey(takes, streams, segments, len(cut), tuple(findings))


def _are_streams(folder: Path, paths: Sequence[Path]) -> bool:
    """Whether a folder is that of continuous recordings, and not one with takes."""
    if folder.resolve().name == STREAMS:
        return True
    try:
        return bool(paths) and all(split_name(path)[0] == STREAM for path in paths)
    except RecordingError:
        return False


def _segments(room: Room) -> tuple[dict[str, tuple[Interval, ...]], list[Finding]]:
    """Segments by name of the recording, where they are without a fault; and each fault."""
    good: dict[str, tuple[Interval, ...]] = {}
    findings = []
    where = f"{room.place}{SEGMENTS}/"
    recordings = {placed.recording.name: placed.recording for placed in room.placed}
    for path in recordings_in(room.folder / SEGMENTS):
        if path.stem not in recordings:
            if not (room.folder / path.name).exists():  # else the recording is what cannot be read
                text = "belongs to no recording: bring it along, or delete these segments"
                findings.append(Finding(where + path.name, "segments", text))
            continue
        try:
            found, faults = check_segments(path, len(recordings[path.stem].samples))
        except RecordingError as error:
            findings.append(Finding(where + path.name, "unreadable", str(error)))
            continue
        findings += [Finding(f"{where}{path.name}, line {line}", "segments", text) for line, text in faults]
        if not faults:
            good[path.stem] = tuple(found)
    return good, findings
