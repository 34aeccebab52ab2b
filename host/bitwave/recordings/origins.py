"""Which takes were cut from which continuous recording, and which of them no longer agree with its segments.

A take that `bitwave segment --cut` wrote has times and counts of the recording; that is how it is known. It holds the
segment that it has more than half of. Segments may be corrected afterwards: a take then may have another label than
its segment, or the same movement may be cut twice, with other ends, so that its counts alone do not show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..synth.wrist import Interval
from .findings import Finding, Placed, session_name
from .recording import Recording
from .segments import UNNAMED


@dataclass(frozen=True, eq=False)
class Origin:
    """Rows start <= i < end of a continuous recording."""

    stream: Placed
    start: int
    end: int

    @property
    def words(self) -> str:
        """For people."""
        return f"rows {self.start} to {self.end} of {self.stream.name}"

    def shared(self, start: int, end: int) -> int:
        """Rows in common with others of the same recording."""
        return min(self.end, end) - max(self.start, start)


def origins(takes: Iterable[Recording], streams: Sequence[Placed]) -> dict[str, Origin]:
    """Where takes come from, by name of the take; those that were recorded by themselves are left out."""
    found = {}
    for take in takes:
        origin = next((origin for stream in streams if (origin := _within(take, stream)) is not None), None)
        if origin is not None:
            found[take.name] = origin
    return found


def _within(take: Recording, stream: Placed) -> Origin | None:
    of = stream.recording
    if not len(take.samples) or take.channels != of.channels:
        return None
    start = int(np.searchsorted(of.time_us, take.time_us[0]))
    end = start + len(take.samples)
    if end > len(of.samples) or (of.time_us[start], of.time_us[end - 1]) != (take.time_us[0], take.time_us[-1]):
        return None
    return Origin(stream, start, end) if np.array_equal(of.samples[start:end], take.samples) else None


def disagreements(
    takes: Iterable[Recording], found: Mapping[str, Origin], segments: Mapping[str, Sequence[Interval]]
) -> Iterable[Finding]:
    """Takes that stand for a movement twice, under somebody else's name, or under another label.

    Args:
        takes: all of them, in order; of two that are the same the later one is named.
        found: where they come from.
        segments: of the recordings that have good ones, by name in the data set.
    """
    held: dict[tuple[str, int], str] = {}
    background: dict[str, list[tuple[Origin, str]]] = {}
    for take in takes:
        if take.name not in found:
            continue
        origin = found[take.name]
        if session_name(take) != session_name(origin.stream.recording):
            yield Finding(take.name, "duplicate", f"holds {origin.words}, which another session has: one is misnamed")
            continue
        known = segments.get(origin.stream.name, ())
        segment = _held(origin, known)
        if segment is None:
            mine = background.setdefault(origin.stream.name, [])
            twin = next((name for other, name in mine if _mostly(origin, other)), None)
            mine.append((origin, take.name))
            if twin is not None:
                yield Finding(take.name, "duplicate", f"holds {origin.words}, most of them also in {twin}")
            elif take.label in {one.label for one in known}:
                text = f"holds {origin.words}, where no segment is any more: delete it, or mark the segment again"
                yield Finding(take.name, "label", text)
            continue
        twin = held.setdefault((origin.stream.name, segment.start), take.name)
        if twin != take.name:
            text = f"holds the {segment.label} in {origin.words}, as {twin} does"
            yield Finding(take.name, "duplicate", text)
        elif segment.label not in (take.label, UNNAMED):
            text = f"holds {origin.words}, which its segments call {segment.label}: delete it and cut again"
            yield Finding(take.name, "label", text)


def _held(origin: Origin, segments: Sequence[Interval]) -> Interval | None:
    """The segment that most of is in a take."""
    inside = [one for one in segments if 2 * origin.shared(one.start, one.end) > one.end - one.start]
    return max(inside, key=lambda one: origin.shared(one.start, one.end), default=None)


def _mostly(one: Origin, other: Origin) -> bool:
    """Whether more than half of the shorter is in the other."""
    return 2 * one.shared(other.start, other.end) > min(one.end - one.start, other.end - other.start)
