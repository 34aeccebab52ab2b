"""Tuning: costs before training, budgets, resuming, and two workers on PostgreSQL of which one is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bitwave import cli
from bitwave.errors import LinkError, RecordingError, UsageError
from postgres import server
from support import need
from training_data import dataset, write_dataset

WORKER = """
import sys
from bitwave_train import tune
from bitwave_train.cost import Cost
from pathlib import Path
import time
tune.predict = lambda config: Cost(1000, 1000, 1e6)
def score(dataset, config, each):
    print("training", flush=True)
    time.sleep(float(sys.argv[3]))
    return config.settings.hidden[0] / 100
tune.score = score
tune.HEARTBEAT_S = 1
from bitwave.recordings.dataset import load
from bitwave_train.cost import Budget
from bitwave_train.options import Options
base = Options(folds=2)
data = Path(sys.argv[1])
study = tune.Study(load(data), data, base, Budget())
opened = tune.open_study(sys.argv[2], "many", False, int(sys.argv[4]), heartbeat_s=1)
tune.run(study, opened, int(sys.argv[5]), sys.argv[2], lambda trial: None)
"""


def tune(*arguments: object) -> int:
    points = [
        EntryPoint("tune", "bitwave_train.tune_command:tune", cli.GROUP),
        EntryPoint("train", "bitwave_train.commands:train", cli.GROUP),
    ]
    return cli.run(cli.build_app(points), list(map(str, arguments)))


def test_a_study_persists_resumes_and_picks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("tensorflow", "keras", "optuna", "unicorn", "matplotlib")
    data, study = write_dataset(tmp_path / "data", dataset(count=4)), tmp_path / "study"
    start = ("tune", data, "--study", study, "--folds", 2, "--epochs", 2)
    assert tune(*start, "--trials", 2, "--json") == 0
    first = capsys.readouterr()
    assert json.loads(first.out)["finished"] == 2
    assert "trial 0: macro F1" in first.err and "million cycles per second" in first.err
    assert tune(*start, "--trials", 2, "--pick", "cheap", "--json") == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == json.loads(first.out) and "trial" not in again.err
    assert (study / "front.png").read_bytes().startswith(b"\x89PNG")
    assert tune("train", data, "--run", tmp_path / "run", "--config", study / "picked.toml") == 0
    assert tune(*start, "--trials", 2, "--pick", "9") == UsageError.exit_code
    # Nothing fits into 100 bytes, and nothing is trained to find that out.
    assert tune(*start, "--name", "tight", "--trials", 2, "--max-image", 100) == RecordingError.exit_code
    assert "no candidate of 2 was within the budget (the last: image bytes" in " ".join(capsys.readouterr().err.split())
    assert tune(*start, "--single", "--trials", 3) == UsageError.exit_code
    assert "give another --name" in " ".join(capsys.readouterr().err.split())
    assert tune(*start, "--single", "--name", "single", "--trials", 1) == 0


def test_a_storage_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("tensorflow", "keras", "optuna", "psycopg")
    data = write_dataset(tmp_path / "data", dataset(count=4))
    url = "postgresql://tuner:secret@127.0.0.1:1/none"
    assert tune("tune", data, "--study", tmp_path / "study", "--storage", url) == LinkError.exit_code
    told = capsys.readouterr().err
    assert "cannot be used" in told and "secret" not in told and len(told.splitlines()) == 1


def worker(data: Path, url: str, seconds: float, seed: int, trials: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(data), url, str(seconds), str(seed), str(trials)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_workers_of_which_one_is_killed_and_restarted(tmp_path: Path) -> None:
    need("tensorflow", "keras", "optuna", "psycopg")
    import optuna

    from bitwave_train import tune as tuning

    data = write_dataset(tmp_path / "data", dataset(count=4))
    with tempfile.TemporaryDirectory(prefix="bitwave-pg") as short, server(Path(short) / "pg") as database:
        Path(short).chmod(0o755)
        steady = worker(data, database.url, 0.3, 1, 12)
        lost = worker(data, database.url, 60.0, 2, 12)
        assert lost.stdout is not None
        assert lost.stdout.readline() == "training\n"
        lost.send_signal(signal.SIGKILL)
        lost.communicate()
        before = {
            t.number: t.values
            for t in tuning.open_study(database.url, "many", False, 0).get_trials(
                states=[optuna.trial.TrialState.COMPLETE]
            )
        }
        again = worker(data, database.url, 0.3, 3, 12)
        for process in (steady, again):
            _, told = process.communicate(timeout=120)
            assert process.returncode == 0, told
        time.sleep(4)  # three heartbeats: now the lost trial is stale
        last = worker(data, database.url, 0.0, 4, 14)
        _, told = last.communicate(timeout=60)
        assert last.returncode == 0, told
        trials = tuning.open_study(database.url, "many", False, 0).get_trials()
        finished = {t.number: t.values for t in trials if t.state == optuna.trial.TrialState.COMPLETE}
        assert before.items() <= finished.items()
        assert len(finished) >= 14
        (failed,) = [t for t in trials if t.state == optuna.trial.TrialState.FAIL]
        retried = [t for t in trials if t.system_attrs.get("failed_trial") == failed.number]
        assert [t.state for t in retried] == [optuna.trial.TrialState.COMPLETE]
        assert retried[0].params == failed.params
        database.stop()
        gone = worker(data, database.url, 0.0, 5, 20)
        _, told = gone.communicate(timeout=60)
        assert "cannot be used" in told.splitlines()[-1]
