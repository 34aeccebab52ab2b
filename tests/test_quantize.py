"""The quantizer: scales from observed ranges, and an int8 model that behaves like the float one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitwave import simulator
from bitwave.errors import ModelError, UsageError
from bitwave.model.metadata import CountsScale, Decision, Metadata
from bitwave.model.quantmodel import Quantization, QuantModel
from bitwave.model.ranges import check_ranges
from bitwave_train import evaluate, quantize
from bitwave_train.floatmodel import FloatModel, run
from bitwave_train.quantize import Options, affine, cell_exponent, front_end, symmetric
from training_data import float_model, raw_windows


def with_metadata(model: QuantModel, source: FloatModel) -> QuantModel:
    labels = tuple(f"label-{i}" for i in range(model.classes))
    metadata = Metadata(
        tool="test",
        labels=labels,
        rate_hz=50,
        window=model.steps,
        hop=5,
        channels=tuple(f"c{i}" for i in range(model.channels)),
        counts=CountsScale(),
        scaling=front_end(source, model.input),
        decision=Decision(thresholds=(128,) * len(labels), fires=(True,) * len(labels)),
        dataset_digest="none",
    )
    return replace(model, metadata=metadata)


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 1.0), (0.0, 3.0), (0.5, 3.0), (-4.0, -1.0), (-1e-6, 2.0), (0.0, 0.0), (-7.0, 0.25)]
)
def test_affine_range_holds_the_values_and_zero_is_exact(low: float, high: float) -> None:
    found = affine(np.linspace(low, high, 500), Options("percentile", 100.0))
    assert found.scale == np.float32(found.scale) > 0
    assert -128 <= found.zero_point <= 127
    reach = [found.scale * (q - found.zero_point) for q in (-128, 127)]
    assert reach[0] - found.scale <= min(low, 0.0)
    assert reach[1] + found.scale >= max(high, 0.0)


def test_percentile_leaves_outliers_out_and_mse_beats_the_full_range() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 20_000), [40.0]])
    full = affine(values, Options("percentile", 100.0))
    assert affine(values, Options("percentile", 99.9)).scale < full.scale / 3

    def error(q: Quantization) -> float:
        rounded = np.clip(np.rint(values / q.scale) + q.zero_point, -128, 127)
        return float(np.square((rounded - q.zero_point) * q.scale - values).mean())

    assert error(affine(values, Options("mse"))) < error(full)


@pytest.mark.parametrize("choice", ["percentile", "mse"])
def test_symmetric_weights_stay_within_127(choice: quantize.Choice) -> None:
    values = np.random.default_rng(1).normal(0, 0.3, (8, 5))
    found, scale = symmetric(values, choice)
    assert found.dtype == np.int8
    assert np.abs(found.astype(int)).max() <= 127
    assert scale == np.float32(scale)
    kept = np.abs(values) < 127 * scale
    assert np.abs(found * scale - values)[kept].max() <= scale / 2 * 1.0001


def test_zero_weights_have_a_scale() -> None:
    found, scale = symmetric(np.zeros((3, 3)), "mse")
    assert scale > 0
    assert not found.any()


@pytest.mark.parametrize(
    ("largest", "exponent"), [(0.0, -15), (0.5, -15), (0.9999, -15), (1.5, -14), (8.0, -11), (900.0, -9)]
)
def test_cell_scale_is_the_smallest_power_of_two_that_holds(largest: float, exponent: int) -> None:
    assert cell_exponent(np.array([0.0, -largest])) == exponent


@pytest.mark.parametrize("seed", range(5))
def test_front_end_is_standardization_and_quantization(seed: int) -> None:
    source = float_model(seed, channels=6)
    raw = raw_windows(seed, source)
    model = with_metadata(quantize.quantize(source, raw), source)
    assert model.metadata is not None
    found = simulator.front_end(model.metadata, model.input.zero_point, raw)
    exact = source.standardize(raw) / model.input.scale + model.input.zero_point
    # half a step of rounding, half a count of the offset, and 2**-14 of the multiplier
    allowed = 0.5 + 0.5 / (source.deviation * model.input.scale) + 256 * 2.0**-14
    assert (np.abs(found - np.clip(exact, -128, 127)) <= allowed).all()


@pytest.mark.parametrize(("mean", "deviation"), [(-40000.0, 1.0), (0.0, 1e-9), (0.0, 1e12)])
def test_front_end_refuses_what_its_integers_cannot_say(mean: float, deviation: float) -> None:
    source = replace(float_model(0), mean=np.full(3, mean), deviation=np.full(3, deviation))
    with pytest.raises(ModelError, match="integer front end"):
        front_end(source, Quantization(1.0, 0))


@pytest.mark.parametrize("hidden", [(6,), (7, 5)])
@pytest.mark.parametrize("choice", ["percentile", "mse"])
def test_int8_behaves_like_float(hidden: tuple[int, ...], choice: quantize.Choice) -> None:
    source = float_model(3, hidden=hidden, dense=(6, 4))
    raw = raw_windows(1, source, count=200)
    model = with_metadata(quantize.quantize(source, raw, Options(choice, weights=choice)), source)
    classes = run(source, source.standardize(raw)).scores.argmax(axis=1)
    held_out = evaluate.Windows(raw, classes, np.arange(len(raw)))
    found = evaluate.compare("all", source, model, held_out)
    assert found.float32.accuracy == 1.0
    assert found.agreement >= 0.95
    assert found.agreement == found.int8.accuracy
    assert found.largest_score_difference < 0.2
    assert len(found.saturation) == len(hidden)


@pytest.mark.parametrize("pool", ["last", "mean", "attention"])
@pytest.mark.parametrize("branches", [1, 3])
@pytest.mark.parametrize("conv", [None, (5, 4, 2)])
def test_every_architecture_behaves_like_float(pool: str, branches: int, conv: tuple[int, int, int] | None) -> None:
    source = float_model(6, channels=6, dense=(6, 4), pool=pool, branches=branches, conv=conv)
    raw = raw_windows(1, source, count=200)
    model = with_metadata(quantize.quantize(source, raw), source)
    check_ranges(model)
    assert (len(model.branches), model.is_plain) == (branches, (pool, branches, conv) == ("last", 1, None))
    classes = run(source, source.standardize(raw)).scores.argmax(axis=1)
    found = evaluate.compare("all", source, model, evaluate.Windows(raw, classes, np.arange(len(raw))))
    assert found.agreement >= 0.94
    assert len(found.saturation) == branches


def test_saturation_is_seen() -> None:
    calm = float_model(4)
    raw = raw_windows(2, calm)
    (branch,) = calm.branches
    layer = replace(branch.lstm[0], bias=branch.lstm[0].bias * 0 + np.float32(50))
    loud = replace(calm, branches=(replace(branch, lstm=(layer,)),))
    shares = []
    for source in (calm, loud):
        model = with_metadata(quantize.quantize(source, raw), source)
        held_out = evaluate.Windows(raw, np.zeros(len(raw), np.intp), np.arange(len(raw)))
        shares.append(evaluate.compare("all", source, model, held_out).saturation[0].gates["forget"])
    assert shares[0] == 0.0
    assert shares[1] > 0.9


def test_scores_by_hand() -> None:
    found = evaluate.score(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), ("a", "b", "never"))
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.f1 == {"a": pytest.approx(2 / 4), "b": pytest.approx(4 / 6), "never": 0.0}
    assert found.confusion == ((1, 1, 0), (1, 2, 0), (0, 0, 0))


def test_unknown_choice_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="--weights kl: choose percentile or mse"):
        quantize.options("mse", 99.0, "kl")
