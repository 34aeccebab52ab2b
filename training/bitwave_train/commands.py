"""`bitwave train`, `quantize` and `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bitwave.dataset import Damaged, Dataset

    from .settings import RunConfig, Settings

RunFolder = Annotated[Path, typer.Argument(help="Folder of the run, as bitwave train wrote it.")]
DataFolder = Annotated[Path | None, typer.Option(help="Folder of the recordings, where it moved since training.")]


def train(
    data: Annotated[Path, typer.Argument(help="Folder of recordings.")],
    run: Annotated[Path, typer.Option(help="Folder of the run to write.")] = Path("runs/default"),
    folds: Annotated[int, typer.Option(min=0, help="Cross-validate with this many folds; 0 holds nothing out.")] = 0,
    by: Annotated[str, typer.Option(help="Unit of the folds: auto, participant, session or recording.")] = "auto",
    hold_out: Annotated[list[str] | None, typer.Option(help="Participant to hold out; may be repeated.")] = None,
    window: Annotated[int | None, typer.Option(min=1, help="Samples of a window; default one second.")] = None,
    hop: Annotated[int | None, typer.Option(min=1, help="Samples between windows; default a fifth.")] = None,
    hidden: Annotated[list[int] | None, typer.Option(help="LSTM units; twice for two layers.")] = None,
    dense: Annotated[list[int] | None, typer.Option(help="Units of a dense layer before the last.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many epochs.")] = None,
    batch: Annotated[int | None, typer.Option(help="Windows per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Epochs of linear rise.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without improvement before training stops.")] = None,
    validation: Annotated[float | None, typer.Option(help="Fraction that chooses the best epoch.")] = None,
    memory: Annotated[float | None, typer.Option(help="Longest memory at the start, in windows.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Of the hidden state before the head.")] = None,
    l2: Annotated[float | None, typer.Option(help="Factor of the squared kernels.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of the global gradient.")] = None,
    class_weight: Annotated[float | None, typer.Option(help="0 weighs windows alike, 1 labels alike.")] = None,
    step_share: Annotated[float | None, typer.Option(help="Share of the loss that earlier steps have.")] = None,
    rotation: Annotated[float | None, typer.Option(help="Augmentation: sensor frame, degrees.")] = None,
    amplitude: Annotated[float | None, typer.Option(help="Augmentation: amplitude, relative.")] = None,
    shift: Annotated[float | None, typer.Option(help="Augmentation: time, fraction of a window.")] = None,
    damaged: Annotated[str, typer.Option(help="Takes with a gap or cut short: refuse, drop or keep.")] = "refuse",
    seed: Annotated[int, typer.Option(help="Of weights, order, augmentation and folds.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Train anew what the folder holds.")] = False,
) -> None:
    """Train an LSTM on recordings; with --folds also one per fold, to know how good it is."""
    from bitwave import dataset
    from bitwave.errors import UsageError

    from . import train as training
    from .progress import TrainingProgress
    from .settings import Split

    if folds and hold_out:
        raise UsageError("--folds and --hold-out exclude each other: choose one")
    settings = _settings(
        hidden=tuple(hidden) if hidden else None,
        dense=tuple(dense) if dense else None,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        warmup=warmup,
        patience=patience,
        validation=validation,
        memory=memory,
        dropout=dropout,
        l2=l2,
        clip_norm=clip_norm,
        class_weight=class_weight,
        step_share=step_share,
        seed=seed,
        augmentation={"rotation": rotation, "amplitude": amplitude, "shift": shift},
    )
    split = Split()
    if folds:
        split = Split(kind="folds", by=by, folds=folds)
    elif hold_out:
        split = Split(kind="hold-out", by="participant", participants=tuple(hold_out))
    told = _damaged(damaged)
    recordings = dataset.load(data, told)
    config = training.plan(recordings, data, settings, window, hop, split, told)
    with TrainingProgress(config) as progress:
        training.train(recordings, config, run, replace, progress.report)
    typer.echo(f"{run}: trained; next: bitwave quantize {run}")


def quantize(
    run: RunFolder,
    data: DataFolder = None,
    activations: Annotated[str, typer.Option(help="Ranges of activations: mse or percentile.")] = "mse",
    percentile: Annotated[float, typer.Option(min=50, max=100, help="Central part that is kept.")] = 99.99,
    weights: Annotated[str, typer.Option(help="Ranges of weights: mse, or percentile to keep all.")] = "mse",
    threshold: Annotated[int | None, typer.Option(min=0, max=255, help="Decision: least score, 0..255.")] = None,
    margin: Annotated[int | None, typer.Option(min=0, max=255, help="Decision: to the second best.")] = None,
    hold: Annotated[int | None, typer.Option(min=1, max=255, help="Decision: windows that must agree.")] = None,
    smoothing: Annotated[int | None, typer.Option(min=0, max=7, help="Decision: averaging, 0 is none.")] = None,
    refractory: Annotated[float | None, typer.Option(min=0, help="Decision: pause after an event, windows.")] = None,
) -> None:
    """Write model.tflite beside every Keras model of a run: int8, calibrated on its training recordings."""
    from .backend import prepare
    from .quantize import options
    from .settings import open_run
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
    for path in write_run(opened, recordings, chosen, decision):
        typer.echo(str(path))


def evaluate(
    run: RunFolder,
    data: DataFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Compare float with int8 on the recordings that were held out."""
    import json

    from rich.console import Console

    from . import evaluate as evaluation
    from . import report
    from .backend import prepare
    from .settings import open_run

    opened = open_run(run)
    recordings = _dataset(opened.config, data)
    prepare()
    comparisons = evaluation.evaluate(opened, recordings)
    if as_json:
        typer.echo(json.dumps(report.as_dict(comparisons)))
    else:
        console = Console()
        for table in report.tables(comparisons):
            console.print(table)


def _settings(augmentation: dict[str, float | None], **given: object) -> Settings:
    """The settings with what the command line gave; raises `UsageError` for the first that makes no sense."""
    from pydantic import ValidationError

    from bitwave.errors import UsageError
    from bitwave.metadata import first_fault

    from .settings import Settings

    values = {name: value for name, value in given.items() if value is not None}
    values["augmentation"] = {name: value for name, value in augmentation.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"training settings: {first_fault(error)}") from error


def _dataset(config: RunConfig, data: Path | None) -> Dataset:
    from bitwave import dataset

    return dataset.load(data or Path(config.dataset), config.damaged)


def _damaged(text: str) -> Damaged:
    from typing import get_args

    from bitwave.dataset import Damaged
    from bitwave.errors import UsageError

    found: Damaged | None = next((choice for choice in get_args(Damaged) if choice == text), None)
    if found is None:
        raise UsageError(f"--damaged {text}: choose {', '.join(get_args(Damaged))}")
    return found
