"""Files of the writer run unchanged in both third-party interpreters and read back as they were."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from bitwave import simulator, tflite
from bitwave.errors import WriteError
from bitwave.model.metadata import CountsScale
from bitwave.model.quantmodel import Int8Array, QuantModel
from bitwave_train import tflite_writer
from bitwave_train.quantize import quantize
from bitwave_train.settings import RunConfig, Settings, Split
from support import need
from training_data import float_model, raw_windows

SHAPES = [((6,), (4,), 25), ((9,), (7, 3), 12), ((5, 8), (5,), 30)]
# In a process of its own: it cannot be loaded beside TensorFlow.
LITE = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
scores = []
for window in np.load(sys.argv[2]):
    interpreter.reset_all_variables()
    interpreter.set_tensor(source["index"], window[None])
    interpreter.invoke()
    scores.append(interpreter.get_tensor(target["index"])[0])
np.save(sys.argv[3], np.array(scores))
"""


def write(
    folder: Path, hidden: tuple[int, ...], dense: tuple[int, ...], steps: int
) -> tuple[Path, QuantModel, Int8Array]:
    source = float_model(len(hidden) + steps, hidden=hidden, dense=dense)
    raw = raw_windows(5, source, steps=steps)
    config = RunConfig(
        dataset="made up",
        dataset_digest="sha256:0",
        labels=("idle", "left", "right", "up", "down", "unknown")[: dense[-1]],
        channels=("ax", "ay", "az"),
        rate_hz=50,
        counts=CountsScale(),
        window=steps,
        hop=5,
        split=Split(),
        settings=Settings(hidden=hidden),
    )
    model = tflite_writer.with_metadata(quantize(source, raw), source, config)
    path = folder / "model.tflite"
    tflite_writer.write(path, model)
    assert model.metadata is not None
    return path, model, simulator.front_end(model.metadata, model.input.zero_point, raw)


@pytest.mark.parametrize(("hidden", "dense", "steps"), SHAPES)
def test_reads_back_and_computes_what_tflite_micro_computes(
    tmp_path: Path, hidden: tuple[int, ...], dense: tuple[int, ...], steps: int
) -> None:
    need("tflite_micro")
    from tflite_micro import runtime

    path, model, windows = write(tmp_path, hidden, dense, steps)
    read = tflite.read_model(path)
    for name in ("steps", "channels", "input", "softmax"):
        assert getattr(read, name) == getattr(model, name)
    for found, wanted in zip(read.lstm + read.head, model.lstm + model.head, strict=True):
        for field in fields(found):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(wanted, field.name), field.name)
    scores = simulator.run(read, windows).scores
    interpreter = runtime.Interpreter.from_bytes(path.read_bytes())
    for index, window in enumerate(windows):
        interpreter.reset()
        interpreter.set_input(window[None], 0)
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_output(0)[0], scores[index], f"window {index}")


@pytest.mark.parametrize("pool", ["mean", "attention"])
def test_a_model_of_branches_computes_what_tflite_micro_computes(tmp_path: Path, pool: str) -> None:
    need("tflite_micro")
    from tflite_micro import runtime

    source = float_model(8, channels=6, hidden=(5,), dense=(3,), pool=pool, branches=2, conv=(4, 5, 2))
    raw = raw_windows(3, source, count=40)
    model = quantize(source, raw)
    tflite_writer.write(tmp_path / "model.tflite", model)
    found = np.clip(np.rint(source.standardize(raw) / model.input.scale) + model.input.zero_point, -128, 127)
    windows = found.astype(np.int8)
    scores = simulator.run(tflite.read_model(tmp_path / "model.tflite"), windows).scores
    interpreter = runtime.Interpreter.from_bytes((tmp_path / "model.tflite").read_bytes())
    for index, window in enumerate(windows):
        interpreter.reset()
        interpreter.set_input(window[None], 0)
        interpreter.invoke()
        np.testing.assert_array_equal(interpreter.get_output(0)[0], scores[index], f"window {index}")


@pytest.mark.parametrize(("hidden", "dense", "steps"), SHAPES)
def test_runs_in_tflite_runtime(tmp_path: Path, hidden: tuple[int, ...], dense: tuple[int, ...], steps: int) -> None:
    need("tflite_runtime")
    path, model, windows = write(tmp_path, hidden, dense, steps)
    np.save(tmp_path / "windows.npy", windows)
    arguments = [str(path), str(tmp_path / "windows.npy"), str(tmp_path / "scores.npy")]
    subprocess.run([sys.executable, "-c", LITE, *arguments], check=True, capture_output=True)
    scores = np.load(tmp_path / "scores.npy")
    assert scores.dtype == np.int8
    # Its sigmoid and tanh are other approximations, so its scores are only near.
    near = np.mean(scores.argmax(axis=1) == simulator.run(model, windows).scores.argmax(axis=1))
    assert scores.shape == (len(windows), dense[-1])
    assert near >= 0.95


def test_metadata_says_what_the_network_does_not(tmp_path: Path) -> None:
    path, model, _ = write(tmp_path, (6,), (6,), 25)
    metadata = tflite.read_model(path).metadata
    assert metadata is not None and model.metadata is not None
    assert metadata.model_copy(update={"weights_digest": ""}) == model.metadata
    assert metadata.decision.fires == (False, True, True, True, True, False)
    assert metadata.decision.refractory == 38  # one and a half windows
    assert metadata.weights_digest


def test_bytes_are_a_pure_function_of_the_model(tmp_path: Path) -> None:
    first, _, _ = write(tmp_path / "a", (6,), (4,), 25)
    second, _, _ = write(tmp_path / "b", (6,), (4,), 25)
    assert first.read_bytes() == second.read_bytes()


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    path, model, _ = write(tmp_path, (6,), (4,), 25)
    with pytest.raises(WriteError, match="not be written"):
        tflite_writer.write(path / "below-a-file", model)
