"""Recording takes off a link: count-in, samples, gaps, and a file per take as soon as it is done.

Nothing that was recorded is lost: takes are written whole, one by one; where the link vanishes or the person stops in
the middle of a take, what came is kept and marked; where the disk is full, the take goes to the temporary folder.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from . import __version__
from .errors import BitwaveError, LinkError, RecordingError, WriteError
from .frames import Info
from .links import Link
from .metadata import CountsScale
from .recording import Recording, next_number, write
from .requests import Stream
from .samples import Block, SampleReader
from .session import CHANNELS, Gap, Session, check_name

BOARDS = {0: "emulated", 1: "nano33ble-rev1", 2: "nano33ble-rev2"}


@dataclass(frozen=True)
class CapturePlan:
    """What to record.

    Attributes:
        out: folder of the data set.
        count: takes.
        seconds: length of a take.
        count_in_s: rest before each take, by the board's clock.
    """

    out: Path
    label: str
    participant: str
    session: str = "s01"
    count: int = 10
    seconds: float = 1.5
    count_in_s: float = 3.0


@dataclass(frozen=True)
class Progress:
    """A moment of a recording.

    Attributes:
        phase: count-in, take, or saved: a take has just been written.
        take: from 1, of `CapturePlan.count`.
        elapsed_s: seconds of this phase so far.
        rate_hz: measured over the last second.
        lost: samples lost since the start.
        crc_errors: since the start.
        last: newest sample, counts.
    """

    phase: Literal["count-in", "take", "saved"]
    take: int
    elapsed_s: float
    rate_hz: float
    lost: int
    crc_errors: int
    last: tuple[int, ...]


@dataclass(frozen=True)
class CaptureReport:
    """What was recorded; `session` as it now stands on the disk."""

    session: Session
    recordings: tuple[Recording, ...]

    @property
    def lost(self) -> int:
        """Samples lost within takes."""
        return sum(take.lost for take in self.recordings)

    @property
    def clipped(self) -> int:
        """Samples at the end of the range within takes."""
        return sum(take.clipped for take in self.recordings)

    @property
    def crc_errors(self) -> int:
        """Damaged frames within takes."""
        return sum(take.crc_errors for take in self.recordings)


def record(link: Link, plan: CapturePlan, on_progress: Callable[[Progress], None] | None = None) -> CaptureReport:
    """Records the takes of a plan; see the module for what happens when something breaks.

    Args:
        link: an open link.
        plan: what to record.
        on_progress: called many times a second.

    Raises:
        RecordingError: a name that cannot be used, or a session that does not fit the board.
        LinkError: the board is not there, or vanished; what came of a take is on the disk.
        WriteError: the disk is full; the message says where the take is.
    """
    for word, text in (("label", plan.label), ("participant", plan.participant), ("session", plan.session)):
        check_name(word, text)
    if plan.count < 1 or not 0.05 <= plan.seconds <= 3600 or not 0 <= plan.count_in_s <= 60:
        raise RecordingError("a plan has at least one take of 0.05 to 3600 s, and a count-in of 0 to 60 s")
    info = link.info()
    session = session_facts(info, plan)
    link.ask(Stream(1))
    try:
        return _Capture(link, info, plan, session, on_progress).run()
    finally:
        with contextlib.suppress(LinkError):  # the port may be what failed
            link.ask(Stream(0))


def session_facts(info: Info, plan: CapturePlan) -> Session:
    """The session file of a board's takes; raises `RecordingError` where the board states no usable rate or scale."""
    if not (info.rate_mhz and info.accel_milli_lsb and info.gyro_milli_lsb and info.channels):
        raise RecordingError("the board states no rate, scale or channels: update its firmware")
    names = CHANNELS if info.channels == len(CHANNELS) else tuple(f"c{i}" for i in range(info.channels))
    return Session(
        tool=f"bitwave {__version__}",
        source="record",
        participant=plan.participant,
        session=plan.session,
        board=BOARDS.get(info.board, "unknown"),
        firmware=".".join(map(str, info.firmware)),
        channels=names,
        counts=CountsScale(accel_lsb_per_g=info.accel_milli_lsb / 1000, gyro_lsb_per_dps=info.gyro_milli_lsb / 1000),
        rate_hz=info.rate_mhz / 1000,
    )


