"""Tuning with Optuna: held-out score of the int8 model against its cost on the board.

Each trial's cost is known before it is trained; what is over the budget is not trained. The score is the macro F1 of
the int8 model, mean over folds. Studies live in a database: a file for one machine, PostgreSQL for many. A worker that
dies leaves a trial without a heartbeat, which another one takes up again.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from bitwave.errors import ImageError, LinkError, ModelError, RecordingError, UsageError
from bitwave.recordings.dataset import Dataset

from .cost import Budget, Cost, predict
from .options import Options
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

    def config(self, options: Options) -> RunConfig:
        """The configuration of a run with these options."""
        return plan(
            self.dataset, self.folder, options.settings, options.window, options.hop, options.split, options.damaged
        )


def suggest(trial: Trial, base: Options, rate_hz: float, shortest: int) -> Options:
    """Options of one candidate.

    Args:
        trial: chooses.
        base: everything that is not searched.
        rate_hz: of the recordings.
        shortest: samples of the shortest recording.
    """
    filters = trial.suggest_categorical("conv_filters", [0, 8, 16, 24, 32])
    longest = min(shortest, round(2.0 * rate_hz))
    window = trial.suggest_int("window", max(12, longest // 2), max(12, longest))
    settings = base.settings.model_copy(
        update={
            "conv_filters": filters,
            "conv_kernel": trial.suggest_int("conv_kernel", 3, 7, step=2) if filters else base.settings.conv_kernel,
            "conv_stride": trial.suggest_categorical("conv_stride", [2, 4]) if filters else base.settings.conv_stride,
            "hidden": (trial.suggest_int("hidden", 8, 48, step=8),),
            "pool": trial.suggest_categorical("pool", ["last", "mean", "attention"]),
            "fused": trial.suggest_categorical("fused", [False, True]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "l2": trial.suggest_float("l2", 1e-6, 1e-3, log=True),
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
            "augmentation": base.settings.augmentation.model_copy(
                update={
                    "rotation": trial.suggest_float("rotation", 0.0, 30.0),
                    "speed": trial.suggest_float("speed", 0.0, 0.3),
                    "shift": trial.suggest_float("shift", 0.0, 0.15),
                }
            ),
        }
    )
    hop = max(1, round(window / trial.suggest_int("windows_in_flight", 2, 5)))
    return base.model_copy(update={"settings": settings, "window": window, "hop": hop})


def default_point(base: Options, window: int) -> dict[str, Any]:
    """The parameters of the search that stand for the options as they are: the first trial."""
    settings = base.settings
    point: dict[str, Any] = {"conv_filters": settings.conv_filters, "window": window, "hidden": settings.hidden[0]}
    if settings.conv_filters:
        point |= {"conv_kernel": settings.conv_kernel, "conv_stride": settings.conv_stride}
    point |= {name: getattr(settings, name) for name in ("pool", "fused", "dropout", "learning_rate")}
    point |= {"l2": max(settings.l2, 1e-6), "windows_in_flight": 5}
    return point | {name: getattr(settings.augmentation, name) for name in ("rotation", "speed", "shift")}


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
        known = windows([*takes, *validation], config.labels, config.window, config.hop).samples
        model = with_metadata(quantize(source, known), source, config)
        held_out = windows(dataset.select(part.test), config.labels, config.window, config.hop)
        found.append(compare(part.name, source, model, held_out).int8.macro_f1)
        each(fold, float(np.mean(found)))
    return float(np.mean(found))


def objective(study: Study, trial: Trial) -> float | tuple[float, ...]:
    """One trial; raises `optuna.TrialPruned` for what is over the budget or hopeless."""
    shortest = min(len(take.samples) for take in study.dataset.recordings)
    options = suggest(trial, study.base, study.dataset.rate_hz, shortest)
    trial.set_user_attr("options", options.model_dump_json())
    config = study.config(options)
    try:
        cost = predict(config)
    except (ImageError, ModelError) as error:
        trial.set_user_attr("over", str(error))
        raise optuna.TrialPruned(str(error)) from error
    trial.set_user_attr("cost", asdict(cost))
    over = study.budget.excess(cost)
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


def open_study(url: str, name: str, single: bool, seed: int, heartbeat_s: int = HEARTBEAT_S) -> optuna.Study:
    """Opens a study or makes it; raises `LinkError` where its storage cannot be reached."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    directions = [StudyDirection.MAXIMIZE] if single else [StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * 3]
    try:
        opened = _open(url, name, directions, seed, heartbeat_s)
    except ModuleNotFoundError as error:
        raise UsageError(f"the storage {_masked(url)} needs {error.name}: pip install 'bitwave[tune]'") from error
    except _STORAGE_ERRORS as error:
        raise LinkError(_unreachable(url, error)) from error
    if opened.directions != directions:
        kind = "a Pareto front" if single else "the score alone (--single)"
        raise UsageError(f"study {name} in {_masked(url)} looks for {kind}: give another --name")
    return opened


