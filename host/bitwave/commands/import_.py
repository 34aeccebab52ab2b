"""`bitwave import`: recordings of other tools become a bitwave data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def import_(
    folder: Annotated[Path, typer.Argument(help="Folder with one CSV per label, as Arduino's IMU_Capture prints it.")],
    rate: Annotated[float, typer.Option(help="Sample rate in Hz; the format does not carry it (LSM9DS1: 119).")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; made where missing.")],
    participant: Annotated[str, typer.Option(help="Pseudonym of the person, like p01.")] = "p01",
    session: Annotated[str, typer.Option(help="Name of the session, like s01.")] = "s01",
    board: Annotated[str, typer.Option(help="Which board it was, kept in the session file.")] = "unknown",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Import recordings in the Arduino capture format (g and degree/s)."""
    import json

    from rich.console import Console
    from rich.table import Table

    from ..importer import import_folder

    report = import_folder(folder, out, rate_hz=rate, participant=participant, session=session, board=board)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
        return
    table = Table("label", "recordings", "clipped samples")
    for label, count in report.recordings.items():
        table.add_row(label, str(count), str(report.clipped.get(label, 0)))
    console = Console(markup=False)  # a path may hold brackets
    console.print(table)
    console.print(f"{sum(report.recordings.values())} recordings, {report.samples} samples at {rate:g} Hz in {out}")
