"""Calibration of a model or of a run: decisions are chosen on some people's streams and reported on others'.

Of a run with folds every participant's streams are traced by the model that never saw them. A fold's model gets the
decision that is best on the traces of all the others, and is reported on its own participants; the deployable model
gets the one that is best on all of them. One model alone gets a decision chosen on the participants that are named,
and is reported on the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bitwave import tflite
from bitwave.errors import ModelError, ParityMismatch, UsageError
from bitwave.files import write_whole
from bitwave.model.metadata import Decision
from bitwave.recognition.calibration import Asked, Choice, Point, calibrate
from bitwave.recognition.event_score import Score
from bitwave.recognition.search import Search
from bitwave.recognition.traces import Said, Trace, Tracer
from bitwave.recordings.streams import Stream
from bitwave.tflite import build as tflite_build

from .runs import Run
from .unseen import Heard


@dataclass(frozen=True)
class Calibrated:
    """One model with its new decision.

    Attributes:
        model: its .tflite.
        seed: that it was trained from.
        choice: on the calibration participants.
        chosen_on: who they are.
        score: of the others, none where everybody was needed to choose.
    """

    model: Path
    seed: int
    choice: Choice
    chosen_on: tuple[str, ...]
    score: Score

    @property
    def reported(self) -> dict[str, Point]:
        """The decision on each of the others."""
        return {
            who: Point(self.choice.chosen.decision, tally.recall or 0.0, tally.f1 or 0.0, tally.false_per_hour or 0.0)
            for who, tally in self.score.participants.items()
        }


def calibrate_one(heard: Heard, on: Sequence[str], asked: Asked) -> Calibrated:
    """Chooses on the participants `on`, reports on the others; writes nothing.

    Raises:
        UsageError: nobody is named, one of them has no stream, or nobody is left to report on.
    """
    if not on:
        raise UsageError(
            "one model, and nobody to choose on: name calibration participants with --on; the others are reported. "
            f"There are {', '.join(heard.participants)}"
        )
    for who in on:
        if who not in heard.participants:
            raise UsageError(f"--on {who}: there are streams of {', '.join(heard.participants)}")
    others = [trace for trace in heard.traces if _who(trace) not in on]
    if not others:
        raise UsageError("every participant is one to choose on: leave somebody to report, or the figure would flatter")
    return _calibrated(heard, [trace for trace in heard.traces if _who(trace) in on], others, asked)


def calibrate_run(run: Run, heard: Sequence[Heard], asked: Asked) -> list[Calibrated]:
    """Each fold's model on the traces of the others, and the deployable one on all; writes nothing.

    Raises:
        UsageError: a seed has the traces of one model alone.
    """
    found = []
    for seed in sorted({one.seed for one in heard}):
        of_seed = [one for one in heard if one.seed == seed]
        if len(of_seed) < 2:
            raise UsageError(f"{run.folder} has one model with streams of people it never saw: use --on PARTICIPANT")
        for one in of_seed:
            others = [trace for other in of_seed if other is not one for trace in other.traces]
            others = [trace for trace in others if _who(trace) not in one.participants]
            found.append(_calibrated(one, others, one.traces, asked))
    deployable = run.deployable.tflite
    if all(one.model != deployable for one in found):
        first = min(one.seed for one in heard)
        everyone = [trace for one in heard if one.seed == first for trace in one.traces]
        found.append(_calibrated(Heard(deployable, first, ()), everyone, (), asked))
    return found


def _calibrated(heard: Heard, choose_on: Sequence[Trace], report_on: Sequence[Trace], asked: Asked) -> Calibrated:
    metadata = tflite.read_model(heard.model).metadata
    if metadata is None:
        raise ModelError(f"{heard.model} has no bitwave metadata: export it with --labels first")
    choice = calibrate(choose_on, metadata, asked)
    people = tuple(sorted({_who(trace) for trace in choose_on}))
    return Calibrated(heard.model, heard.seed, choice, people, score_with(report_on, choice.chosen.decision))


def score_with(traces: Sequence[Trace], decision: Decision) -> Score:
    """The score of traces with a decision of their own."""
    found = Search(traces, decision.fires).events(decision)
    return sum((trace.score(said) for trace, said in zip(traces, found, strict=True)), Score())


def write_decision(source: Path, target: Path, decision: Decision, streams: Iterable[Stream] = ()) -> None:
    """Writes a model with another decision, whole, once its core has said of the streams what the search says.

    Raises:
        ModelError, WriteError: the model cannot be used, or not be written.
        ParityMismatch: core and search say something else; nothing is written then.
    """
    model = tflite.read_model(source)
    if model.metadata is None:
        raise ModelError(f"{source} has no bitwave metadata: export it with --labels first")
    decided = replace(model, metadata=model.metadata.model_copy(update={"decision": decision}))
    tracer = Tracer(decided)
    for stream in streams:
        trace = tracer.trace(stream)
        _check(target, trace, trace.events, decision)
    write_whole(target, tflite_build.write(decided))


def check_core(model: Path, traces: Iterable[Trace]) -> None:
    """Raises `ParityMismatch` unless the core with the model's decision says what the search said it would."""
    tracer = Tracer(tflite.read_model(model))
    for trace in traces:
        _check(model, trace, tracer.trace(trace.stream).events, tracer.metadata.decision)


def _check(model: Path, trace: Trace, events: tuple[Said, ...], decision: Decision) -> None:
    if tuple(Search([trace], decision.fires).events(decision)[0]) != events:
        raise ParityMismatch(f"{model}: the core's events of {trace.stream.recording.name} are not those searched")


def _who(trace: Trace) -> str:
    return trace.stream.recording.participant
