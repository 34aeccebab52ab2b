"""What `bitwave dataset` shows: tables of takes, segments and sessions, what looks wrong, what to do next."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..recordings.room import Room, seconds
from ..recordings.survey import Survey
from ..wording import counted


def show(console: Console, found: Survey) -> None:
    """Prints a survey."""
    if found.recordings:
        console.print(_takes(found))
    if found.marked():
        console.print(_segments(found))
    console.print(_sessions(found.takes, found.streams))
    for finding in found.findings:
        console.print(
            Text.assemble((f"{finding.kind:10} ", "yellow"), f"{finding.where}: {finding.text}"), soft_wrap=True
        )
    for step in found.next_steps():
        console.print(Text.assemble(("next       ", "cyan"), step), soft_wrap=True)
    if found.recordings or not found.streams.recordings:
        cut = f", {found.cut} of them cut from the streams" if found.cut else ""
        console.print(f"{counted(len(found.recordings), 'take')}{cut}, {seconds(found.recordings):.0f} s")
    if found.streams.recordings:
        streams = found.streams.recordings
        marked = counted(len(found.marked()), "segment")
        console.print(f"{counted(len(streams), 'stream')}, {seconds(streams):.0f} s, {marked}")
    console.print(counted(len(found.findings), "finding"))


def _takes(found: Survey) -> Table:
    table = Table("label", *found.participants, "all", "seconds", title="Takes")
    for label in found.labels:
        takes = found.of(label=label)
        counts = [str(len(found.of(who, label)) or "-") for who in found.participants]
        table.add_row(label, *counts, str(len(takes)), f"{sum(take.duration_s for take in takes):.1f}")
    return table


def _segments(found: Survey) -> Table:
    table = Table("label", *found.participants, "all", "seconds", title="Segments in streams")
    marked = found.marked()
    for label in sorted({one.label for one in marked}):
        mine = [one for one in marked if one.label == label]
        counts = [str(sum(one.participant == who for one in mine) or "-") for who in found.participants]
        table.add_row(label, *counts, str(len(mine)), f"{sum(one.seconds for one in mine):.1f}")
    return table


def _sessions(*rooms: Room) -> Table:
    table = Table(title="Sessions")
    table.add_column("session", no_wrap=True)
    for word in ("board", "count", "seconds", "Hz, measured", "lost", "CRC", "clipped"):
        table.add_column(word)
    for room in rooms:
        for name, facts in room.summary().items():
            rates = [f"{rate:.2f}" for rate in facts["measured_rate_hz"]]
            table.add_row(
                name, facts["board"], str(facts["recordings"]), f"{facts['seconds']:.0f}",
                f"{facts['rate_hz']:g}, {' to '.join(dict.fromkeys(rates)) or '-'}",
                *(str(facts[key]) for key in ("lost", "crc_errors", "clipped")),
            )  # fmt: skip
    return table
