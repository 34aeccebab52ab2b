"""Quantization-aware training: its twin is near the integer model, and what it learns ends up in the integers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitwave import simulator, tflite
from bitwave.model.quantmodel import QuantModel
from bitwave.recordings.windowing import windows
from bitwave_train import evaluate, report, tflite_writer, train
from bitwave_train.quantize import quantize
from bitwave_train.settings import Augmentation, Settings, Split
from support import need
from training_data import dataset, float_model, raw_windows


@pytest.mark.parametrize("pool", ["last", "mean", "attention"])
@pytest.mark.parametrize("branches", [1, 2])
def test_the_twin_is_near_the_integer_model(pool: str, branches: int) -> None:
    need("tensorflow", "keras")
    from bitwave_train.qat import Twin

    hidden = (6, 5) if pool == "last" else (6,)
    conv = (5, 4, 2) if branches == 2 else None
    source = float_model(5, channels=6, hidden=hidden, dense=(6, 4), pool=pool, branches=branches, conv=conv)
    raw = raw_windows(1, source, count=80)
    model = quantize(source, raw)
    twin = Twin(source, model)
    standardized = source.standardize(raw)
    inputs = np.clip(np.rint(standardized / model.input.scale) + model.input.zero_point, -128, 127).astype(np.int8)
    integers = simulator.run(model, inputs).dense[-1].astype(float) - model.head[-1].output.zero_point
    logits = twin.logits(standardized).numpy()
    steps = np.abs(logits / model.head[-1].output.scale - integers)
    assert steps.mean() < 1.5
    assert np.abs(logits / model.head[-1].output.scale - np.rint(logits / model.head[-1].output.scale)).max() < 1e-3
    again = twin.integers()
    for found, wanted in zip((*again.lstm, *again.head), (*model.lstm, *model.head), strict=True):
        for name in ("bias", "input_weights", "recurrent_weights", "weights"):
            if hasattr(wanted, name):
                np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_rounding_and_clamps_have_straight_through_gradients() -> None:
    need("tensorflow")
    import tensorflow as tf

    from bitwave_train.qat import gate_grid

    values = tf.constant([-9.0, -8.0, 0.1, 7.9, 9.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        out = gate_grid(values)
    assert out.numpy().tolist() == [-8.0, -8.0, 410 / 4096, np.rint(np.float32(7.9) * 4096) / 4096, 32767 / 4096]
    assert tape.gradient(out, values).numpy().tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_a_run_with_qat_keeps_what_it_started_from(tmp_path: Path) -> None:
    need("tensorflow", "keras")
    data = dataset()
    settings = Settings(
        hidden=(6,), conv_filters=0, pool="mean", epochs=40, batch=8, learning_rate=0.02, validation=0.2
    )
    settings = settings.model_copy(update={"augmentation": Augmentation(rotation=5.0)})
    config = train.plan(data, tmp_path, settings, split=Split(kind="folds", by="auto", folds=2))
    run = train.train(data, config, tmp_path / "run")
    for epochs in (0, 4):
        paths = list(tflite_writer.write_run(run, data, qat_epochs=epochs))
        assert len(paths) == 3
        assert run.deployable.post_training.exists() == bool(epochs)
    found = report.as_dict(evaluate.evaluate(run, data))["summary"]
    assert found["int8"]["accuracy"]["mean"] >= found["post_training"]["accuracy"]["mean"] - 0.06
    trained = tflite.read_model(run.deployable.tflite)
    before = tflite.read_model(run.deployable.post_training)
    assert trained.lstm[0].input_scales == before.lstm[0].input_scales
    assert (trained.lstm[0].input_weights != before.lstm[0].input_weights).any()
    list(tflite_writer.write_run(run, data, qat_epochs=4))
    assert tflite.read_model(run.deployable.tflite).digest == trained.digest


@pytest.mark.parametrize("end_is_better", [False, True])
def test_without_validation_what_trained_the_model_decides(
    end_is_better: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("tensorflow", "keras")
    from bitwave_train import qat

    data = dataset()
    settings = Settings(hidden=(6,), conv_filters=0, epochs=30, warmup=0, batch=8, learning_rate=0.02, validation=0.0)
    run = train.train(data, train.plan(data, tmp_path, settings), tmp_path / "run")
    (part,) = run.parts()

    known = windows(data.recordings, run.config.labels, run.config.window, run.config.hop).samples

    def deaf(model: QuantModel) -> QuantModel:
        return replace(model, head=tuple(replace(d, weights=np.zeros_like(d.weights)) for d in model.head))

    if end_is_better:
        monkeypatch.setattr(tflite_writer, "quantize", lambda *given: deaf(quantize(*given)))
        monkeypatch.setattr(qat, "fine_tune", lambda source, start, *rest: quantize(source, known))
    else:
        monkeypatch.setattr(qat, "fine_tune", lambda source, start, *rest: deaf(start))
    list(tflite_writer.write_run(run, data, qat_epochs=1))
    start, end = tflite.read_model(part.post_training), tflite.read_model(part.tflite)
    assert (end.digest != start.digest) == end_is_better
    assert all(dense.weights.any() for dense in end.head)
