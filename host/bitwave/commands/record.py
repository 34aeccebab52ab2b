"""`bitwave record`: takes off a board, with a count-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from ..capture import CapturePlan, CaptureReport, Progress


def record(
    link: Annotated[str, typer.Argument(help="serial:PORT, ble:NAME, replay:FILE.csv or emu: (the virtual wrist).")],
    label: Annotated[str, typer.Option(help="Gesture of these takes, like wave; idle and unknown are no gestures.")],
    participant: Annotated[str, typer.Option(help="Pseudonym like p01; never a real name, it is in every file.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; made where missing.")],
    session: Annotated[str, typer.Option(help="Name of this sitting.")] = "s01",
    count: Annotated[int, typer.Option(min=1, help="Takes.")] = 10,
    seconds: Annotated[float, typer.Option(min=0.05, help="Length of a take.")] = 1.5,
    count_in: Annotated[float, typer.Option(min=0, help="Seconds of rest before each take.")] = 3.0,
    realtime: Annotated[bool, typer.Option(help="Slow emu: and replay: down to the clock on the wall.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Record takes of one gesture, one file each, each written as soon as it is done."""
    from .. import capture, links

    console = Console(stderr=True, markup=False)  # names and paths may hold brackets
    console.print(f"Participant {participant}: names are pseudonyms. Keep who is who out of this folder.")
    plan = capture.CapturePlan(out, label, participant, session, count, seconds, count_in)
    with links.open(link, realtime) as opened, _display(console, plan) as show:
        opened.notice = console.print
        report = capture.record(opened, plan, show)
    if as_json:
        typer.echo(_json(report))
        return
    console.print(
        f"{len(report.recordings)} takes of {label} in {out}: {report.lost} samples lost, "
        f"{report.crc_errors} CRC errors, {report.clipped} samples clipped"
    )


@contextmanager
def _display(console: Console, plan: CapturePlan) -> Iterator[Display]:
    display = Display(plan)
    with Live(display.text, console=console, refresh_per_second=10, transient=True) as live:
        display.live = live
        yield display


class Display:
    """One line that is alive: what to do now, and how the link is."""

    def __init__(self, plan: CapturePlan) -> None:
        self.plan = plan
        self.live: Live | None = None
        self.text = Text("waiting for the board")

    def __call__(self, moment: Progress) -> None:
        """Shows a moment."""
        self.text = line(self.plan, moment)
        if self.live is not None:
            self.live.update(self.text)


def line(plan: CapturePlan, moment: Progress) -> Text:
    """The line of a moment."""
    text = Text()
    if moment.phase == "count-in":
        left = max(0.0, plan.count_in_s - moment.elapsed_s)
        text.append(f"{plan.label} in {left:3.1f} s  ", style="yellow")
    elif moment.phase == "take":
        text.append(f"{plan.label} NOW {moment.elapsed_s:4.1f}/{plan.seconds:g} s  ", style="bold green")
    else:
        text.append(f"{plan.label} saved  ", style="green")
    text.append(f"take {moment.take}/{plan.count}  {moment.rate_hz:6.1f} Hz  ")
    text.append(
        f"lost {moment.lost}  CRC {moment.crc_errors}  ", style="red" if moment.lost or moment.crc_errors else ""
    )
    text.append(" ".join(f"{value:6d}" for value in moment.last), style="dim")
    return text


def _json(report: CaptureReport) -> str:
    import json

    takes = [{"file": f"{r.name}.csv", "samples": len(r.samples), "lost": r.lost} for r in report.recordings]
    told = {"takes": takes, "lost": report.lost, "crc_errors": report.crc_errors, "clipped": report.clipped}
    return json.dumps(told)
