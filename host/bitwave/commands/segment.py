"""`bitwave segment`: gestures in continuous recordings, drawn, corrected by hand, cut into takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ..recordings.recording import Recording
    from ..synth.wrist import Interval


def segment(
    recordings: Annotated[list[Path], typer.Argument(help="Continuous recordings (CSV), or folders of them.")],
    cut: Annotated[Path | None, typer.Option(help="Write a take of each named segment into this data set.")] = None,
    background: Annotated[
        str | None, typer.Option(help="With --cut: also cut what lies between, under this label, like idle.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="With --cut: shortest take, the model's window.")] = 1.0,
    png: Annotated[bool, typer.Option("--png", help="Also draw a PNG; needs matplotlib.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Find gestures by movement energy; the segments' CSV is written once and then yours to correct."""
    import json

    from ..errors import UsageError
    from ..files import write_whole
    from ..recordings import segments
    from ..recordings.recording import read
    from ..recordings.segment_page import page
    from ..wording import counted

    if background is not None and cut is None:
        raise UsageError("--background needs --cut")
    console = Console(stderr=as_json, markup=False)
    told = []
    for path in [file for given in recordings for file in _files(given)]:
        recording = read(path)
        place = segments.corrections(path)
        is_new = not place.exists()
        if is_new:
            segments.write_segments(place, segments.find(recording))
        found = segments.read_segments(place, len(recording.samples))
        write_whole(place.with_suffix(".html"), page(recording, found, place.name).encode())
        if png:
            _draw(place.with_suffix(".png"), recording, found)
        written = _cut(path, recording, found, cut, background, seconds) if cut is not None else []
        unnamed = sum(one.label == segments.UNNAMED for one in found)
        console.print(
            f"{recording.name}: {counted(len(found), 'segment')} {'found' if is_new else 'as corrected'}, "
            f"{unnamed} without a "
            f"name; {counted(len(written), 'take')} cut. See {place.with_suffix('.html')}", soft_wrap=True,
        )  # fmt: skip
        told.append(
            {"recording": recording.name, "csv": str(place), "new": is_new, "segments": [vars(one) for one in found],
             "takes": [f"{name}.csv" for name in written]}
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(told))


def _files(given: Path) -> list[Path]:
    from ..errors import RecordingError
    from ..recordings.recording import split_name

    if not given.is_dir():
        return [given]
    found = sorted(given.glob("*.csv"), key=split_name)
    if not found:
        raise RecordingError(f"{given} holds no recording: give the folder streams that bitwave record wrote")
    return found


def _cut(
    path: Path, recording: Recording, found: list[Interval], out: Path, background: str | None, seconds: float
) -> list[str]:
    """Writes the takes that the data set does not have yet; returns their names."""
    from dataclasses import replace

    from ..errors import UsageError
    from ..recordings import segments
    from ..recordings.recording import next_number, read, write
    from ..recordings.session import check_name, read_session

    if out.resolve() == path.parent.resolve():
        raise UsageError(f"{out} holds the continuous recordings: cut into another folder, the data set's own")
    if background is not None:
        check_name("--background", background)
    who, session = recording.participant, recording.session
    facts = read_session(path.with_name(f"{who}.{session}.json"))
    known = {_key(read(file)) for file in out.glob(f"*.{who}.{session}.*.csv")}
    takes = [take for _, take in segments.cut(recording, found, background, seconds) if _key(take) not in known]
    first = {label: next_number(out, label, who, session) for label in {take.label for take in takes}}
    numbered = []
    for take in takes:
        numbered.append(replace(take, number=first[take.label]))
        first[take.label] += 1
    if numbered:
        write(out, facts.model_copy(update={"takes": ()}), numbered)
    return [take.name for take in numbered]


def _key(take: Recording) -> tuple[str, int, bytes]:
    """What makes a take the same one: its label, when it begins, and its counts."""
    return take.label, int(take.time_us[0]), take.samples.tobytes()


def _draw(path: Path, recording: Recording, found: list[Interval]) -> None:
    from ..recognition.picture import draw_stream

    draw_stream(
        path, recording.samples, recording.rate_hz, (), (), truth=found, counts=recording.counts, title=recording.name
    )
