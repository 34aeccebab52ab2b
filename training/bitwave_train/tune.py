"""Tuning with Optuna: held-out score of the int8 model against its cost on the board.

Each trial's cost is known before it is trained; what is over the budget is not trained. The score is the macro F1 of
the int8 model, mean over folds. Studies live in a database: a file for one machine, PostgreSQL for many. A worker that
dies leaves a trial without a heartbeat, which another one takes up again.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError, SQLAlchemyError

from bitwave.errors import BitwaveError, ImageError, ModelError, OverBudget, StorageUnavailable, UsageError
from bitwave.recordings.dataset import Dataset

from .cost import Budget, Cost, predict
from .options import Options
from .search_space import first_points, suggest, window_range
from .settings import RunConfig
from .train import plan, splits, validation_cut

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
HEARTBEAT_S = 20
_STORAGE_ERRORS = (optuna.exceptions.StorageInternalError, SQLAlchemyError)


@dataclass(frozen=True)
class Study:
    """What is tuned.

    Attributes:
        dataset: recordings; none of those that are to judge the result may be among them.
        folder: where they were read from.
        base: options that the search does not touch, folds among them.
        budget: the most that a model may cost.
        single: look for the best score under the budget alone, and stop hopeless trials early.
    """

    dataset: Dataset
    folder: Path
    base: Options
    budget: Budget
    single: bool = False

    @property
    def windows(self) -> tuple[int, int]:
        """Shortest and longest window of the search, in samples."""
        shortest = min(len(take.samples) for take in self.dataset.recordings)
        return window_range(self.base, self.config(self.base).window, self.dataset.rate_hz, shortest)

    @property
    def identity(self) -> str:
        """What all trials of a study share, as text: the data's digest and the options."""
        return json.dumps({"data": self.dataset.digest, "base": self.base.model_dump(mode="json")}, sort_keys=True)

    def config(self, options: Options) -> RunConfig:
        """The configuration of a run with these options."""
        return plan(
            self.dataset, self.folder, options.settings, options.window, options.hop, options.split, options.damaged
        )


def score(dataset: Dataset, config: RunConfig, each: Callable[[int, float], object] = lambda fold, mean: None) -> float:
    """Mean macro F1 of the int8 model over the folds; `each` hears the mean after every fold."""
    from bitwave.recordings.windowing import windows

    from .evaluate import compare
    from .keras_reader import from_keras
    from .quantize import quantize
    from .tflite_writer import with_metadata
    from .trainer import Trainer

    trainer = Trainer(config)
    found: list[float] = []
    for fold, part in enumerate(p for p in splits(dataset, config) if len(p.test)):
        takes, validation = validation_cut(dataset.select(part.train), config)
        _, _, network = trainer.fit(takes, validation, lambda epoch: None)
        source = from_keras(network)
        known = windows([*takes, *validation], config.labels, config.view, config.hop).samples
        model = with_metadata(quantize(source, known), source, config)
        held_out = windows(dataset.select(part.test), config.labels, config.view, config.hop)
        found.append(compare(part.name, source, model, held_out).int8.macro_f1)
        each(fold, float(np.mean(found)))
    return float(np.mean(found))


def objective(study: Study, trial: Trial) -> float | tuple[float, ...]:
    """One trial; raises `optuna.TrialPruned` for what is over the budget or hopeless."""
    options = suggest(trial, study.base, study.windows)
    trial.set_user_attr("options", options.model_dump_json())
    config = study.config(options)
    try:
        cost = predict(config)
    except (ImageError, ModelError) as error:
        trial.set_user_attr("over", str(error))
        raise optuna.TrialPruned(str(error)) from error
    trial.set_user_attr("cost", asdict(cost))
    over = study.budget.excess(cost) or ("" if study.single else _hopeless(trial.study, cost))
    if over:
        trial.set_user_attr("over", over)
        raise optuna.TrialPruned(over)

    def each(fold: int, mean: float) -> None:
        if study.single:
            trial.report(mean, fold)
            if trial.should_prune():
                raise optuna.TrialPruned(f"{mean:.3f} after {fold + 1} folds")

    found = score(study.dataset, config, each)
    trial.set_user_attr("score", found)
    return found if study.single else (found, cost.cycles_per_second, cost.image_bytes, cost.ram_bytes)


def _hopeless(opened: optuna.Study, cost: Cost) -> str:
    """Why a candidate cannot reach the front, in words: a trial without a mistake costs no more; empty where it can."""
    for trial in opened.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
        other = Cost(**trial.user_attrs["cost"])
        costs = zip(astuple(other), astuple(cost), strict=True)
        if trial.user_attrs["score"] >= 1.0 and all(theirs <= ours for theirs, ours in costs):
            return f"trial {trial.number} costs no more and made no mistake"
    return ""


