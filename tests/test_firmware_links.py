"""The sketch's own sources on a simulated board: links that are slow, blocked, flooded, lost, and both at once."""

from __future__ import annotations

import numpy as np
import pytest

from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.wire import frames, requests
from firmware_rig import RATES, facts_of, info_of, rev1, sketch, world
from firmware_world import FRAMES, INFO, LAST_EVENT, MODEL, HostEnd, World

__all__ = ["rev1", "sketch", "world"]


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


def test_the_bootloader_is_entered_over_usb_alone(rev1: World) -> None:
    ble = rev1.ble.connect(interval_ms=15)
    assert ble.status(requests.Bootloader()) == 16
    rev1.run(1)
    assert not rev1.facts.in_bootloader
    assert rev1.usb.open().status(requests.Bootloader()) == 0
    rev1.run(1)
    assert rev1.facts.in_bootloader


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


def test_frames_characteristic_is_silent_until_subscribed(rev1: World) -> None:
    ble = rev1.ble.connect(subscribe=False)
    ble.tell(requests.Stream(1))
    rev1.run(2)
    assert ble.listen() == []
    rev1.dll.world_ble_subscribe(FRAMES, 1)
    rev1.run(1)
    assert len(ble.listen()) > 10
