"""Recording takes off a link: count-in, samples, gaps, and a file per take as soon as it is done.

Nothing that was recorded is lost: a take is in a journal while it runs, and a file of its own as soon as it is done;
where the link vanishes, the person stops or the system shuts down in the middle of one, what came is kept and marked;
where the disk is full, the take goes to the temporary folder. A take that is done again is moved aside.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import LinkError, RecordingError
from ..links.link import Link
from ..links.samples import Block, require_sensor
from ..recordings.holding import hold
from ..recordings.recording import Recording, merged
from ..recordings.session import Session, check_name
from ..wire.requests import Stream
from .arriving import Arriving
from .cues import CapturePlan, CaptureReport, Cue, Phase, Progress
from .ending import Ended, Ending
from .keeping import withdraw
from .meter import Meter, session_facts

__all__ = ("CapturePlan", "CaptureReport", "Cue", "Progress", "check_cues", "record", "record_cues")

AFTERTHOUGHT_S = 3.0  # after the last take, for who wants to do it again

REDO, QUIT = "r", "q"


def record(link: Link, plan: CapturePlan, on_progress: Callable[[Progress], None] | None = None) -> CaptureReport:
    """Records the takes of a plan; see `record_cues`."""
    check_name("label", plan.label)
    return record_cues(link, plan.out, plan.participant, plan.session, plan.cues, on_progress)


def check_cues(cues: Sequence[Cue]) -> None:
    """Raises `RecordingError` where takes cannot be asked for so."""
    for cue in cues:
        check_name("label", cue.label)
    if not cues or any(not 0.05 <= cue.seconds <= 3600 or not 0 <= cue.count_in_s <= 60 for cue in cues):
        raise RecordingError(
            "record at least one take of 0.05 to 3600 s, behind a count-in of 0 to 60 s; longer ones are --continuous"
        )


def record_cues(
    link: Link,
    out: Path,
    participant: str,
    session: str,
    cues: Sequence[Cue],
    on_progress: Callable[[Progress], None] | None = None,
    keys: Callable[[], str] | None = None,
    ending: Ending | None = None,
) -> CaptureReport:
    """Records takes in an order; see the module for what happens when something breaks.

    Args:
        link: an open link.
        out: folder of the data set.
        participant: pseudonym.
        session: name of the sitting.
        cues: what to record.
        on_progress: called many times a second.
        keys: returns what was typed since the last call. ``r`` does the take that is running or was last again, ``q``
            ends after it.
        ending: of `bitwave.capture.ending.heeded`, where signals shall end this in an orderly way.

    Raises:
        RecordingError: a name that cannot be used, or a session that does not fit the board.
        SessionBusy: another process records this session.
        LinkError: the board is not there, or vanished; what came of a take is on the disk.
        Ended: a signal came; what came of a take is on the disk.
        WriteError: the disk is full; the message says where the take is.
    """
    check_cues(cues)
    ending = ending or Ending()
    with hold(out, participant, session):
        info = link.info()
        require_sensor(link, info)
        facts = merged(out, session_facts(info, participant, session))
        capture = _Capture(link, Meter(link, info.channels, ending.check), out, facts, cues, on_progress, keys)
        link.ask(Stream(1))
        try:
            with ending.deferred():
                return capture.run()
        finally:
            with contextlib.suppress(LinkError):  # the port may be what failed
                link.ask(Stream(0))


class _Capture:
    """The state of one `record_cues`."""

    def __init__(
        self,
        link: Link,
        meter: Meter,
        out: Path,
        session: Session,
        cues: Sequence[Cue],
        on_progress: Callable[[Progress], None] | None,
        keys: Callable[[], str] | None,
    ) -> None:
        self.link = link
        self.meter = meter
        self.out = out
        self.session = session
        self.total = len(cues)
        self.todo = deque(cues)
        self.on_progress = on_progress
        self.keys = keys
        self.done: list[tuple[Cue, Recording]] = []
        self.redone: list[str] = []
        self.typed = ""

    def run(self) -> CaptureReport:
        try:
            self._all()
        except Ended as ended:
            ended.whole = sum(take.complete for _, take in self.done)
            raise
        return CaptureReport(self.session, tuple(take for _, take in self.done), tuple(self.redone))

    def _all(self) -> None:
        while self.todo and QUIT not in self.typed:
            cue = self.todo[0]
            if self._rest("count-in", cue, cue.count_in_s):
                continue  # a take was moved aside and comes first
            if QUIT in self.typed:
                break
            self._take(self.todo.popleft())
            if self.keys is not None and not self.todo:
                with contextlib.suppress(LinkError, KeyboardInterrupt):  # all that was asked for is done
                    self._rest("over", cue, AFTERTHOUGHT_S)

    def _rest(self, phase: Phase, cue: Cue, seconds: float) -> bool:
        """Waits by the board's clock; True where a take is to be done again."""
        passed = 0
        wanted = round(seconds * self.session.rate_hz)
        while passed < wanted and QUIT not in self.typed:
            for block in self.meter.read():
                passed += len(block.indices)
                self._tell(phase, cue, passed, block)
            self._listen()
            if self._redo():
                return True
        return False

    def _listen(self) -> None:
        if self.keys is not None:
            self.typed += self.keys()

    def _redo(self) -> bool:
        """Moves the last take aside where that was asked for."""
        asked = REDO in self.typed and bool(self.done)
        self.typed = self.typed.replace(REDO, "")
        if asked:
            cue, take = self.done.pop()
            self.session = withdraw(self.out, self.session, take)
            self.redone.append(take.name)
            self.todo.appendleft(cue)
        return asked

    def _take(self, cue: Cue) -> None:
        wanted = round(cue.seconds * self.session.rate_hz)
        take = Arriving(self.out, self.session, cue.label, wanted, self.meter)
        self.link.cue(cue.label, cue.seconds)
        try:
            while take.length < wanted:
                for block in take.read():
                    self._tell("take", cue, take.length, block)
                self._listen()
        except (LinkError, KeyboardInterrupt) as error:
            if not take.length:
                raise
            came = self._keep(cue, take, complete=False)
            kept = f"{len(came.samples)} of {wanted} samples are kept in {came.name}.csv, marked as incomplete"
            if isinstance(error, LinkError):
                raise LinkError(f"{error}; {kept}") from error
            if isinstance(error, Ended):
                error.kept = kept
            raise
        came = self._keep(cue, take)
        self._tell("saved", cue, wanted, block, faults(came))
        if self._redo():
            self._tell("redo", cue, 0, block)

    def _keep(self, cue: Cue, take: Arriving, complete: bool = True) -> Recording:
        self.session, kept = take.finish(take.wanted, complete)
        self.done.append((cue, kept))
        return kept

    def _tell(self, phase: Phase, cue: Cue, samples: int, block: Block, faults: str = "") -> None:
        if self.on_progress is not None:
            number = len(self.done) + (phase in ("count-in", "take"))
            elapsed = samples / self.session.rate_hz
            self.on_progress(self.meter.progress(phase, cue, number, self.total, elapsed, block, faults))


def faults(take: Recording) -> str:
    """What a person should know about a take who may still do it again; empty where it is sound."""
    counts = ((take.lost, "samples lost"), (take.crc_errors, "CRC errors"), (take.clipped, "samples clipped"))
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{take.name}: {told}" if told else ""
