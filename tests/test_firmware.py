"""The sketch's own sources on a simulated board: sensors, links that are slow, blocked, lost, and both at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import firmware_world
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.quantmodel import Int16Array
from bitwave.wire import frames, requests
from firmware_world import BLUE, FRAMES, GREEN, INFO, LAST_EVENT, MODEL, RED, YELLOW, Health, HostEnd, World, board

BOOTED_S = 3.0  # the slower sensor is found by then
NO_SENSOR, SENSOR_LOST, OVER = 1, 2, 0
RATES = {1: 119.0, 2: 99.84}


@pytest.fixture(scope="module")
def sketch() -> Path:
    return firmware_world.library()


@pytest.fixture(params=[1, 2], ids=["rev1", "rev2"])
def world(request: pytest.FixtureRequest, sketch: Path) -> Iterator[World]:
    """A board of either revision, with its sensor found."""
    with board(sketch, request.param) as made:
        made.script(counts(5000, 1)).run(BOOTED_S)
        yield made


@pytest.fixture
def rev1(sketch: Path) -> Iterator[World]:
    with board(sketch, 1) as made:
        made.script(counts(5000, 2)).run(BOOTED_S)
        yield made


def counts(samples: int, seed: int) -> Int16Array:
    """Random, but not so large that the second sensor's correction clips."""
    return np.random.default_rng(seed).integers(-30000, 30000, (samples, 6)).astype(np.int16)


def facts_of(world: World, end: HostEnd | None = None) -> frames.Counters:
    return (end or world.usb).answer(requests.GetCounters(), frames.Counters)


def info_of(end: HostEnd) -> frames.Info:
    return end.answer(requests.GetInfo(), frames.Info)


def assert_as_replayed(end: HostEnd, rate_hz: float) -> int:
    """Stops both streams; what was recognised is what the host's core makes of the samples heard. How many events."""
    for body in (requests.Recognise(0), requests.Stream(0)):
        assert end.status(body) == 0
    raw, index = end.samples()
    assert index == list(range(index[0], index[0] + len(raw)))
    scores = [(s.sample, s.scores) for s in end.bodies(frames.Scores)]
    events = [(e.sample, e.label, e.score) for e in end.bodies(frames.Event)]
    core = HostCore(image.build(MODEL))
    delay = int(core.events(raw[:200], rate_hz).samples[0])  # from the first sample of recognition to its first scores
    start = scores[0][0] - delay
    replay = core.events(raw[start - index[0] :], rate_hz)
    wanted = [(int(s) + start, tuple(row.tolist())) for s, row in zip(replay.samples, replay.scores, strict=True)]
    assert scores == wanted[: len(scores)] and len(wanted) - len(scores) < 10
    fired = [(e.sample + start, e.label, e.score) for e in replay.events]
    assert events == fired[: len(events)] and len(fired) - len(events) < 5
    return len(events)


def test_the_revision_is_found_and_its_samples_are_whole(world: World) -> None:
    usb = world.usb.open()
    info = info_of(usb)
    assert info.board in RATES and info.rate_mhz == round(RATES[info.board] * 1000)
    assert (info.channels, info.accel_milli_lsb, info.gyro_milli_lsb) == (6, 8_192_000, 16_384)
    usb.ask(requests.Stream(1))
    world.run(20)
    usb.ask(requests.Stream(0))
    raw, index = usb.samples()
    assert index == list(range(index[0], index[0] + len(raw)))
    script = counts(5000, 1)
    first = int(np.flatnonzero((script == raw[0]).all(axis=1))[0])
    np.testing.assert_array_equal(raw, script[(first + np.arange(len(raw))) % len(script)])
    assert len(raw) == pytest.approx(20 * RATES[info.board], abs=10)
    facts = world.facts
    assert facts.samples_taken - facts.samples_made + facts.first_taken in (-1, 0)
    assert facts.slow_bytes < 40  # only what the libraries do in begin() goes at 100 kHz
    assert facts_of(world).lost == 0


def test_sample_times_are_the_sensors(world: World) -> None:
    usb = world.usb.open()
    usb.ask(requests.Stream(1))
    world.run(60)
    usb.listen()
    batches = [f for f in usb.heard if isinstance(f.body, frames.Samples)]
    times = np.concatenate([f.body.times_us(f.time_us) for f in batches if isinstance(f.body, frames.Samples)])
    period_us = 1e6 / RATES[info_of(usb).board]
    steps = np.diff(times)
    assert abs(steps.mean() - period_us) < 1
    assert steps.std() < 200 and abs(steps - period_us).max() < 1000


