"""Passages: what a stateful network hears of continuous recordings from one reset to the next, and what it must know.

They are cut where the core starts anew, behind a gap and, with a motion gate, where the network wakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitwave.recognition.events import stretches
from bitwave.recordings.recording import Recording
from bitwave.recordings.streams import GRACE_S, IDLE, UNKNOWN, Stream, StreamTakes
from bitwave.recordings.windowing import BACKGROUND
from bitwave.simulator.stream import asleep
from bitwave.simulator.stream import stretches as awakenings

from .chains import RISE_S, SETTLE_S, FloatArray
from .gate import GateDefaults
from .settings import RunConfig
from .train import PARTICIPANTS_TO_VALIDATE

LONG_VIEWS = 30  # of the windows on which ranges are observed: half a minute, for what grows with time
NO_TARGET = -1


@dataclass(frozen=True, eq=False)
class Passage:
    """Rows of a stream that follow one another.

    Attributes:
        samples: (samples, channels) int16 counts.
        targets: (samples,) int32 index of the label after each.
        weights: (samples,) how much the answer after each counts.
        is_woken: whether it begins where a gate woke the network, and nowhere else.
    """

    samples: npt.NDArray[np.int16]
    targets: npt.NDArray[np.int32]
    weights: FloatArray
    is_woken: bool = False


def mark(stream: Stream, config: RunConfig) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Target and weight of each row of a stream.

    A gesture counts from the middle of its segment on, rising, until half a second behind its end, as an event of it
    does; background counts throughout, but not until a gesture before it may be forgotten. What has no label in the
    run counts nowhere.
    """
    indices = {label: index for index, label in enumerate(config.labels)}
    rate, count = config.rate_hz, len(stream.recording.samples)
    targets = np.full(count, indices.get(IDLE, NO_TARGET), np.int32)
    weights = np.ones(count, np.float32)
    segments = [segment for segment in stream.segments if segment.label != IDLE]
    for index, segment in enumerate(segments):
        if segment.label in BACKGROUND:
            targets[segment.start : segment.end] = indices.get(UNKNOWN, NO_TARGET)
            continue
        following = segments[index + 1].start if index + 1 < len(segments) else count
        end = min(segment.end + round(GRACE_S * rate), following)
        since = (np.arange(segment.start, end) - (segment.start + segment.end) / 2) / rate
        targets[segment.start : end] = indices.get(segment.label, NO_TARGET)
        weights[segment.start : end] = np.clip(since / RISE_S, 0, 1)
        weights[end : end + round(SETTLE_S * rate)] = 0
    weights[targets == NO_TARGET] = 0
    return np.maximum(targets, 0), weights


def passages(stream: Stream, config: RunConfig, start: int = 0, end: int | None = None) -> list[Passage]:
    """The passages between two rows of a stream; what is too short for a step of the LSTM is none."""
    targets, weights = mark(stream, config)
    stop = len(weights) if end is None else end
    gate = GateDefaults(config.settings.gate).gate(config) if config.settings.gate else None
    found = []
    for stretch in stretches(stream.recording):
        first, samples = stretch.first, stretch.samples
        low, high = max(first, start), min(first + len(samples), stop)
        inside = samples[max(0, low - first) : max(0, high - first)]
        sleeps = np.zeros(len(inside), np.bool_) if gate is None else asleep(gate, inside)
        for awake in awakenings(gate, sleeps):
            rows = slice(low + awake.first, low + awake.end)
            if awake.end - awake.first >= config.settings.overlap + config.settings.stride:
                part = inside[awake.first : awake.end]
                found.append(Passage(part, targets[rows], weights[rows], awake.woken > 0))
    return found


def settled(passage: Passage, start: int, config: RunConfig) -> FloatArray:
    """(samples - start,) the weights from a row on, where a reset that the board does not make is forgiven.

    Nothing counts for as long as background settles, and of a gesture whose beginning was not heard nothing at all.
    """
    weights = passage.weights[start:].copy()
    if start:
        weights[: round(SETTLE_S * config.rate_hz)] = 0
        if config.labels[passage.targets[start]] not in BACKGROUND:
            others = np.flatnonzero(passage.targets[start:] != passage.targets[start])
            weights[: int(others[0]) if len(others) else None] = 0
    return weights


@dataclass(frozen=True, eq=False)
class Cut:
    """The streams of one part of a run: what trains, and what chooses the best epoch.

    Attributes:
        passages, validation: of both; the latter may be empty.
        takes, validation_takes: those of the run's takes that lie in them.
    """

    passages: list[Passage]
    validation: list[Passage]
    takes: list[Recording]
    validation_takes: list[Recording]


def cut(dataset: StreamTakes, takes: Sequence[Recording], config: RunConfig) -> Cut:
    """The whole streams of everybody, or of every session, that has one of the takes.

    What is held out is whole participants or sessions (`stream_plan.of_streams`), so no stream is on two sides.
    """
    groups = {(take.participant, take.session) for take in takes}
    streams = {
        index: stream
        for index, stream in enumerate(dataset.streams)
        if (stream.recording.participant, stream.recording.session) in groups
    }
    rows = dict(zip(streams, boundaries(list(streams.values()), config), strict=True))
    trained: list[Passage] = []
    validation: list[Passage] = []
    for index, stream in streams.items():
        trained += passages(stream, config, 0, rows[index])
        validation += passages(stream, config, rows[index])
    sides: tuple[list[Recording], list[Recording]] = [], []
    for take in takes:
        index, first = dataset.places[take.name]
        sides[first + len(take.samples) > rows[index]].append(take)
    return Cut(trained, validation, *sides)


def boundaries(streams: Sequence[Stream], config: RunConfig) -> list[int]:
    """For each stream the row from which on it chooses the best epoch: 0 for all of it, its length for none of it.

    Where there are many participants some of them validate, else the end of every recording does, from between two
    segments on. Where a gesture would be missing on one of the sides, nothing validates and the last epoch is kept.
    """
    lengths = [len(stream.recording.samples) for stream in streams]
    fraction = config.settings.validation
    if not fraction:
        return lengths
    people = sorted({stream.recording.participant for stream in streams})
    if len(people) >= PARTICIPANTS_TO_VALIDATE:
        count = max(1, round(fraction * len(people)))
        chosen = set(np.random.default_rng(config.settings.seed).permutation(people)[:count].tolist())
        found = [0 if s.recording.participant in chosen else n for s, n in zip(streams, lengths, strict=True)]
    else:
        found = [_between(stream, int(n * (1 - fraction))) for stream, n in zip(streams, lengths, strict=True)]
    known = [
        {segment.label for stream, row in zip(streams, found, strict=True) for segment in stream.segments
         if (segment.start >= row) is later}
        for later in (False, True)
    ]  # fmt: skip
    gestures = set(config.labels) - BACKGROUND
    return found if all(gestures <= labels for labels in known) else lengths


def _between(stream: Stream, row: int) -> int:
    return next((segment.start for segment in stream.segments if segment.start < row < segment.end), row)


def long_windows(streams: Iterable[Stream], config: RunConfig) -> npt.NDArray[np.int16]:
    """(n, steps, channels) counts to observe ranges on; the last sample of a passage that is too short goes on."""
    steps = LONG_VIEWS * config.view
    found = []
    for stream in streams:
        for passage in passages(stream, config):
            for first in range(0, len(passage.samples), steps):
                part = passage.samples[first : first + steps]
                found.append(np.pad(part, ((0, steps - len(part)), (0, 0)), mode="edge"))
    return np.stack(found)
