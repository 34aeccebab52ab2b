"""The search over decisions says what the core's rule and the score's rule say, setting by setting."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwave import synth
from bitwave.errors import UsageError
from bitwave.model.metadata import Decision, Gate
from bitwave.model.quantmodel import QuantModel
from bitwave.recognition.calibration import LEAST_GAIN, THRESHOLDS, Asked, calibrate
from bitwave.recognition.event_score import Score, score
from bitwave.recognition.search import Search, Settings
from bitwave.recognition.traces import BREAK, Said, Trace, Tracer
from bitwave.recordings.recording import Recording, even_times
from bitwave.recordings.session import Gap
from bitwave.recordings.streams import Stream
from bitwave.simulator.stream import Decider
from bitwave.synth.wrist import Interval
from models import random_model

LABELS = ("chop", "wave", "idle", "unknown")
FIRES = (True, True, False, False)
HOP, RATE = 5, 50.0


def made_up(seed: int, windows: int = 120) -> Trace:
    """A random walk of scores over a stream with gestures, and a gap in its middle."""
    random = np.random.default_rng(seed)
    walk = np.cumsum(random.normal(0, 60, (windows, len(LABELS))), axis=0)
    scores = np.clip(walk - walk.mean(axis=1, keepdims=True) + 90, 0, 255).astype(np.int64)
    index = np.arange(windows, dtype=np.int64)
    broken = index >= windows // 2
    length = windows * HOP
    starts = np.sort(random.choice(length - 60, 6, replace=False))
    named = [Interval(str(random.choice(LABELS)), int(at), int(at) + int(random.integers(5, 60))) for at in starts]
    recording = Recording("stream", "p01", "s01", 1, even_times(length, RATE), np.zeros((length, 6), np.int16), RATE)
    rows, times = HOP * (index + 1) - 1, HOP * index + 30 + BREAK * broken
    fresh = (index == 0) | (index == windows // 2)
    return Trace(Stream(recording, tuple(named)), LABELS, rows, times, fresh, scores, ())


def by_the_rule(trace: Trace, decision: Decision) -> list[Said]:
    """Window after window by the simulator's decision."""
    found = []
    for first, end in zip(
        np.flatnonzero(trace.fresh), [*np.flatnonzero(trace.fresh)[1:], len(trace.rows)], strict=True
    ):
        decider = Decider(decision, HOP)
        for window in range(first, end):
            event = decider.push(int(trace.rows[window]), (trace.scores[window] - 128).astype(np.int8))
            if event is not None:
                found.append(Said(LABELS[event.label], event.sample, event.score))
    return found


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    smoothing=st.integers(0, 3),
    rows=st.lists(
        st.tuples(
            st.tuples(*[st.integers(0, 255)] * 4), st.integers(0, 120), st.integers(1, 4), st.integers(0, 60),
            st.booleans(),
        ), min_size=1, max_size=6,
    ),
)  # fmt: skip
def test_each_setting_is_decided_and_scored_as_if_alone(
    seed: int, smoothing: int, rows: list[tuple[tuple[int, ...], int, int, int, bool]]
) -> None:
    traces = [made_up(seed), made_up(seed + 1000, 40)]
    search = Search(traces, FIRES)
    several = Settings(
        smoothing, np.array([row[0] for row in rows]), *(np.array([row[at] for row in rows]) for at in (1, 2, 3, 4))
    )
    outcome = search.run(several)
    for index in range(len(rows)):
        decision = several.decision(index, FIRES)
        expected = [by_the_rule(trace, decision) for trace in traces]
        assert search.events(decision) == expected
        alone = sum((trace.score(said) for trace, said in zip(traces, expected, strict=True)), Score()).total
        told = [int(getattr(outcome, kind)[index]) for kind in ("hits", "repeated", "wrong", "false", "events")]
        assert told == [alone.hits, alone.repeated, alone.wrong, alone.false, alone.events]
        assert (outcome.gestures, outcome.background_s) == (alone.gestures, pytest.approx(alone.background_s))
        assert outcome.median_delay_s[index] == pytest.approx(alone.median_delay_s or 0.0)
        assert outcome.f1[index] == pytest.approx(alone.f1 or 0.0)
        assert outcome.false_per_hour[index] == pytest.approx(alone.false_per_hour or 0.0)


