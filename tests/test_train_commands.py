"""The commands train, quantize and evaluate, as a person types them."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bitwave import cli, tflite
from bitwave.dataset import from_recordings
from bitwave.errors import RecordingError, UsageError
from bitwave_train.settings import open_run
from support import need
from training_data import dataset, write_dataset

VERBS = ("train", "quantize", "evaluate")


def command(*arguments: str) -> int:
    points = [EntryPoint(verb, f"bitwave_train.commands:{verb}", cli.GROUP) for verb in VERBS]
    return cli.run(cli.build_app(points), list(arguments))


def test_the_commands_from_recordings_to_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("tensorflow", "keras")
    data = write_dataset(tmp_path / "data", dataset(count=4))
    run = str(tmp_path / "run")
    options = "--folds 2 --hidden 4 --epochs 2 --batch 8 --rotation 5".split()
    assert command("train", str(data), "--run", run, *options) == 0
    assert command("train", str(data), "--run", run, *options) == UsageError.exit_code
    assert "--replace" in capsys.readouterr().err
    assert command("quantize", run, "--activations", "percentile", "--threshold", "200") == 0
    capsys.readouterr()
    assert command("evaluate", run, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"]["parts"] == 2
    assert command("evaluate", run) == 0
    assert "agree" in capsys.readouterr().out
    metadata = tflite.read_model(Path(run) / "model.tflite").metadata
    assert metadata is not None
    assert metadata.decision.thresholds == (200, 200, 200)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--dropout", "1.5"), UsageError.exit_code, "training settings: dropout"),
        (("--rotation", "-3"), UsageError.exit_code, "training settings: augmentation.rotation"),
        (("--folds", "2", "--hold-out", "p01"), UsageError.exit_code, "exclude each other"),
        (("--folds", "2", "--by", "participant"), RecordingError.exit_code, "one participant only"),
        (("--damaged", "mend"), UsageError.exit_code, "--damaged mend: choose refuse, drop, keep"),
        (("--window", "900"), RecordingError.exit_code, "the window 900"),
    ],
)
def test_words_that_make_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    data = write_dataset(tmp_path / "data", dataset(count=4))
    run = tmp_path / "run"
    assert command("train", str(data), "--run", str(run), *arguments) == code
    assert message in capsys.readouterr().err
    assert not run.exists()


def test_a_recording_with_nan_is_refused_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_dataset(tmp_path / "data", dataset(count=4))
    path = data / "left.p01.s01.2.csv"
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ",nan"
    path.write_text("\n".join(lines) + "\n")
    assert command("train", str(data), "--run", str(tmp_path / "run")) == RecordingError.exit_code
    assert "left.p01.s01.2.csv, line 4, gz: 'nan'" in capsys.readouterr().err


def test_damaged_takes_are_left_out_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("tensorflow", "keras")
    takes = [replace(take, complete=take.number != 4) for take in dataset(count=5).recordings]
    data = str(write_dataset(tmp_path / "data", from_recordings(takes)))
    run = tmp_path / "run"
    options = "--folds 2 --hidden 2 --epochs 1".split()
    assert command("train", data, "--run", str(run), *options) == RecordingError.exit_code
    assert "--damaged drop" in capsys.readouterr().err
    assert command("train", data, "--run", str(run), *options, "--damaged", "drop") == 0
    assert command("quantize", str(run)) == 0
    assert command("evaluate", str(run)) == 0
    history = open_run(run).deployable.history()
    assert {name[-1] for name in (*history.train, *history.validation)} == {"1", "2", "3", "5"}
