"""A core that is built without some of its parts: it runs what it can, and refuses the rest by its own status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitwave.model import image
from ccode import CORE, SANITIZE, program, run
from models import Shape, random_model, stateful, with_gate

OK, LEFT_OUT = 0, 21
RUNS = [OK, OK, OK, OK]  # opened, known answer, recognizer at the model's rate and at another
SWITCHES = (
    "BW_ONE_LSTM",
    "BW_NO_CONVOLUTION",
    "BW_NO_POOLING",
    "BW_NO_RESAMPLING",
    "BW_NO_GATE",
    "BW_NO_STATEFUL",
    "BW_ONE_LANE",
)
# what a model is made of, and the switches of builds that refuse it
MODELS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "packed": ({"hidden": (24,), "packable": True}, set()),
    "plain": ({"hidden": (9,), "dense": (6, 5)}, set()),
    "stacked": ({"hidden": (7, 4)}, {"BW_ONE_LSTM"}),
    "branches": ({"branches": (Shape(0, 2), Shape(2, 1))}, {"BW_ONE_LSTM"}),
    "convolution": ({"branches": (Shape(0, 3, conv=(4, 3, 2)),)}, {"BW_NO_CONVOLUTION"}),
    "mean": ({"branches": (Shape(0, 3, pool="mean"),)}, {"BW_NO_POOLING"}),
    "attention": ({"branches": (Shape(0, 3, pool="attention"),)}, {"BW_NO_POOLING"}),
}

NEEDS = {name: needs for name, (_, needs) in MODELS.items()} | {
    "gate": {"BW_NO_GATE"},
    "carried states": {"BW_NO_STATEFUL"},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("images")
    paths = {name: folder / f"{name}.bwi" for name in NEEDS}
    for name, (shape, _) in MODELS.items():
        paths[name].write_bytes(image.build(random_model(4, steps=8, metadata=True, **shape)))
    plain = random_model(4, steps=8, metadata=True)
    paths["gate"].write_bytes(image.build(with_gate(plain, 8, 3)))
    paths["carried states"].write_bytes(image.build(stateful(plain, 8)))
    return paths


@pytest.mark.parametrize("left_out", [(), *((switch,) for switch in SWITCHES), SWITCHES], ids="+".join)
def test_a_build_runs_what_it_can_and_refuses_the_rest(
    left_out: tuple[str, ...], images: dict[str, Path], tmp_path: Path
) -> None:
    build = program("parts", "clang", tmp_path, (*SANITIZE, *(f"-D{switch}" for switch in left_out)))
    for name, needs in NEEDS.items():
        told = [int(word) for word in run([build, images[name]]).split()]
        if needs & set(left_out):
            assert told == [LEFT_OUT], name
        else:
            assert told == ([OK, OK, OK, LEFT_OUT] if "BW_NO_RESAMPLING" in left_out else RUNS), name


def test_every_switch_is_explained_where_it_is_looked_for() -> None:
    for file in ("include/bitwave/model.h", "README.md"):
        text = (CORE / file).read_text()
        assert all(switch in text for switch in SWITCHES), file
