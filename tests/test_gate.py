"""The motion gate and carried states: the simulator, the core here and on the Cortex-M4 sleep and wake as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bitwave import native, simulator
from bitwave.core.host import HostCore, Recognised
from bitwave.emulator.engine import EmulatedCore
from bitwave.errors import ModelError
from bitwave.model import image
from bitwave.model.metadata import Gate
from bitwave.model.quantmodel import Int16Array, QuantModel
from bitwave.simulator.stream import Event, Stretch, asleep, stretches
from models import Shape, random_model, stateful, with_gate
from support import need

CHANNELS = 3


def moving_now_and_then(samples: int, seed: int, still: int, noise: int = 60) -> Int16Array:
    """Rest, movement and slow drift by turns, of lengths around what the gate waits for."""
    rng = np.random.default_rng(seed)
    raw = np.zeros((samples, CHANNELS), np.int64)
    at, pose = 0, rng.integers(-9000, 9000, CHANNELS)
    while at < samples:
        length = int(rng.integers(1, 3 * still + 2))
        part = slice(at, at + length)
        count = len(raw[part])
        kind = rng.integers(4)
        if kind == 0:  # movement
            raw[part] = rng.integers(-32768, 32768, (count, CHANNELS))
            pose = rng.integers(-9000, 9000, CHANNELS)
        elif kind == 1:  # a slow turn
            raw[part] = pose + np.arange(count)[:, None] * rng.integers(-30, 31, CHANNELS)
            pose = raw[part][-1]
        else:
            raw[part] = pose
        raw[part] += rng.integers(-noise, noise + 1, (count, CHANNELS))
        at += length
    return np.clip(raw, -32768, 32767).astype(np.int16)


def by_definition(gate: Gate, raw: Int16Array) -> tuple[list[bool], list[list[int]]]:
    """The rule one sample at a time: which samples are slept through, and what the network is fed in a row."""
    reference, at_rest = [0] * raw.shape[1], 0
    told: list[bool] = []
    fed: list[list[int]] = [[]]
    ring: list[int] = []
    for index, row in enumerate(raw.tolist()):
        moves = any(abs(x - r) > t for x, r, t in zip(row, reference, gate.thresholds, strict=True))
        if moves:
            reference = row
        at_rest = 0 if moves else at_rest + 1
        told.append(at_rest > gate.still)
        if index and told[-2] and not told[-1]:
            fed.append(ring)
        if not told[-1]:
            fed[-1].append(index)
        ring = [*ring, index][-gate.preroll :] if gate.preroll else []
    return told, fed


GATES = st.builds(
    Gate,
    thresholds=st.tuples(*[st.sampled_from([0, 50, 120, 400, 65535])] * CHANNELS),
    still=st.integers(9, 30),
    preroll=st.integers(0, 8),
)


@settings(max_examples=60, deadline=None)
@given(GATES, st.integers(0, 999))
def test_the_simulator_follows_the_rule(gate: Gate, seed: int) -> None:
    raw = moving_now_and_then(300, seed, gate.still)
    told, fed = by_definition(gate, raw)
    sleeps = asleep(gate, raw)
    assert sleeps.tolist() == told
    assert [list(range(s.first, s.end)) for s in stretches(gate, sleeps)] == fed


def gated(gate: Gate, seed: int, **shape: Any) -> QuantModel:
    options: dict[str, Any] = {"steps": 9, "channels": CHANNELS, "hidden": (4,), "dense": (3,), "metadata": True}
    return with_gate(random_model(seed, **options | shape), gate.still, gate.preroll, gate.thresholds)


def check_host(model: QuantModel, raw: Int16Array, rate_hz: float | None = None) -> Recognised:
    """Core and simulator on a stream: every window, score, event and slept sample."""
    wanted = simulator.run_stream(model, raw, rate_hz)
    core = HostCore(image.build(model))
    got = core.events(raw, rate_hz)
    assert got.samples.tolist() == wanted.samples.tolist()
    np.testing.assert_array_equal(got.scores, wanted.scores)
    assert got.events == wanted.events
    assert got.slept == wanted.slept
    stream = core.stream(rate_hz)
    parts = [stream.push(raw[at : at + 17]) for at in range(0, len(raw), 17)]
    assert [event for part in parts for event in part.events] == wanted.events
    assert sum(part.slept for part in parts) == wanted.slept
    return got


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(Gate(thresholds=(100,) * CHANNELS, still=9, preroll=8), 1, 4, 100.0)
@example(Gate(thresholds=(100,) * CHANNELS, still=9), 2, 1, 100.0)
@given(GATES, st.integers(0, 99), st.integers(2, 9), st.sampled_from([100.0, 63.0, 119.0, 142.0]))
def test_core_and_simulator_sleep_and_recognise_the_same(gate: Gate, seed: int, hop: int, rate_hz: float) -> None:
    check_host(gated(gate, seed, hop=hop), moving_now_and_then(400, seed, gate.still), rate_hz)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GATES, st.integers(0, 99), st.integers(5, 9), st.sampled_from([None, (5, 4, 2), (3, 3, 1), (2, 2, 2)]))
def test_carried_states_too(gate: Gate, seed: int, hop: int, conv: tuple[int, int, int] | None) -> None:
    shape: dict[str, Any] = {} if conv is None else {"branches": (Shape(0, CHANNELS, (4,), "last", conv),)}
    free = stateful(
        random_model(seed, channels=CHANNELS, hidden=(4, 3), dense=(3,), metadata=True, **shape), hop // 2 * 2
    )
    raw = moving_now_and_then(400, seed, gate.still)
    check_host(free, raw)
    still, preroll = max(gate.still, free.steps), min(gate.preroll, free.steps - 1)
    assert check_host(with_gate(free, still, preroll, gate.thresholds), raw, 142.0).samples.size


def test_both_kinds_of_streams_sleep_and_fire() -> None:
    """What the properties above compare is no emptiness."""
    gate = Gate(thresholds=(150,) * CHANNELS, still=12, preroll=5)
    raw = moving_now_and_then(2000, 5, 12)
    for model in (gated(gate, 3), with_gate(stateful(gated(gate, 3), 6), 12, 5, 150)):
        told = check_host(model, raw)
        assert len(told.events) > 10 and 200 < told.slept < 1500
        assert HostCore(image.build(model)).lanes == (1 if model.metadata and model.metadata.is_stateful else 3)


def test_behind_a_sleep_all_is_as_after_a_reset() -> None:
    gate = Gate(thresholds=(150,) * CHANNELS, still=10, preroll=7)
    model = gated(gate, 3, hop=3)
    assert model.metadata is not None
    plain = replace(model, metadata=model.metadata.model_copy(update={"gate": None}))
    raw = moving_now_and_then(600, 7, 12)
    parts = stretches(gate, asleep(gate, raw))
    assert len(parts) > 4 and any(part.woken - part.first == 7 for part in parts)
    core = HostCore(image.build(plain))
    rule = model.metadata.decision
    wanted: list[Event] = []
    for part in parts:
        for event in core.events(raw[part.first : part.end]).events:
            sample = event.sample + part.first
            assert sample >= part.woken
            if not wanted or sample >= wanted[-1].sample + rule.refractory:
                wanted.append(Event(sample, event.label, event.score))
    assert check_host(model, raw).events == wanted and wanted


def test_the_next_event_waits_while_asleep() -> None:
    gate = Gate(thresholds=(150,) * CHANNELS, still=9)
    model = gated(gate, 3, hop=3)
    assert model.metadata is not None
    raw = moving_now_and_then(900, 7, 12)
    found = []
    for refractory in (0, 40, 400):
        rule = model.metadata.decision.model_copy(update={"refractory": refractory})
        events = check_host(replace(model, metadata=model.metadata.model_copy(update={"decision": rule})), raw).events
        assert all(b.sample - a.sample >= refractory for a, b in zip(events, events[1:], strict=False))
        found.append(len(events))
    assert found[0] > found[1] > found[2] > 1


def test_no_window_with_a_movement_is_lost_to_a_sleep() -> None:
    """Without a gate the same windows end, and behind a sleep none that began before it."""
    gate = Gate(thresholds=(150,) * CHANNELS, still=9)
    model = gated(gate, 3, hop=1)
    raw = moving_now_and_then(600, 3, 12)
    sleeps = asleep(gate, raw)
    ends = set(check_host(model, raw).samples.tolist())
    still = np.flatnonzero(sleeps)
    for part in stretches(gate, sleeps):
        assert set(range(part.first + model.steps - 1, part.end)) <= ends
        last_moving = part.end - 1 - gate.still
        assert last_moving + model.steps - 1 < part.end
    assert still.size


@pytest.mark.parametrize("compiler", ["clang", "gcc"])
@pytest.mark.parametrize("rate_hz", [100.0, 119.0])
@pytest.mark.parametrize("kind", ["lanes", "stateful", "stateful-conv"])
def test_the_cortex_m4_sleeps_and_recognises_the_same(compiler: native.Compiler, rate_hz: float, kind: str) -> None:
    need("unicorn", "ziglang" if compiler == "clang" else "arm-none-eabi-gcc")
    conv = (Shape(0, CHANNELS, (8,), "last", (6, 4, 2)),) if kind == "stateful-conv" else ()
    model = random_model(
        6, steps=9, channels=CHANNELS, hidden=(8,), branches=conv, dense=(3,), metadata=True, packable=True
    )
    if kind != "lanes":
        model = stateful(model, 6)
    model = with_gate(model, 12, 5, 150)
    raw = moving_now_and_then(900, 5, 12)
    host = check_host(model, raw, rate_hz)
    core = EmulatedCore(image.build(model), compiler)
    results = core.recognise(raw, rate_hz)
    assert [result.sample for result in results] == host.samples.tolist()
    assert [result.scores for result in results] == [tuple(row) for row in host.scores.tolist()]
    assert [Event(r.sample, r.label, r.score) for r in results if r.is_gesture] == host.events
    assert core.slept == host.slept > 100 and host.events


def test_a_model_without_gate_pays_nothing() -> None:
    model = random_model(6, steps=9, channels=CHANNELS, hidden=(4,), dense=(3,), metadata=True)
    sizes = [
        HostCore(image.build(each)).recognizer_bytes for each in (model, with_gate(model, 9), with_gate(model, 9, 8))
    ]
    assert sizes[1] == sizes[0] and sizes[2] - sizes[1] == 8 * CHANNELS


def test_stretches_of_nothing() -> None:
    assert stretches(None, np.zeros(0, np.bool_)) == []
    assert stretches(None, np.zeros(4, np.bool_)) == [Stretch(0, 0, 4)]


def test_gates_that_would_lose_movements_are_refused() -> None:
    model = random_model(6, steps=9, channels=CHANNELS, hidden=(4,), dense=(3,), metadata=True)
    with pytest.raises(ValueError, match="sleeps after 8 samples, before a window of 9 has ended"):
        with_gate(model, 8)
    with pytest.raises(ValueError, match="preroll of 9 samples is not less than a window of 9"):
        with_gate(model, 9, 9)
    with pytest.raises(ValueError, match="3 channels but 2 thresholds of the gate"):
        with_gate(model, 9, 0, (1, 2))


def test_the_core_refuses_gates_and_carried_states_that_do_not_fit() -> None:
    model = random_model(6, steps=8, channels=CHANNELS, hidden=(4,), dense=(3,), metadata=True, hop=8)
    assert model.metadata is not None
    for gate in (Gate(thresholds=(1,) * 3, still=7), Gate(thresholds=(1,) * 3, still=8, preroll=8)):
        unchecked = replace(model, metadata=model.metadata.model_copy(update={"gate": gate}))
        with pytest.raises(Exception, match="cannot run"):
            HostCore(image.build(unchecked))
    for hop in (7, 8):
        unchecked = replace(model, metadata=model.metadata.model_copy(update={"streaming": "stateful", "hop": hop}))
        if hop == 8:
            assert HostCore(image.build(unchecked)).lanes == 1
            continue
        with pytest.raises(Exception, match="cannot run"):
            HostCore(image.build(unchecked))


def test_a_file_says_why_its_states_cannot_be_carried_on() -> None:
    from bitwave import tflite
    from bitwave.tflite import build as tflite_build

    mean = random_model(6, steps=8, channels=3, branches=(Shape(0, 3, (4,), "mean"),), dense=(3,), metadata=True, hop=8)
    conv = random_model(6, steps=8, channels=3, branches=(Shape(0, 3, (4,), "last", (2, 3, 2)),), metadata=True, hop=8)
    for model, why in ((mean, "no window to pool over: mean"), (conv, "window of hop \\+ 1, not 8 and 8")):
        assert model.metadata is not None
        wrong = replace(model, metadata=model.metadata.model_copy(update={"streaming": "stateful"}))
        with pytest.raises(ModelError, match=why):
            tflite.read_model(tflite_build.write(wrong))
    right = stateful(conv, 6)
    metadata = tflite.read_model(tflite_build.write(right)).metadata
    assert metadata is not None and metadata.model_copy(update={"weights_digest": "", "format": 1}) == right.metadata
