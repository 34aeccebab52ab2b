"""The core under address and undefined-behaviour sanitizers, attacked by tests/c/attack.c."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from bitwave.model import image
from ccode import program, run
from models import Shape, random_model, stateful, with_gate

SHAPES: dict[str, dict[str, Any]] = {
    "two-layers": {"channels": 3, "hidden": (7, 4), "dense": (6, 5), "per_channel": True, "hop": 5, "metadata": True},
    "ordinary": {"channels": 6, "hidden": (24,), "dense": (5,), "hop": 3, "metadata": True},
    "branches": {
        "channels": 5,
        "branches": (
            Shape(0, 3, (6,), "attention", (5, 4, 2)),
            Shape(3, 2, (3, 9), "mean"),
            Shape(1, 4, (4,), "last", (3, 3, 3)),
        ),
        "dense": (5,),
        "hop": 5,
        "metadata": True,
        "packable": True,
    },
    "gated": {"channels": 3, "hidden": (5,), "dense": (3,), "hop": 5, "metadata": True, "gate": (12, 11)},
    "stateful": {
        "channels": 3,
        "branches": (Shape(0, 2, (5, 2), "last", (3, 4, 2)), Shape(1, 2, (3,), "last", (2, 3, 1))),
        "dense": (3,),
        "metadata": True,
        "carried": 8,
        "gate": (12, 9),
    },
    "network-only": {"channels": 1, "hidden": (1,), "dense": (1,), "softmax": False},
}


def build(shape: str) -> bytes:
    options = dict(SHAPES[shape])
    gate, carried = options.pop("gate", None), options.pop("carried", None)
    model = random_model(3, steps=12, **options)
    if carried is not None:
        model = stateful(model, carried)
    return image.build(model if gate is None else with_gate(model, *gate))


@pytest.fixture(scope="module", params=["gcc", "clang"])
def attack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program("attack", request.param, tmp_path_factory.mktemp("attack"))


@pytest.fixture(params=SHAPES)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "model.bwi"
    path.write_bytes(build(request.param))
    return path


def test_every_changed_byte_and_every_length_is_refused(attack: Path, packed: Path) -> None:
    run([attack, "flips", packed])


@pytest.mark.parametrize("seed", ["1", "2"])
def test_forged_images_are_refused_or_harmless(attack: Path, packed: Path, seed: str) -> None:
    told = run([attack, "forge", packed, seed, "5000"]).split()
    assert 0 < int(told[0]) < int(told[2]), "both kinds must occur"


@pytest.mark.parametrize("shape", ["two-layers", "branches", "stateful"])
def test_app_survives_noise(attack: Path, tmp_path: Path, shape: str) -> None:
    path = tmp_path / "model.bwi"
    path.write_bytes(build(shape))
    told = run([attack, "talk", path, "5", "20000"]).split()
    assert int(told[0]) > 0 and int(told[2]) > 0, "drops and damaged frames must occur"


def test_planted_heap_overflow_is_caught(attack: Path, packed: Path) -> None:
    done = subprocess.run([attack, "overflow", packed], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr and "bw_" in done.stderr


def test_planted_integer_overflow_is_caught(attack: Path) -> None:
    done = subprocess.run([attack, "sum"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "bw_dense.c" in done.stderr and "signed integer overflow" in done.stderr
