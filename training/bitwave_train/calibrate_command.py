"""`bitwave calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bitwave.recognition.calibration import Asked

    from .calibrate import Calibrated


def calibrate(
    run: Annotated[Path, typer.Argument(help="Folder of a run with --folds, or a .tflite with bitwave metadata.")],
    streams: Annotated[Path | None, typer.Option(help="Continuous recordings with named segments.")] = None,
    false_activations_per_hour: Annotated[float, typer.Option(min=0, help="At most this many.")] = 1.0,
    median_delay_ms: Annotated[
        float | None, typer.Option(help="From a gesture's end to its event, at most; default: as it comes.")
    ] = None,
    on: Annotated[
        list[str] | None, typer.Option(help="Of one model: choose on this participant, report on others; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Of one model: write it here; default: where it was.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw recall against false activations to this PNG.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Choose and report, write no model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Choose thresholds, margin, hold and refractory time on people whom the model never saw, report on others."""
    import json
    import math

    from rich.console import Console

    from bitwave.errors import UsageError
    from bitwave.recognition.calibration import Asked
    from bitwave.recognition.event_picture import draw_calibration

    from . import calibrate as calibration
    from . import unseen
    from .runs import open_run

    if median_delay_ms is not None and math.isnan(median_delay_ms):
        raise UsageError("--median-delay-ms is no number: give milliseconds, like 150")
    asked = Asked(false_activations_per_hour, math.inf if median_delay_ms is None else median_delay_ms / 1000.0)
    console = Console(stderr=as_json, markup=False)  # a path may hold brackets
    heard = unseen.hear(run, streams)
    for note in unseen.notes(heard):
        typer.echo(note, err=True)
    if run.is_file() or on:
        if len(heard) != 1:
            raise UsageError(
                "--on goes with one model: a run with folds chooses for each on the participants of others"
            )
        found = [calibration.calibrate_one(heard[0], on or [], asked)]
    else:
        if out is not None:
            raise UsageError("--out goes with one model: those of a run get their decisions where they are")
        found = calibration.calibrate_run(open_run(run), heard, asked)
    if not dry_run:
        everybody = [trace.stream for one in heard for trace in one.traces if one.seed == heard[0].seed]
        for one in found:
            own = [trace.stream for other in heard if other.model == one.model for trace in other.traces]
            calibration.write_decision(one.model, out or one.model, one.choice.chosen.decision, own or everybody)
    if as_json:
        told = [_json(one, out or one.model) for one in found]
        typer.echo(json.dumps({"asked_false_per_hour": false_activations_per_hour, "models": told}))
    else:
        _show(console, found, asked, dry_run)
    if picture is not None:  # last: where it cannot be drawn, nothing that was found is lost
        reported = {who: point for one in found for who, point in one.reported.items()}
        draw_calibration(picture, found[-1].choice, false_activations_per_hour, reported)


def _json(one: Calibrated, target: Path) -> dict[str, object]:
    chosen = one.choice.chosen
    return {
        "model": str(target),
        "seed": one.seed,
        "chosen_on": {
            "participants": list(one.chosen_on),
            "recall": chosen.recall,
            "f1": chosen.f1,
            "false_per_hour": chosen.false_per_hour,
            "median_delay_s": chosen.median_delay_s,
            "is_met": one.choice.is_met,
        },
        "decision": chosen.decision.model_dump(mode="json"),
        "reported": one.score.summary(),
        "curve": [{"false_per_hour": p.false_per_hour, "recall": p.recall, "f1": p.f1} for p in one.choice.curve],
    }


def _show(console: Console, found: Sequence[Calibrated], asked: Asked, dry_run: bool) -> None:
    from rich.table import Table

    from bitwave.recognition.event_score import Score
    from bitwave.recognition.event_tables import tables
    from bitwave.wording import counted

    table = Table(title="Decisions", box=None, pad_edge=False, collapse_padding=True)
    for name in ("model", "/ hour", "recall", "F1", "ms", "smooth", "margin", "hold", "pause", "once", "thresholds"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for one in found:
        chosen, decision = one.choice.chosen, one.choice.chosen.decision
        levels = [level for level, fires in zip(decision.thresholds, decision.fires, strict=True) if fires]
        table.add_row(
            f"{one.model.parent.name or one.model.name}, on {', '.join(one.chosen_on)}",
            f"{chosen.false_per_hour:.2f}", f"{chosen.recall:.3f}",
            f"{chosen.f1:.3f}", f"{chosen.median_delay_s * 1000:.0f}", str(decision.smoothing), str(decision.margin),
            str(decision.hold), str(decision.refractory), "yes" if decision.once else "no",
            f"{min(levels)}..{max(levels)}",
        )  # fmt: skip
    console.print(table)
    for one in found:
        if not one.choice.is_met:
            console.print(_unmet(one, asked))
    total = sum((one.score for one in found), Score())
    if total.participants:
        for shown in tables(total, "Events of people whom nothing was chosen on,"):
            console.print(shown)
    models = counted(len(found), "model has its", "models have their")
    console.print("Nothing was written: --dry-run." if dry_run else f"{models} decision.")


def _unmet(one: Calibrated, asked: Asked) -> str:
    """What could not be kept, what came nearest, and what helps."""
    chosen = one.choice.chosen
    wanted, reached, advice = [], [], []
    if chosen.recall == 0:
        return f"{one.model}: no decision recognises anything on the calibration streams: train longer, or on more"
    if chosen.false_per_hour > asked.false_per_hour:
        wanted.append(f"{asked.false_per_hour:g} false activations per hour")
        reached.append(f"{chosen.false_per_hour:.2f} per hour")
        advice.append("train on more of idle and of other movements")
    if chosen.median_delay_s > asked.median_delay_s:
        wanted.append(f"a median delay of {asked.median_delay_s * 1000:g} ms")
        reached.append(f"{chosen.median_delay_s * 1000:.0f} ms")
        advice.append("train with a shorter window or hop")
    return (
        f"{one.model}: no decision keeps to {' and '.join(wanted)} on the calibration streams; the nearest one was "
        f"taken, with {' and '.join(reached)}: {', and '.join(advice)}"
    )
