"""`bitwave parity`: proves that every implementation computes the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..model.quantmodel import QuantModel
    from ..parity.comparison import ParityReport, Progress, Tally
    from ..parity.engines import Engine

DEFAULT_WINDOWS = 48


def parity(
    model: Annotated[Path, typer.Argument(help="The int8 .tflite file.", show_default=False)],
    windows: Annotated[int, typer.Option(min=1, max=10_000, help="Windows to run.")] = DEFAULT_WINDOWS,
    recordings: Annotated[
        Path | None, typer.Option(help="Folder of recordings: half of the windows are cut from them.")
    ] = None,
    board: Annotated[
        str | None, typer.Option(metavar="LINK", help="A board that runs the model: serial:PORT, ble:NAME, emu:...")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the table.")] = False,
) -> None:
    """Compare every engine with tflite-micro, value by value, with equality; with --board a real board too."""
    from ..errors import ParityMismatch
    from ..parity.comparison import compare
    from ..parity.windows import mixed_windows
    from ..tflite.reader import read_bytes, read_model

    data = read_bytes(model)
    found = read_model(model)
    batch = mixed_windows(found, windows, recordings)
    with ExitStack() as stack:
        more = {} if board is None else {"board": _open_board(stack, board, data, found)}
        report = compare(data, batch, progress=stack.enter_context(progress_bars()), more=more)
    if json:
        import json as codec

        typer.echo(codec.dumps(report.to_json()))
    else:
        print_table(report)
    if report.failures:
        raise ParityMismatch(f"not equal; first difference: {report.failures[0]}")


def _open_board(stack: ExitStack, url: str, data: bytes, model: QuantModel) -> Engine:
    from .. import links
    from ..parity.engines.board import BoardEngine

    return BoardEngine(stack.enter_context(links.open(url)), data, model)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """One bar per engine on a terminal, while it runs; gives what `parity.compare` calls."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    with progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, progress.TaskID] = {}

        def show(engine: str, done: int, total: int) -> None:
            if engine not in tasks:
                tasks[engine] = bar.add_task(engine, total=total)
            bar.update(tasks[engine], completed=done)

        yield show


def print_table(report: ParityReport) -> None:
    """What was compared, engine by engine."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from ..parity.comparison import KINDS
    from ..parity.engines import INFORMATIVE
    from ..wording import counted

    table = Table(
        box=SIMPLE,
        title=f"{counted(report.windows, 'window')} against {report.reference}: values compared, different ones",
    )
    for heading in ("engine", *KINDS, "max"):
        table.add_column(heading, no_wrap=True)
    table.add_column("", no_wrap=True, min_width=9)
    for name, entry in report.engines.items():
        cells = [_tally_text(tally) for tally in entry.kinds.values()]
        if name == report.reference:
            verdict = "reference" if not entry.total.mismatches else "DIFFERS FROM ITSELF"
        elif name in INFORMATIVE:
            verdict = "only told"
        else:
            verdict = "equal" if not entry.total.mismatches else "DIFFERENT"
        table.add_row(name, *cells, str(entry.total.max_abs_diff), verdict)
    for name in report.absent:
        table.add_row(name, *["-"] * (len(KINDS) + 1), "absent")
    console = Console()
    console.print(table)
    for name, reason in report.absent.items():
        console.print(f"{name}: {reason}", style="dim", markup=False)  # [verify] is an extra, not a style


def _tally_text(tally: Tally) -> str:
    if not tally.compared:
        return "-"
    return f"{tally.compared:,}" if not tally.mismatches else f"{tally.mismatches:,} of {tally.compared:,}"
