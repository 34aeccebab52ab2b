"""Another converter's model is taken over whole, after proof, or refused in one line."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite as schema
import typer
from click.testing import Result
from typer.testing import CliRunner

import models
from bitwave import parity
from bitwave.commands.import_model import import_model
from bitwave.core.host import HostCore
from bitwave.errors import MissingPackage, ModelError, ParityMismatch, UsageError, WriteError
from bitwave.model.image import build
from bitwave.parity import adopt
from bitwave.simulator.network import run
from bitwave.tflite import build as tflite_build
from bitwave.tflite.entry import with_metadata
from bitwave.tflite.graph import read_graph
from bitwave.tflite.reader import read_model, weights_digest
from support import need

WORDS = ("--counts-per-unit", "8192,8192,8192,16.4,16.4,16.4", "--rate", "100", "--windows", "4")
LABELS = ("--labels", "wave,circle,swipe,idle")
app = typer.Typer()
app.command()(import_model)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Of two branches, as TensorFlow's converter wrote it."""
    path = tmp_path / "foreign.tflite"
    path.write_bytes(models.TWO_BRANCHES.read_bytes())
    return path


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(kind: type[Exception], *words: str | Path) -> str:
    result = invoke(*words)
    assert isinstance(result.exception, kind), result.exception
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_takes_a_converters_model_over(foreign: Path) -> None:
    need("tflite_micro", "unicorn", "elftools")
    result = invoke(foreign, *LABELS, *WORDS, "--json")
    assert result.exception is None, result.exception
    told = json.loads(result.stdout)
    path = foreign.with_name("foreign-bitwave.tflite")
    assert told["file"] == str(path) and told["labels"] == ["wave", "circle", "swipe", "idle"]
    assert told["layers"] == (
        "channels 0..2, convolution 10 x 5 by 2, LSTM 9, attention | "
        "channels 3..5, convolution 7 x 4 by 3, LSTM 11, mean"
    )
    engines = told["parity"]["engines"]
    assert {"tflite-micro", "simulator", "core-host", "m4-clang"} <= set(engines)
    assert all(entry["mismatches"] == 0 for name, entry in engines.items() if name != "tflite-runtime")
    model = read_model(path)
    assert model.metadata is not None and model.metadata.hop == 5
    assert model.metadata.decision.fires == (True, True, True, False)
    assert weights_digest(replace(model, metadata=None)) == weights_digest(read_model(foreign))
    core = HostCore(build(model))
    raw = np.random.default_rng(1).integers(-9000, 9000, (90, 6)).astype(np.int16)
    assert core.self_test() and len(core.events(raw).samples) == (90 - 21) // 5 + 1


def test_tells_people_in_a_table(foreign: Path, tmp_path: Path) -> None:
    need("tflite_micro", "unicorn", "elftools")
    result = invoke(foreign, *LABELS, *WORDS, "--out", tmp_path / "own.tflite")
    assert result.exception is None, result.exception
    assert "equal" in result.stdout and "LSTM 9, attention" in result.stdout and "own.tflite" in result.stdout


def test_a_changed_weight_of_the_new_file_is_refused(foreign: Path) -> None:
    model = read_model(foreign)
    words = {"labels": "a,b,c,d", "counts_per_unit": "100", "zero_counts": None, "rate": 50.0, "hop": None,
             "channels": None}  # fmt: skip
    from bitwave.commands.foreign_words import ask

    need("tflite_micro")
    done = adopt.adopt(foreign.read_bytes(), ask(model, foreign, words), 2)
    assert weights_digest(done.model) == weights_digest(read_model(done.data))
    payload = model.head[-1].weights.tobytes()
    changed = bytearray(done.data)
    changed[changed.index(payload)] ^= 1
    with pytest.raises(ModelError, match="digest"):
        read_model(bytes(changed))


