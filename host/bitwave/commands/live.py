"""`bitwave live`: recognised gestures as they come."""

from __future__ import annotations

import math
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .event_runner import EventRunner
from .record_display import FULL, REFRESH_HZ, WIDTH, spark

if TYPE_CHECKING:
    from ..recognition.live import LiveEvent, Update
    from ..recognition.live_report import LiveReport

BAR = 24  # characters of a full score


def live(
    link: Annotated[str, typer.Argument(help="serial:PORT, ble:NAME, replay:FILE.csv or emu:?model=...&plan=random.")],
    model: Annotated[Path | None, typer.Option(help="A .tflite: recognises here where the link has no model.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this much of the board's time.")] = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="CMD", help="Start this per event, no shell; knows {label}, {score}, {time_s}, {sample}."),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the stream with its events to this PNG.")] = None,
    realtime: Annotated[bool, typer.Option(help="Slow emu: and replay: down to the clock on the wall.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print each event as a line of JSON when it comes; a summary at the end."),
    ] = False,
) -> None:
    """Show recognised gestures, signal, scores, rate and losses until the link ends or Ctrl-C."""
    import json

    from .. import links
    from ..links.virtual import VirtualLink
    from ..recognition import live as recognition

    console = Console(stderr=as_json)
    runner = EventRunner(run, console.print, quiet=as_json) if run is not None else None
    with links.open(link, realtime) as opened:
        opened.notice = console.print
        with Live(Text("waiting for the board"), console=console, refresh_per_second=10, transient=True) as shown:
            display = _Display(shown)

            def show(update: Update) -> None:
                for event in update.events:
                    if as_json:
                        typer.echo(json.dumps({"kind": "event", **event.to_json()}))
                    else:
                        console.print(_event(event))
                    if runner is not None:
                        runner.start(event.to_json())
                if runner is not None:
                    runner.look()
                display(update)

            happened = recognition.run(opened, model, seconds, show, keep_samples=picture is not None)
        truth = opened.truth if isinstance(opened, VirtualLink) else []
    if runner is not None:
        runner.finish()
    # The figures come first: a picture that cannot be written must not take them along.
    if as_json:
        typer.echo(json.dumps({"kind": "summary", **happened.summary()}))
    else:
        console.print(_summary(happened), soft_wrap=True)
    if picture is not None:
        from ..recognition.picture import draw_stream

        draw_stream(
            picture, happened.samples, happened.rate_hz, happened.events, happened.labels,
            truth=truth, windows=happened.windows, first=happened.first, title=link.partition("?")[0],
        )  # fmt: skip


def _summary(happened: LiveReport) -> str:
    from ..wording import counted

    counts = ", ".join(f"{label} {count}" for label, count in happened.counts.items()) or "none"
    cost = _cost(happened.cycles_per_step, happened.asleep if happened.sleeps else None)
    carried = ", state carried on" if happened.stateful else ""
    return (
        f"{happened.seconds:.1f} s, {counted(len(happened.windows), 'window')} on the {happened.recogniser}{carried}; "
        f"events: {counts}; "
        f"{counted(happened.lost, 'sample')} lost, {counted(happened.crc_errors, 'CRC error')}{cost}"
    )


def _event(event: LiveEvent) -> Text:
    return Text(f"{event.time_s:8.2f} s  {event.label}  {event.score}", style="bold green")


class _Display:
    """The moment, no more often than the screen shows it: a board sends faster than people look."""

    def __init__(self, shown: Live) -> None:
        self._shown = shown
        self._signal: deque[tuple[float, float]] = deque(maxlen=WIDTH)
        self._due = 0.0

    def __call__(self, update: Update) -> None:
        self._signal.append((math.hypot(*update.last[:3]), math.hypot(*update.last[3:6])))
        now = time.monotonic()
        if now >= self._due:
            self._due = now + 1 / REFRESH_HZ
            self._shown.update(Group(*self._lines(update)))

    def _lines(self, update: Update) -> list[RenderableType]:
        accel, rate = zip(*self._signal, strict=True)
        table = Table(box=None, show_header=False, padding=(0, 1))
        for label, score in zip(update.labels, update.scores, strict=False):
            table.add_row(label, Text("█" * round(score * BAR / 255)), str(score))
        state = (
            f"{update.elapsed_s:7.1f} s  {update.rate_hz:6.1f} Hz  lost {update.lost}  CRC {update.crc_errors}"
            f"{_cost(update.cycles_per_step, update.asleep)}"
        )
        return [
            Text(f"|a| {spark(accel, FULL[0])}", style="cyan"),
            Text(f"|w| {spark(rate, FULL[1])}", style="magenta"),
            table,
            Text(state, style="dim"),
        ]


def _cost(cycles_per_step: int, asleep: float | None) -> str:
    cycles = f"  {cycles_per_step:,} cycles per step" if cycles_per_step else ""
    return cycles + ("" if asleep is None else f"  asleep {asleep:.0%}")