def open_study(url: str, name: str, single: bool, seed: int) -> optuna.Study:
    """Opens a study or makes it.

    Raises:
        StorageUnavailable: its storage cannot be reached.
        UsageError: a driver is missing, or the study looks for something else.
    """
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    directions = [StudyDirection.MAXIMIZE] if single else [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * 3]
    try:
        opened = _open(url, name, directions, seed)
    except ImportError as error:
        driver = getattr(error.__cause__ or error.__context__ or error, "name", None) or "a driver"
        raise UsageError(f"--storage {_masked(url)} needs {driver}: use postgresql:// or leave it away") from error
    except ArgumentError as error:
        raise UsageError(f"--storage {_masked(url)} is no address: write postgresql://USER@HOST/DATABASE") from error
    except _STORAGE_ERRORS as error:
        raise StorageUnavailable(_unreachable(url, error)) from error
    if opened.directions != directions:
        kind = "a Pareto front" if single else "the score alone (--single)"
        raise UsageError(f"study {name} in {_masked(url)} looks for {kind}: give another --name")
    return opened


def _open(url: str, name: str, directions: list[StudyDirection], seed: int, tries: int = 5) -> optuna.Study:
    try:
        with warnings.catch_warnings():  # Optuna calls heartbeats and groups of parameters experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = RDBStorage(
                url,
                heartbeat_interval=HEARTBEAT_S,
                grace_period=3 * HEARTBEAT_S,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
            )
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
        return optuna.create_study(
            storage=storage,
            study_name=name,
            directions=directions,
            load_if_exists=True,
            sampler=sampler,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=8),
        )
    except (IntegrityError, ProgrammingError):
        if tries == 1:
            raise
    # Workers that start at once all make the tables; whoever comes second finds them at the next try.
    time.sleep(0.5)
    return _open(url, name, directions, seed, tries - 1)


def run(study: Study, opened: optuna.Study, trials: int, url: str, report: Callable[[FrozenTrial], None]) -> None:
    """Runs trials until the study has that many finished ones, its earlier ones and other workers' among them.

    Raises:
        StorageUnavailable: the storage went away.
        OverBudget: no candidate is within the budget.
        UsageError: the study was begun with other data or options.
    """
    try:
        with _quiet_heartbeats():
            _run(study, opened, trials, report)
        finished = opened.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        over = [trial.user_attrs["over"] for trial in opened.get_trials(deepcopy=False) if "over" in trial.user_attrs]
    except (*_STORAGE_ERRORS, UnboundLocalError) as error:
        # Optuna 5.0 trips over a name of its own while it handles a storage that is gone.
        fault = _storage_fault(error)
        if fault is None:
            raise
        raise StorageUnavailable(_unreachable(url, fault)) from error
    if not finished:
        raise OverBudget(f"no candidate of {len(over)} was within the budget (the last: {(over or ['none'])[-1]})")


def _run(study: Study, opened: optuna.Study, trials: int, report: Callable[[FrozenTrial], None]) -> None:
    begun = opened.user_attrs.get("identity")
    if begun not in (None, study.identity):
        raise UsageError(f"study {opened.study_name} was begun with other data or options: give another --name")
    opened.set_user_attr("identity", study.identity)
    if len(opened.get_trials(deepcopy=False)) == 0:
        for point in first_points(study.base, study.config(study.base).window):
            opened.enqueue_trial(point, skip_if_exists=True)
    if sum(trial.state in DONE for trial in opened.get_trials(deepcopy=False)) < trials:
        opened.optimize(
            lambda trial: objective(study, trial),
            callbacks=[MaxTrialsCallback(trials, states=DONE), lambda _, trial: report(trial)],
        )


@contextmanager
def _quiet_heartbeats() -> Iterator[None]:
    """A storage that goes away is told once, by whoever waits for it, not also by the thread of the heartbeat."""
    before = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not issubclass(arguments.exc_type, _STORAGE_ERRORS):
            before(arguments)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def work(study: Study, url: str, name: str, seed: int, trials: int, report: Callable[[FrozenTrial], None]) -> None:
    """A further process of one study; its faults are those of the first process, which tells them."""
    from .backend import prepare

    prepare()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        run(study, open_study(url, name, study.single, seed), trials, url, report)
    except BitwaveError as error:
        sys.exit(error.exit_code)


def _masked(url: str) -> str:
    """Without the password."""
    before, at, after = url.rpartition("@")
    return f"{before.rsplit(':', 1)[0] if before.count(':') > 1 else before}{at}{after}"


def _storage_fault(error: BaseException | None) -> Exception | None:
    """The storage's error that this one is, or came from."""
    while error is not None and not isinstance(error, _STORAGE_ERRORS):
        error = error.__cause__ or error.__context__
    return error


def _unreachable(url: str, error: Exception) -> str:
    first = str(error.__cause__ or error).strip().splitlines()[0]
    return f"the storage {_masked(url)} cannot be used: {first}; start it and give the same command again to go on"


def of_trials(given: Options, folds: int, epochs: int) -> Options:
    """What every trial starts from.

    Args:
        given: options of a training run.
        folds: where those have none; whom they hold out is for the command to leave away.
        epochs: at most.

    Raises:
        UsageError: the run is to carry states on, which has neither windows nor pooling to search.
    """
    if given.settings.is_stateful:
        raise UsageError("bitwave tune searches windows in lanes: leave streaming = stateful away")
    settings = given.settings.model_copy(update={"epochs": min(epochs, given.settings.epochs)})
    held = {} if given.folds else {"folds": folds, "hold_out": ()}
    return given.model_copy(update={**held, "seeds": 1, "settings": settings})