@pytest.mark.parametrize("path", models.CONVERTER_MODELS, ids=lambda path: path.stem)
def test_new_root_keeps_everything_else(path: Path) -> None:
    data = path.read_bytes()
    old, changed = read_graph(data), with_metadata(data, "bitwave", b"{}", "another")
    new = read_graph(changed)
    assert new.description == "another" and new.metadata == {**old.metadata, "bitwave": b"{}"} and old.metadata
    assert (new.inputs, new.outputs, len(new.operators)) == (old.inputs, old.outputs, len(old.operators))
    for one, other in zip(old.tensors, new.tensors, strict=True):
        assert np.array_equal(one.data, other.data) and one.scales == other.scales and one.name == other.name
    assert changed.endswith(data) and (len(changed) - len(data)) % 16 == 0
    again = schema.Model.GetRootAs(changed, 0)  # the generated reader, and what it finds at the aligned place
    assert again.Version() == 3 and again.SubgraphsLength() == 1
    entry = again.Metadata(again.MetadataLength() - 1)
    assert entry.Name() == b"bitwave" and again.Buffers(entry.Buffer()).DataAsNumpy().tobytes() == b"{}"


def test_the_oracle_computes_the_same_with_the_new_root(foreign: Path) -> None:
    need("tflite_micro")
    runtime: Any = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
    data = foreign.read_bytes()
    window = np.random.default_rng(0).integers(-128, 128, (1, 21, 6)).astype(np.int8)
    scores = []
    for content in (data, with_metadata(data, "bitwave", bytes(range(256)) * 5, "x" * 33)):
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 18)
        interpreter.set_input(window, 0)
        interpreter.invoke()
        scores.append(interpreter.get_output(0).copy())
    assert np.array_equal(scores[0], scores[1])
    assert np.array_equal(scores[0], run(read_model(foreign), window).scores)


def test_what_cannot_be_taken_is_named(tmp_path: Path, foreign: Path) -> None:
    data = foreign.read_bytes()
    graph = tflite_build.GraphBuilder()
    source = graph.activation("samples", (1, 20, 6), read_model(foreign).input)
    output = graph.activation("output", (1, 20, 6), read_model(foreign).input)
    graph.operator(schema.BuiltinOperator.DEPTHWISE_CONV_2D, (source,), (output,))
    other = tmp_path / "other.tflite"
    other.write_bytes(graph.finish([source], [output]))
    assert "operator 0 (DEPTHWISE_CONV_2D)" in refused(ModelError, other, *LABELS, *WORDS)
    other.write_bytes(data[: len(data) // 2])
    assert "truncated or corrupt" in refused(ModelError, other, *LABELS, *WORDS)
    assert "No such file" in refused(ModelError, tmp_path / "none.tflite", *LABELS, *WORDS)
    assert not list(tmp_path.glob("*-bitwave.tflite"))


def test_words_that_do_not_fit_are_refused(foreign: Path) -> None:
    assert "4 classes, --labels names 2" in refused(UsageError, foreign, "--labels", "a,b", *WORDS)
    assert "--labels, --counts-per-unit, --rate" in refused(UsageError, foreign, *WORDS)
    assert "names 3" in refused(UsageError, foreign, *LABELS, "--counts-per-unit", "1,2,3", "--rate", "50")
    assert not list(foreign.parent.glob("*-bitwave.tflite"))


def test_own_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.tflite"
    path.write_bytes(tflite_build.write(models.random_model(1, metadata=True)))
    assert "use it as it is" in refused(ModelError, path, *LABELS, *WORDS)


def test_a_difference_is_not_accepted(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("tflite_micro")
    from bitwave.parity.engines import ours

    honest = ours.Simulator.run
    monkeypatch.setattr(
        ours.Simulator,
        "run",
        lambda self, windows: replace(honest(self, windows), scores=honest(self, windows).scores ^ 1),
    )
    assert "not accepted; first difference: simulator: scores" in refused(ParityMismatch, foreign, *LABELS, *WORDS)
    assert not list(foreign.parent.glob("*-bitwave.tflite"))


def test_without_the_oracle_nothing_is_accepted(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = parity.compare
    monkeypatch.setattr(adopt, "compare", lambda *a, **k: compare(*a, names=("simulator", "core-host"), **k))
    assert "only tflite-micro can prove" in refused(MissingPackage, foreign, *LABELS, *WORDS)
    assert not list(foreign.parent.glob("*-bitwave.tflite"))


def test_a_folder_that_is_not_there_is_said(foreign: Path) -> None:
    need("tflite_micro", "unicorn", "elftools")
    refused(WriteError, foreign, *LABELS, *WORDS, "--out", foreign / "below" / "file.tflite")
