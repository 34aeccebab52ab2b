"""Files of every format so far, kept for ever in tests/versions: each still means what it meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.metadata import FORMAT, Gate, Metadata

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
    }


@pytest.mark.parametrize("number, gate", [(1, None), (2, Gate(thresholds=(150,) * 3, still=12, preroll=5)), (3, None)])
def test_metadata(number: int, gate: Gate | None) -> None:
    text = (KEPT / f"metadata-{number}.json").read_bytes().strip()
    found = Metadata.from_json(text)
    assert found.format == json.loads(text)["format"] == number
    assert found.to_json() == text
    assert (found.is_stateful, found.gate, found.decision.once) == (number == 2, gate, number == 3)
    assert (found.window, found.hop, found.lanes) == ((8, 8, 1) if number == 2 else (8, 4, 2))
