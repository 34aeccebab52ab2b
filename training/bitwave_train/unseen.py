"""Which model of a run never saw whom: streams are scored by no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bitwave import tflite
from bitwave.errors import RecordingError, UsageError
from bitwave.model.metadata import Metadata, is_resampled
from bitwave.recognition.event_score import Score
from bitwave.recognition.events import rates_of
from bitwave.recognition.traces import Trace, Tracer
from bitwave.recordings.recording import split_name
from bitwave.recordings.streams import Stream, load_streams
from bitwave.recordings.windowing import BACKGROUND
from bitwave.wording import counted

from .runs import Part, Run, open_run


@dataclass(frozen=True, eq=False)
class Heard:
    """What one model said about people whom it never saw.

    Attributes:
        model: its .tflite.
        seed: that it was trained from.
        traces: of their streams.
        notes: what a person should know about them, one line each.
    """

    model: Path
    seed: int
    traces: tuple[Trace, ...]
    notes: tuple[str, ...] = ()

    @property
    def participants(self) -> tuple[str, ...]:
        """By name."""
        return tuple(sorted({trace.stream.recording.participant for trace in self.traces}))


def hear(path: Path, streams: Path | None) -> list[Heard]:
    """What a run, or one model of any, says about continuous recordings.

    Args:
        path: folder of a run, or a .tflite.
        streams: folder of the recordings; None takes those that the run was trained on.

    Raises:
        UsageError: a model alone, and no recordings; or what `hear_run` raises.
    """
    if not path.is_file():
        run = open_run(path)
        return hear_run(run, load_streams(streams or Path(run.config.dataset)))
    if streams is None:
        raise UsageError("a model alone does not know its recordings: give --streams FOLDER")
    return [hear_model(path, load_streams(streams))]


def hear_model(path: Path, streams: Sequence[Stream]) -> Heard:
    """All streams by one model; whether it saw these people is for the caller to know.

    Raises:
        RecordingError: a stream has gestures that the model does not know, or does not fit it.
        ModelError: the model cannot be used.
    """
    tracer = Tracer(tflite.read_model(path))
    for stream in streams:
        _check_names(stream, tracer.metadata)
    traces = tuple(tracer.trace(stream) for stream in streams)
    model_rate = tracer.metadata.rate_hz
    taken = Counter((min(rates), max(rates)) for rates in map(_rates, streams))
    notes = tuple(
        f"{counted(count, 'recording')} of {low:g}{'' if low == high else f' to {high:g}'} Hz "
        f"{'is' if count == 1 else 'are'} resampled to the model's {model_rate:g} Hz"
        for (low, high), count in sorted(taken.items())
        if is_resampled(low, model_rate) or is_resampled(high, model_rate)
    )
    return Heard(path, 0, traces, notes)


def _rates(stream: Stream) -> list[float]:
    return [rate_hz for _, rate_hz in rates_of(stream.recording)]


def _check_names(stream: Stream, metadata: Metadata) -> None:
    """A misspelt gesture would be missed for ever, and its events be wrong."""
    gestures = {segment.label for segment in stream.segments} - BACKGROUND
    if strange := sorted(gestures - set(metadata.labels)):
        known = [label for label, fires in zip(metadata.labels, metadata.decision.fires, strict=True) if fires]
        raise RecordingError(
            f"{stream.recording.name} has segments named {', '.join(strange)}, which the model does not know: it knows "
            f"{', '.join(known)}; correct the segments' CSV, or name other movements unknown"
        )


def hear_run(run: Run, streams: Sequence[Stream]) -> list[Heard]:
    """The streams of each participant by every model that never saw them.

    A run with folds has a model for each of its participants; of somebody whom the run does not know at all, the
    deployable model speaks.

    Raises:
        UsageError: a model is not quantized yet, or somebody was in every model's training.
    """
    everybody = sorted({stream.recording.participant for stream in streams})
    trained = {part: _trained_on(part) for part in run.parts()}
    parts = [part for part in run.parts() if part in run.tested]
    assigned = {part: [who for who in everybody if who in _tested_on(part)] for part in parts}
    left = [who for who in everybody if not any(who in mine for mine in assigned.values())]
    deployable = run.deployable
    seen = [who for who in left if who in trained[deployable]]
    if seen:
        raise UsageError(
            f"{seen[0]} was in the training of every model of {run.folder}: train with --folds or --hold-out, "
            "or bring streams of others"
        )
    if left:
        assigned[deployable] = [*assigned.get(deployable, []), *left]
    found = []
    for part, people in assigned.items():
        if not people:
            continue
        if not part.tflite.exists():
            raise UsageError(f"{part.tflite} is missing: run bitwave quantize {run.folder} first")
        heard = hear_model(part.tflite, [stream for stream in streams if stream.recording.participant in people])
        found.append(replace(heard, seed=part.history().seed))
    return found


def _trained_on(part: Part) -> set[str]:
    history = part.history()
    return {_participant(name) for name in (*history.train, *history.validation)}


def _tested_on(part: Part) -> set[str]:
    """Whom a model never saw; a split by session or recording leaves nobody."""
    return {_participant(name) for name in part.history().test} - _trained_on(part)


def _participant(take: str) -> str:
    return split_name(Path(f"{take}.csv"))[1]


def scores(heard: Sequence[Heard]) -> dict[int, Score]:
    """By seed, the events that the cores said."""
    found: dict[int, Score] = {}
    for one in heard:
        found[one.seed] = sum((trace.score() for trace in one.traces), found.get(one.seed, Score()))
    return found


def notes(heard: Iterable[Heard]) -> list[str]:
    """Every note once."""
    return list(dict.fromkeys(note for one in heard for note in one.notes))
