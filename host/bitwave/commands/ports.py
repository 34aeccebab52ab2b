"""`bitwave ports`: the boards in reach."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

KINDS = {
    "application": "Nano 33 BLE, runs a sketch",
    "bootloader": "Nano 33 BLE in its bootloader: it waits for bitwave flash",
    "other": "Nano 33 BLE, another firmware",
}


def ports(
    ble: Annotated[float, typer.Option(min=0, max=60, metavar="SECONDS", help="Look around by Bluetooth too.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the boards on USB, and with --ble those nearby; the first column is what other commands take as LINK."""
    from ..boards import usb

    boards = usb.find()
    nearby = []
    if ble:
        from ..links.ble_search import scan

        nearby = scan(ble)
    if as_json:
        import json

        found = {
            "usb": [{"link": board.link, **vars(board)} for board in boards],
            "ble": [{"link": f"ble:{board.name or board.address}", **vars(board)} for board in nearby],
            "other_ports": [port for port, _ in usb.other_ports()],
        }
        typer.echo(json.dumps(found))
        return
    rows = [(board.link, KINDS[board.kind]) for board in boards]
    rows += [(f"ble:{one.name or one.address}", f"bitwave by Bluetooth, {one.rssi} dBm") for one in nearby]
    rows += [(f"serial:{port}", description or "no Nano 33 BLE") for port, description in usb.other_ports()]
    width = max((len(link) for link, _ in rows), default=0)
    for link, what in rows:
        typer.echo(f"{link:<{width}}  {what}")
    if not boards and not nearby:
        Console(stderr=True, soft_wrap=True).print(
            "No Nano 33 BLE on USB: use a cable that carries data, press reset once; bitwave doctor tells more."
        )
