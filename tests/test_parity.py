"""Parity on models of different sizes, the report, the verb, and that a planted difference is seen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models
from bitwave.cli import build_app, run
from bitwave.errors import MissingPackage, ModelError, UsageError
from bitwave.model.metadata import CountsScale
from bitwave.model.quantmodel import Int8Array, QuantModel
from bitwave.parity import comparison as parity
from bitwave.parity import engines
from bitwave.parity.engines import Outputs
from bitwave.parity.engines.ours import Simulator
from bitwave.parity.windows import extreme_windows, mixed_windows, random_windows
from bitwave.recordings.recording import Recording, even_times, write
from bitwave.recordings.session import CHANNELS, Session
from bitwave.simulator.network import front_end
from bitwave.tflite import build as tflite_build
from bitwave.tflite.edit import stepwise, with_outputs
from bitwave.tflite.reader import read_model
from support import need

MUST_AGREE = ("tflite-micro", "simulator", "core-host", "m4-clang", "m4-gcc")
CASES = {
    "one layer of 24": tflite_build.write(
        models.random_model(7, steps=119, channels=6, hidden=(24,), dense=(5,), metadata=True, hop=20)
    ),
    "two odd layers": tflite_build.write(
        models.random_model(8, steps=37, channels=5, hidden=(17, 11), dense=(7, 3), per_channel=True, drive=4.0)
    ),
    "a branch per sensor": tflite_build.write(
        models.random_model(
            10,
            steps=60,
            channels=9,
            branches=(
                models.Shape(0, 3, (24,), "attention", (16, 5, 2)),
                models.Shape(3, 3, (13, 8), "mean", (7, 4, 3)),
                models.Shape(6, 3, (9,), "last"),
            ),
            dense=(11, 5),
            packable=True,
        )
    ),
    "of the converter": models.ONE_LAYER.read_bytes(),
    "two layers of the converter": models.TWO_LAYERS.read_bytes(),
    "two branches of the converter": models.TWO_BRANCHES.read_bytes(),
}
SMALL = tflite_build.write(models.random_model(9, steps=6, channels=3, hidden=(5, 4), dense=(3,)))


@pytest.mark.parametrize("name", CASES)
def test_every_engine_computes_the_same_bits(name: str) -> None:
    need("tflite_micro", "unicorn", "elftools", "arm-none-eabi-gcc")
    data = CASES[name]
    model = read_model(data)
    steps = model.layer_steps(model.steps)
    per_window = sum(count * lstm.hidden for count, lstm in zip(steps, model.lstm, strict=True))
    windows = random_windows(model, 100_000 // per_window + 1)
    report = parity.compare(data, windows, MUST_AGREE)
    assert report.reference == "tflite-micro" and not report.absent
    for engine in MUST_AGREE:
        tallies = report.engines[engine].kinds
        assert tallies["hidden"].compared >= 100_000, engine
        assert report.engines[engine].total.mismatches == 0, report.engines[engine].first
        if engine != "tflite-micro":
            assert tallies["cell"].compared >= 100_000, engine
            assert tallies["scores"].compared == len(windows) * model.classes, engine
    assert not report.failures


def test_full_tensorflow_lite_is_near_and_only_reported() -> None:
    need("tflite_micro", "tflite_runtime")
    data = CASES["of the converter"]
    report = parity.compare(data, random_windows(read_model(data), 100), ("tflite-micro", "tflite-runtime"))
    found = report.engines["tflite-runtime"]
    assert found.kinds["hidden"].compared == 100 * 19 * 13 and found.kinds["hidden"].max_abs_diff <= 5
    assert found.kinds["scores"].compared == 500
    assert found.first is not None and not report.failures


class Wrong(Simulator):
    """The simulator with one value changed."""

    batch = 2

    def __init__(self, model: QuantModel, kind: str, at: tuple[int, int, int, int]) -> None:
        super().__init__(model)
        self._kind, self._at, self._seen = kind, at, 0

    def run(self, windows: Int8Array) -> Outputs:
        outputs = super().run(windows)
        layer, window, step, unit = self._at
        row = window - self._seen
        self._seen += len(windows)
        if 0 <= row < len(windows):
            if self._kind == "scores":
                outputs.scores[row, unit] ^= 2
            else:
                getattr(outputs, self._kind)[layer][row, step, unit] ^= 2
        return outputs


@pytest.mark.parametrize("kind", parity.KINDS)
def test_one_changed_value_is_found_and_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = (0, 3, 5, 2) if kind == "scores" else (1, 3, 4, 2)

    def open_engine(name: str, data: bytes, model: QuantModel) -> Any:
        return Wrong(model, kind, at) if name == "core-host" else engines.open_engine(name, data, model)

    monkeypatch.setattr(parity, "open_engine", open_engine)
    report = parity.compare(SMALL, random_windows(read_model(SMALL), 9), ("simulator", "core-host"))
    (first,) = report.failures
    assert (first.engine, first.kind, first.layer, first.window, first.step, first.unit) == ("core-host", kind, *at)
    assert abs(first.reference - first.value) == 2
    assert report.engines["core-host"].total.mismatches == 1
    assert report.engines["core-host"].total.max_abs_diff == 2
    assert report.engines["simulator"].total.compared == 0


def without(monkeypatch: pytest.MonkeyPatch, *absent: str) -> None:
    def open_engine(name: str, data: bytes, model: QuantModel) -> Any:
        if name in absent:
            raise MissingPackage(f"{name} is not installed")
        return engines.open_engine(name, data, model)

    monkeypatch.setattr(parity, "open_engine", open_engine)


def test_absent_engines_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "tflite-micro", "m4-gcc")
    report = parity.compare(SMALL, random_windows(read_model(SMALL), 5), ("tflite-micro", "simulator", "m4-gcc"))
    document = report.to_json()
    assert document["reference"] == "simulator" and list(document["engines"]) == ["simulator"]
    assert document["absent"] == {"tflite-micro": "tflite-micro is not installed", "m4-gcc": "m4-gcc is not installed"}
    without(monkeypatch, "tflite-micro", "simulator")
    with pytest.raises(MissingPackage, match="reference"):
        parity.compare(SMALL, random_windows(read_model(SMALL), 5), ("tflite-micro", "simulator"))
    with pytest.raises(UsageError, match="no engine"):
        parity.compare(SMALL, random_windows(read_model(SMALL), 5), ("abacus",))


def test_full_tensorflow_lite_may_refuse_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Simulator):
        def run(self, windows: Int8Array) -> Outputs:
            raise ModelError("does not take the model")

    monkeypatch.setattr(parity, "open_engine", lambda name, data, model: Refusing(model))
    with pytest.raises(ModelError):
        parity.compare(SMALL, random_windows(read_model(SMALL), 5), ("simulator", "core-host"))

    def open_engine(name: str, data: bytes, model: QuantModel) -> Any:
        return (Refusing if name == "tflite-runtime" else Simulator)(model)

    monkeypatch.setattr(parity, "open_engine", open_engine)
    report = parity.compare(SMALL, random_windows(read_model(SMALL), 5), ("simulator", "tflite-runtime"))
    assert report.absent == {"tflite-runtime": "does not take the model"} and list(report.engines) == ["simulator"]


def verb(*arguments: object) -> int:
    return run(build_app(), ["parity", *map(str, arguments)])


def test_verb_prints_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("tflite_micro", "tflite_runtime", "unicorn", "elftools", "arm-none-eabi-gcc")
    path = tmp_path / "model.tflite"
    path.write_bytes(SMALL)
    assert verb(path, "--windows", 12, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["windows"] == 12 and document["reference"] == "tflite-micro" and document["absent"] == {}
    assert tuple(document["engines"]) == engines.NAMES
    for name in MUST_AGREE:
        entry = document["engines"][name]
        assert entry["compared"] >= 12 * 6 * 9 and entry["mismatches"] == entry["max_abs_diff"] == 0
        assert entry["first"] is None
    assert document["engines"]["simulator"]["kinds"]["cell"]["compared"] == 12 * 6 * 9


def test_verb_shows_a_table_and_fails_on_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(SMALL)

    def open_engine(name: str, data: bytes, model: QuantModel) -> Any:
        if name in ("tflite-micro", "m4-gcc", "tflite-runtime"):
            raise MissingPackage(f"{name} is not installed")
        return Wrong(model, "hidden", (0, 1, 2, 3)) if name == "m4-clang" else Simulator(model)

    monkeypatch.setattr(parity, "open_engine", open_engine)
    monkeypatch.setenv("COLUMNS", "200")
    assert verb(path, "--windows", 4) == 1
    shown = capsys.readouterr()
    assert "DIFFERENT" in shown.out and "core-host" in shown.out and "m4-gcc is not installed" in shown.out
    (line,) = shown.err.strip().splitlines()
    assert "m4-clang: hidden of layer 1, window 1, step 2, unit 3" in line
    assert verb(path, "--windows", 4, "--json") == 1
    first = json.loads(capsys.readouterr().out)["engines"]["m4-clang"]["first"]
    assert (first["window"], first["step"], first["unit"]) == (1, 2, 3)


def test_verb_refuses_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(tmp_path / "none.tflite") == ModelError.exit_code
    path = tmp_path / "model.tflite"
    path.write_bytes(SMALL[:1000])
    assert verb(path, "--json") == ModelError.exit_code
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.strip().splitlines()) == 2 and "truncated" in shown.err
    path.write_bytes(SMALL)
    assert verb(path, "--windows", 0) == UsageError.exit_code
    assert verb(path, "--recordings", tmp_path) == UsageError.exit_code  # no metadata says how to scale them


def test_half_of_the_windows_are_real(tmp_path: Path) -> None:
    raw = np.random.default_rng(1).integers(-9000, 9000, (40, 6)).astype(np.int16)
    session = Session(tool="tests", source="synth", participant="p01", session="s01", rate_hz=100.0)
    take = Recording("label-0", "p01", "s01", 1, even_times(40, 100.0), raw, 100.0)
    write(tmp_path, session, [take, replace(take, number=2), replace(take, label="other")])
    model = models.random_model(7, steps=10, channels=6, hidden=(4,), dense=(2,), metadata=True)
    assert model.metadata is not None
    with pytest.raises(UsageError, match="channels"):
        mixed_windows(model, 8, tmp_path)
    metadata = model.metadata.model_copy(update={"channels": CHANNELS})
    fitting = replace(model, metadata=metadata)
    windows = mixed_windows(fitting, 8, tmp_path)
    assert windows.shape == (8, 10, 6)
    possible = [front_end(metadata, model.input.zero_point, raw[i : i + 10]).tobytes() for i in range(31)]
    assert [window.tobytes() in possible for window in windows] == [False] * 6 + [True] * 2
    other = replace(model, metadata=metadata.model_copy(update={"counts": CountsScale(accel_lsb_per_g=4096.0)}))
    with pytest.raises(UsageError, match="counts"):
        mixed_windows(other, 8, tmp_path)
    strange = replace(model, metadata=metadata.model_copy(update={"labels": ("a", "b")}))
    with pytest.raises(UsageError, match="no recording"):
        mixed_windows(strange, 8, tmp_path)
    with pytest.raises(UsageError, match="metadata"):
        mixed_windows(replace(model, metadata=None), 8, tmp_path)


def test_extremes_are_extreme() -> None:
    model = models.random_model(1, steps=9, channels=4)
    windows = extreme_windows(model, 16, np.random.default_rng(0))
    assert len(windows) == 16
    for window in windows:
        assert window.shape == (9, 4) and set(np.unique(window)) <= {-128, 127, model.input.zero_point}


def test_edited_files_keep_their_weights() -> None:
    data = models.TWO_LAYERS.read_bytes()
    outputs = with_outputs(data, [1, 2])
    assert len(outputs) - len(data) in range(12, 16)
    changed = [i for i, (a, b) in enumerate(zip(data, outputs, strict=False)) if a != b]
    assert 1 <= len(changed) <= 4
    single = stepwise(data, range(2))
    changed = [i for i, (a, b) in enumerate(zip(data, single, strict=False)) if a != b]
    # offsets of inputs and outputs, number of operators, one step in three shapes
    assert len(changed) <= 4 + 4 + 1 + 3
