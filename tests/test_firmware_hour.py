"""Recognition with streaming on both links, for long: nothing is lost, and every event is the one that a replay gives.

Bounded here; ``python tests/test_firmware_hour.py HOURS`` (``make soak``) runs for as long as one likes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import firmware_world
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.quantmodel import Int16Array
from bitwave.wire import frames, requests
from firmware_world import MODEL, HostEnd, World, board

RATES = {1: 119.0, 2: 99.84}


class Replay:
    """Takes what one link brings in pieces, and holds it to the host's core fed with the same link's samples."""

    def __init__(self, end: HostEnd, rate_hz: float, start: int) -> None:
        """`start`: the sample with which recognition began."""
        self.samples = 0
        self.events = 0
        self._end = end
        self._stream = HostCore(image.build(MODEL)).stream(rate_hz)
        self._start = start
        self._wanted: list[tuple[int, int, int]] = []
        self._heard: list[tuple[int, int, int]] = []

    def listen(self) -> None:
        self._end.listen()
        heard, self._end.heard = self._end.heard, []
        for frame in heard:
            if isinstance(frame.body, frames.Samples):
                self._push(frame.body.first, frame.body.samples)
            elif isinstance(frame.body, frames.Event):
                self._heard.append((frame.body.sample, frame.body.label, frame.body.score))
        same = min(len(self._heard), len(self._wanted))
        assert self._heard[:same] == self._wanted[:same]
        assert abs(len(self._heard) - len(self._wanted)) < 5
        self.events += same
        del self._heard[:same], self._wanted[:same]
        assert self._end.errors == 0

    def _push(self, first: int, samples: Int16Array) -> None:
        samples = samples[max(0, self._start - first) :]
        assert len(samples) == 0 or max(first, self._start) == self._start + self.samples, "a sample is missing"
        recognised = self._stream.push(samples)
        self._wanted += [(e.sample + self._start, e.label, e.score) for e in recognised.events]
        self.samples += len(samples)


def soak(path: Path, revision: int, hours: float) -> tuple[int, int]:
    """Samples and events on each link, all as they should be."""
    rate = RATES[revision]
    raw = np.random.default_rng(revision).integers(-30000, 30000, (100_003, 6)).astype(np.int16)
    with board(path, revision) as world:
        world.script(raw).run(3)
        ends: list[HostEnd] = [world.usb.open(), world.ble.connect(interval_ms=15, packets=4)]
        first = start(world)
        replays = [Replay(end, rate, first) for end in ends]
        for replay in replays:
            replay.listen()
        for _ in range(round(hours * 360)):
            world.run(10)
            for replay in replays:
                replay.listen()
        for end in ends:
            counters = end.answer(requests.GetCounters(), frames.Counters)
            assert (counters.lost, counters.dropped_frames, counters.crc_errors) == (0, 0, 0)
        facts = world.facts
        assert facts.samples_made - facts.samples_taken - facts.first_taken <= 1
    (samples, events), other = ((replay.samples, replay.events) for replay in replays)
    assert samples >= hours * 3600 * rate - 20 and abs(other[0] - samples) < 20 and abs(other[1] - events) < 3
    return samples, events


def start(world: World) -> int:
    """Both links stream and recognise; the sample with which recognition began: the first of the stream over USB."""
    world.ble.ask(requests.Stream(1))
    for body in (requests.Stream(1), requests.Recognise(1)):
        world.usb.tell(body)
    assert world.ble.status(requests.Recognise(1)) == 0
    world.run(0.2)
    world.usb.listen()
    return world.usb.bodies(frames.Samples)[0].first


@pytest.mark.parametrize(("revision", "hours"), [(1, 1.0), (2, 0.1)], ids=["rev1-hour", "rev2-six-minutes"])
def test_streaming_on_both_links_loses_nothing(revision: int, hours: float) -> None:
    samples, events = soak(firmware_world.library(), revision, hours)
    assert samples > hours * 3600 * 99 and events > hours * 10_000


if __name__ == "__main__":
    for made in RATES:
        done = soak(firmware_world.library(), made, float(sys.argv[1]))
        print(f"revision {made}: {done[0]} samples, {done[1]} events, 0 lost")
