"""The sketch's own sources on a simulated board: its sensors, lamps and counters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import firmware_world
from bitwave.wire import frames, requests
from firmware_rig import BOOTED_S, RATES, counts, facts_of, info_of, rev1, sketch, world
from firmware_world import BLUE, GREEN, RED, YELLOW, Health, World, board

__all__ = ["rev1", "sketch", "world"]

NO_SENSOR, SENSOR_LOST, OVER = 1, 2, 0


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
    assert abs(steps.mean() - period_us) < 1 and steps.min() > 0
    assert steps.std() < 200 and abs(steps - period_us).max() < 1000


@pytest.mark.parametrize("percent", [90, 99, 101, 104, 110])
def test_sample_times_follow_a_chip_that_is_off(world: World, percent: int) -> None:
    usb = world.usb.open()
    rate = RATES[info_of(usb).board] * percent / 100
    world.rate(rate).run(5)
    usb.ask(requests.Stream(1))
    world.run(60)
    usb.listen()
    batches = [f for f in usb.heard if isinstance(f.body, frames.Samples)]
    times = np.concatenate([f.body.times_us(f.time_us) for f in batches if isinstance(f.body, frames.Samples)])
    steps = np.diff(times)
    assert abs(steps.mean() * rate / 1e6 - 1) < 1e-3 and steps.min() > 0
    assert np.percentile(abs(steps - 1e6 / rate), 99) < 1000  # else two samples are found at once now and then


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