class _Capture:
    """The state of one `record`."""

    def __init__(
        self,
        link: Link,
        info: Info,
        plan: CapturePlan,
        session: Session,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.link = link
        self.plan = plan
        self.session = session
        self.on_progress = on_progress
        self.reader = SampleReader(link, info.channels)
        self.errors_before = link.errors
        self.done: list[Recording] = []

    def run(self) -> CaptureReport:
        first = next_number(self.plan.out, self.plan.label, self.plan.participant, self.plan.session)
        for number in range(first, first + self.plan.count):
            self._count_in()
            self._take(number)
        return CaptureReport(self.session, tuple(self.done))

    def _count_in(self) -> None:
        passed = 0
        wanted = round(self.plan.count_in_s * self.session.rate_hz)
        while passed < wanted:
            for block in self.reader.read():
                passed += len(block.indices)
                self._tell("count-in", passed, block)

    def _take(self, number: int) -> None:
        wanted = round(self.plan.seconds * self.session.rate_hz)
        self.link.cue(self.plan.label, self.plan.seconds)
        blocks: list[Block] = []
        errors = self.link.errors
        try:
            while not blocks or blocks[-1].indices[-1] - blocks[0].indices[0] + 1 < wanted:
                for block in self.reader.read():
                    blocks.append(block)
                    self._tell("take", int(block.indices[-1] - blocks[0].indices[0]) + 1, block)
        except (LinkError, KeyboardInterrupt) as error:
            if not blocks:
                raise
            take = self._recording(number, blocks, wanted, errors, complete=False)
            self._keep(take)
            if isinstance(error, LinkError):
                kept = f"{len(take.samples)} of {wanted} samples are kept in {take.name}.csv, marked as incomplete"
                raise LinkError(f"{error}; {kept}") from error
            raise
        self._keep(self._recording(number, blocks, wanted, errors, complete=True))
        self._tell("saved", wanted, blocks[-1])

    def _recording(
        self, number: int, blocks: list[Block], wanted: int, errors_before: int, complete: bool
    ) -> Recording:
        indices = np.concatenate([block.indices for block in blocks])
        inside = indices < indices[0] + wanted
        indices = indices[inside]
        return Recording(
            label=self.plan.label,
            participant=self.plan.participant,
            session=self.plan.session,
            number=number,
            time_us=np.concatenate([block.time_us for block in blocks])[inside],
            samples=np.concatenate([block.samples for block in blocks])[inside],
            rate_hz=self.session.rate_hz,
            channels=self.session.channels,
            counts=self.session.counts,
            gaps=gaps_by_index(indices, int(indices[0]) + wanted if complete else None),
            crc_errors=self.link.errors - errors_before,
            complete=complete,
        )

    def _keep(self, take: Recording) -> None:
        try:
            self.session = write(self.plan.out, self.session, [take])
        except WriteError as error:
            raise WriteError(f"{error}; {_rescue(self.session, take)}") from error
        self.done.append(take)

    def _tell(self, phase: Literal["count-in", "take", "saved"], samples: int, block: Block) -> None:
        if self.on_progress is None:
            return
        self.on_progress(
            Progress(
                phase=phase,
                take=len(self.done) + (phase != "saved"),
                elapsed_s=samples / self.session.rate_hz,
                rate_hz=self.reader.rate_hz,
                lost=self.reader.lost,
                crc_errors=self.link.errors - self.errors_before,
                last=tuple(block.samples[-1].tolist()),
            )
        )


def gaps_by_index(indices: npt.NDArray[np.int64], end: int | None = None) -> tuple[Gap, ...]:
    """Gaps of a take by the wire's sample index; with `end`, also the one between its last sample and its end."""
    steps = np.diff(indices if end is None else np.append(indices, end))
    return tuple(Gap(after=int(row), lost=int(steps[row]) - 1) for row in np.flatnonzero(steps > 1))


def _rescue(session: Session, take: Recording) -> str:
    """Puts a take that found no room into the temporary folder; says where, or that it is lost."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="bitwave-rescued-"))
        write(folder, session.model_copy(update={"takes": ()}), [take])
    except (OSError, BitwaveError):
        return "the take is lost: the temporary folder is full as well"
    return f"the take is safe in {folder}"
