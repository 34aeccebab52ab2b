"""The C core on this machine against the NumPy simulator: equality of every value that both can show."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwave import simulator
from bitwave.core.host import HostCore
from bitwave.errors import ImageError, ModelError
from bitwave.model import image
from bitwave.model.metadata import Decision
from bitwave.model.quantmodel import Int8Array, Int16Array, QuantModel, Softmax
from models import float32, logits_model, random_model

SIZES = st.integers(1, 64)
MODELS = st.builds(
    random_model,
    st.integers(0, 2**32 - 1),
    steps=st.integers(1, 12),
    channels=st.integers(1, 12),
    hidden=st.one_of(st.tuples(SIZES), st.tuples(SIZES, SIZES)),
    dense=st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple),
    softmax=st.booleans(),
    activation=st.sampled_from(["none", "relu", "relu6"]),
    per_channel=st.booleans(),
    drive=st.sampled_from([0.1, 1.0, 5.0, 30.0]),
    cell_exponent=st.one_of(st.none(), st.integers(-20, 2)),
    cell_clip=st.sampled_from([0, 0, 1, 700, 32767]),
    zero_points=st.sampled_from([None, None, -128, 0, 127]),
)
STREAMS = st.builds(
    random_model,
    st.integers(0, 2**32 - 1),
    steps=st.integers(1, 24),
    channels=st.integers(1, 6),
    hidden=st.one_of(st.tuples(st.integers(1, 8)), st.tuples(st.integers(1, 8), st.integers(1, 8))),
    dense=st.tuples(st.integers(2, 16)),
    metadata=st.just(True),
    hop=st.integers(1, 24),
)


def random_windows(model: QuantModel, count: int, seed: int) -> Int8Array:
    """Full-range windows, and behind them the four extremes."""
    rng = np.random.default_rng(seed)
    windows = rng.integers(-128, 128, (count + 4, model.steps, model.channels)).astype(np.int8)
    windows[count], windows[count + 1] = -128, 127
    windows[count + 2, ::2], windows[count + 2, 1::2] = 127, -128
    windows[count + 3, :] = np.where(np.arange(model.channels) % 2, 127, -128)
    return windows


def random_stream(model: QuantModel, samples: int, seed: int) -> Int16Array:
    return np.random.default_rng(seed).integers(-32768, 32768, (samples, model.channels)).astype(np.int16)


def assert_same(model: QuantModel, windows: Int8Array) -> None:
    wanted = simulator.run(model, windows)
    got = HostCore(image.build(model)).classify(windows)
    for layer, (hidden, cell) in enumerate(zip(wanted.hidden, wanted.cell, strict=True)):
        np.testing.assert_array_equal(got.hidden[layer], hidden, err_msg=f"hidden of layer {layer}")
        np.testing.assert_array_equal(got.cell[layer], cell, err_msg=f"cell of layer {layer}")
    np.testing.assert_array_equal(got.scores, wanted.scores, err_msg="scores")


@settings(max_examples=120, deadline=None)
@given(MODELS, st.integers(0, 99))
def test_random_models_give_the_simulators_bits(model: QuantModel, seed: int) -> None:
    assert_same(model, random_windows(model, 4, seed))


def test_long_window_of_an_ordinary_model() -> None:
    model = random_model(5, steps=119, channels=6, hidden=(24,), dense=(5,))
    assert_same(model, random_windows(model, 60, 1))


@pytest.mark.parametrize("scale", [1 / 256, 0.02, 0.1, 0.5, 3.0])
def test_softmax_over_all_differences(scale: float) -> None:
    """Two classes over every difference, and 16 classes at random; the bias is the logit."""
    for logits in (
        [(a, -128) for a in range(-128, 128)],
        np.random.default_rng(1).integers(-128, 128, (40, 16)).tolist(),
    ):
        classes = len(logits[0])
        base = logits_model(scale, classes)
        for row in logits:
            head = dataclasses.replace(base.head[0], bias=np.array(row, np.int32))
            model = dataclasses.replace(base, head=(head,), softmax=Softmax(base.head[0].output, float32(1.0)))
            window = np.zeros((1, 1, 1), np.int8)
            got = HostCore(image.build(model)).classify(window, trace=False).scores
            np.testing.assert_array_equal(got, simulator.run(model, window).scores, err_msg=f"{row}")


@settings(max_examples=60, deadline=None)
@given(STREAMS, st.integers(0, 99), st.integers(0, 3), st.data())
def test_streams_give_the_simulators_scores_and_events(
    model: QuantModel, seed: int, smoothing: int, data: st.DataObject
) -> None:
    metadata = model.metadata
    assert metadata is not None
    decision = Decision(
        smoothing=smoothing,
        thresholds=tuple(data.draw(st.lists(st.integers(0, 255), min_size=model.classes, max_size=model.classes))),
        margin=data.draw(st.integers(0, 30)),
        hold=data.draw(st.integers(1, 3)),
        refractory=data.draw(st.integers(0, 60)),
        once=data.draw(st.booleans()),
        fires=tuple(data.draw(st.lists(st.booleans(), min_size=model.classes, max_size=model.classes))),
    )
    model = dataclasses.replace(model, metadata=metadata.model_copy(update={"decision": decision}))
    raw = random_stream(model, 150, seed)
    whole = HostCore(image.build(model)).events(raw)
    assert whole.events == simulator.stream_events(model, raw)
    starts = range(0, len(raw) - model.steps + 1, metadata.hop)
    assert whole.samples.tolist() == [start + model.steps - 1 for start in starts]
    quantized = simulator.front_end(metadata, model.input.zero_point, raw)
    windows = np.stack([quantized[start : start + model.steps] for start in starts])
    np.testing.assert_array_equal(whole.scores, simulator.run(model, windows).scores)


@given(st.lists(st.integers(0, 200), max_size=6).map(sorted))
@settings(max_examples=20, deadline=None)
def test_a_stream_may_come_in_any_portions(cuts: list[int]) -> None:
    model = random_model(8, steps=20, channels=3, hidden=(6,), dense=(4,), metadata=True, hop=7)
    core = HostCore(image.build(model))
    raw = random_stream(model, 200, 3)
    whole, stream = core.events(raw), core.stream()
    parts = [stream.push(raw[start:end]) for start, end in zip([0, *cuts], [*cuts, 200], strict=True)]
    assert [event for part in parts for event in part.events] == whole.events
    assert np.concatenate([part.samples for part in parts]).tolist() == whole.samples.tolist()
    np.testing.assert_array_equal(np.concatenate([part.scores for part in parts]), whole.scores)


def test_one_core_serves_many_threads() -> None:
    model = random_model(4, steps=30, channels=6, hidden=(24,), dense=(5,), metadata=True)
    core = HostCore(image.build(model))
    batches = [random_windows(model, 40, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda batch: core.classify(batch).scores, batches))
    for batch, scores in zip(batches, got, strict=True):
        np.testing.assert_array_equal(scores, core.classify(batch).scores)


def test_facts_and_the_known_answer() -> None:
    model = random_model(4, steps=50, channels=6, hidden=(24, 9), dense=(5,), metadata=True, hop=10)
    core = HostCore(image.build(model))
    assert (core.steps, core.hop, core.lanes, core.channels, core.classes) == (50, 10, 5, 6, 5)
    assert core.hidden == (24, 9)
    assert core.self_test()
    # states of five lanes and the parity command's one, with room for scratch
    assert 5 * (24 + 9) * 3 < core.recognizer_bytes < 1500
    assert core.app_bytes == core.recognizer_bytes + core.network_bytes


def test_a_wrong_known_answer_fails_the_self_test() -> None:
    packed = bytearray(image.build(random_model(4, dense=(4,))))
    packed[-1] ^= 1  # the last score
    assert not HostCore(image.with_crc(bytes(packed))).self_test()


def test_no_windows_and_unaligned_views() -> None:
    model = random_model(2, steps=6, channels=3, dense=(4,))
    core = HostCore(image.build(model))
    assert core.classify(np.empty((0, 6, 3), np.int8)).scores.shape == (0, 4)
    windows = random_windows(model, 9, 1)
    turned = np.asfortranarray(windows)[::2]
    np.testing.assert_array_equal(core.classify(turned).scores, core.classify(windows).scores[::2])


def test_wrong_shapes_are_named() -> None:
    core = HostCore(image.build(random_model(2, steps=6, channels=3, metadata=True)))
    wrong: tuple[Any, ...] = (np.zeros((2, 6, 4), np.int8), np.zeros((6, 3), np.int8), np.zeros((2, 6, 3), np.int16))
    for windows in wrong:
        with pytest.raises(ModelError, match="do not fit 3 int8 channels"):
            core.classify(windows)
    wrong = (np.zeros((9, 2), np.int16), np.zeros((9, 3), np.int32), np.zeros(9, np.int16))
    for raw in wrong:
        with pytest.raises(ModelError, match="do not fit 3 int16 channels"):
            core.events(raw)


def test_a_network_without_metadata_has_no_stream() -> None:
    with pytest.raises(ModelError, match="no front end"):
        HostCore(image.build(random_model(2))).stream()


def test_noise_is_no_image() -> None:
    for junk in (b"", b"BWIM", bytes(500), b"BWIM" + bytes(500)):
        with pytest.raises(ImageError):
            HostCore(junk)
