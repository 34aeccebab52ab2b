"""Tuning: costs before training, budgets, resuming, and two workers on PostgreSQL of which one is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bitwave import cli
from bitwave.errors import OverBudget, StorageUnavailable, UsageError
from bitwave.recordings.dataset import Dataset
from bitwave_train.settings import RunConfig
from postgres import server
from support import need
from training_data import dataset, write_dataset

# `bitwave tune` whose training waits for a line: the test says when a trial goes on.
WORKER = """
import sys
from importlib.metadata import EntryPoint
from bitwave import cli
from bitwave_train import tune
from bitwave_train.cost import Cost
tune.predict = lambda config: Cost(1000, 1000, 1e6)
tune.HEARTBEAT_S = 1
objective = tune.objective
numbers = []
def told(study, trial):
    numbers.append(trial.number)
    return objective(study, trial)
def score(dataset, config, each):
    print(numbers[-1], flush=True)
    sys.stdin.readline()
    return config.settings.hidden[0] / 100
tune.objective, tune.score = told, score
verbs = {"tune": "bitwave_train.tune_command:tune", "train": "bitwave_train.commands:train"}
app = cli.build_app([EntryPoint(name, where, cli.GROUP) for name, where in verbs.items()])
sys.exit(cli.run(app, ["tune", *sys.argv[1:]]))
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
    assert tune(*start, "--trials", 2, "--jobs", 2, "--pick", "cheap", "--json") == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == json.loads(first.out) and "trial" not in again.err
    assert (study / "front.png").read_bytes().startswith(b"\x89PNG")
    assert "epochs = 100" in (study / "picked.toml").read_text()  # a trial's were fewer
    words = ("--config", study / "picked.toml", "--epochs", 2)
    assert tune("train", data, "--run", tmp_path / "run", *words) == 0
    assert tune(*start, "--trials", 2, "--pick", "9") == UsageError.exit_code
    assert tune(*start[:-1], 3, "--trials", 9) == UsageError.exit_code  # other epochs
    assert "begun with other data or options: give another --name" in " ".join(capsys.readouterr().err.split())
    # Nothing fits into 100 bytes, and nothing is trained to find that out.
    assert tune(*start, "--name", "tight", "--trials", 2, "--max-image", 100) == OverBudget.exit_code
    assert "no candidate of 2 was within the budget (the last: image bytes" in " ".join(capsys.readouterr().err.split())
    assert tune(*start, "--single", "--trials", 3) == UsageError.exit_code
    assert "give another --name" in " ".join(capsys.readouterr().err.split())
    assert tune(*start, "--single", "--name", "single", "--trials", 1) == 0


def without_training(
    monkeypatch: pytest.MonkeyPatch, scores: Callable[[int, Callable[[int, float], object]], float]
) -> None:
    """Costs that fall with the units of the LSTM; scores of the first, second, ... candidate that would be trained."""
    from bitwave_train import tune as tuning
    from bitwave_train.cost import Cost

    trained: list[int] = []

    def score(data: Dataset, config: RunConfig, each: Callable[[int, float], object]) -> float:
        trained.append(len(trained))
        return scores(trained[-1], each)

    def predict(config: RunConfig) -> Cost:
        return Cost(*(1000 * (60 - config.settings.hidden[0]),) * 3)

    monkeypatch.setattr(tuning, "predict", predict)
    monkeypatch.setattr(tuning, "score", score)


def test_pruning_and_hopeless_candidates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need("tensorflow", "keras", "optuna", "matplotlib")
    data = write_dataset(tmp_path / "data", dataset(count=4))

    def worse_and_worse(number: int, each: Callable[[int, float], object]) -> float:
        for fold in range(2):
            each(fold, 1 / (number + 2))
        return 1 / (number + 2)

    without_training(monkeypatch, worse_and_worse)
    assert tune("tune", data, "--study", tmp_path / "single", "--folds", 2, "--single", "--trials", 12) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "stopped early" in line] == [f"trial {n}: stopped early" for n in range(8, 12)]

    # The start makes no mistake: whatever costs more or the same cannot be better, and is not trained.
    without_training(monkeypatch, lambda number, each: 1.0 if number == 0 else 0.5)
    assert tune("tune", data, "--study", tmp_path / "many", "--folds", 2, "--trials", 12, "--json") == 0
    told = capsys.readouterr()
    dropped = [line for line in told.err.splitlines() if "trial 0 costs no more and made no mistake" in line]
    assert len(dropped) == 11
    front = json.loads(told.out)["front"]
    assert [(row["trial"], row["cycles_per_second"]) for row in front] == [(0, 12_000)]


