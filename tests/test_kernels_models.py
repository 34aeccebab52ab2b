"""Every build of the core against the simulator on random models: odd sizes, saturation, extreme zero points, -128."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwave import native, simulator
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel, plain
from models import Shape, random_model
from support import need

need("unicorn", "elftools", "capstone")

from bitwave.emulator.engine import EmulatedCore  # noqa: E402  # after the skip that names the packages

BUILDS: tuple[tuple[native.Compiler, native.Kernels], ...] = (
    ("clang", "dsp"),
    ("clang", "portable"),
    ("gcc", "dsp"),
    ("gcc", "portable"),
)
SIZES = st.one_of(st.integers(1, 64), st.sampled_from([1, 7, 8, 9, 24, 63, 64, 65, 100]))


@st.composite
def random_models(draw: st.DrawFn) -> QuantModel:
    """Mostly models for the fast kernels, of one or two layers, from hardly driven to saturated everywhere."""
    hidden = draw(st.lists(SIZES, min_size=1, max_size=2))
    model = random_model(
        draw(st.integers(0, 2**32 - 1)),
        steps=draw(st.integers(1, 5)),
        channels=draw(st.one_of(st.integers(1, 9), SIZES)),
        hidden=tuple(hidden),
        drive=draw(st.sampled_from([0.03, 0.3, 1.0, 3.0, 30.0])),
        cell_exponent=draw(st.sampled_from([None, -16, -15, -12, -9, -3, -2])),
        zero_points=draw(st.sampled_from([None, None, -128, 0, 127])),
        cell_clip=draw(st.sampled_from([0, 0, 0, 9000])),
        packable=draw(st.sampled_from([True, True, True, False])),
    )
    if draw(st.booleans()):
        return model
    extremes = np.random.default_rng(model.steps)
    ends = np.array([draw(st.sampled_from([-127, -128])), 127], np.int8)  # -128 is for the plain kernels alone
    layers = (
        dataclasses.replace(
            layer,
            input_weights=extremes.choice(ends, layer.input_weights.shape),
            recurrent_weights=extremes.choice(ends, layer.recurrent_weights.shape),
        )
        for layer in model.lstm
    )
    return dataclasses.replace(model, branches=plain(model.channels, *layers))


def some_windows(model: QuantModel) -> np.ndarray[tuple[int, int, int], np.dtype[np.int8]]:
    rng = np.random.default_rng(1)
    windows = rng.integers(-128, 128, (3, model.steps, model.channels), dtype=np.int8)
    windows[1] = rng.choice(np.array([-128, 127], np.int8), windows[1].shape)
    return windows


@given(random_models())
@settings(max_examples=40, deadline=None)
def test_every_build_computes_the_same_bits(model: QuantModel) -> None:
    all_builds_agree(model)


@pytest.mark.parametrize("first", range(1, 65, 8))
@pytest.mark.parametrize("packable", [True, False])
def test_every_size(first: int, packable: bool) -> None:
    """Eight sizes per model, so that all of 1 .. 64 are somebody's units and, but for the last, somebody's inputs."""
    shapes = tuple(Shape(2 * i, 1 + i % 2, (first + 2 * i, first + 2 * i + 1)) for i in range(4))
    model = random_model(first, steps=3, channels=9, branches=shapes, packable=packable)
    assert packable == all(image.why_plain(layer) is None for layer in model.lstm)
    all_builds_agree(model)


def all_builds_agree(model: QuantModel) -> None:
    if "gcc" not in native.m4_compilers():
        need("arm-none-eabi-gcc")
    packed, windows = image.build(model), some_windows(model)
    want = simulator.run(model, windows)
    found = {"host": HostCore(packed).classify(windows)}
    found |= {" ".join(build): EmulatedCore(packed, *build).classify(windows) for build in BUILDS}
    for name, got in found.items():
        for layer in range(len(model.lstm)):
            np.testing.assert_array_equal(got.hidden[layer], want.hidden[layer], err_msg=name)
            np.testing.assert_array_equal(got.cell[layer], want.cell[layer], err_msg=name)
        np.testing.assert_array_equal(got.scores, want.scores, err_msg=name)


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
@pytest.mark.parametrize(("hidden", "channels"), [((24,), 6), ((33,), 5), ((8, 21), 3), ((64,), 9)])
def test_lanes_do_not_mix(
    build: tuple[native.Compiler, native.Kernels], hidden: tuple[int, ...], channels: int
) -> None:
    """Lanes that start at different samples, fed by a mask that changes, are each as if alone."""
    if build[0] == "gcc":
        need("arm-none-eabi-gcc")
    model = random_model(7, channels=channels, hidden=hidden, packable=True)
    core = EmulatedCore(image.build(model), *build)
    machine, lanes, steps = core.machine, 5, 12
    core.start_network(lanes)
    rng = np.random.default_rng(3)
    fed: list[list[np.ndarray[tuple[int], np.dtype[np.int8]]]] = [[] for _ in range(lanes)]
    for _ in range(steps):
        sample = rng.integers(-128, 128, channels, dtype=np.int8)
        mask = int(rng.integers(1, 1 << lanes))
        machine.write("bw_emu_input", sample.tobytes())
        machine.call("bw_network_step", machine.address("bw_emu_network"), machine.address("bw_emu_input"), mask)
        for lane in range(lanes):
            if mask >> lane & 1:
                fed[lane].append(sample)
    for lane, samples in enumerate(fed):
        want = simulator.run(model, np.stack(samples)[None])
        for layer, units in enumerate(hidden):
            where = machine.call("bw_network_hidden", machine.address("bw_emu_network"), lane, layer)
            got = np.frombuffer(machine.read(where, units), np.int8)
            np.testing.assert_array_equal(got, want.hidden[layer][0, -1])


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
def test_a_stream_gives_the_events_of_the_simulator(build: tuple[native.Compiler, native.Kernels]) -> None:
    if build[0] == "gcc":
        need("arm-none-eabi-gcc")
    model = random_model(12, steps=23, channels=6, hidden=(24,), dense=(5,), metadata=True, hop=5, packable=True)
    assert model.metadata is not None
    raw = np.random.default_rng(5).integers(-20000, 20000, (200, 6), dtype=np.int16)
    results = EmulatedCore(image.build(model), *build).recognise(raw)
    samples = simulator.front_end(model.metadata, model.input.zero_point, raw)
    windows = np.stack([samples[first : first + 23] for first in range(0, len(samples) - 22, 5)])
    np.testing.assert_array_equal([result.scores for result in results], simulator.run(model, windows).scores)
    found = [(result.sample, result.label, result.score) for result in results if result.is_gesture]
    wanted = [(event.sample, event.label, event.score) for event in simulator.stream_events(model, raw)]
    assert found == wanted


def test_what_the_exporter_packs_is_what_the_kernels_take() -> None:
    """At each condition's edge; the core refuses a packed layer beyond it, as it does every other change."""
    model = random_model(3, channels=6, hidden=(24,), packable=True)
    (layer,) = model.lstm
    assert image.why_plain(layer) is None

    def reason(**change: object) -> str | None:
        changed = dataclasses.replace(layer, **change)  # type: ignore[arg-type]
        HostCore(image.build(dataclasses.replace(model, branches=plain(model.channels, changed))))  # both layouts open
        return image.why_plain(changed)

    weight = layer.recurrent_weights.copy()
    weight[3, 23, 23] = -128
    assert reason(recurrent_weights=weight) == "a weight is -128"
    assert reason(cell_clip=9) == "the cell is clipped"
    for exponent, fits in ((-16, False), (-15, True), (-3, True), (-2, False)):
        assert (reason(cell_exponent=exponent) is None) == fits
    tiny = (layer.input_scales[0] / 256, *layer.input_scales[1:])
    assert reason(input_scales=tiny) == "the input gate's sums or scales are out of range"
    bias = layer.bias.copy()
    bias[1, 5] = 1 << 24
    assert reason(bias=bias) == "the forget gate's sums or scales are out of range"
    wide = random_model(3, channels=6, hidden=(65,), packable=True)
    assert image.why_plain(wide.lstm[0]) == "a matrix has more than 64 columns"
