"""`bitwave dataset`: what a folder of recordings holds, what is wrong in it, and forgetting a participant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ..recordings.survey import Survey


def dataset(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER] | forget PARTICIPANT [FOLDER]",
            help="Folder of the data set, this one where left out. forget deletes all recordings of a participant.",
            show_default=False,
        ),
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(help="Write a mended copy to this new folder; the original stays as it is.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Forget without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Count the recordings of a data set, and find gaps, clipping, wrong axes, odd rates and duplicates."""
    from ..errors import UsageError

    given = words or []
    if given[:1] == ["forget"]:
        if not 2 <= len(given) <= 3 or fix is not None:
            raise UsageError("say: bitwave dataset forget PARTICIPANT [FOLDER]")
        _forget(given[1], Path(given[2] if len(given) == 3 else "."), yes, as_json)
        return
    if len(given) > 1:
        raise UsageError(f"one folder at a time, or forget PARTICIPANT [FOLDER]; found {' '.join(given)}")
    _show(Path(given[0] if given else "."), fix, as_json)


def _show(folder: Path, fix: Path | None, as_json: bool) -> None:
    from ..capture.journal import journals
    from ..recordings.mending import mend
    from ..recordings.survey import survey

    waiting = [hidden.relative_to(folder).as_posix() for hidden, _, _ in journals(folder)]
    if waiting:
        Console(stderr=True, markup=False).print(
            f"{len(waiting)} not done yet, like {waiting[0]}: where nobody is recording, a crash cut it off, and the "
            "next bitwave record into this folder makes it a take"
        )
    found = survey(folder)
    mended = mend(found, fix) if fix is not None else None
    if as_json:
        summary = found.summary() | {"unfinished": waiting}
        if mended is not None:
            summary["fixed"] = {"folder": str(fix)} | vars(mended)
        typer.echo(json.dumps(summary))
        return
    console = Console(markup=False)  # a path may hold brackets
    console.print(_labels(found), _sessions(found))
    for finding in found.findings:
        console.print(Text.assemble((f"{finding.kind:10} ", "yellow"), f"{finding.where}: {finding.text}"))
    takes, duration = len(found.recordings), sum(take.duration_s for take in found.recordings)
    console.print(f"{takes} recordings, {duration:.0f} s, {len(found.findings)} findings")
    if mended is not None:
        console.print(
            f"{fix}: {mended.kept} recordings, gaps filled in {len(mended.filled)}, {len(mended.left_out)} left out"
        )


def _forget(participant: str, folder: Path, yes: bool, as_json: bool) -> None:
    from ..errors import UsageError
    from ..recordings.mending import files_of, forget

    found = files_of(folder, participant)
    if not yes:
        import sys

        if as_json or not sys.stdin.isatty():
            raise UsageError(f"this deletes {len(found)} files of {participant} for good: say so with --yes")
        typer.confirm(f"Delete {len(found)} files of {participant} in {folder} for good?", abort=True)
    gone = forget(folder, participant)
    if as_json:
        typer.echo(json.dumps({"forgotten": participant, "files": [str(path) for path in gone]}))
        return
    Console(markup=False).print(
        f"{len(gone)} files of {participant} are gone. Models that learned from them are not: train again."
    )


def _labels(found: Survey) -> Table:
    table = Table("label", *found.participants, "all", "seconds", title="Recordings")
    for label in found.labels:
        takes = found.of(label=label)
        counts = [str(len(found.of(who, label)) or "-") for who in found.participants]
        table.add_row(label, *counts, str(len(takes)), f"{sum(take.duration_s for take in takes):.1f}")
    return table


def _sessions(found: Survey) -> Table:
    table = Table("session", "board", "recordings", "Hz said", "measured", "lost", "CRC", "clipped", title="Sessions")
    sessions = found.summary()["sessions"]
    assert isinstance(sessions, dict)
    for name, facts in sessions.items():
        rates = [f"{rate:.2f}" for rate in facts["measured_rate_hz"]]
        table.add_row(
            name, facts["board"], str(facts["recordings"]), f"{facts['rate_hz']:g}", " to ".join(dict.fromkeys(rates)),
            *(str(facts[key]) for key in ("lost", "crc_errors", "clipped")),
        )  # fmt: skip
    return table
