"""`bitwave tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from bitwave.recordings.dataset import Dataset

    from .pareto import Candidate


def tune(
    data: Annotated[Path, typer.Argument(help="Folder of recordings.")],
    study: Annotated[Path, typer.Option(help="Folder of the study.")] = Path("studies/default"),
    config: Annotated[Path | None, typer.Option(help="TOML file of bitwave train to start from.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Finished trials that the study is to have.")] = 50,
    folds: Annotated[int, typer.Option(min=2, help="Folds of a trial, where the file has none.")] = 3,
    epochs: Annotated[
        int, typer.Option(min=1, help="Most epochs of a trial; what is picked has those of the file.")
    ] = 40,
    jobs: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    hold_out: Annotated[list[str] | None, typer.Option(help="Participant that tuning must not see.")] = None,
    max_cycles: Annotated[float | None, typer.Option(min=1, help="Most Cortex-M4 cycles per second.")] = None,
    max_image: Annotated[int | None, typer.Option(min=1, help="Most bytes of the model image.")] = None,
    max_ram: Annotated[int | None, typer.Option(min=1, help="Most bytes of RAM.")] = None,
    single: Annotated[bool, typer.Option("--single", help="Only the score, under the budget; prunes early.")] = False,
    storage: Annotated[str | None, typer.Option(help="postgresql://... for many machines; default: a file.")] = None,
    name: Annotated[str, typer.Option(help="Name of the study in its storage.")] = "bitwave",
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    pick: Annotated[
        str | None, typer.Option(help="Write picked.toml: best, cheap, half (the cycles of trial 0), or a number.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the front as one JSON document.")] = False,
) -> None:
    """Search for models that score high and cost little; costs over the budget are not trained."""
    import json
    from dataclasses import asdict
    from importlib.util import find_spec
    from multiprocessing import get_context

    from bitwave.errors import MissingPackage
    from bitwave.files import write_whole
    from bitwave.recordings import dataset

    if find_spec("optuna") is None:
        raise MissingPackage("bitwave tune needs Optuna: pip install 'bitwave[tune]'")
    from .backend import prepare
    from .options import as_toml, read_options

    prepare()
    import optuna

    from . import pareto
    from . import tune as tuning
    from .cost import Budget

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    given = read_options(config, {})
    base = tuning.of_trials(given, folds, epochs)
    recordings = dataset.load(data, base.damaged)
    if hold_out:
        recordings = recordings_without(recordings, hold_out)
    study.mkdir(parents=True, exist_ok=True)
    url = storage or f"sqlite:///{study / 'study.db'}"
    what = tuning.Study(recordings, data, base, Budget(max_image, max_ram, max_cycles), single)
    what.config(base)  # a fault of the data is told before the search begins
    opened = tuning.open_study(url, name, single, seed)
    others = [
        get_context("spawn").Process(target=tuning.work, args=(what, url, name, seed + k, trials, _say), daemon=True)
        for k in range(1, jobs)
    ]
    for process in others:
        process.start()
    tuning.run(what, opened, trials, url, _say)
    for process in others:
        process.join()
    found = pareto.candidates(opened)
    front = pareto.front(found)
    write_whole(study / "front.png", pareto.picture(found))
    if pick:
        chosen = pareto.pick(found, pick)
        write_whole(study / "picked.toml", as_toml(pareto.settled(chosen, given)).encode())
    if as_json:
        rows = [{"trial": c.number, "score": c.score, **asdict(c.cost)} for c in front]
        typer.echo(json.dumps({"finished": len(found), "front": rows}))
        return
    _show(front, study, pick)


def recordings_without(recordings: Dataset, people: list[str]) -> Dataset:
    """The data set without some participants; raises `RecordingError` where that leaves nothing."""
    from bitwave.recordings.dataset import from_recordings, hold_out

    return from_recordings(recordings.select(hold_out(recordings, people).train))


def _say(trial: FrozenTrial) -> None:
    typer.echo(_line(trial), err=True)


def _line(trial: FrozenTrial) -> str:
    over, score = trial.user_attrs.get("over"), trial.user_attrs.get("score")
    if over:
        return f"trial {trial.number}: not trained, {over}"
    if score is None:
        return f"trial {trial.number}: stopped early"
    cycles = trial.user_attrs["cost"]["cycles_per_second"]
    return f"trial {trial.number}: macro F1 {score:.3f}, {cycles / 1e6:.2f} million cycles per second"


def _show(front: list[Candidate], study: Path, pick: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("trial", title="Pareto front: held-out score against cycles, image and RAM")
    for column in ("macro F1", "Mcycles/s", "image", "RAM", "window", "model"):
        table.add_column(column, justify="right")
    for c in front:
        s = c.options.settings
        conv = f"conv {s.conv_filters}/{s.conv_stride}, " if s.conv_filters else ""
        shape = f"{conv}LSTM {' + '.join(map(str, s.hidden))}, {s.pool}{', fused' if s.fused else ''}"
        cost = (f"{c.cost.cycles_per_second / 1e6:.2f}", f"{c.cost.image_bytes:,}", f"{c.cost.ram_bytes:,}")
        table.add_row(str(c.number), f"{c.score:.3f}", *cost, str(c.options.window), shape)
    console = Console()
    console.print(table)
    console.print(
        f"{study / 'front.png'} shows it" + (f"; {study / 'picked.toml'} is for bitwave train" if pick else "")
    )
