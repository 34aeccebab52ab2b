"""`bitwave train`, `quantize` and `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .train_command import train

__all__ = ("evaluate", "quantize", "train")

if TYPE_CHECKING:
    from bitwave.recordings.dataset import Dataset

    from .evaluate import Comparison
    from .runs import Run
    from .settings import RunConfig

RunFolder = Annotated[Path, typer.Argument(help="Folder of the run, as bitwave train wrote it.")]
DataFolder = Annotated[Path | None, typer.Option(help="Folder of the recordings, where it moved since training.")]


def quantize(
    run: RunFolder,
    data: DataFolder = None,
    activations: Annotated[str, typer.Option(help="Ranges of activations: mse or percentile.")] = "mse",
    percentile: Annotated[float, typer.Option(min=50, max=100, help="Central part that is kept.")] = 99.99,
    weights: Annotated[str, typer.Option(help="Ranges of weights: mse, or percentile to keep all.")] = "mse",
    qat: Annotated[bool, typer.Option("--qat", help="Train on with the rounding of int8 in the loop.")] = False,
    qat_epochs: Annotated[int, typer.Option(min=1, help="With --qat: epochs.")] = 15,
    threshold: Annotated[int | None, typer.Option(min=0, max=255, help="Decision: least score, 0..255.")] = None,
    margin: Annotated[int | None, typer.Option(min=0, max=255, help="Decision: to the second best.")] = None,
    hold: Annotated[int | None, typer.Option(min=1, max=255, help="Decision: windows that must agree.")] = None,
    smoothing: Annotated[int | None, typer.Option(min=0, max=7, help="Decision: averaging, 0 is none.")] = None,
    refractory: Annotated[float | None, typer.Option(min=0, help="Decision: pause after an event, windows.")] = None,
    gate: Annotated[
        float | None, typer.Option(min=0, help="Sleep after so many seconds at rest; default: as trained.")
    ] = None,
    gate_accel: Annotated[float, typer.Option(min=0, help="Gate: rest is within so many g.")] = 0.1,
    gate_gyro: Annotated[float, typer.Option(min=0, help="Gate: and within so many degrees per second.")] = 12.0,
    gate_preroll: Annotated[float, typer.Option(min=0, help="Gate: seconds of rest before a movement.")] = 1.0,
) -> None:
    """Write model.tflite beside every Keras model of a run: int8, calibrated on its training recordings."""
    from .backend import prepare
    from .gate import GateDefaults
    from .quantize import options
    from .runs import open_run
    from .tflite_writer import DecisionDefaults, write_run

    chosen = options(activations, percentile, weights)
    usual = DecisionDefaults()
    decision = DecisionDefaults(
        threshold=usual.threshold if threshold is None else threshold,
        margin=usual.margin if margin is None else margin,
        hold=usual.hold if hold is None else hold,
        smoothing=usual.smoothing if smoothing is None else smoothing,
        refractory=usual.refractory if refractory is None else refractory,
    )
    opened = open_run(run)
    recordings = _dataset(opened.config, data)
    prepare()
    sleep = None if gate is None else GateDefaults(gate, gate_preroll, gate_accel, gate_gyro)
    for path in write_run(opened, recordings, chosen, decision, qat_epochs if qat else 0, gate=sleep):
        typer.echo(str(path))


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of the run; with --events also a .tflite.")],
    data: DataFolder = None,
    events: Annotated[bool, typer.Option("--events", help="Events in continuous recordings, by the C core.")] = False,
    streams: Annotated[Path | None, typer.Option(help="With --events: recordings with named segments.")] = None,
    picture: Annotated[Path | None, typer.Option(help="With --events: draw the score to this PNG.")] = None,
    html: Annotated[Path | None, typer.Option("--report", help="Write a self-contained HTML report too.")] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Beside it a 1-D CNN and MiniRocket, trained.")
    ] = False,
    converter: Annotated[bool, typer.Option("--converter", help="Beside it int8 by TensorFlow's converter.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Compare float with int8 on the recordings that were held out; with --events, score events of whole streams."""
    import json

    from bitwave.errors import UsageError

    if events:
        if html is not None:
            raise UsageError("--events draws a --picture; --report goes with windows")
        _evaluate_events(run, streams or data, picture, as_json)
        return
    if streams or picture:
        raise UsageError("--streams and --picture go with --events")

    from rich.console import Console

    from . import baselines as company
    from . import converter as foreign
    from . import evaluate as evaluation
    from . import report
    from .backend import prepare
    from .runs import open_run

    if baselines:
        company.require()
    if converter:
        foreign.require()
    opened = open_run(run)
    recordings = _dataset(opened.config, data)
    prepare()
    comparisons = evaluation.evaluate(opened, recordings)
    notes = Console(stderr=True)
    if converter:
        comparisons = foreign.beside(opened, recordings, comparisons, notes.print)
    if baselines:
        comparisons = company.beside(opened, recordings, comparisons, notes.print)
    if html is not None:
        _write_report(html, opened, recordings, comparisons)
    if as_json:
        typer.echo(json.dumps(report.as_dict(comparisons)))
    else:
        console = Console()
        for table in report.tables(comparisons):
            console.print(table)


def _evaluate_events(path: Path, streams: Path | None, picture: Path | None, as_json: bool) -> None:
    import json

    from rich.console import Console

    from bitwave.recognition.event_picture import draw_score
    from bitwave.recognition.event_score import Score
    from bitwave.recognition.event_tables import tables

    from . import unseen

    heard = unseen.hear(path, streams)
    for note in unseen.notes(heard):
        typer.echo(note, err=True)
    found = unseen.scores(heard)
    total = sum(found.values(), Score())
    if as_json:
        seeds = {str(seed): score.summary() for seed, score in found.items()}
        typer.echo(json.dumps({**total.summary(), "seeds": seeds} if len(seeds) > 1 else total.summary()))
    else:
        console = Console()
        for table in tables(total):
            console.print(table)
    if picture is not None:  # last: where it cannot be drawn, the figures are not lost
        draw_score(picture, total, f"events of {path}")


def _write_report(path: Path, run: Run, recordings: Dataset, comparisons: list[Comparison]) -> None:
    from dataclasses import replace

    from bitwave.files import write_whole

    from . import details
    from .report_html import page

    found = [
        replace(details.detail(run, part, recordings), comparison=comparison)
        for part, comparison in zip(run.tested, comparisons, strict=True)
    ]
    cost = details.board_cost(run.deployable.tflite)
    write_whole(path, page(run.config, found, cost).encode())


def _dataset(config: RunConfig, data: Path | None) -> Dataset:
    from bitwave.recordings import dataset
    from bitwave.recordings.streams import load_streams, training_takes

    if config.streams:
        return training_takes(load_streams(data or Path(config.dataset)), config.view, config.hop)
    return dataset.load(data or Path(config.dataset), config.damaged)
