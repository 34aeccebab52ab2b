"""The sketch on simulated boards whose sensor's clock is off: a replay of the recording says what they recognise.

The recording goes through the disk: what a replay needs is in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitwave.recognition import events
from bitwave.recordings.recording import Recording, read, write
from bitwave.wire import frames, requests
from firmware_rig import BOOTED_S, RATES, counts, info_of, sketch
from firmware_world import MODEL, RED, HostEnd, World, board
from support import need
from takes import facts

__all__ = ["sketch"]

RATE_MISMATCH = 15
FAULT_RATE = 5


def begin(world: World) -> HostEnd:
    """Streams and recognises over USB, from one sample on."""
    usb = world.usb.open()
    for body in (requests.Stream(1), requests.Recognise(1)):
        usb.tell(body)
    world.run(0.1)
    return usb


def recorded(folder: Path, usb: HostEnd, nominal_hz: float) -> tuple[int, Recording]:
    """The sample with which recognition began, and the take of all from there on, as it comes back from the disk."""
    batches = [f for f in usb.heard if isinstance(f.body, frames.Samples)]
    times = np.concatenate([f.body.times_us(f.time_us) for f in batches if isinstance(f.body, frames.Samples)])
    raw, index = usb.samples()
    start = usb.bodies(frames.Rate)[0].sample
    rows = start - index[0]
    assert index == list(range(index[0], index[0] + len(raw))) and (np.diff(times) > 0).all()
    made = Recording("stream", "p01", "s01", 1, times[rows:], raw[rows:], nominal_hz)
    write(folder, facts(rate_hz=nominal_hz), [made])
    return start, read(folder / f"{made.name}.csv")


def assert_as_replayed(folder: Path, usb: HostEnd, nominal_hz: float, engine: str = "host") -> list[float]:
    """Holds the board's events and rates to those of the replay; returns the rates that were taken, in Hz."""
    for body in (requests.Recognise(0), requests.Stream(0)):
        assert usb.status(body) == 0
    start, recording = recorded(folder, usb, nominal_hz)
    assert MODEL.metadata is not None
    assert recording.gaps == ()
    found = events.replay(events.opened(engine, MODEL), recording, MODEL.metadata)
    heard = [(e.sample - start, e.label, e.score) for e in usb.bodies(frames.Event)]
    wanted = [(e.sample, e.label, e.score) for e in found.events]
    end = len(wanted) - 5  # recognition ended a few samples before the stream
    assert heard == wanted[: len(heard)] and len(heard) >= max(end, 20)
    rates = [(r.sample - start, r.rate_mhz / 1000) for r in usb.bodies(frames.Rate)]
    assert rates == list(found.rates)
    return [rate for _, rate in rates]


@pytest.mark.parametrize("revision", RATES)
@pytest.mark.parametrize("engine", events.ENGINES[:3])
def test_a_clock_that_is_fast(sketch: Path, tmp_path: Path, revision: int, engine: str) -> None:
    if engine.startswith("m4"):
        need("unicorn", "ziglang")
    nominal = RATES[revision]
    with board(sketch, revision) as world:
        usb = begin(world.script(counts(5000, 1)).rate(1.04 * nominal).run(BOOTED_S))
        world.run(20)
        info = info_of(usb)
        assert (info.rate_mhz, info.taken_rate_mhz) == (round(nominal * 1000), info.measured_rate_mhz)
        assert info.measured_rate_mhz == pytest.approx(1040 * nominal, rel=1e-3)
        stated, taken = assert_as_replayed(tmp_path, usb, nominal, engine)
        assert stated == nominal and taken == pytest.approx(1.04 * nominal, rel=2e-3)
        assert world.facts.lamps & RED == 0


@pytest.mark.parametrize("revision", RATES)
def test_a_clock_that_drifts_across_the_border_and_back(sketch: Path, tmp_path: Path, revision: int) -> None:
    nominal = RATES[revision]
    with board(sketch, revision) as world:
        usb = begin(world.script(counts(5000, 1)).run(BOOTED_S))
        for percent in (0, 1, 1.5, 1.9, 2.1, 2.5, 1.5, 0.5, -0.5, -1):
            world.rate((1 + percent / 100) * nominal).run(10)
        first, up, down = assert_as_replayed(tmp_path, usb, nominal)
        assert first == nominal and up / nominal == pytest.approx(1.023, abs=0.003)
        assert down / nominal == pytest.approx(1 - 0.005, abs=0.006)


def test_a_clock_that_is_right_changes_nothing(sketch: Path, tmp_path: Path) -> None:
    for revision, nominal in RATES.items():
        with board(sketch, revision) as world:
            usb = begin(world.script(counts(5000, 1)).run(BOOTED_S))
            world.run(20)
            assert assert_as_replayed(tmp_path / str(revision), usb, nominal) == [nominal]


@pytest.mark.parametrize("factor", [0.4, 1.6])
@pytest.mark.parametrize("revision", RATES)
def test_a_clock_far_off_is_refused_and_said(sketch: Path, revision: int, factor: float) -> None:
    nominal = RATES[revision]
    with board(sketch, revision) as world:
        usb = world.script(counts(5000, 1)).rate(factor * nominal).run(20).usb.open()
        world.run(0.1)
        assert usb.status(requests.Recognise(1)) == RATE_MISMATCH
        assert [fault.code for fault in usb.bodies(frames.Fault)] == [FAULT_RATE]
        assert world.facts.lamps & RED
        info = info_of(usb)
        assert info.measured_rate_mhz == pytest.approx(factor * nominal * 1000, rel=1e-2) and info.taken_rate_mhz == 0
        usb.close()
        world.run(0.1)
        usb.open()
        world.run(0.1)
        usb.listen()
        assert [fault.code for fault in usb.bodies(frames.Fault)] == [FAULT_RATE] * 2, "the next host hears it too"
        world.rate(nominal).run(20)
        usb.listen()
        assert usb.bodies(frames.Fault)[-1].code == frames.NO_FAULT and not world.facts.lamps & RED
        assert usb.status(requests.Recognise(1)) == 0


@pytest.mark.parametrize("revision", RATES)
def test_a_clock_that_breaks_while_recognising(sketch: Path, revision: int) -> None:
    nominal = RATES[revision]
    with board(sketch, revision) as world:
        usb = begin(world.script(counts(5000, 1)).run(BOOTED_S))
        world.run(10).rate(1.6 * nominal).run(10)
        usb.listen()
        (fault,) = usb.bodies(frames.Fault)
        assert (fault.code, fault.text) == (FAULT_RATE, "the sensor's rate does not suit the model")
        before = len(usb.bodies(frames.Event))
        world.run(10)
        usb.listen()
        assert len(usb.bodies(frames.Event)) == before > 20
