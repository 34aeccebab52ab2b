"""Continuous recordings with what was done in them, and the windows that training takes from them.

A window of T samples that ends with row e is labelled by how much of a gesture it holds. With the *share* of a gesture
``|window and segment| / min(T, length of the segment)``::

    of a gesture    where its share of one is at least 3/4 and e < end of the segment + half a second
    unknown         where it holds a part of a gesture, but at most half of each, or a segment of an unknown movement
    idle            where it meets no segment, or those of rest alone
    left out        else: what it should be called is a matter of taste

The beginning of a gesture is thus a movement like any other until most of it is done. Segments are those that
`bitwave.recordings.segments` keeps beside a recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from ..synth.wrist import Interval
from .dataset import Dataset, from_recordings
from .recording import Recording, read, split_name
from .segments import UNNAMED, corrections, piece, read_segments
from .session import STREAMS
from .windowing import BACKGROUND

IDLE, UNKNOWN = "idle", "unknown"
WHOLE, PART = 0.75, 0.5
GRACE_S = 0.5
TURNS = 3  # takes that a gesture's windows are dealt to: an epoch sees it that often, each time at another end
LEFT_OUT = -1


@dataclass(frozen=True, eq=False)
class Stream:
    """A continuous recording and its segments, in order and without overlap."""

    recording: Recording
    segments: tuple[Interval, ...]


@dataclass(frozen=True, eq=False)
class StreamTakes(Dataset):
    """Takes that were cut from streams, and what they were cut from.

    Attributes:
        streams: all of them, those that gave no take too.
        places: by the name of a take, the index of its stream and its first row there.
    """

    streams: tuple[Stream, ...]
    places: Mapping[str, tuple[int, int]]


def load_streams(folder: Path) -> list[Stream]:
    """Every continuous recording of a folder, or of the folder ``streams`` in it.

    Raises:
        RecordingError: there is none or only takes, one has no segments yet or unnamed ones, or a file is malformed.
    """
    place = folder / STREAMS if (folder / STREAMS).is_dir() else folder
    paths = sorted(place.glob("*.csv"), key=split_name)
    if not paths:
        raise RecordingError(f"{place} holds no continuous recording: make some with bitwave record --continuous")
    if place.name != STREAMS and not any(corrections(path).exists() for path in paths):
        raise RecordingError(
            f"{place} holds takes, no continuous recordings with segments: make some with bitwave record --continuous "
            "and bitwave segment, or name the folder that has them"
        )
    return [load_stream(path) for path in paths]


def load_stream(path: Path) -> Stream:
    """One continuous recording with its segments; raises `RecordingError`."""
    recording = read(path)
    beside = corrections(path)
    if not beside.exists():
        raise RecordingError(f"{path} has no segments yet: run bitwave segment {path} and name them in {beside}")
    found = read_segments(beside, len(recording.samples))
    for segment in found:
        if segment.label == UNNAMED:
            raise RecordingError(f"{beside}: rows {segment.start} to {segment.end} have no name yet: give one for each")
    return Stream(recording, tuple(found))


def window_labels(
    segments: Sequence[Interval], length: int, window: int, rate_hz: float
) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """What each window of a stream is called, by the module's rule.

    Returns:
        The labels, and (length,) for each row the index of the label of the window that ends with it, or `LEFT_OUT`.
    """
    labels = tuple(sorted({s.label for s in segments if s.label not in BACKGROUND})) + (IDLE, UNKNOWN)
    ends = np.arange(length)
    called = np.full(length, labels.index(IDLE), np.intp)
    grace = round(GRACE_S * rate_hz)
    for segment in (s for s in segments if s.label in BACKGROUND and s.label != IDLE):
        called[segment.start : min(length, segment.end + window - 1)] = labels.index(UNKNOWN)
    gestures = [s for s in segments if s.label not in BACKGROUND]
    shares = np.zeros((len(gestures), length))
    for row, segment in zip(shares, gestures, strict=True):
        common = np.minimum(ends + 1, segment.end) - np.maximum(ends + 1 - window, segment.start)
        row[:] = np.maximum(common, 0) / min(window, segment.end - segment.start)
    if gestures:
        most = shares.max(axis=0)
        called[most > 0] = labels.index(UNKNOWN)
        called[most > PART] = LEFT_OUT
        for row, segment in zip(shares, gestures, strict=True):
            whole = (row >= WHOLE) & (row == most) & (ends < segment.end + grace)
            called[whole] = labels.index(segment.label)
    called[: window - 1] = LEFT_OUT
    return labels, called


def training_takes(streams: Sequence[Stream], window: int, hop: int) -> StreamTakes:
    """Takes for training: every window of a gesture's take is one of it, as are those of background takes.

    A gesture gives `TURNS` takes, whose windows end early, about the gesture's end, and late; background gives takes of
    two windows, one hop apart, in every half of a window. What has a gap inside is left out.

    Raises:
        RecordingError: nothing is left, or recordings that do not go together.
    """
    takes: list[Recording] = []
    places: dict[str, tuple[int, int]] = {}
    counts: dict[tuple[str, str, str], int] = {}
    for index, stream in enumerate(streams):
        for label, start, end in _pieces(stream, window, hop):
            of = stream.recording
            if any(start <= gap.after < end - 1 for gap in of.gaps):
                continue
            key = (label, of.participant, of.session)
            counts[key] = counts.get(key, 0) + 1
            takes.append(piece(of, label, counts[key], start, end))
            places[takes[-1].name] = index, start
    if not takes:
        raise RecordingError(f"no stream holds a window of {window} samples: take a shorter one")
    return StreamTakes(from_recordings(takes).recordings, tuple(streams), places)


def _pieces(stream: Stream, window: int, hop: int) -> Iterator[tuple[str, int, int]]:
    """Label, first row and end of each take."""
    labels, called = window_labels(stream.segments, len(stream.recording.samples), window, stream.recording.rate_hz)
    edges = np.flatnonzero(np.diff(called)) + 1
    for first, last in zip((0, *edges.tolist()), (*edges.tolist(), len(called)), strict=True):
        if called[first] == LEFT_OUT:
            continue
        label = labels[called[first]]
        if label in BACKGROUND:
            for end in range(first, last - hop, max(1, window // 2)):
                yield label, end + 1 - window, end + 1 + hop
        else:
            for ends in np.array_split(np.arange(first, last), TURNS):
                if len(ends):
                    yield label, int(ends[0]) + 1 - window, int(ends[-1]) + 1