GATE = Gate(thresholds=(300,) * 6, still=30, preroll=11)


def network(decision: Decision | None = None, gate: Gate | None = None) -> QuantModel:
    """A random model with the made-up labels that fires now and then on the virtual wrist."""
    made = random_model(3, steps=20, channels=6, hidden=(7,), dense=(4,), metadata=True, hop=HOP, drive=6.0)
    assert made.metadata is not None
    chosen = decision or Decision(thresholds=(0, 0, 0, 0), hold=2, refractory=40, fires=FIRES)
    metadata = made.metadata.model_copy(update={"rate_hz": 119.0, "labels": LABELS, "decision": chosen, "gate": gate})
    return dataclasses.replace(made, metadata=metadata)


def recorded(participant: str = "p01", seed: int = 1, rate_hz: float = 119.0, gap: bool = True) -> Stream:
    """A continuous recording of the virtual wrist."""
    made = synth.stream(synth.random_plan(8, LABELS, seed), participant, seed=seed, rate_hz=rate_hz)
    gaps = (Gap(after=700, lost=9),) if gap else ()
    times = even_times(len(made.samples), rate_hz)
    recording = Recording("stream", participant, "s01", seed, times, made.samples, rate_hz, gaps=gaps)
    return Stream(recording, made.intervals)


@pytest.mark.parametrize("rate_hz", [119.0, 99.84])
@pytest.mark.parametrize("smoothing", [0, 2])
@pytest.mark.parametrize("gate", [None, GATE], ids=["awake", "gate"])
def test_the_core_says_the_same_events(smoothing: int, rate_hz: float, gate: Gate | None) -> None:
    stream = recorded(rate_hz=rate_hz)
    traced = Tracer(network(gate=gate)).trace(stream)
    assert (int(traced.fresh.sum()) > 5) == (gate is not None)  # the board rests between movements
    searched = Search([traced], FIRES)
    count = 0
    for thresholds, margin, hold, refractory, once in (
        ((0, 0, 0, 0), 0, 1, 0, False),
        ((0, 0, 0, 0), 0, 1, 0, True),
        ((90, 130, 0, 0), 5, 2, 60, False),
        ((90, 130, 0, 0), 5, 2, 60, True),
        ((120, 60, 255, 255), 20, 1, 119, False),
    ):
        decision = Decision(
            smoothing=smoothing, thresholds=thresholds, margin=margin, hold=hold, refractory=refractory, once=once,
            fires=FIRES,
        )  # fmt: skip
        told = Tracer(network(decision, gate)).trace(stream).events
        assert tuple(searched.events(decision)[0]) == told
        count += len(told)
    assert count > 20


def test_background_is_scored_and_never_fires() -> None:
    trace = Tracer(network(Decision(thresholds=(0, 0, 0, 0), fires=FIRES))).trace(recorded())
    winners = trace.scores.argmax(axis=1)
    assert np.isin(winners, (2, 3)).sum() > 10 and trace.events
    assert {said.label for said in trace.events} <= {"chop", "wave"}