def test_without_a_fifo_the_samples_come_all_the_same(sketch: Path) -> None:
    for revision, rate in RATES.items():
        with board(sketch, revision) as world:
            world.script(counts(3000, 3)).sensor(fifo=False)
            world.run(BOOTED_S + 1)
            usb = world.usb.open()
            usb.ask(requests.Stream(1))
            world.run(10)
            usb.ask(requests.Stream(0))
            raw, index = usb.samples()
            assert index == list(range(index[0], index[0] + len(raw)))
            assert len(raw) == pytest.approx(10 * rate, abs=10)
            script = counts(3000, 3)
            first = int(np.flatnonzero((script == raw[0]).all(axis=1))[0])
            np.testing.assert_array_equal(raw, script[(first + np.arange(len(raw))) % len(script)])


def test_no_sensor_is_said_and_the_board_still_answers(sketch: Path) -> None:
    with board(sketch, 0) as world:
        usb = world.run(5).usb.open()
        world.run(0.1)
        faults = [f.body for f in usb.listen() if isinstance(f.body, frames.Fault)]
        assert [f.code for f in faults] == [NO_SENSOR] and "no motion sensor" in faults[0].text
        assert info_of(usb).board == 255
        assert usb.status(requests.SelfTest()) == 0
        usb.ask(requests.Stream(1))
        world.run(5)
        assert usb.listen() == []
        assert world.facts.lamps & RED


@pytest.mark.parametrize("health", [Health.ABSENT, Health.SILENT, Health.GARBAGE])
def test_a_lost_sensor_is_said_and_found_again(world: World, health: Health) -> None:
    usb = world.usb.open()
    usb.ask(requests.Stream(1))
    world.run(2)
    usb.listen()
    before = len(usb.samples()[0])
    world.sensor(health)
    world.run(5)
    heard = usb.listen()
    assert [f.body.code for f in heard if isinstance(f.body, frames.Fault)] == [SENSOR_LOST]
    assert world.facts.lamps & RED
    during = len(usb.samples()[0]) - before
    assert during <= 8  # what the chip had already
    world.sensor(Health.GOOD)
    world.run(5)
    heard = usb.listen()
    assert [f.body.code for f in heard if isinstance(f.body, frames.Fault)] == [OVER]
    assert not world.facts.lamps & RED
    raw, _ = usb.samples()
    script = {row.tobytes() for row in counts(5000, 1)}
    assert len(raw) > before + during + 150
    assert all(row.tobytes() in script for row in raw)  # never garbage


def test_a_host_that_does_not_read_for_a_minute_costs_the_recogniser_nothing(world: World) -> None:
    usb = world.usb.open()
    rate = RATES[info_of(usb).board]
    ble = world.ble.connect(interval_ms=7.5, packets=4)
    for end in (usb, ble):
        end.ask(requests.Stream(1))
    ble.ask(requests.Recognise(1))
    world.usb.open(reads=False)
    usb.heard.clear()
    for _ in range(60):
        world.run(1)
        ble.listen()
    usb.open(reads=True)
    world.run(1)
    ble.listen()
    usb.listen()
    ended = facts_of(world)
    assert ended.lost == 0 and ended.dropped_frames > 100
    assert assert_as_replayed(ble, rate) > 100
    assert len(ble.samples()[0]) > 59 * rate
    numbers = [f.sequence for f in usb.heard]
    assert numbers == sorted(numbers) and usb.errors == 0  # no frame cut in two


def test_a_slow_radio_drops_samples_but_brings_every_event(rev1: World) -> None:
    world = rev1
    ble = world.ble.connect(mtu=23, interval_ms=30, packets=1)
    usb = world.usb.open()
    for end in (usb, ble):
        end.ask(requests.Stream(1), patience_s=10)
        end.ask(requests.Recognise(1), patience_s=10)
    world.run(60)
    usb.listen()
    ble.listen()
    assert facts_of(world).lost == 0
    assert facts_of(world).dropped_frames == 0
    counters = ble.answer(requests.GetCounters(), frames.Counters, patience_s=10)
    assert counters.lost == 0 and counters.dropped_frames > 100
    assert ble.errors == 0
    heard = ble.bodies(frames.Event)
    sent = usb.bodies(frames.Event)
    assert len(heard) > 50
    assert heard == sent[: len(heard)]
    numbers = [f.sequence for f in ble.heard]
    assert numbers == sorted(numbers)


