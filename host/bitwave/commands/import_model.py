"""`bitwave import-model`: takes somebody else's int8 .tflite model over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .foreign_words import Channels, CountsPerUnit, Hop, Labels, Rate, ZeroCounts, ask
from .parity import DEFAULT_WINDOWS, print_table, progress_bars


def import_model(
    model: Annotated[Path, typer.Argument(help="An int8 .tflite file of another converter.", show_default=False)],
    labels: Labels = None,
    counts_per_unit: CountsPerUnit = None,
    zero_counts: ZeroCounts = None,
    rate: Rate = None,
    hop: Hop = None,
    channels: Channels = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write. [default: beside the model, NAME-bitwave.tflite]")
    ] = None,
    windows: Annotated[int, typer.Option(min=1, max=10_000, help="Windows that prove parity.")] = DEFAULT_WINDOWS,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Take another converter's model over: its metadata goes in, once every engine has computed the oracle's bits."""
    from ..files import write_whole
    from ..parity import adopt
    from ..tflite.reader import read_bytes, read_model

    data = read_bytes(model)
    network = read_model(model)
    words = {"labels": labels, "counts_per_unit": counts_per_unit, "zero_counts": zero_counts, "rate": rate,
             "hop": hop, "channels": channels}  # fmt: skip
    adopt.refuse_own(network)
    with progress_bars() as show:
        done = adopt.adopt(data, ask(network, model, words), windows, show)
    to = out or model.with_name(f"{model.stem}-bitwave.tflite")
    write_whole(to, done.data)
    if json:
        import json as codec

        typer.echo(codec.dumps({"file": str(to), **adopt.facts(done.model), "parity": done.report.to_json()}))
        return
    from rich.console import Console

    print_table(done.report)
    facts = adopt.facts(done.model)
    Console().print(f"{to}: {facts['layers']}; next: bitwave export {to}, or bitwave deploy", soft_wrap=True)
