"""`bitwave exchange`: recordings from and to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def exchange(
    source: Annotated[Path, typer.Argument(help="A data set to export; or files of Edge Impulse: .json, .cbor, .csv.")],
    out: Annotated[Path, typer.Option(help="Import: the data set. Export: a new folder.")],
    to: Annotated[
        str, typer.Option(help="bitwave, edge-impulse-json, edge-impulse-cbor, edge-impulse-csv, arduino or npz.")
    ] = "bitwave",
    accel_unit: Annotated[str, typer.Option(help="Import, where the file has none: g, mg or m/s2.")] = "",
    gyro_unit: Annotated[str, typer.Option(help="Import, where the file has none: dps, mdps or rad/s.")] = "",
    axes: Annotated[str, typer.Option(help="Import: the file's axes that are canonical x,y,z, like y,-x,z.")] = "x,y,z",
    without_gravity: Annotated[bool, typer.Option(help="Import: gravity was taken out of the file.")] = False,
    participant: Annotated[str, typer.Option(help="Import: pseudonym of the person, like p01.")] = "p01",
    session: Annotated[str, typer.Option(help="Import: name of the session, like s01.")] = "s01",
    key_file: Annotated[
        Path | None, typer.Option(help="HMAC key: import checks signatures with it, export signs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Import Edge Impulse's files; export a data set for Edge Impulse, the Arduino capture format or NumPy."""
    import json
    from dataclasses import asdict

    from ..errors import UsageError
    from ..exchange import formats as room
    from ..exchange.physical import Told
    from ..recordings.dataset import load
    from ..wording import counted

    key = key_file.read_text("utf-8").strip() if key_file else None
    console = Console(stderr=as_json, markup=False)
    if to == "bitwave":
        told = Told(accel_unit, gyro_unit, axes, not without_gravity)
        imported = room.import_edge_impulse(source, out, told, participant, session, key)
        counts = ", ".join(f"{label} {count}" for label, count in imported.recordings.items())
        trust = ", ".join(f"{count} {word}" for word, count in imported.trust.items())
        console.print(
            f"{counts}; {imported.rate_hz:g} Hz, {counted(imported.clipped, 'sample')} clipped; "
            f"signatures: {trust}; in {out}"
        )
        if as_json:
            typer.echo(json.dumps(asdict(imported)))
        return
    form = next((form for form in room.FORMATS if form == to), None)
    if form is None:
        raise UsageError(f"--to {to}: choose bitwave, {', '.join(room.FORMATS)}")
    exported = room.export(load(source, "keep"), out, form, key)
    for name, reason in exported.left_out.items():
        console.print(f"{name} is left out: {reason}")
    console.print(f"{counted(len(exported.files), 'file')} in {out}")
    if as_json:
        typer.echo(json.dumps(asdict(exported)))
