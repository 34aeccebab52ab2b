"""Branches, convolutions and pooling in the C core, on the host and on an emulated Cortex-M4, against the simulator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from bitwave import simulator
from bitwave.core.host import HostCore
from bitwave.errors import ModelError
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel
from bitwave.parity.windows import random_windows
from models import Shape
from support import need


def model_of(seed: int, hop: int = 0, **more: object) -> QuantModel:
    """A random model of one to four branches; with ``hop``, one that recognises."""
    rng = np.random.default_rng(seed)
    steps, channels = int(rng.integers(2, 30)), int(rng.integers(1, 10))
    return models.random_model(
        seed,
        steps=steps,
        channels=channels,
        branches=models.random_branches(rng, steps, channels, 1 + seed % 4),
        dense=tuple(int(n) for n in rng.integers(2, 12, 1 + seed % 3)),
        per_channel=seed % 3 == 0,
        activation=("none", "relu", "relu6")[seed % 3],
        drive=float(rng.choice([0.1, 1, 4, 30])),
        zero_points=(None, -128, 127, 0)[seed % 4],
        packable=bool(rng.integers(2)),
        metadata=hop > 0,
        hop=max(hop, 1 + steps // 32),
        **more,  # type: ignore[arg-type]
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_models_give_the_simulators_bits(seed: int) -> None:
    model = model_of(seed)
    core = HostCore(image.build(model))
    assert core.self_test()
    windows = random_windows(model, 8, seed)
    got, wanted = core.classify(windows), simulator.run(model, windows)
    for layer, (hidden, cell) in enumerate(zip(wanted.hidden, wanted.cell, strict=True)):
        np.testing.assert_array_equal(got.hidden[layer], hidden, err_msg=f"hidden of layer {layer}")
        np.testing.assert_array_equal(got.cell[layer], cell, err_msg=f"cell of layer {layer}")
    np.testing.assert_array_equal(got.scores, wanted.scores)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_streams_give_the_simulators_scores_and_events(seed: int, hop: int) -> None:
    """Any hop: where it is no multiple of a stride, lanes step with different samples."""
    model = model_of(seed, hop)
    assert model.metadata is not None
    raw = np.random.default_rng(seed).integers(-20000, 20000, (140, model.channels)).astype(np.int16)
    got = HostCore(image.build(model)).events(raw)
    assert got.events == simulator.stream_events(model, raw)
    starts = range(0, len(raw) - model.steps + 1, model.metadata.hop)
    samples = simulator.front_end(model.metadata, model.input.zero_point, raw)
    windows = np.stack([samples[start : start + model.steps] for start in starts])
    np.testing.assert_array_equal(got.scores, simulator.run(model, windows).scores)


LIKELY = models.random_model(
    20, steps=60, channels=6, branches=(Shape(0, 6, (40,), "attention", (20, 5, 2)),), dense=(10,), packable=True,
    metadata=True, hop=12,
)  # fmt: skip
WIDE = models.random_model(
    21, steps=40, channels=64, dense=(16,), packable=True,
    branches=(
        Shape(0, 64, (64, 33), "mean", (40, 15, 3)), Shape(1, 38, (37,), "attention"), Shape(3, 3, (64,), "last"),
    ),
)  # fmt: skip


@pytest.mark.parametrize("compiler", ["clang", "gcc"])
@pytest.mark.parametrize("which", ["likely", "wide", *map(str, range(8))])
def test_machine_code_gives_the_simulators_bits(compiler: str, which: str) -> None:
    need("unicorn", "elftools", *(["arm-none-eabi-gcc"] if compiler == "gcc" else []))
    from bitwave.emulator.engine import EmulatedCore

    model = {"likely": LIKELY, "wide": WIDE}.get(which) or model_of(int(which))
    core = EmulatedCore(image.build(model), compiler)
    core.self_test()
    windows = random_windows(model, 5)
    got, wanted = core.classify(windows), simulator.run(model, windows)
    for layer, (hidden, cell) in enumerate(zip(wanted.hidden, wanted.cell, strict=True)):
        np.testing.assert_array_equal(got.hidden[layer], hidden, err_msg=f"hidden of layer {layer}")
        np.testing.assert_array_equal(got.cell[layer], cell, err_msg=f"cell of layer {layer}")
    np.testing.assert_array_equal(got.scores, wanted.scores)


@pytest.mark.parametrize("compiler", ["clang", "gcc"])
@pytest.mark.parametrize("hop", [12, 7])
def test_machine_code_gives_the_simulators_windows(compiler: str, hop: int) -> None:
    need("unicorn", "elftools", *(["arm-none-eabi-gcc"] if compiler == "gcc" else []))
    from bitwave.emulator.engine import EmulatedCore

    model = models.random_model(
        20, steps=30, channels=6, branches=(Shape(0, 3, (12,), "attention", (8, 5, 2)), Shape(3, 3, (9,), "mean")),
        dense=(4,), packable=True, metadata=True, hop=hop,
    )  # fmt: skip
    raw = np.random.default_rng(9).integers(-20000, 20000, (150, 6), dtype=np.int16)
    results = EmulatedCore(image.build(model), compiler).recognise(raw)
    on_host = HostCore(image.build(model)).events(raw)  # equal to the simulator's: above
    assert [result.sample for result in results] == on_host.samples.tolist()
    np.testing.assert_array_equal([result.scores for result in results], on_host.scores)
    gestures = [(r.sample, r.label, r.score) for r in results if r.is_gesture]
    assert gestures == [(e.sample, e.label, e.score) for e in simulator.stream_events(model, raw)]


def test_a_window_has_room_for_its_own_steps_and_no_more() -> None:
    core = HostCore(image.build(LIKELY))
    for steps in (4, 61):  # shorter than the kernel, longer than the window that attention keeps
        with pytest.raises(ModelError, match="out of range"):
            core.classify(np.zeros((1, steps, 6), np.int8))
    shorter = core.classify(np.zeros((1, 33, 6), np.int8))
    assert shorter.hidden[0].shape == (1, 15, 40)
    np.testing.assert_array_equal(shorter.scores, simulator.run(LIKELY, np.zeros((1, 33, 6), np.int8)).scores)


def test_memory_is_what_lanes_and_pooling_need() -> None:
    """Attention keeps its window's hidden states and scores, mean a sum per unit, the last step nothing."""
    sizes = {}
    for pool in ("last", "mean", "attention"):
        shape = Shape(0, 6, (24,), pool, (16, 5, 2))  # type: ignore[arg-type]
        model = models.random_model(1, steps=60, channels=6, branches=(shape,), dense=(5,), metadata=True, hop=12)
        sizes[pool] = HostCore(image.build(model)).recognizer_bytes
    lanes, steps = 5, 28
    assert sizes["mean"] - sizes["last"] == lanes * 4 * 24
    assert sizes["attention"] - sizes["last"] == lanes * steps * (24 + 1)
