"""`bitwave record`: takes off a board, with a count-in, guided by a plan, or continuous."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from ..capture.cues import CaptureReport, Cue, Progress
    from ..capture.ending import Ending
    from ..capture.guide import Plan
    from ..links.link import Link
    from ..recordings.recording import Recording

SITTING_S = 4 * 3600.0  # who takes a break for longer has taken the board off
RATE_TOLD = 0.02  # a board's oscillator is off by less


def record(
    link: Annotated[str, typer.Argument(help="serial:PORT, ble:NAME, replay:FILE.csv or emu: (the virtual wrist).")],
    participant: Annotated[str, typer.Option(help="Pseudonym like p01; never a real name, it is in every file.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; made where missing.")],
    label: Annotated[
        str | None, typer.Option(help="Gesture of these takes, like wave; idle and unknown are no gestures.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Guided session: a TOML plan of labels and counts; asks for what is missing.")
    ] = None,
    continuous: Annotated[
        bool, typer.Option(help="One long recording into OUT/streams, until --seconds, q or Ctrl-C; segment it later.")
    ] = False,
    redo: Annotated[bool, typer.Option(help="Move the label's last take aside (OUT/redone), then record.")] = False,
    session: Annotated[str, typer.Option(help="Name of this sitting.")] = "s01",
    count: Annotated[int | None, typer.Option(min=1, help="Takes; 10, or 1 with --redo.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.05, help="Length of a take; 1.5.")] = None,
    count_in: Annotated[float, typer.Option(min=0, help="Seconds of rest before each take.")] = 3.0,
    realtime: Annotated[bool, typer.Option(help="Slow emu: and replay: down to the clock on the wall.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON document.")] = False,
) -> None:
    """Record takes, one file each, each written as soon as it is done; while it runs, r does the last one again."""
    from .. import links
    from ..capture.ending import Ended, heeded
    from ..capture.guide import read_plan
    from ..capture.keyboard import keys
    from ..capture.takes import check_cues
    from ..errors import Stopped, UsageError
    from ..recordings.holding import hold
    from ..recordings.session import STREAM, STREAMS, check_name
    from ..wording import counted
    from .record_display import display, lasting_console

    if plan is not None and (label or continuous or redo or count or seconds):
        raise UsageError("--plan says labels, counts and seconds itself: leave --label, --count and the like out")
    if plan is None and not label and not continuous:
        raise UsageError("give the gesture with --label, or a guided session with --plan, or --continuous")
    if continuous and (redo or count):
        raise UsageError("--continuous records one long take: leave --redo and --count out")
    guided = read_plan(plan) if plan else None
    console = lasting_console()
    try:
        with heeded() as ending, hold(out, participant, session):
            make = _Maker(out, participant, session, console, ending)
            recovered = make.recovered()
            make.note_old_session(continuous)
            takes = count or (1 if redo else 10)
            cues = make.guided(guided) if guided else plain(label or STREAM, takes, seconds, count_in)
            if not continuous and not cues:
                console.print("Nothing is missing.")
                return
            if continuous:
                check_name("label", label or STREAM)
            else:
                check_cues(cues)
            old = make.last(label or "") if redo else None
            with links.open(link, realtime) as opened:
                opened.notice = console.print
                console.print(f"Participant {participant}: names are pseudonyms. Keep who is who out of this folder.")
                if old is not None:
                    opened.info()  # there must be a board to do it again with
                    make.withdraw(old)
                with keys() as typed, display(console, typed is not None, continuous) as show:
                    if continuous:
                        report = make.continuous(opened, label, seconds, show, typed)
                    else:
                        report = make.takes(opened, cues, show, typed)
    except Ended as ended:
        raise Stopped(str(ended), ended.exit_code) from ended
    redone = [old.name] if old is not None else []
    redone += report.redone
    for line in off_rate(report.recordings):
        console.print(line)
    if as_json:
        typer.echo(_json(report, redone, recovered, opened.losses, make.missing(guided) if guided else None))
        return
    if guided:
        make.show_missing(guided)
    console.print(
        f"{counted(len(report.recordings), 'take')} in "
        f"{out / STREAMS if continuous else out}: {report.lost} samples lost, {report.crc_errors} CRC errors, "
        f"{report.clipped} samples clipped, {len(redone)} done again"
    )


def plain(label: str, count: int, seconds: float | None, count_in: float) -> Sequence[Cue]:
    """Takes of one label."""
    from ..capture.cues import Cue

    return [Cue(label, 1.5 if seconds is None else seconds, count_in)] * count


class _Maker:
    """What the ways to record share."""

    def __init__(self, out: Path, participant: str, session: str, console: Console, ending: Ending) -> None:
        self.out = out
        self.participant = participant
        self.session = session
        self.console = console
        self.ending = ending

    def recovered(self) -> list[str]:
        """Makes takes of what earlier runs left half done, and says so; their names."""
        from ..capture.journal import recover

        leftovers = recover(self.out)
        for leftover in leftovers:
            self.console.print(str(leftover))
        return [leftover.name for leftover in leftovers if not leftover.trouble]

    def note_old_session(self, continuous: bool) -> None:
        """Two sittings under one name look like one: split by session, they would not be told apart."""
        from ..capture.keeping import rested_s
        from ..recordings.session import STREAMS

        rested = rested_s(self.out / STREAMS if continuous else self.out, self.participant, self.session)
        if rested is not None and rested > SITTING_S:
            self.console.print(
                f"{self.participant} {self.session} was last recorded {rested / 3600:.0f} hours ago and goes on: "
                "where this is another sitting, stop and give it a name of its own with --session"
            )

    def last(self, label: str) -> Recording:
        """The take that is to be done again."""
        from ..errors import UsageError
        from ..recordings.recording import next_number, read

        number = next_number(self.out, label, self.participant, self.session) - 1
        if number == 0:
            raise UsageError(f"{self.out} has no take of {label} by {self.participant} in {self.session} to redo")
        return read(self.out / f"{label}.{self.participant}.{self.session}.{number}.csv")

    def withdraw(self, take: Recording) -> None:
        """Moves a take aside."""
        from ..capture.keeping import withdraw
        from ..recordings.session import read_session

        withdraw(self.out, read_session(self.out / f"{self.participant}.{self.session}.json"), take)
        self.console.print(f"{take.name} is in {self.out / 'redone'}")

    def guided(self, plan: Plan) -> Sequence[Cue]:
        """What the plan misses of this participant, shuffled."""
        from ..capture.guide import shuffled

        self.show_missing(plan)
        return shuffled(plan, self.participant, self.session, self.missing(plan)[self.participant])

    def missing(self, plan: Plan) -> dict[str, dict[str, int]]:
        """Takes still to be made, by participant and label."""
        from ..capture.guide import missing, people, recorded

        found = recorded(self.out)
        return missing(plan, found, people(plan, found, self.participant))

    def show_missing(self, plan: Plan) -> None:
        """Draws the table of what is missing."""
        from rich.table import Table

        left = self.missing(plan)
        table = Table("label", *left, title="Takes still missing")
        for label, wanted in plan.labels.items():
            table.add_row(label, *(f"{left[who][label]} of {wanted.count}" for who in left))
        self.console.print(table)

    def takes(
        self, link: Link, cues: Sequence[Cue], show: Callable[[Progress], None], typed: Callable[[], str] | None
    ) -> CaptureReport:
        """Records takes."""
        from ..capture.takes import record_cues

        return record_cues(link, self.out, self.participant, self.session, cues, show, typed, self.ending)

    def continuous(
        self,
        link: Link,
        label: str | None,
        seconds: float | None,
        show: Callable[[Progress], None],
        typed: Callable[[], str] | None,
    ) -> CaptureReport:
        """Records one long take."""
        from ..capture.continuous import LONGEST_S, record_continuous
        from ..capture.cues import Cue
        from ..recordings.session import STREAM

        cue = Cue(label or STREAM, seconds or LONGEST_S, 0.0)
        return record_continuous(link, self.out, cue, self.participant, self.session, show, typed, self.ending)


def off_rate(takes: Sequence[Recording]) -> Iterator[str]:
    """A line for each take whose clock ran at another rate than the board states."""
    from ..recordings.recording import RATE_TOLERANCE, measured_rate

    for take in takes:
        rate_hz = measured_rate(take.time_us, take.gaps)
        off = abs(rate_hz / take.rate_hz - 1) if rate_hz else 0.0
        if off > RATE_TOLD:
            what = "too far off to be used" if off > RATE_TOLERANCE else "what is replayed is resampled"
            yield f"{take.name}: came at {rate_hz:.1f} Hz, the board says {take.rate_hz:g} Hz: {what}; bitwave doctor"


def _json(
    report: CaptureReport,
    redone: list[str],
    recovered: list[str],
    link_losses: int,
    missing: dict[str, dict[str, int]] | None,
) -> str:
    import json

    takes = [{"file": f"{r.name}.csv", "samples": len(r.samples), "lost": r.lost} for r in report.recordings]
    told: dict[str, object] = {
        "takes": takes,
        "lost": report.lost,
        "crc_errors": report.crc_errors,
        "clipped": report.clipped,
        "redone": redone,
        "recovered": recovered,
        "link_losses": link_losses,
    }
    return json.dumps(told if missing is None else told | {"missing": missing})