def test_both_links_busy(world: World) -> None:
    usb = world.usb.open()
    ble = world.ble.connect(interval_ms=15, packets=4)
    for end in (usb, ble):
        end.ask(requests.Stream(1))
        end.ask(requests.Recognise(1))
    for _ in range(30):
        world.run(1)
        for end in (usb, ble):
            assert end.status(requests.SelfTest()) == 0
            assert facts_of(world, end).lost == 0
    for end in (usb, ble):
        raw, index = end.samples()
        assert index == list(range(index[0], index[0] + len(raw)))
        assert facts_of(world, end).dropped_frames == 0
    assert usb.bodies(frames.Event)[-5:] == ble.bodies(frames.Event)[-5:]


@pytest.mark.parametrize("mtu", [23, 247])
def test_bluetooth_at_both_ends_of_mtu(rev1: World, mtu: int) -> None:
    ble = rev1.ble.connect(mtu=mtu, interval_ms=15, packets=4)
    assert rev1.facts.advertises
    assert rev1.dll.world_ble_name() == b"bitwave-1A2B"
    assert rev1.dll.world_ble_service() == b"baa40001-daa7-44f1-8012-f9cc0bcd4bbf"
    info = info_of(ble)
    rev1.run(1.5)
    read = frames.Info.unpack(ble.value(INFO))
    assert (read.board, read.labels, read.active) == (info.board, info.labels, info.active)
    ble.ask(requests.Stream(1))
    before = rev1.facts
    rev1.run(20)
    ble.listen()
    after = rev1.facts
    raw, index = ble.samples()
    assert index == list(range(index[0], index[0] + len(raw))) and len(raw) > 19 * 119
    if mtu == 247:
        assert (after.notifications - before.notifications) < 20 * 119 / 6.5  # several samples in each


def test_the_last_event_can_be_read(rev1: World) -> None:
    ble = rev1.ble.connect(interval_ms=15, packets=4)
    ble.ask(requests.Recognise(1))
    rev1.run(20)
    ble.listen()
    event = ble.bodies(frames.Event)[-1]
    assert ble.value(LAST_EVENT) == event.pack()
    told = rev1.take(lambda *a: rev1.dll.world_ble_read(LAST_EVENT, *a))
    assert told[-6:] == event.pack() and len(told) == 6 * len(ble.bodies(frames.Event))


def test_lost_bluetooth_links_never_wedge_the_library(rev1: World) -> None:
    """ArduinoBLE forgets to take back the packets of a lost link: after a few it would wait for ever."""
    for _ in range(10):
        ble = rev1.ble.connect(interval_ms=30, packets=1)
        ble.ask(requests.Stream(1))
        rev1.run(0.5)
        ble.disconnect()
    ble = rev1.ble.connect(interval_ms=15)
    rev1.run(1)
    assert not any(isinstance(f.body, frames.Samples) for f in ble.listen())  # the last central's wish is forgotten
    assert info_of(ble).board == 1


def test_a_port_opened_again_is_silent(rev1: World) -> None:
    usb = rev1.usb.open()
    usb.ask(requests.Stream(1))
    rev1.run(1)
    usb.close()
    rev1.run(1)
    usb.listen()
    usb.open()
    rev1.run(1)
    assert usb.listen() == []
    assert info_of(usb).board == 1


def test_what_the_last_host_had_no_time_to_say_is_not_taken_for_the_next_ones(rev1: World) -> None:
    usb = rev1.usb.open()
    rev1.run(0.1)
    usb.tell(requests.Stream(1))
    usb.close()
    rev1.run(1)
    usb.open()
    rev1.run(1)
    assert usb.listen() == []


def test_lamps(rev1: World) -> None:
    usb = rev1.usb.open()
    assert rev1.facts.lamps == 0
    usb.ask(requests.Stream(1))
    rev1.run(0.1)
    assert rev1.facts.lamps == YELLOW
    usb.ask(requests.Recognise(1))
    seen = 0
    for _ in range(1000):
        rev1.run(0.01)
        seen |= rev1.facts.lamps
    assert seen == YELLOW | GREEN