def _open(
    url: str, name: str, directions: list[StudyDirection], seed: int, heartbeat_s: int, tries: int = 5
) -> optuna.Study:
    try:
        with warnings.catch_warnings():  # Optuna calls heartbeats and groups of parameters experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = RDBStorage(
                url,
                heartbeat_interval=heartbeat_s,
                grace_period=3 * heartbeat_s,
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
    return _open(url, name, directions, seed, heartbeat_s, tries - 1)


def run(study: Study, opened: optuna.Study, trials: int, url: str, report: Callable[[FrozenTrial], None]) -> None:
    """Runs trials until the study has that many finished ones, its earlier ones and other workers' among them.

    Raises:
        LinkError: the storage went away.
        RecordingError: no candidate is within the budget.
    """
    try:
        if len(opened.get_trials(deepcopy=False)) == 0:
            window = study.config(study.base).window
            opened.enqueue_trial(default_point(study.base, window), skip_if_exists=True)
        if sum(trial.state in DONE for trial in opened.get_trials(deepcopy=False)) < trials:
            opened.optimize(
                lambda trial: objective(study, trial),
                callbacks=[MaxTrialsCallback(trials, states=DONE), lambda _, trial: report(trial)],
            )
        finished = opened.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        over = [trial.user_attrs["over"] for trial in opened.get_trials(deepcopy=False) if "over" in trial.user_attrs]
    except _STORAGE_ERRORS as error:
        raise LinkError(_unreachable(url, error)) from error
    if not finished:
        raise RecordingError(f"no candidate of {len(over)} was within the budget (the last: {(over or ['none'])[-1]})")


def _masked(url: str) -> str:
    """Without the password."""
    before, at, after = url.rpartition("@")
    return f"{before.rsplit(':', 1)[0] if before.count(':') > 1 else before}{at}{after}"


def _unreachable(url: str, error: Exception) -> str:
    first = str(error.__cause__ or error).strip().splitlines()[0]
    return f"the storage {_masked(url)} cannot be used: {first}; start it and give the same command again to go on"


@dataclass(frozen=True)
class Candidate:
    """A finished trial."""

    number: int
    score: float
    cost: Cost
    options: Options


def candidates(opened: optuna.Study) -> list[Candidate]:
    """All finished trials, best score first, then the cheaper one."""
    found = [
        Candidate(
            trial.number,
            float(trial.user_attrs["score"]),
            Cost(**trial.user_attrs["cost"]),
            Options.model_validate_json(trial.user_attrs["options"]),
        )
        for trial in opened.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    ]
    return sorted(found, key=lambda c: (-c.score, c.cost.cycles_per_second, c.number))


def front(found: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other beats in score and in cycles; best score first."""
    kept: list[Candidate] = []
    for candidate in found:
        if not kept or candidate.cost.cycles_per_second < kept[-1].cost.cycles_per_second:
            kept.append(candidate)
    return kept


def pick(found: Sequence[Candidate], word: str) -> Candidate:
    """By trial number, "best" by score, or "cheap": the fewest cycles within one point of the best."""
    if word == "best":
        return found[0]
    if word == "cheap":
        near = [candidate for candidate in found if candidate.score >= found[0].score - 0.01]
        return min(near, key=lambda candidate: candidate.cost.cycles_per_second)
    for candidate in found:
        if word == str(candidate.number):
            return candidate
    raise UsageError(f"--pick {word}: choose best, cheap or the number of a finished trial")


def settled(candidate: Candidate, base: Options) -> Options:
    """The options to train with: the candidate's, with the split and seeds of the base."""
    return candidate.options.model_copy(update={"folds": base.folds, "seeds": base.seeds})


def picture(found: Sequence[Candidate]) -> bytes:
    """A PNG of score against cycles, the front as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    best = front(found)
    axes.plot([c.cost.cycles_per_second / 1e6 for c in found], [c.score for c in found], "o", color="0.7")
    axes.plot([c.cost.cycles_per_second / 1e6 for c in best], [c.score for c in best], "o-", color="C0")
    for candidate in best:
        axes.annotate(str(candidate.number), (candidate.cost.cycles_per_second / 1e6, candidate.score))
    axes.set(xlabel="Cortex-M4 cycles per second, millions", ylabel="macro F1 (int8, held out)", title="Pareto front")
    axes.grid(alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()


def with_folds(base: Options, folds: int) -> Options:
    """The base with folds, where it has none; whom it holds out is for the command to leave away."""
    return base if base.folds else base.model_copy(update={"folds": folds, "hold_out": ()})
