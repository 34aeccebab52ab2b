"""Frames, commands, images and slots fuzzed for a moment; `make fuzz` does it for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccode import CORE
from fuzz import TARGETS, build, run, small_image

INPUTS = {"frames": 20_000, "commands": 8_000, "image": 10_000, "slots": 4_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cc", ["clang", "gcc"])
def test_changed_inputs_do_no_harm(target: str, cc: str, folder: Path) -> None:
    first = 0 if cc == "clang" else INPUTS[target]  # the compilers take turns at the inputs
    done = run(build(target, cc, folder), small_image(folder), first, INPUTS[target])
    assert done.returncode == 0, done.stderr[:4000]
    assert done.stdout.startswith(f"{INPUTS[target]} inputs")


@pytest.mark.parametrize("target", TARGETS)
def test_libfuzzer_finds_nothing_either(target: str, folder: Path) -> None:
    program = build(target, "clang", folder, libfuzzer=True)
    done = run(program, small_image(folder), "-runs=4000", "-seed=1", "-max_len=2048", "-verbosity=0")
    assert done.returncode == 0, done.stderr[:4000]


# target -> (file, a line of the core, what a slip makes of it)
SLIPS = {
    "frames": ("bw_wire.c", "decoder->size < BW_WIRE_FRAME - 1u", "decoder->size < BW_WIRE_FRAME + 9u"),
    "commands": ("bw_link.c", "while (sizeof start + size >", "while (sizeof start >"),
    "image": (
        "bw_model.c",
        "!labels_are_sound(model->labels, labels_size, model->classes)",
        "(labels_are_sound(model->labels, labels_size, model->classes) && 0)",
    ),
    "slots": ("bw_slots.c", "    bw_slots_abort(slots); /* it may", "    /* it may"),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_slip_in_the_core_is_found(target: str, folder: Path) -> None:
    name, line, slip = SLIPS[target]
    text = (CORE / "src" / name).read_text()
    assert text.count(line) == 1, line
    changed = folder / name
    changed.write_text(text.replace(line, slip))
    program = build(target, "gcc", folder, changed=changed)
    assert run(program, small_image(folder), 0, 5 * INPUTS[target]).returncode != 0