def test_the_self_test_shows_blue_at_power_on(sketch: Path) -> None:
    with board(sketch, 1) as world:
        world.run(0.5)
        assert not world.facts.lamps & BLUE


def test_the_bootloader_is_entered_over_usb_alone(rev1: World) -> None:
    ble = rev1.ble.connect(interval_ms=15)
    assert ble.status(requests.Bootloader()) == 16
    rev1.run(1)
    assert not rev1.facts.in_bootloader
    assert rev1.usb.open().status(requests.Bootloader()) == 0
    rev1.run(1)
    assert rev1.facts.in_bootloader


def test_counters(rev1: World) -> None:
    usb = rev1.usb.open()
    usb.ask(requests.Recognise(1))
    rev1.run(10)
    counters = facts_of(rev1)
    assert counters.cycles_per_step == 840 * 64
    assert 0 < counters.stack_used < counters.stack_bytes
    assert 0 < counters.arena_used < counters.arena_bytes == 32768
    assert 840 <= counters.longest_loop_us < 20_000


def test_the_clock_may_wrap(sketch: Path) -> None:
    """micros() shows 32 bits: they wrap after 71 minutes."""
    with board(sketch, 1, boot_us=2**32 - 8_000_000) as world:
        usb = world.script(counts(5000, 4)).run(BOOTED_S).usb.open()
        usb.ask(requests.Stream(1))
        world.run(10)
        usb.ask(requests.Stream(0))
        raw, index = usb.samples()
        assert index == list(range(index[0], index[0] + len(raw))) and len(raw) > 9.9 * 119
        assert facts_of(world).lost == 0


def test_garbage_without_end_does_not_hold_the_board_up(rev1: World) -> None:
    usb = rev1.usb.open()
    ble = rev1.ble.connect(interval_ms=7.5, packets=6)
    ble.ask(requests.Stream(1))
    rng = np.random.default_rng(7)
    for _ in range(50):
        usb.send(rng.bytes(5000))
        ble.send(rng.bytes(200))
        rev1.run(0.2)
        ble.listen()
    usb.send(b"\0")
    usb.listen()
    raw, index = ble.samples()
    assert index == list(range(index[0], index[0] + len(raw))) and len(raw) > 9.5 * 119
    counters = facts_of(rev1)
    assert counters.lost == 0 and counters.crc_errors > 100


@pytest.mark.parametrize("size", [244, 200, 20])
def test_a_flood_over_bluetooth_never_overruns_the_receive_ring(rev1: World, size: int) -> None:
    """Packets without response, several in each connection event, while samples are streamed the other way."""
    ble = rev1.ble.connect(interval_ms=7.5, packets=6)
    ble.ask(requests.Stream(1))
    for _ in range(400):
        ble.send(b"\x55" * size)
    rev1.run(5)
    ble.listen()
    ble.send(b"\0")
    assert info_of(ble).board == 1
    assert rev1.facts.radio_dropped == 0
    raw, index = ble.samples()
    assert index == list(range(index[0], index[0] + len(raw))) and len(raw) > 4.9 * 119


def test_a_model_slower_than_the_sensor_loses_samples_and_says_so(rev1: World) -> None:
    """A step of 12 ms: the queue overflows, the loss is counted, the board answers, and all is well afterwards."""
    usb = rev1.usb.open()
    usb.ask(requests.Recognise(1))
    rev1.dll.world_recognition_us(firmware_world.c_uint64(12_000))
    rev1.run(20)
    assert usb.status(requests.SelfTest()) == 0
    ble = rev1.ble.connect(interval_ms=15)
    assert info_of(ble).lost_samples > 100
    rev1.dll.world_recognition_us(firmware_world.c_uint64(840))
    rev1.run(5)
    lost = facts_of(rev1).lost
    rev1.run(20)
    assert facts_of(rev1).lost == lost


def test_frames_characteristic_is_silent_until_subscribed(rev1: World) -> None:
    ble = rev1.ble.connect(subscribe=False)
    ble.tell(requests.Stream(1))
    rev1.run(2)
    assert ble.listen() == []
    rev1.dll.world_ble_subscribe(FRAMES, 1)
    rev1.run(1)
    assert len(ble.listen()) > 10
