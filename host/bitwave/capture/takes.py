"""Recording takes off a link: count-in, samples, gaps, and a file per take as soon as it is done.

Nothing that was recorded is lost: takes are written whole, one by one; where the link vanishes or the person stops in
the middle of a take, what came is kept and marked; where the disk is full, the take goes to the temporary folder. A
take that is done again is moved aside.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import LinkError, RecordingError
from ..links.link import Link
from ..links.samples import Block, SampleReader, require_sensor
from ..model.metadata import CountsScale
from ..recordings.recording import COUNT_MAX, COUNT_MIN, Recording
from ..recordings.session import CHANNELS, Gap, Session, check_name
from ..wire.frames import Info
from ..wire.requests import Stream
from .cues import CapturePlan, CaptureReport, Cue, Phase, Progress
from .keeping import free_number, keep, recover, withdraw

__all__ = (
    "CapturePlan",
    "CaptureReport",
    "Cue",
    "Meter",
    "Progress",
    "gaps_by_index",
    "record",
    "record_cues",
    "recording",
    "session_facts",
)

BOARDS = {0: "emulated", 1: "nano33ble-rev1", 2: "nano33ble-rev2"}
AFTERTHOUGHT_S = 3.0  # after the last take, for who wants to do it again

REDO, QUIT = "r", "q"


def record(link: Link, plan: CapturePlan, on_progress: Callable[[Progress], None] | None = None) -> CaptureReport:
    """Records the takes of a plan; see `record_cues`."""
    check_name("label", plan.label)
    if plan.count < 1:
        raise RecordingError("a plan has at least one take of 0.05 to 3600 s, and a count-in of 0 to 60 s")
    return record_cues(link, plan.out, plan.participant, plan.session, plan.cues, on_progress)


def record_cues(
    link: Link,
    out: Path,
    participant: str,
    session: str,
    cues: Sequence[Cue],
    on_progress: Callable[[Progress], None] | None = None,
    keys: Callable[[], str] | None = None,
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

    Raises:
        RecordingError: a name that cannot be used, or a session that does not fit the board.
        LinkError: the board is not there, or vanished; what came of a take is on the disk.
        WriteError: the disk is full; the message says where the take is.
    """
    for word, text in (("participant", participant), ("session", session), *(("label", cue.label) for cue in cues)):
        check_name(word, text)
    if not cues or any(not 0.05 <= cue.seconds <= 3600 or not 0 <= cue.count_in_s <= 60 for cue in cues):
        raise RecordingError("a plan has at least one take of 0.05 to 3600 s, and a count-in of 0 to 60 s")
    info = link.info()
    require_sensor(link, info)
    facts = session_facts(info, participant, session)
    recovered = tuple(path.stem for path in recover(out, facts))
    link.ask(Stream(1))
    try:
        return _Capture(link, info, out, facts, cues, on_progress, keys, recovered).run()
    finally:
        with contextlib.suppress(LinkError):  # the port may be what failed
            link.ask(Stream(0))


def session_facts(info: Info, participant: str, session: str) -> Session:
    """The session file of a board's takes; raises `RecordingError` where the board states no usable rate or scale."""
    if not (info.rate_mhz and info.accel_milli_lsb and info.gyro_milli_lsb and info.channels):
        raise RecordingError("the board states no rate, scale or channels: update its firmware")
    names = CHANNELS if info.channels == len(CHANNELS) else tuple(f"c{i}" for i in range(info.channels))
    return Session(
        tool=f"bitwave {__version__}",
        source="record",
        participant=participant,
        session=session,
        board=BOARDS.get(info.board, "unknown"),
        firmware=".".join(map(str, info.firmware)),
        channels=names,
        counts=CountsScale(accel_lsb_per_g=info.accel_milli_lsb / 1000, gyro_lsb_per_dps=info.gyro_milli_lsb / 1000),
        rate_hz=info.rate_mhz / 1000,
    )


class Meter:
    """What `Progress` says about the link while samples come in."""

    def __init__(self, link: Link, channels: int) -> None:
        self.link = link
        self.reader = SampleReader(link, channels)
        self.errors_before = link.errors
        self.clipped = 0

    def read(self) -> list[Block]:
        """The next samples; see `SampleReader.read`."""
        blocks = self.reader.read()
        for block in blocks:
            self.clipped += int(((block.samples == COUNT_MIN) | (block.samples == COUNT_MAX)).any(axis=1).sum())
        return blocks

    @property
    def crc_errors(self) -> int:
        """Damaged frames since the start."""
        return self.link.errors - self.errors_before

    def progress(self, phase: Phase, cue: Cue, take: int, of: int, elapsed_s: float, block: Block) -> Progress:
        """The moment of a block."""
        return Progress(
            phase, cue, take, of, elapsed_s, self.reader.rate_hz, self.reader.lost,
            self.crc_errors, self.clipped, tuple(block.samples[-1].tolist()),
        )  # fmt: skip


