"""`bitwave doctor`: what is the matter with a board, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from ..boards.doctor import Examination, Finding

MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "bold red")}


def doctor(
    link: Annotated[
        str | None, typer.Argument(help="serial:PORT, ble:NAME or emu:...; without one, all boards on USB.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Examine boards: port, rights, firmware, model, rate, losses. Each line has its next step; exit code 6 if bad."""
    import json

    from ..boards import doctor as practice
    from ..errors import LinkError

    found = practice.examine_usb() if link is None else [practice.examine(link)]
    if as_json:
        typer.echo(json.dumps({"healthy": all(one.healthy for one in found), "boards": [_json(one) for one in found]}))
    else:
        for one in found:
            _print(one)
    if not all(one.healthy for one in found):
        raise typer.Exit(LinkError.exit_code)


def _json(one: Examination) -> dict[str, object]:
    return {"link": one.link, "healthy": one.healthy, "findings": [vars(finding) for finding in one.findings]}


def _print(one: Examination) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if one.link:
        console.print(Text(one.link, style="bold"))
    for finding in one.findings:
        console.print(line(finding))


def line(finding: Finding) -> Text:
    """One line of a finding."""
    mark, style = MARKS[finding.state]
    text = Text(f"  {mark} ", style=style)
    text.append(f"{finding.check:<10} {finding.found}", style="")
    if finding.next:
        text.append(f"; next: {finding.next}", style="cyan")
    return text