def test_a_choice_keeps_to_what_was_asked_and_is_the_best_of_the_grid() -> None:
    traces = [made_up(seed, 400) for seed in range(4, 8)]
    metadata = network().metadata
    assert metadata is not None
    free = calibrate(traces, metadata, Asked(1e9))
    quick = calibrate(traces, metadata, Asked(1e9, -0.1))
    assert quick.is_met and quick.chosen.median_delay_s <= -0.1 < free.chosen.median_delay_s
    assert not calibrate(traces, metadata, Asked(1e9, -99.0)).is_met
    strict = calibrate(traces, metadata, Asked(300.0))
    assert strict.is_met and strict.chosen.false_per_hour <= 300.0 < free.chosen.false_per_hour
    assert strict.chosen.f1 <= free.chosen.f1
    for one, other in zip(free.curve, free.curve[1:], strict=False):
        assert one.false_per_hour < other.false_per_hour and one.recall < other.recall
    search = Search(traces, FIRES)
    for choice in (free, strict):
        decision = choice.chosen.decision
        outcome = search.run(Settings.of(decision))
        assert float(outcome.f1[0]) == choice.chosen.f1
        scored = [trace.score(said) for trace, said in zip(traces, search.events(decision), strict=True)]
        assert sum(scored, Score()).total.f1 == pytest.approx(choice.chosen.f1)
        # No other threshold of a single class does clearly better.
        for label in (0, 1):
            tried = np.tile(decision.thresholds, (len(THRESHOLDS), 1))
            tried[:, label] = THRESHOLDS
            others = Settings(
                decision.smoothing, tried,
                *(np.full(len(tried), v) for v in (decision.margin, decision.hold, decision.refractory)),
                np.full(len(tried), decision.once),
            )  # fmt: skip
            found = search.run(others)
            allowed = found.false_per_hour <= (300.0 if choice is strict else 1e9)
            assert found.f1[allowed].max() < choice.chosen.f1 + LEAST_GAIN


def test_silence_keeps_to_everything_and_is_no_choice() -> None:
    metadata = network().metadata
    assert metadata is not None
    # The same class leads all the time: what never fires is the only decision without a false activation.
    traces = [dataclasses.replace(trace, scores=trace.scores * 0 + 255) for trace in map(made_up, range(4))]
    choice = calibrate(traces, metadata, Asked(0.0))
    assert not choice.is_met and choice.chosen.recall > 0 and choice.chosen.false_per_hour > 0
    deaf = [dataclasses.replace(trace, scores=trace.scores * 0) for trace in traces]
    assert calibrate(deaf, metadata, Asked(0.0)).is_met is False
    mute = metadata.model_copy(update={"decision": metadata.decision.model_copy(update={"fires": (False,) * 4})})
    with pytest.raises(UsageError, match="no class of this model may fire"):
        calibrate(traces, mute, Asked(0.0))


def test_the_figures_are_those_of_the_score() -> None:
    trace = Tracer(network()).trace(recorded())
    of = trace.stream.recording
    assert trace.score() == score(trace.stream.segments, trace.events, len(of.samples), of.rate_hz, "p01")


def test_a_recording_without_a_sample_has_a_trace_without_a_window() -> None:
    model, stream = network(), recorded(gap=False)
    assert model.metadata is not None
    recording = stream.recording
    nothing = dataclasses.replace(recording, time_us=recording.time_us[:0], samples=recording.samples[:0])
    trace = Tracer(model).trace(Stream(nothing, ()))
    assert trace.scores.shape == (0, len(model.metadata.labels)) and not trace.events
    assert trace.score().total.events == 0


def test_time_is_that_of_the_clock_of_the_board() -> None:
    model, stream = network(), recorded(gap=False)
    rows = len(stream.recording.samples)
    slower = dataclasses.replace(stream.recording, time_us=even_times(rows, 100.0))
    trace = Tracer(model).trace(Stream(slower, stream.segments))
    alike = dataclasses.replace(slower, rate_hz=100.0)
    expected = score(stream.segments, trace.events, rows, 100.0)
    assert trace.score().total == expected.total
    assert Search([trace], (True, True, False, False)).background_s == expected.total.background_s
    other = Tracer(model).trace(Stream(alike, stream.segments))  # believed from the first row on
    assert other.score().total == score(stream.segments, other.events, rows, 100.0).total
    assert other.score().total.background_s == expected.total.background_s
