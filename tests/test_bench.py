"""`bitwave bench`: its figures are there, and the core keeps within its budget. All counts are exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bitwave import native, simulator
from bitwave.bench.grid import grid_model
from bitwave.bench.peers import PEERS
from bitwave.cli import build_app
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.tflite import build
from models import random_model, stateful, with_gate
from support import need

need("unicorn", "elftools", "capstone", "ziglang")

from bitwave.bench.architectures import (  # noqa: E402
    ARCHITECTURES,
    CHANNELS,
    WINDOW,
    Architecture,
    architecture_model,
)
from bitwave.bench.footprint import footprint  # noqa: E402  # after the skip that names the packages
from bitwave.bench.steps import measure  # noqa: E402
from bitwave.emulator.engine import EmulatedCore  # noqa: E402

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
    for words in ("±7 %", "64 MHz", "CMSIS-NN", "NNoM", "could be packed", "image:", "stack", "head included"):
        assert words in text, words


def test_every_architecture_is_in_the_bench() -> None:
    found = json.loads(run_bench("--architectures", "--json"))["architectures"]
    by_name = {each["architecture"]: each for each in found}
    assert len(by_name) == len(ARCHITECTURES)
    for each in found:
        assert each["dearest_sample_cycles"] > each["cycles_per_sample"] > 0 < each["image_bytes"] <= 24 * 1024
    last, mean, attention = (by_name[f"LSTM 32, {pool}"] for pool in ("last step", "mean", "attention"))
    assert last["cycles_per_sample"] < mean["cycles_per_sample"] < attention["cycles_per_sample"]
    half, quarter = (by_name[f"convolution 16 x 5 by {n}, LSTM 32, attention"] for n in (2, 4))
    assert quarter["cycles_per_sample"] < half["cycles_per_sample"] < 0.7 * attention["cycles_per_sample"]
    assert quarter["arena_bytes"] < half["arena_bytes"] < attention["arena_bytes"]  # it keeps the states of its steps


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda each: each.words)
def test_models_of_the_bench_are_equal_on_every_engine(architecture: Architecture) -> None:
    model = architecture_model(architecture)
    windows = np.random.default_rng(0).integers(-128, 128, (2, WINDOW, CHANNELS)).astype(np.int8)
    want = simulator.run(model, windows).scores
    packed = image.build(model)
    assert np.array_equal(HostCore(packed).classify(windows).scores, want)
    assert np.array_equal(EmulatedCore(packed).classify(windows).scores, want)


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


def test_a_gate_and_carried_states_are_measured() -> None:
    gated = footprint(with_gate(grid_model(6, 24), 50, 20), "gcc")
    assert gated is not None
    assert 0 < gated.asleep_cycles < 1000 < gated.waking_cycles < 40 * gated.window_cycles_one_lane
    carried = footprint(stateful(grid_model(6, 24), 10), "gcc")
    plain = footprint(grid_model(6, 24), "gcc")
    assert carried is not None and plain is not None
    assert carried.arena_bytes < plain.arena_bytes and carried.window_cycles == carried.window_cycles_one_lane
    assert carried.window_cycles < plain.window_cycles and carried.asleep_cycles == 0
