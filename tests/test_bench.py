"""`bitwave bench`: its figures are there, and the core keeps within its budget. All counts are exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bitwave import native
from bitwave.bench.grid import grid_model
from bitwave.bench.peers import PEERS
from bitwave.cli import build_app
from bitwave.tflite import build
from models import random_model
from support import need

need("unicorn", "elftools", "capstone", "ziglang")

from bitwave.bench.footprint import footprint  # noqa: E402  # after the skip that names the packages
from bitwave.bench.steps import measure  # noqa: E402

ROW = {"inputs", "hidden", "lanes", "compiler", "kernels", "instructions_per_step", "cycles_per_step"}
MEMORY = {"code_bytes", "constant_bytes", "image_bytes", "arena_bytes", "stack_bytes"}
BEST = PEERS[1].cycles  # CMSIS-NN, best build


def cycles(inputs: int, hidden: int, compiler: native.Compiler) -> dict[int, int]:
    """Cycles per step and lane, by lanes."""
    rows = measure(grid_model(inputs, hidden), (compiler,), ("dsp",)).rows
    return {row.lanes: row.cycles_per_step for row in rows}


@pytest.mark.parametrize(("inputs", "hidden"), BEST)
def test_faster_than_the_best_peer(inputs: int, hidden: int) -> None:
    need("arm-none-eabi-gcc")
    found = cycles(inputs, hidden, "gcc")
    assert BEST[inputs, hidden] >= found[1] * (2.5 if hidden == 64 else 2.6)
    if (inputs, hidden) == (6, 24):
        assert found[1] <= 8000 and found[5] <= 6200
        assert cycles(inputs, hidden, "clang")[1] <= 1.15 * found[1]


def test_memory_and_the_end_of_a_window() -> None:
    need("arm-none-eabi-gcc")
    found = footprint(grid_model(6, 24), "gcc")
    assert found is not None
    assert found.code_bytes + found.constant_bytes <= 10 * 1024
    assert 0 < found.lanes_code_bytes <= 3 * 1024
    assert found.code_bytes + found.lanes_code_bytes < found.whole_code_bytes
    assert found.image_bytes <= 1.2 * found.raw_bytes
    assert found.arena_bytes <= 1.5 * 1024 and found.stack_bytes <= 400
    assert found.window_cycles_one_lane <= 13_000 and found.window_cycles <= 36_000


def run_bench(*words: str | Path) -> str:
    result = CliRunner().invoke(build_app(), ["bench", *(str(word) for word in words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_and_tables_of_one_model(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(build.write(random_model(1, channels=3, hidden=(5,), metadata=True, packable=True)))
    told: dict[str, Any] = json.loads(run_bench(model, "--json"))
    assert all(set(row) >= ROW for row in told["rows"])
    builds = {(row["compiler"], row["kernels"], row["lanes"]) for row in told["rows"]}
    lanes = {("dsp", 1), ("dsp", 2), ("dsp", 3), ("dsp", 5), ("portable", 1)}
    assert builds == {(compiler, *rest) for compiler in native.m4_compilers() for rest in lanes}
    assert all(row["cycles_per_step"] > row["instructions_per_step"] > 0 for row in told["rows"])
    assert set(told["footprint"]) >= MEMORY
    text = run_bench(model)
    for words in ("±7 %", "64 MHz", "CMSIS-NN", "NNoM", "packed weights", "image:", "stack", "head included"):
        assert words in text, words


def test_host_json() -> None:
    need("tflite_micro")
    from bitwave.bench.host import measure_host

    found = measure_host(grid_model(6, 24), rounds=1)  # it also compares the scores
    assert set(found.to_json()) >= {"batch_ratio", "single_ratio", "threads", "threads_ratio"}
    assert min(found.to_json().values()) > 0


def test_why_a_model_gets_the_portable_kernels(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(build.write(random_model(1, channels=3, hidden=(65,))))
    assert "portable kernels, because a matrix has more than 64 columns" in " ".join(run_bench(model).split())
