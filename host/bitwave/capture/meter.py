"""What a link says while samples come in, and what a board says of itself."""

from __future__ import annotations

from collections.abc import Callable

from .. import __version__
from ..errors import RecordingError
from ..links.link import Link
from ..links.samples import Block, SampleReader
from ..model.metadata import CountsScale
from ..recordings.recording import COUNT_MAX, COUNT_MIN
from ..recordings.session import CHANNELS, Session
from ..wire.frames import Info
from .cues import Cue, Phase, Progress

BOARDS = {0: "emulated", 1: "nano33ble-rev1", 2: "nano33ble-rev2"}


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

    def __init__(self, link: Link, channels: int, check: Callable[[], None] = lambda: None) -> None:
        """`check` is called while samples are waited for, and may raise."""
        self.link = link
        self.reader = SampleReader(link, channels, check=check)
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

    def progress(
        self, phase: Phase, cue: Cue, take: int, of: int, elapsed_s: float, block: Block, faults: str = ""
    ) -> Progress:
        """The moment of a block."""
        return Progress(
            phase, cue, take, of, elapsed_s, self.reader.rate_hz, self.reader.lost,
            self.crc_errors, self.clipped, tuple(block.samples[-1].tolist()), faults,
        )  # fmt: skip
