"""`bitwave export`: a .tflite file becomes a model image and C arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .foreign_words import Channels, CountsPerUnit, Hop, Labels, Rate, ZeroCounts, ask


def export(
    model: Annotated[Path, typer.Argument(help="The quantized model, a .tflite file.")],
    out: Annotated[Path, typer.Option(help="Folder for model.bwi, bitwave_model.h and bitwave_model.c.")],
    labels: Labels = None,
    counts_per_unit: CountsPerUnit = None,
    zero_counts: ZeroCounts = None,
    rate: Rate = None,
    hop: Hop = None,
    channels: Channels = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Write a model as an image for the core and as C arrays; labels to channels: for a file without metadata."""
    import dataclasses
    import json

    from rich.console import Console
    from rich.table import Table

    from ..errors import UsageError
    from ..model import exporter
    from ..tflite.reader import read_model

    network = read_model(model)
    words = {"labels": labels, "counts_per_unit": counts_per_unit, "zero_counts": zero_counts, "rate": rate,
             "hop": hop, "channels": channels}  # fmt: skip
    if network.metadata is None:
        network = dataclasses.replace(network, metadata=ask(network, model, words))
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
