"""Files of every format so far, kept for ever in tests/versions: each still means what it meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bitwave import wire
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.metadata import FORMAT, Gate, Metadata
from bitwave.wire.frames import BUILT_IN, INFO_FORMAT, Info, Unknown

KEPT = Path(__file__).parent / "versions"


@pytest.mark.parametrize("abi, lanes, windows", [(3, 2, 49), (4, 1, 20), (5, 2, 49)])
def test_images(abi: int, lanes: int, windows: int) -> None:
    packed = (KEPT / f"image-{abi}.bwi").read_bytes()
    assert image.describe(packed).abi == abi
    core = HostCore(packed)
    assert core.self_test() and core.lanes == lanes
    raw = np.random.default_rng(1).integers(-9000, 9000, (200, 3)).astype(np.int16)
    raw[100:150] = raw[100]
    found = core.events(raw)
    assert (len(found.samples), found.slept) == (windows, 37 if abi == 4 else 0) and found.events


def test_every_format_has_a_file() -> None:
    assert {path.name for path in KEPT.iterdir()} == {
        *(f"image-{abi}.bwi" for abi in range(image.ABI_OLDEST, image.ABI + 1)),
        *(f"metadata-{number}.json" for number in range(1, FORMAT + 1)),
        *(f"info-{number}.bin" for number in range(1, INFO_FORMAT + 1)),
    }


@pytest.mark.parametrize("number, gate", [(1, None), (2, Gate(thresholds=(150,) * 3, still=12, preroll=5)), (3, None)])
def test_metadata(number: int, gate: Gate | None) -> None:
    text = (KEPT / f"metadata-{number}.json").read_bytes().strip()
    found = Metadata.from_json(text)
    assert found.format == json.loads(text)["format"] == number
    assert found.to_json() == text
    assert (found.is_stateful, found.gate, found.decision.once) == (number == 2, gate, number == 3)
    assert (found.window, found.hop, found.lanes) == ((8, 8, 1) if number == 2 else (8, 4, 2))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_info_frames(number: int) -> None:
    body = (KEPT / f"info-{number}.bin").read_bytes()
    (frame,) = wire.decode(wire.encode(wire.Frame(Unknown(Info.TYPE, body)))).frames
    found = frame.body
    assert isinstance(found, Info) and found.format == number
    assert found.pack() == body
    assert (found.board, found.rate_mhz, found.model_rate_mhz, found.window) == (2, 99_840, 119_000, 120)
    assert (found.lost_samples, found.dropped_frames, found.labels) == (3, 2, ("wave", "idle"))
    slots = (found.active, found.slots, found.slot_bytes, found.arena_bytes, found.arena_used)
    assert slots == ((BUILT_IN, bytes(2), 0, 0, 0) if number == 1 else (1, b"\x02\x01", 65_504, 32_768, 1800))
    assert (found.physical, found.may_update) == (number > 1, number > 1)
    assert (found.gate, found.stateful) == ((True, False) if number > 2 else (None, None))
    assert (found.measured_rate_mhz, found.taken_rate_mhz) == ((103_900, 103_900) if number > 2 else (0, 0))
