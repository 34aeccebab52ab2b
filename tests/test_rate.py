"""A sensor whose clock is off: the app follows it as the host does, starts afresh where it must, and refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitwave import wire
from bitwave.model.quantmodel import Int16Array
from bitwave.recognition import events
from bitwave.recognition.rate import STEPS, RateRule
from bitwave.recordings.recording import Recording
from bitwave.recordings.session import Gap
from bitwave.wire import frames, requests
from models import random_model, stateful, with_gate
from test_core_app import Session, only, random_stream

NOMINAL = 119_000
RATE_MISMATCH = 15
FAULT_RATE = 5
MADE = random_model(11, steps=20, channels=6, hidden=(7,), dense=(4,), metadata=True, hop=5)
assert MADE.metadata is not None
MODEL = dataclasses.replace(MADE, metadata=MADE.metadata.model_copy(update={"rate_hz": 119.0}))
Times = npt.NDArray[np.int64]


def times_of(parts: Sequence[tuple[int, float]], start_us: int = 0) -> Times:
    """Times of (samples, rate in Hz) one after the other."""
    steps = np.concatenate([np.full(count, 1e6 / rate) for count, rate in parts])
    return np.asarray(start_us + np.rint(np.cumsum(steps)), np.int64)


def feed(session: Session, raw: Int16Array, times: Times) -> list[wire.Body]:
    """All that the link says while samples come at their times."""
    heard: list[wire.Body] = []
    for at, (time_us, sample) in enumerate(zip(times.tolist(), raw, strict=True)):
        session.app.sample(time_us, sample)
        if at % 16 == 15:
            heard += session.listen()
    return heard + session.listen()


def recorded(raw: Int16Array, times: Times, gaps: tuple[Gap, ...] = ()) -> Recording:
    return Recording("stream", "p01", "s01", 1, times, raw, NOMINAL / 1000, gaps=gaps)


def told(heard: list[wire.Body]) -> list[tuple[int, int, int]]:
    return [(e.sample, e.label, e.score) for e in heard if isinstance(e, frames.Event)]


def replayed(recording: Recording, engine: str = "host") -> list[tuple[int, int, int]]:
    assert MODEL.metadata is not None
    found = events.replay(events.opened(engine, MODEL), recording, MODEL.metadata)
    return [(e.sample, e.label, e.score) for e in found.events]


PARTS = st.lists(st.tuples(st.integers(1, 900), st.floats(80, 170), st.integers(0, 3)), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(PARTS, st.integers(0, 2**32 - 1))
@example([(257, 121.38, 0), (900, 121.39, 0)], 2**32 - 3_000_000)  # at the border, and the clock wraps
def test_board_and_host_take_the_same_rates(parts: list[tuple[int, float, int]], start_us: int) -> None:
    session, rule = Session(MODEL), RateRule(NOMINAL)
    session.ask(requests.Recognise(1))
    found, wanted = [], []
    index = 0
    for count, rate_hz, lost in parts:
        times = times_of([(count, rate_hz)], start_us)
        start_us = int(times[-1])
        found += only(frames.Rate, feed(session, random_stream(count), times))
        for offset, rate_mhz in rule.push(times):
            wanted.append(frames.Rate(index + offset, rate_mhz))
        index += count
        if lost:
            session.app.lost(lost)
            index += lost
            rule.gap()
    session.app.lost(0)
    wanted.append(frames.Rate(index, rule.taken_mhz))
    assert [*found, *only(frames.Rate, session.listen())] == wanted
    info = session.ask(requests.GetInfo())[0]
    assert isinstance(info, frames.Info)
    assert (info.rate_mhz, info.measured_rate_mhz, info.taken_rate_mhz) == (NOMINAL, rule.measured_mhz, rule.taken_mhz)


@pytest.mark.parametrize("portion", [1, 7, 255, 256, 257, 5000])
def test_the_rule_does_not_depend_on_how_samples_are_cut(portion: int) -> None:
    times = times_of([(700, 119.0), (1400, 130.0), (900, 119.0)])
    whole, cut = RateRule(NOMINAL), RateRule(NOMINAL)
    found = []
    for at in range(0, len(times), portion):
        found += [(at + offset, rate) for offset, rate in cut.push(times[at : at + portion])]
    assert found == whole.push(times)
    assert found[0] == (4 * STEPS, 130_000) and found[-1][1] == 119_000


DRIFTS = {
    "4 % fast": [(1500, 123.8)],
    "4 % slow": [(1500, 114.2)],
    "across the border and back": [(700, 120.0), (700, 122.0), (700, 124.5), (900, 119.0)],
}


@pytest.mark.parametrize("parts", DRIFTS.values(), ids=DRIFTS.keys())
def test_events_are_those_of_the_replay_across_the_change(parts: list[tuple[int, float]]) -> None:
    times = times_of(parts)
    raw = random_stream(len(times), 8)
    session = Session(MODEL)
    session.ask(requests.Recognise(1))
    heard = feed(session, raw, times)
    rates = [(r.sample, r.rate_mhz / 1000) for r in heard if isinstance(r, frames.Rate)]
    recording = recorded(raw, times)
    assert rates == list(events.rates_of(recording))[1:] and len(rates) > 0
    assert told(heard) == replayed(recording) == replayed(recording, "simulator") and len(told(heard)) > 20
    assert told(heard) != replayed(recorded(raw, times_of([(len(times), 119.0)])))


def test_events_are_those_of_the_replay_across_gaps() -> None:
    times = times_of([(1100, 124.0), (10, 124.0), (1000, 124.0)])
    raw = random_stream(len(times), 9)
    session = Session(MODEL)
    session.ask(requests.Recognise(1))
    heard = feed(session, raw[:1100], times[:1100])
    session.app.lost(10)
    heard += feed(session, raw[1110:], times[1110:])
    rows = np.r_[0:1100, 1110:2110]
    recording = recorded(raw[rows], times[rows], (Gap(after=1099, lost=10),))
    assert events.rates_of(recording) == ((0, 119.0), (2 * STEPS, 124.0))  # which the gap leaves as it is
    wanted = [(sample + 10 * (sample >= 1100), *rest) for sample, *rest in replayed(recording)]
    assert told(heard) == wanted and len(wanted) > 20
    assert only(frames.Rate, heard) == [frames.Rate(2 * STEPS, 124_000)]


def test_recognition_starts_with_the_stated_rate_and_says_where() -> None:
    session = Session(MODEL)
    feed(session, random_stream(1000), times_of([(1000, 124.0)]))
    for _ in range(2):
        rate, status = session.ask(requests.Recognise(1))
        assert rate == frames.Rate(1000, NOMINAL) and status == frames.Status(0x43, session.sequence, 0, "")
        assert session.ask(requests.Recognise(1), link=1)[:-1] == []  # joins, and nothing starts afresh
        session.ask(requests.Recognise(0), link=1)
        session.ask(requests.Recognise(0))


def test_a_rate_that_is_late_once_changes_nothing() -> None:
    times = times_of([(2000, 119.0)])
    times[STEPS : STEPS + 20] += 180_000 - np.arange(20) * 9000  # whoever asks the sensor slept, as a measurement ended
    session = Session(MODEL)
    session.ask(requests.Recognise(1))
    assert only(frames.Rate, feed(session, random_stream(2000), times)) == []


@pytest.mark.parametrize("rate_hz", [190.4, 47.6])
def test_a_clock_far_off_is_refused_and_taken_back(rate_hz: float) -> None:
    session = Session(MODEL)
    session.ask(requests.Recognise(1))
    raw = random_stream(4000, 3)
    times = times_of([(600, 119.0), (1400, rate_hz), (2000, 119.0)])
    heard = feed(session, raw[:2000], times[:2000])
    (fault,) = only(frames.Fault, heard)
    assert (
        isinstance(fault, frames.Fault)
        and fault.code == FAULT_RATE
        and fault.text == "the sensor's rate does not suit the model"
    )
    assert only(frames.Fault, session.listen(1)) == [fault]
    assert max(sample for sample, *_ in told(heard)) < 600 + 3 * STEPS
    assert session.status(requests.Recognise(1)) == RATE_MISMATCH
    heard = feed(session, raw[2000:], times[2000:])
    (over,) = only(frames.Fault, heard)
    assert isinstance(over, frames.Fault) and over.code == frames.NO_FAULT
    assert told(heard) == []  # nobody asks for it any more
    assert session.status(requests.Recognise(1)) == 0
    with pytest.raises(events.ModelError, match="more than half off"):
        replayed(recorded(raw, times))


def test_a_board_that_was_refused_takes_another_model_or_sensor() -> None:
    session = Session(MODEL)
    feed(session, random_stream(1000), times_of([(1000, 190.0)]))
    assert session.status(requests.Recognise(1)) == RATE_MISMATCH
    session.app.board_changed()
    assert session.status(requests.Recognise(1)) == 0
    assert [f.code for f in session.listen(1) if isinstance(f, frames.Fault)] == [FAULT_RATE, frames.NO_FAULT]


@pytest.mark.parametrize("model", [with_gate(MODEL, 24, 5, 900), stateful(MODEL, 10)], ids=["gate", "stateful"])
def test_gates_and_carried_states_follow_too(model: object) -> None:
    assert isinstance(model, type(MODEL)) and model.metadata is not None
    times = times_of([(1500, 125.0)])
    raw = (random_stream(len(times), 4) // 40 * 40).astype(np.int16)
    raw[300:700] //= 64  # rest
    session = Session(model)
    session.ask(requests.Recognise(1))
    heard = feed(session, raw, times)
    found = events.replay(events.opened("host", model), recorded(raw, times), model.metadata)
    assert told(heard) == [(e.sample, e.label, e.score) for e in found.events] and len(found.events) > 5
