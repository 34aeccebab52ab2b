"""`bitwave flash`: firmware onto a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def flash(
    firmware: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="A .bin; without one, PlatformIO builds and uploads."),
    ] = None,
    port: Annotated[str | None, typer.Option(help="Port of the board, where there are several.")] = None,
    bossac: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The uploader, where it is not found by itself.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Put the bitwave firmware on a Nano 33 BLE over USB and let it test itself."""
    import json

    from ..boards import flash as flashing

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    done = flashing.flash(firmware, port, bossac, console.print)
    version = ".".join(map(str, done.info.firmware))
    if as_json:
        told = {"port": done.port, "firmware": version, "self_test": done.self_test, "labels": done.info.labels}
        typer.echo(json.dumps(told))
        return
    model = "its model gives its known answer" if done.self_test else "it has no model yet: bitwave deploy"
    console.print(f"serial:{done.port} runs firmware {version}; {model}")
