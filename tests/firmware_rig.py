"""What the tests of the sketch share: boards with their sensor found, random counts, and two questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import firmware_world
from bitwave.model.quantmodel import Int16Array
from bitwave.wire import frames, requests
from firmware_world import HostEnd, World, board

BOOTED_S = 3.0  # the slower sensor is found by then
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
