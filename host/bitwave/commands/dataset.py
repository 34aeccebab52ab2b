"""`bitwave dataset`: what a data set holds, what is wrong in it, and forgetting a participant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


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
    """Count takes, streams and their segments; find gaps, clipping, wrong axes, odd rates and duplicates."""
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
    from ..wording import counted
    from .dataset_tables import show

    waiting = [hidden.relative_to(folder).as_posix() for hidden, _, _ in journals(folder)]
    if waiting:
        Console(stderr=True, markup=False).print(
            f"{len(waiting)} not done yet, like {waiting[0]}: where nobody is recording, a crash cut it off, and the "
            "next bitwave record into this folder makes it a take"
        )
    with _reading(folder) as on_read:
        found = survey(folder, on_read)
    mended = mend(found, fix) if fix is not None else None
    if as_json:
        summary = found.summary() | {"unfinished": waiting}
        if mended is not None:
            summary["fixed"] = {"folder": str(fix)} | vars(mended)
        typer.echo(json.dumps(summary))
        return
    console = Console(markup=False)  # a path may hold brackets
    show(console, found)
    if mended is not None:
        streams = f"{counted(mended.streams, 'stream')} with {counted(mended.segments, 'file')} of segments, "
        console.print(
            f"{fix}: {counted(mended.kept, 'take')}, {streams if found.streams.recordings else ''}gaps filled in "
            f"{len(mended.filled)}, {len(mended.left_out)} left out", soft_wrap=True,
        )  # fmt: skip


@contextmanager
def _reading(folder: Path) -> Iterator[Callable[[Path], None]]:
    """A bar while recordings are read, gone when they are; an hour of a stream takes seconds."""
    from rich.progress import Progress

    from ..recordings.room import recordings_in
    from ..recordings.session import STREAMS

    sizes = {path: path.stat().st_size for room in (folder, folder / STREAMS) for path in recordings_in(room)}
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        bar = progress.add_task("reading", total=sum(sizes.values()))
        last = 0

        def on_read(path: Path) -> None:
            nonlocal last
            progress.advance(bar, last)
            last = sizes.get(path, 0)

        yield on_read


def _forget(participant: str, folder: Path, yes: bool, as_json: bool) -> None:
    from ..errors import UsageError
    from ..recordings.forgetting import files_of, forget, mentions
    from ..wording import counted

    found = files_of(folder, participant)
    if not yes:
        import sys

        if as_json or not sys.stdin.isatty():
            raise UsageError(f"this deletes {counted(len(found), 'file')} of {participant} for good: say so with --yes")
        typer.confirm(f"Delete {counted(len(found), 'file')} of {participant} in {folder} for good?", abort=True)
    gone = forget(folder, participant)
    left = mentions(folder, participant)
    if as_json:
        told = {"forgotten": participant, "files": list(map(str, gone)), "still_mentioned_in": list(map(str, left))}
        typer.echo(json.dumps(told))
        return
    console = Console(markup=False)
    are = "1 file of {} is" if len(gone) == 1 else f"{len(gone)} files of {{}} are"
    console.print(f"{are.format(participant)} gone. Models that learned from them are not: train again.")
    for path in left:
        console.print(f"{path} still mentions {participant}: take that out yourself", soft_wrap=True)
