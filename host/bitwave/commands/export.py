"""`bitwave export`: a .tflite file becomes a model image and C arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..metadata import Metadata
    from ..quantmodel import QuantModel


def export(
    model: Annotated[Path, typer.Argument(help="The quantized model, a .tflite file.")],
    out: Annotated[Path, typer.Option(help="Folder for model.bwi, bitwave_model.h and bitwave_model.c.")],
    labels: Annotated[
        str | None,
        typer.Option(help="Only for a file without bitwave metadata: labels in score order, like wave,idle."),
    ] = None,
    counts_per_unit: Annotated[
        str | None,
        typer.Option(help="The same: raw counts that make 1.0 at the model's input; one number, or one per channel."),
    ] = None,
    zero_counts: Annotated[
        str | None,
        typer.Option(help="The same: raw counts that mean 0.0; one number, or one per channel. [default: 0]"),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="The same: sample rate in Hz of the training data.")] = None,
    hop: Annotated[
        int | None, typer.Option(help="The same: samples between windows. [default: a quarter of a window]")
    ] = None,
    channels: Annotated[str | None, typer.Option(help="The same: names of the channels, like ax,ay,az.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Write a model as an image for the core and as C arrays."""
    import dataclasses
    import json

    from rich.console import Console
    from rich.table import Table

    from .. import exporter
    from ..errors import UsageError
    from ..tflite import read_model

    network = read_model(model)
    words = {"labels": labels, "counts_per_unit": counts_per_unit, "zero_counts": zero_counts, "rate": rate,
             "hop": hop, "channels": channels}  # fmt: skip
    if network.metadata is None:
        network = dataclasses.replace(network, metadata=_ask(network, model, words))
    elif given := [f"--{name.replace('_', '-')}" for name, value in words.items() if value is not None]:
        raise UsageError(f"{model} carries its own metadata: leave out {', '.join(given)}")
    done = exporter.export(network, out)
    if as_json:
        typer.echo(json.dumps(done.facts()))
        return
    table = Table(show_header=False)
    table.add_row("image", f"{len(done.image)} bytes, {len(done.image) / done.raw_bytes:.2f} times its bare numbers")
    table.add_row("RAM", f"{done.arenas.recognizer} bytes for {done.lanes} windows in flight")
    table.add_row("labels", ", ".join(done.labels))
    table.add_row("files", "\n".join(map(str, done.files)))
    Console().print(table)


def _ask(network: QuantModel, path: Path, words: dict[str, str | float | None]) -> Metadata:
    """Metadata from the options, and from the person where a needed one is missing and someone is there to answer."""
    from .. import foreign

    questions = {
        "labels": f"labels of the {network.classes} scores, separated by commas",
        "counts_per_unit": "raw counts that make 1.0 at the model's input (one number, or one per channel)",
        "rate": "sample rate in Hz",
    }
    answers = {name: words[name] if words[name] is not None else _prompt(path, name, questions) for name in questions}
    hop = words["hop"]
    return foreign.metadata(
        network,
        labels=_split(answers["labels"]),
        counts_per_unit=_numbers(answers["counts_per_unit"], "--counts-per-unit"),
        zero_counts=tuple(round(x) for x in _numbers(words["zero_counts"] or "0", "--zero-counts")),
        rate_hz=_numbers(answers["rate"], "--rate")[0],
        hop=int(hop) if hop is not None else max(1, network.steps // 4),
        channels=_split(words["channels"]) if words["channels"] else (),
    )


def _prompt(path: Path, name: str, questions: dict[str, str]) -> str:
    import sys

    from ..errors import UsageError

    if not sys.stdin.isatty():
        needed = ", ".join(f"--{option.replace('_', '-')}" for option in questions)
        raise UsageError(f"{path} carries no bitwave metadata: say {needed}")
    answer: str = typer.prompt(f"{path.name} carries no metadata. {questions[name].capitalize()}", err=True)
    return answer


def _split(text: object) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(text).split(","))


def _numbers(text: object, option: str) -> tuple[float, ...]:
    import math

    from ..errors import UsageError

    try:
        numbers = tuple(float(part) for part in _split(text))
    except ValueError as error:
        raise UsageError(f"{option} takes numbers separated by commas, not {text!r}") from error
    if not all(math.isfinite(number) for number in numbers):
        raise UsageError(f"{option} takes finite numbers, not {text!r}")
    return numbers
