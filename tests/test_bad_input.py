"""What cannot be trained or tuned is told in one clear line, with an exit code of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bitwave import cli
from bitwave.errors import OverBudget, RecordingError, StorageUnavailable, UsageError
from bitwave.recordings.dataset import Dataset, from_recordings
from support import need
from training_data import dataset, write_dataset


def good() -> Dataset:
    return dataset(count=4)


def one_recording() -> Dataset:
    return from_recordings(take for take in good().recordings if take.label != "idle" or take.number == 1)


def constant_channel() -> Dataset:
    return from_recordings(replace(take, samples=take.samples * (1, 1, 1, 1, 0, 1)) for take in good().recordings)


def nothing_but_rest() -> Dataset:
    return from_recordings(replace(take, samples=take.samples * 0 + 7) for take in good().recordings)


def with_nan(data: Path) -> None:
    path = data / "left.p01.s01.2.csv"
    path.write_text(path.read_text().rsplit(",", 1)[0] + ",nan\n")


def unknown_key(data: Path) -> None:
    (data.parent / "train.toml").write_text("epochs = 3\n[augmentation]\nrotatoin = 3\n")


def stateful(data: Path) -> None:
    (data.parent / "train.toml").write_text("streaming = 'stateful'\npool = 'last'\n")


NOBODY = "postgresql://tuner:secret@127.0.0.1:1/none"
CASES: list[tuple[str, Callable[[], Dataset], Callable[[Path], None] | None, tuple[str, ...], int, str]] = [
    (
        "train",
        one_recording,
        None,
        (),
        RecordingError.exit_code,
        "label idle has 1 recording to train on: 2 are needed",
    ),
    ("tune", one_recording, None, (), RecordingError.exit_code, "label idle has"),
    ("train", good, None, ("--folds", "2", "--by", "participant"), RecordingError.exit_code, "one participant only"),
    ("tune", good, None, ("--hold-out", "p01"), RecordingError.exit_code, "p01"),
    ("train", constant_channel, None, (), RecordingError.exit_code, "channel gy never changes"),
    ("tune", constant_channel, None, (), RecordingError.exit_code, "channel gy never changes"),
    ("train", nothing_but_rest, None, (), RecordingError.exit_code, "channel ax never changes"),
    ("train", good, with_nan, (), RecordingError.exit_code, "'nan'"),
    ("tune", good, with_nan, (), RecordingError.exit_code, "'nan'"),
    ("train", good, unknown_key, ("--config",), UsageError.exit_code, "augmentation.rotatoin; there is rotation"),
    ("tune", good, unknown_key, ("--config",), UsageError.exit_code, "augmentation.rotatoin; there is rotation"),
    ("tune", good, stateful, ("--config",), UsageError.exit_code, "leave streaming = stateful away"),
    ("tune", good, None, ("--trials", "2", "--max-ram", "9"), OverBudget.exit_code, "no candidate of 2"),
    ("tune", good, None, ("--max-cycles", "-1"), UsageError.exit_code, "max-cycles"),
    ("tune", good, None, ("--storage", NOBODY), StorageUnavailable.exit_code, "start it and give the same command"),
    ("tune", good, None, ("--storage", "nonsense"), UsageError.exit_code, "nonsense"),
    ("tune", good, None, ("--storage", "mysql://there/study"), UsageError.exit_code, "mysql"),
]


@pytest.mark.parametrize(
    ("verb", "recordings", "spoil", "words", "code", "line"), CASES, ids=[f"{c[0]}-{c[5]}" for c in CASES]
)
def test_one_clear_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], verb: str, recordings: Callable[[], Dataset],
    spoil: Callable[[Path], None] | None, words: tuple[str, ...], code: int, line: str,
) -> None:  # fmt: skip
    need("tensorflow", "keras", "optuna", "psycopg", "unicorn")
    data = write_dataset(tmp_path / "data", recordings())
    if spoil is not None:
        spoil(data)
    if words == ("--config",):
        words = ("--config", str(tmp_path / "train.toml"))
    where = {"train": "--run", "tune": "--study"}[verb]
    modules = {"train": "bitwave_train.commands:train", "tune": "bitwave_train.tune_command:tune"}
    app = cli.build_app([EntryPoint(name, module, cli.GROUP) for name, module in modules.items()])
    assert cli.run(app, [verb, str(data), where, str(tmp_path / "out"), *words]) == code
    told = capfd.readouterr()
    faults = [text for text in told.err.splitlines() if not text.startswith("trial ")]
    assert len(faults) == 1 and faults[0].startswith("bitwave: ") and line in faults[0], told.err
    assert told.out == "" and "secret" not in told.err
    assert not list(tmp_path.glob("out/**/*.keras"))
