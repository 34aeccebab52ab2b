"""`bitwave train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    data: Annotated[Path, typer.Argument(help="Folder of recordings.")],
    run: Annotated[Path, typer.Option(help="Folder of the run to write.")] = Path("runs/default"),
    config: Annotated[Path | None, typer.Option(help="TOML file with any of these options; flags win.")] = None,
    folds: Annotated[int | None, typer.Option(help="Cross-validate with this many folds; 0 holds nothing out.")] = None,
    by: Annotated[str | None, typer.Option(help="Unit of the folds: auto, participant, session, recording.")] = None,
    hold_out: Annotated[list[str] | None, typer.Option(help="Participant to hold out; may be repeated.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Train what is held out this often, from seeds in a row.")] = None,
    window: Annotated[int | None, typer.Option(help="Samples of a window; default one second.")] = None,
    hop: Annotated[int | None, typer.Option(help="Samples between windows; default a fifth.")] = None,
    hidden: Annotated[list[int] | None, typer.Option(help="LSTM units; twice for two layers.")] = None,
    conv_filters: Annotated[int | None, typer.Option(help="Of a convolution before the LSTM; 0: none.")] = None,
    conv_kernel: Annotated[int | None, typer.Option(help="Samples under the convolution.")] = None,
    conv_stride: Annotated[int | None, typer.Option(help="Samples per step of the convolution.")] = None,
    pool: Annotated[str | None, typer.Option(help="Of the hidden states: last, mean or attention.")] = None,
    fused: Annotated[bool | None, typer.Option(help="A branch for each sensor, or one for all.")] = None,
    dense: Annotated[list[int] | None, typer.Option(help="Units of a dense layer before the last.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many epochs.")] = None,
    batch: Annotated[int | None, typer.Option(help="Windows per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Epochs of linear rise.")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs without improvement before training stops.")] = None,
    validation: Annotated[float | None, typer.Option(help="Fraction that chooses the best epoch.")] = None,
    memory: Annotated[float | None, typer.Option(help="Longest memory at the start, in windows.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Of the hidden state before the head.")] = None,
    recurrent_dropout: Annotated[float | None, typer.Option(help="Of the hidden state inside the LSTM.")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share of the target for all labels.")] = None,
    l2: Annotated[float | None, typer.Option(help="Factor of the squared kernels.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of the global gradient.")] = None,
    class_weight: Annotated[float | None, typer.Option(help="0 weighs windows alike, 1 labels alike.")] = None,
    step_share: Annotated[float | None, typer.Option(help="Share of the loss that earlier steps have.")] = None,
    streaming: Annotated[str | None, typer.Option(help="lanes, or stateful: states are carried on.")] = None,
    unroll: Annotated[int | None, typer.Option(help="With stateful: samples that a gradient goes back.")] = None,
    gate: Annotated[
        float | None, typer.Option(help="With stateful and --streams: sleeps after seconds at rest.")
    ] = None,
    augment: Annotated[bool, typer.Option(help="Change windows at random; 0 switches one change off.")] = True,
    rotation: Annotated[float | None, typer.Option(help="Augmentation: sensor frame, degrees.")] = None,
    amplitude: Annotated[float | None, typer.Option(help="Augmentation: amplitude, relative.")] = None,
    shift: Annotated[float | None, typer.Option(help="Augmentation: start, fraction of a window.")] = None,
    speed: Annotated[float | None, typer.Option(help="Augmentation: speed, relative.")] = None,
    warp: Annotated[float | None, typer.Option(help="Augmentation: uneven speed, fraction of a window.")] = None,
    bias: Annotated[float | None, typer.Option(help="Augmentation: sensor zero, g and 250 degree/s.")] = None,
    drift: Annotated[float | None, typer.Option(help="Augmentation: its change in a window, likewise.")] = None,
    noise: Annotated[float | None, typer.Option(help="Augmentation: white noise, likewise.")] = None,
    dropped: Annotated[float | None, typer.Option(help="Augmentation: share of lost samples.")] = None,
    damaged: Annotated[str | None, typer.Option(help="Takes with a gap or cut short: refuse, drop or keep.")] = None,
    streams: Annotated[bool | None, typer.Option(help="Train on continuous recordings with named segments.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order, augmentation and folds.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Train anew what the folder holds.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the models that are done, train the others.")] = False,
) -> None:
    """Train an LSTM on recordings; with --folds also one per fold, to know how good it is."""
    from bitwave.recordings.windowing import BACKGROUND

    from . import stream_plan
    from . import train as training
    from .options import read_options
    from .progress import TrainingProgress
    from .settings import Augmentation

    options = read_options(
        config,
        {
            "folds": folds,
            "by": by,
            "hold_out": hold_out,
            "seeds": seeds,
            "window": window,
            "hop": hop,
            "hidden": hidden,
            "conv_filters": conv_filters,
            "conv_kernel": conv_kernel,
            "conv_stride": conv_stride,
            "pool": pool,
            "fused": fused,
            "dense": dense,
            "epochs": epochs,
            "batch": batch,
            "learning_rate": learning_rate,
            "warmup": warmup,
            "patience": patience,
            "validation": validation,
            "memory": memory,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "label_smoothing": label_smoothing,
            "l2": l2,
            "clip_norm": clip_norm,
            "class_weight": class_weight,
            "step_share": step_share,
            "streaming": streaming,
            "unroll": unroll,
            "gate": gate,
            "damaged": damaged,
            "streams": streams,
            "seed": seed,
            "augmentation": {
                **({} if augment else Augmentation.none().model_dump()),
                **_given(rotation=rotation, amplitude=amplitude, shift=shift, speed=speed, warp=warp),
                **_given(bias=bias, drift=drift, noise=noise, dropped=dropped),
            },
        },
    )
    recordings, planned = stream_plan.prepared(data, options)
    if not BACKGROUND & set(planned.labels):
        typer.echo(
            f"{data} has no idle and no unknown: a model that never saw other movements fires at them; record some",
            err=True,
        )
    with TrainingProgress(planned) as progress:
        training.train(recordings, planned, run, replace, progress.report, resume)
    typer.echo(f"{run}: trained; next: bitwave quantize {run}")


def _given(**changes: float | None) -> dict[str, float]:
    return {name: value for name, value in changes.items() if value is not None}
