"""`bitwave live`: recognised gestures as they come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..recognition.live import LiveEvent, Update

BAR = 24  # characters of a full score


def live(
    link: Annotated[str, typer.Argument(help="serial:PORT, ble:NAME, replay:FILE.csv or emu:?model=...&plan=random.")],
    model: Annotated[Path | None, typer.Option(help="A .tflite: recognises here where the link has no model.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this much of the board's time.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the stream with its events to this PNG.")] = None,
    realtime: Annotated[bool, typer.Option(help="Slow emu: and replay: down to the clock on the wall.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what happened as one JSON document.")] = False,
) -> None:
    """Show recognised gestures, scores, rate and losses until the link ends or Ctrl-C."""
    import json

    from .. import links
    from ..links.virtual import VirtualLink
    from ..recognition import live as recognition

    console = Console(stderr=as_json)
    with links.open(link, realtime) as opened:
        opened.notice = console.print
        with Live(Text("waiting for the board"), console=console, refresh_per_second=10, transient=True) as shown:

            def show(update: Update) -> None:
                for event in update.events:
                    if not as_json:
                        console.print(_event(event))
                shown.update(_moment(update))

            happened = recognition.run(opened, model, seconds, show, keep_samples=picture is not None)
        truth = opened.truth if isinstance(opened, VirtualLink) else []
    if picture is not None:
        from ..recognition.picture import draw_stream

        draw_stream(
            picture, happened.samples, happened.rate_hz, happened.events, happened.labels,
            truth=truth, windows=happened.windows, first=happened.first, title=link.partition("?")[0],
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(happened.summary()))
        return
    counts = ", ".join(f"{label} {count}" for label, count in happened.counts.items()) or "none"
    console.print(
        f"{happened.seconds:.1f} s, {len(happened.windows)} windows on the {happened.recogniser}; events: {counts}; "
        f"{happened.lost} samples lost, {happened.crc_errors} CRC errors"
    )


def _event(event: LiveEvent) -> Text:
    return Text(f"{event.time_s:8.2f} s  {event.label}  {event.score}", style="bold green")


def _moment(update: Update) -> Group:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for label, score in zip(update.labels, update.scores, strict=False):
        table.add_row(label, Text("█" * round(score * BAR / 255)), str(score))
    state = f"{update.elapsed_s:7.1f} s  {update.rate_hz:6.1f} Hz  lost {update.lost}  CRC {update.crc_errors}"
    return Group(table, Text(state, style="dim"))