class _Capture:
    """The state of one `record_cues`."""

    def __init__(
        self,
        link: Link,
        info: Info,
        out: Path,
        session: Session,
        cues: Sequence[Cue],
        on_progress: Callable[[Progress], None] | None,
        keys: Callable[[], str] | None,
        recovered: tuple[str, ...],
    ) -> None:
        self.link = link
        self.out = out
        self.session = session
        self.total = len(cues)
        self.todo = deque(cues)
        self.on_progress = on_progress
        self.keys = keys
        self.recovered = recovered
        self.meter = Meter(link, info.channels)
        self.done: list[tuple[Cue, Recording]] = []
        self.redone: list[str] = []
        self.typed = ""

    def run(self) -> CaptureReport:
        while self.todo and QUIT not in self.typed:
            cue = self.todo[0]
            if self._rest("count-in", cue, cue.count_in_s):
                continue  # a take was moved aside and comes first
            if QUIT in self.typed:
                break
            self._take(self.todo.popleft())
            if self.keys is not None and not self.todo:
                self._rest("over", cue, AFTERTHOUGHT_S)
        return CaptureReport(self.session, tuple(take for _, take in self.done), tuple(self.redone), self.recovered)

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
        number = free_number(self.out, cue.label, self.session.participant, self.session.session)
        wanted = round(cue.seconds * self.session.rate_hz)
        self.link.cue(cue.label, cue.seconds)
        blocks: list[Block] = []
        errors = self.link.errors
        try:
            while not blocks or blocks[-1].indices[-1] - blocks[0].indices[0] + 1 < wanted:
                for block in self.meter.read():
                    blocks.append(block)
                    self._tell("take", cue, int(block.indices[-1] - blocks[0].indices[0]) + 1, block)
                self._listen()
        except (LinkError, KeyboardInterrupt) as error:
            if not blocks:
                raise
            take = recording(self.session, cue.label, number, blocks, wanted, self.link.errors - errors, complete=False)
            self._keep(cue, take)
            if isinstance(error, LinkError):
                kept = f"{len(take.samples)} of {wanted} samples are kept in {take.name}.csv, marked as incomplete"
                raise LinkError(f"{error}; {kept}") from error
            raise
        self._keep(cue, recording(self.session, cue.label, number, blocks, wanted, self.link.errors - errors))
        self._tell("saved", cue, wanted, blocks[-1])
        if self._redo():
            self._tell("redo", cue, 0, blocks[-1])

    def _keep(self, cue: Cue, take: Recording) -> None:
        self.session = keep(self.out, self.session, take)
        self.done.append((cue, take))

    def _tell(self, phase: Phase, cue: Cue, samples: int, block: Block) -> None:
        if self.on_progress is not None:
            number = len(self.done) + (phase in ("count-in", "take"))
            elapsed = samples / self.session.rate_hz
            self.on_progress(self.meter.progress(phase, cue, number, self.total, elapsed, block))


def recording(
    session: Session,
    label: str,
    number: int,
    blocks: Sequence[Block],
    wanted: int,
    crc_errors: int,
    complete: bool = True,
) -> Recording:
    """The take of the first `wanted` samples of blocks; a complete one that ends early ends in a gap."""
    indices = np.concatenate([block.indices for block in blocks])
    inside = indices < indices[0] + wanted
    indices = indices[inside]
    return Recording(
        label=label,
        participant=session.participant,
        session=session.session,
        number=number,
        time_us=np.concatenate([block.time_us for block in blocks])[inside],
        samples=np.concatenate([block.samples for block in blocks])[inside],
        rate_hz=session.rate_hz,
        channels=session.channels,
        counts=session.counts,
        gaps=gaps_by_index(indices, int(indices[0]) + wanted if complete else None),
        crc_errors=crc_errors,
        complete=complete,
    )


def gaps_by_index(indices: npt.NDArray[np.int64], end: int | None = None) -> tuple[Gap, ...]:
    """Gaps of a take by the wire's sample index; with `end`, also the one between its last sample and its end."""
    steps = np.diff(indices if end is None else np.append(indices, end))
    return tuple(Gap(after=int(row), lost=int(steps[row]) - 1) for row in np.flatnonzero(steps > 1))
