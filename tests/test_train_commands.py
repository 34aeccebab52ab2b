"""The commands train, quantize and evaluate, as a person types them."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bitwave import cli, tflite
from bitwave.errors import RecordingError, UsageError
from bitwave.recordings.dataset import from_recordings
from bitwave_train.options import as_toml, read_options
from bitwave_train.runs import open_run
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
        (("--damaged", "mend"), UsageError.exit_code, "damaged: Input should be 'refuse', 'drop' or 'keep'"),
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


def test_a_file_sets_options_and_flags_win(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("tensorflow", "keras")
    data = str(write_dataset(tmp_path / "data", dataset(count=4)))
    run, file = tmp_path / "run", tmp_path / "train.toml"
    file.write_text("folds = 2\nseeds = 2\nhidden = [3]\nepochs = 9\n[augmentation]\nspeed = 0.2\nnoise = 0.01\n")
    assert command("train", data, "--run", str(run), "--config", str(file), "--epochs", "1", "--noise", "0") == 0
    config = open_run(run).config
    assert (config.split.folds, config.seeds, config.settings.hidden, config.settings.epochs) == (2, 2, (3,), 1)
    assert (config.settings.augmentation.speed, config.settings.augmentation.noise) == (0.2, 0.0)
    assert command("quantize", str(run)) == 0
    capsys.readouterr()
    assert command("evaluate", str(run), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"]["parts"] == 4
    assert [len(found["seeds"][seed]["int8"]) for seed in ("0", "1")] == [2, 2]
    assert set(found["summary"]["between_seeds"]) == {"float", "int8"}
    (run / "seed-2" / "fold-1" / "history.json").unlink()
    kept = (run / "fold-1" / "model.keras").stat().st_mtime_ns
    again = ("train", data, "--run", str(run), "--config", str(file), "--epochs", "1", "--noise", "0", "--resume")
    assert command(*again) == 0
    assert (run / "fold-1" / "model.keras").stat().st_mtime_ns == kept
    assert (run / "seed-2" / "fold-1" / "history.json").exists()
    assert command(*again, "--dropout", "0.5") == UsageError.exit_code
    assert "cannot be resumed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key epoch; there is epochs"),
        ("[augmentation]\nrotate = 3", "unknown key augmentation.rotate; there is rotation"),
        ("augmentation = 3", "augmentation is a table"),
        ("epochs = ", "is not TOML"),
        ("epochs = 'many'", "epochs: Input should be a valid integer"),
        ("seeds = 3", "several seeds are compared on what is held out"),
        ("l2 = nan", "l2: Input should be a finite number"),
    ],
)
def test_a_file_that_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    data = str(write_dataset(tmp_path / "data", dataset(count=4)))
    file = tmp_path / "train.toml"
    file.write_text(text)
    assert command("train", data, "--run", str(tmp_path / "run"), "--config", str(file)) == UsageError.exit_code
    told = capsys.readouterr().err
    assert message in " ".join(told.split())
    assert command("train", data, "--config", str(tmp_path / "none.toml")) == UsageError.exit_code


def test_options_survive_their_own_file(tmp_path: Path) -> None:
    wanted = read_options(None, {"hold_out": ["p01"], "hidden": [4, 5], "augmentation": {"warp": 0.1}})
    (tmp_path / "train.toml").write_text(as_toml(wanted))
    assert read_options(tmp_path / "train.toml", {}) == wanted
