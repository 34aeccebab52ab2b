"""Many windows at once on the host (`bw_batch.c`): the same bits as one by one, and as the simulator."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwave import simulator
from bitwave.core.host import HostCore, library
from bitwave.errors import ModelError
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel
from ccode import CORE_SOURCES, PROGRAMS, ROOT, SANITIZE, STRICT, compiler, run
from models import Shape, random_branches, random_model
from test_core_sanitize import SHAPES, build

SIZES = st.integers(1, 64)


@st.composite
def random_models(draw: st.DrawFn) -> QuantModel:
    """Stacked layers or branches with convolutions and pooling, packed or plain, calm or saturated everywhere."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng, channels = np.random.default_rng(seed), draw(st.integers(1, 9))
    steps, count = draw(st.integers(4, 9)), draw(st.integers(0, 3))
    return random_model(
        seed,
        steps=steps,
        channels=channels,
        hidden=tuple(draw(st.lists(SIZES, min_size=1, max_size=2))),
        branches=random_branches(rng, steps, channels, count) if count else (),
        drive=draw(st.sampled_from([0.03, 0.3, 1.0, 3.0, 30.0])),
        cell_exponent=draw(st.sampled_from([None, -16, -15, -12, -3, -2])),
        cell_clip=draw(st.sampled_from([0, 0, 9000])),
        zero_points=draw(st.sampled_from([None, None, -128, 0, 127])),
        packable=draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None)
@given(random_models(), st.integers(1, 40))
def test_the_same_bits_as_the_simulator(model: QuantModel, count: int) -> None:
    rng = np.random.default_rng(count)
    windows = rng.integers(-128, 128, (count, model.steps, model.channels), dtype=np.int8)
    windows[::3] = rng.choice(np.array([-128, 127], np.int8), windows[::3].shape)
    core, want = HostCore(image.build(model)), simulator.run(model, windows)
    for batched in (True, False):
        got = core.classify(windows, batched=batched)
        np.testing.assert_array_equal(got.scores, want.scores)
        for layer in range(len(model.lstm)):
            np.testing.assert_array_equal(got.hidden[layer], want.hidden[layer])
            np.testing.assert_array_equal(got.cell[layer], want.cell[layer])
    np.testing.assert_array_equal(core.classify(windows, trace=False).scores, want.scores)


@pytest.mark.parametrize("cc", ["gcc", "clang", "gcc-without-sse"])
def test_all_counts_of_windows_under_sanitizers(cc: str, tmp_path: Path) -> None:
    """Without SSE's one instruction too: what other processors run."""
    program, without = tmp_path / "batch", ("-U__SSE2__",) if "without" in cc else ()
    flags = (*STRICT, *SANITIZE, *without, f"-I{ROOT / 'firmware/host'}")
    sources = (PROGRAMS / "batch.c", *sorted((ROOT / "firmware/host").glob("bw_batch*.c")), *CORE_SOURCES)
    run([*compiler(cc.partition("-")[0]), *flags, *sources, "-o", program])
    for seed, shape in enumerate(SHAPES):
        packed = tmp_path / "model.bwi"
        packed.write_bytes(build(shape))
        run([program, packed, str(seed)])


def test_threads_share_one_core() -> None:
    """One prepared model, read by all; each call has states of its own, and is made without the interpreter's lock."""
    assert type(library()) is ctypes.CDLL  # a PyDLL would keep the lock
    model = random_model(5, steps=20, channels=6, hidden=(24,), packable=True)
    core, rng = HostCore(image.build(model)), np.random.default_rng(1)
    parts = [rng.integers(-128, 128, (33, 20, 6), dtype=np.int8) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda windows: core.classify(windows, trace=False).scores, parts))
    for windows, scores in zip(parts, found, strict=True):
        np.testing.assert_array_equal(scores, simulator.run(model, windows).scores)


@pytest.mark.parametrize("batched", [True, False])
def test_windows_that_do_not_fit_are_refused(batched: bool) -> None:
    model = random_model(6, steps=9, branches=(Shape(0, 3, pool="mean", conv=(4, 3, 1)),))
    core = HostCore(image.build(model))
    assert core.classify(np.zeros((0, 9, 3), np.int8), batched=batched).scores.shape == (0, core.classes)
    with pytest.raises(ModelError, match="channels"):
        core.classify(np.zeros((5, 9, 4), np.int8), batched=batched)
    for steps in (2, 10):  # the convolution sees 3, the mean takes 9 at most
        with pytest.raises(ModelError, match="argument"):
            core.classify(np.zeros((5, steps, 3), np.int8), trace=False, batched=batched)
