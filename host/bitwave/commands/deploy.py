"""`bitwave deploy` and `bitwave rollback`: another model on a board, without new firmware."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ..wire.frames import Info


def deploy(
    model: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The int8 .tflite file.")],
    link: Annotated[str, typer.Argument(help="serial:PORT, ble:NAME or emu:?flash=FILE.")],
    allow: Annotated[
        str | None,
        typer.Option(metavar="LINK", help="A cable to the same board (serial:PORT), which allows a ble: update."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Send a model to a board; it switches when the model is whole and gives its known answer."""
    import json

    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from .. import links
    from ..boards import deploy as deployment

    console = Console(stderr=True, highlight=False)
    with ExitStack() as stack:
        opened = stack.enter_context(links.open(link))
        cable = stack.enter_context(links.open(allow)) if allow is not None else None
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        bar = stack.enter_context(Progress(*columns, console=console, transient=True, disable=not console.is_terminal))
        task = bar.add_task(model.name, total=None)
        opened.notice = bar.console.print

        def show(received: int, size: int) -> None:
            bar.update(task, completed=received, total=size)

        done = deployment.deploy(opened, model, show, cable)
        keeps = opened.keeps
    if as_json:
        told = {"size": done.size, "sent": done.sent, "began_at": done.began_at, "seconds": round(done.seconds, 3)}
        typer.echo(json.dumps(told | _model(done.info)))
    elif not done.sent and done.began_at == done.size:
        console.print(f"{link} runs this model already: {_names(done.info)}", soft_wrap=True)
    else:
        resumed = f", {done.began_at} were there already" if done.began_at else ""
        console.print(
            f"{link} runs the model {done.info.digest.hex()} ({_names(done.info)}): {done.size} bytes in "
            f"{done.seconds:.1f} s{resumed}; verified by digest and known answer",
            soft_wrap=True,
        )
    if keeps:
        console.print(f"{link} forgets it with the end of this command: {keeps} keeps it in a file", soft_wrap=True)


def rollback(
    link: Annotated[str, typer.Argument(help="serial:PORT, ble:NAME or emu:?flash=FILE.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Take the model back that was deployed last: the one before runs again, at last the one that is built in."""
    import json

    from .. import links
    from ..boards.deploy import rollback as go_back

    with links.open(link) as opened:
        info = go_back(opened)
    if as_json:
        typer.echo(json.dumps(_model(info)))
        return
    Console(stderr=True, highlight=False).print(f"{link} runs {_names(info)}", soft_wrap=True)


def _model(info: Info) -> dict[str, object]:
    slot = info.active if info.active < 2 else None
    facts = {"gate": info.gate, "stateful": info.stateful}
    return {"digest": info.digest.hex(), "slot": slot, "labels": info.labels, **facts}


def _names(info: Info) -> str:
    return "; ".join((", ".join(info.labels) or "no model", *info.traits))
