"""`bitwave replay`: the events of recordings, and the proof that every implementation says the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from ..recognition.events import Difference, Replayed
    from ..recordings.recording import Recording


def replay(
    recordings: Annotated[list[Path], typer.Argument(help="Takes (CSV), or folders of them.")],
    model: Annotated[Path, typer.Option(help="A .tflite with bitwave metadata.")],
    prove: Annotated[
        bool, typer.Option("--prove", help="Also by the simulator and the emulated Cortex-M4; events must be equal.")
    ] = False,
    engine: Annotated[
        list[str] | None, typer.Option(help="Compare with these alone: simulator, m4-clang, m4-gcc; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Turn recordings into the events that the board would give, at the same sample."""
    import json

    from rich.progress import track

    from .. import tflite
    from ..errors import MissingPackage, ModelError, ParityMismatch
    from ..model.metadata import is_resampled
    from ..recognition import events

    quantized = tflite.read_model(model)
    metadata = quantized.metadata
    if metadata is None:
        raise ModelError(f"{model} has no labels and scaling of its own: export it with --labels first")
    takes = [take for path in recordings for take in _read(path)]
    others = engine or (list(events.ENGINES[1:]) if prove else [])
    host = events.opened("host", quantized)
    notes = Console(stderr=True)

    def by(recogniser: events.Recogniser, name: str) -> list[Replayed]:
        """All takes; an emulator needs a minute for an hour, and shows how far it is where somebody looks."""
        shown = track(takes, name, console=notes, transient=True, disable=not notes.is_terminal)
        return [events.replay(recogniser, take, metadata) for take in shown]

    told = by(host, "host")
    absent: dict[str, str] = {}
    differences: dict[str, Difference | None] = {}
    for name in others:
        try:
            recogniser = events.opened(name, quantized)
        except MissingPackage as error:
            if engine:
                raise
            absent[name] = str(error)
            continue
        differences[name] = events.compare(name, told, by(recogniser, name))
    if as_json:
        compared = {name: None if place is None else str(place) for name, place in differences.items()}
        typer.echo(json.dumps({"recordings": _json(told, metadata.labels), "differences": compared, "absent": absent}))
    else:
        _show(told, metadata.labels, differences, absent)
    for one in told:
        for row, rate_hz in one.rates:
            where = f", from row {row} on" if row else ""
            if is_resampled(rate_hz, metadata.rate_hz):
                line = f"samples of {rate_hz:g} Hz are resampled to the model's {metadata.rate_hz:g} Hz"
                typer.echo(f"{one.recording.name}{where}: {line}", err=True)
            elif row:
                typer.echo(f"{one.recording.name}{where}: samples of {rate_hz:g} Hz, as the model's are", err=True)
    wrong = [difference for difference in differences.values() if difference is not None]
    if wrong:
        raise ParityMismatch(f"the events are not the same: {wrong[0]}")


def _read(path: Path) -> list[Recording]:
    from ..errors import RecordingError
    from ..recordings.recording import read, split_name

    if not path.is_dir():
        return [read(path)]
    found = [read(file) for file in sorted(path.glob("*.csv"), key=split_name)]
    if not found:
        raise RecordingError(f"{path} holds no recording: give the folder that bitwave record or import wrote")
    return found


def _json(told: list[Replayed], labels: tuple[str, ...]) -> list[dict[str, object]]:
    return [
        {
            "recording": one.recording.name,
            "seconds": round(one.duration_s, 3),
            "rates": [{"row": row, "rate_hz": rate_hz} for row, rate_hz in one.rates],
            "slept": one.slept,
            "events": [
                {
                    "row": event.sample,
                    "t_us": int(one.recording.time_us[event.sample]),
                    "label": labels[event.label],
                    "score": event.score,
                }
                for event in one.events
            ],
        }
        for one in told
    ]


def _show(
    told: list[Replayed], labels: tuple[str, ...], differences: dict[str, Difference | None], absent: dict[str, str]
) -> None:
    from ..wording import counted

    console = Console(markup=False)  # a path may hold brackets
    for one in told:
        start = int(one.recording.time_us[0]) if len(one.recording.time_us) else 0
        for event in one.events:
            seconds = (int(one.recording.time_us[event.sample]) - start) / 1e6
            where = f"{one.recording.name}  row {event.sample:6d}  {seconds:9.2f} s"
            console.print(Text.assemble(where, (f"  {labels[event.label]}", "bold green"), f"  {event.score}"))
    duration = sum(one.duration_s for one in told)
    elapsed = sum(one.elapsed_s for one in told)
    count = sum(len(one.events) for one in told)
    samples = sum(len(one.recording.samples) for one in told)
    slept = sum(one.slept for one in told)
    asleep = f"; asleep {slept / samples:.0%} of the time" if slept else ""
    console.print(
        f"{counted(len(told), 'recording')}, {duration:.1f} s, {counted(count, 'event')}; the core took "
        f"{elapsed:.3f} s of one processor core, {duration / max(elapsed, 1e-9):,.0f} times real time{asleep}",
        soft_wrap=True,
    )
    for name, difference in differences.items():
        console.print(f"{name}: {'the same events' if difference is None else difference}")
    for name, reason in absent.items():
        console.print(f"{name}: absent: {reason}")