def test_a_front_and_the_choices_from_it() -> None:
    need("optuna")
    from bitwave_train.cost import Cost
    from bitwave_train.options import Options
    from bitwave_train.pareto import Candidate, front, pick

    def candidate(number: int, score: float, cycles: float, ram: int = 5) -> Candidate:
        return Candidate(number, score, Cost(10, ram, cycles), Options())

    found = [candidate(4, 0.95, 90.0), candidate(0, 0.945, 80.0), candidate(1, 0.941, 85.0), candidate(3, 0.9, 40.0),
             candidate(2, 0.89, 41.0, ram=4)]  # fmt: skip
    assert [c.number for c in front(found)] == [4, 0, 3, 2]  # 2 has less RAM than any other
    assert [pick(found, word).number for word in ("best", "cheap", "half", "1")] == [4, 0, 3, 1]
    with pytest.raises(UsageError, match="at most half the cycles"):
        pick(found[:3], "half")


def test_a_storage_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("tensorflow", "keras", "optuna", "psycopg")
    data = write_dataset(tmp_path / "data", dataset(count=4))
    url = "postgresql://tuner:secret@127.0.0.1:1/none"
    assert tune("tune", data, "--study", tmp_path / "study", "--storage", url) == StorageUnavailable.exit_code
    told = capsys.readouterr().err
    assert "cannot be used" in told and "secret" not in told and len(told.splitlines()) == 1


class Worker:
    """One `bitwave tune` on a shared study."""

    def __init__(self, data: Path, url: str, seed: int, trials: int, free: bool = False) -> None:
        words = [data, "--study", data.parent / f"study-{seed}", "--storage", url, "--name", "many"]
        words += ["--folds", 2, "--seed", seed, "--trials", trials]
        pipe = subprocess.DEVNULL if free else subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, words)],
            stdin=pipe, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def begins(self) -> int:
        """Waits until the next trial trains; its number."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def goes_on(self) -> None:
        """Ends the training that waits."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def runs_freely(self) -> str:
        """Lets it come to its end; what it told on standard error, progress left out."""
        _, told = self.process.communicate(timeout=120)
        return "\n".join(line for line in told.splitlines() if not line.startswith("trial "))


def test_two_workers_of_which_one_is_killed_and_restarted(tmp_path: Path) -> None:
    need("tensorflow", "keras", "optuna", "psycopg", "matplotlib")
    import optuna
    import psycopg

    from bitwave_train import tune as tuning

    def trials() -> list[optuna.trial.FrozenTrial]:
        return tuning.open_study(database.url, "many", False, 0).get_trials()

    complete = optuna.trial.TrialState.COMPLETE
    data = write_dataset(tmp_path / "data", dataset(count=4))
    with tempfile.TemporaryDirectory(prefix="bitwave-pg") as short, server(Path(short) / "pg") as database:
        Path(short).chmod(0o755)
        steady = Worker(data, database.url, 1, 12)
        steady.begins()
        lost = Worker(data, database.url, 2, 12)
        half_done = lost.begins()
        steady.goes_on()
        steady.begins()  # so one trial is finished
        lost.process.kill()
        lost.process.communicate()
        before = {t.number: t.values for t in trials() if t.state == complete}
        assert before
        with psycopg.connect(database.url) as connection:  # as if its last heartbeat was long ago
            connection.execute(
                "UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '1 hour' WHERE trial_id = "
                "(SELECT trial_id FROM trials WHERE number = %s)",
                (half_done,),
            )
        again = Worker(data, database.url, 3, 12, free=True)
        assert again.runs_freely() == "" and again.process.returncode == 0
        assert steady.runs_freely() == "" and steady.process.returncode == 0
        found = trials()
        finished = {t.number: t for t in found if t.state == complete}
        assert before == {number: finished[number].values for number in before}
        assert len(finished) >= 12
        assert len({str(sorted(t.params.items())) for t in finished.values()}) == len(finished)  # none was repeated
        (failed,) = [t for t in found if t.state == optuna.trial.TrialState.FAIL]
        assert failed.number == half_done
        (retried,) = [t for t in found if t.system_attrs.get("failed_trial") == half_done]
        assert retried.state == complete and retried.params == failed.params
        # The storage goes away while a trial trains.
        gone = Worker(data, database.url, 4, 20)
        gone.begins()
        database.stop()
        told = gone.runs_freely()
        assert "cannot be used" in told and "same command again" in told and len(told.splitlines()) == 1, told
        assert gone.process.returncode == StorageUnavailable.exit_code
