"""Beside a run: other classifiers under the same splits, and TensorFlow's converter on the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bitwave.errors import MissingPackage, RecordingError
from support import need
from test_train_commands import command
from training_data import dataset, float_model, raw_windows, write_dataset


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("tensorflow", "keras")
    folder = tmp_path_factory.mktemp("company")
    data, run = write_dataset(folder / "data", dataset(count=6)), folder / "run"
    words = "--folds 2 --hidden 4 --conv-filters 4 --epochs 3 --batch 8".split()
    assert command("train", str(data), "--run", str(run), *words) == 0
    assert command("quantize", str(run)) == 0
    return run


def test_baselines_stand_beside_a_run(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need("aeon", "matplotlib")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # to compile MiniRocket takes minutes, to interpret it a second
    report = run / "report.html"
    assert command("evaluate", str(run), "--json") == 0
    assert json.loads(capsys.readouterr().out)["summary"]["baselines"] == {}
    assert not (run / "fold-1" / "baselines.json").exists()
    assert command("evaluate", str(run), "--baselines", "--json", "--report", str(report)) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)["summary"]
    assert list(found["baselines"]) == ["1-D CNN", "MiniRocket, ridge"]
    # 3 convolutions of 5 taps, biases, 3 labels; 9,996 features and a bias for each of 3 labels
    assert found["baselines"]["1-D CNN"]["weights"] == 24 * (5 * 6 + 1) + 32 * (5 * 24 + 1) + 32 * (5 * 32 + 1) + 3 * 33
    assert found["baselines"]["MiniRocket, ridge"]["weights"] == 3 * 9997
    assert found["baselines"]["MiniRocket, ridge"]["accuracy"]["mean"] > 0.9  # there and back is easy to tell
    # conv 4 x (5 x 6), LSTM 4 x 4 x (4 + 4), head 3 x 4, biases
    assert found["weights"] == 4 * 31 + 16 * 9 + 3 * 5
    assert "fold 1: training 1-D CNN" in told.err
    text = report.read_text()
    assert "Honest company" in text and "MiniRocket, ridge" in text
    # What was trained is kept; what was changed by hand is told.
    assert command("evaluate", str(run), "--baselines") == 0
    again = capsys.readouterr()
    assert "training" not in again.err and "honest company" in again.out
    (run / "fold-2" / "baselines.json").write_text("[{}]")
    assert command("evaluate", str(run), "--baselines") == RecordingError.exit_code
    assert "baselines.json: 0.name" in " ".join(capsys.readouterr().err.split())


def test_baselines_need_their_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from bitwave_train import baselines

    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    assert command("evaluate", "none", "--baselines") == MissingPackage.exit_code
    assert "pip install 'bitwave[baselines]'" in capsys.readouterr().err


def test_the_converter_beside_our_quantization(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    need("tf_keras")
    assert command("evaluate", str(run), "--converter", "--json") == 0
    found = json.loads(capfd.readouterr().out.splitlines()[-1])["summary"]
    assert 0 <= found["converter"]["accuracy"]["mean"] <= 1
    assert found["int8"]["accuracy"]["mean"] >= found["converter"]["accuracy"]["mean"]


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({"hidden": (6, 5), "dense": (5, 4)}, id="two layers"),
        pytest.param({"channels": 6, "pool": "attention", "conv": (8, 5, 2), "branches": 2}, id="attention, fused"),
    ],
)
def test_the_copy_computes_the_same_and_tflite_micro_its_bits(shape: dict[str, object]) -> None:
    need("tensorflow", "tf_keras", "tflite_micro")
    from tflite_micro.python.tflite_micro import runtime

    from bitwave import simulator
    from bitwave.tflite.reader import read_model
    from bitwave_train import converter
    from bitwave_train.floatmodel import run as run_float
    from bitwave_train.quantize import quantize

    source = float_model(3, **shape)  # type: ignore[arg-type]
    raw = raw_windows(4, source, count=80)
    standardized = source.standardize(raw)
    scores = run_float(source, standardized).scores
    network = converter.copied(source, raw.shape[1], raw.shape[2])
    copied = np.concatenate([network(window[None]).numpy() for window in standardized[:4]])
    np.testing.assert_allclose(copied, scores[:4], atol=1e-5)  # two float implementations
    content = converter.convert(source, raw)
    model = read_model(content)
    inputs = converter.inputs(model, standardized[:8])
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 19)
    for window, want in zip(inputs, simulator.run(model, inputs).scores, strict=True):
        interpreter.reset()
        interpreter.set_input(window[None], 0)
        interpreter.invoke()
        assert np.array_equal(interpreter.get_output(0)[0], want)
    # Ours on the same weights and windows: whose scores are nearer to the float model's.
    own = quantize(source, raw)
    ours = simulator.run(own, converter.inputs(own, standardized)).scores
    theirs = simulator.run(model, converter.inputs(model, standardized)).scores
    errors = [np.sqrt(np.mean(np.square((side.astype(float) + 128) / 256 - scores))) for side in (ours, theirs)]
    assert errors[0] <= errors[1] * 1.1, errors
