"""What a board's frames say: one class per type, with the layout of its bytes. All numbers are little-endian.

What a host asks for is in `bitwave.wire.requests`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .bodies import Body as Body
from .bodies import MalformedBody as MalformedBody
from .bodies import Numbers as Numbers
from .bodies import counted, split_text
from .info import BUILT_IN as BUILT_IN
from .info import INFO_FORMAT as INFO_FORMAT
from .info import NO_ACTIVE as NO_ACTIVE
from .info import SLOTS as SLOTS
from .info import Info as Info
from .info import SlotState as SlotState

NO_FAULT = 0  # `Fault.code`: what was said before is over


@dataclass(frozen=True, eq=False)
class Samples(Body):
    """Raw samples in a row.

    Attributes:
        first: index of the first sample since the board started.
        steps_us: (n,) uint16, time since the sample before; the first is 0 and has the frame's time.
        samples: (n, channels) int16 counts.
    """

    TYPE: ClassVar[int] = 0x02
    first: int
    steps_us: npt.NDArray[np.uint16]
    samples: npt.NDArray[np.int16]

    def pack(self) -> bytes:
        """The body's bytes."""
        count, channels = self.samples.shape
        rows = np.zeros(count, _row(channels))
        rows["step"], rows["sample"] = self.steps_us, self.samples
        return struct.pack("<IBB", self.first, channels, count) + rows.tobytes()

    @classmethod
    def unpack(cls, body: bytes) -> Samples:
        """The reverse of `pack`."""
        if len(body) < 6:
            raise MalformedBody
        first, channels, count = struct.unpack_from("<IBB", body)
        row = _row(channels)
        if len(body) != 6 + count * row.itemsize or not channels or not count:
            raise MalformedBody
        rows = np.frombuffer(body, row, count, 6)
        return cls(first, rows["step"].astype(np.uint16), rows["sample"].astype(np.int16))

    def times_us(self, time_us: int) -> npt.NDArray[np.int64]:
        """(n,) times of the samples of a frame of this time; beyond 2**32 where the clock wraps inside."""
        return time_us + np.cumsum(self.steps_us, dtype=np.int64)


def _row(channels: int) -> np.dtype[np.void]:
    return np.dtype([("step", "<u2"), ("sample", "<i2", (channels,))])


@dataclass(frozen=True)
class Event(Numbers):
    """A recognised gesture: the window's last sample, the class, its score 0..255."""

    TYPE: ClassVar[int] = 0x03
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<IBB")
    sample: int
    label: int
    score: int


@dataclass(frozen=True)
class Scores(Body):
    """int8 class scores of the window that ends with a sample."""

    TYPE: ClassVar[int] = 0x04
    sample: int
    scores: tuple[int, ...]

    def pack(self) -> bytes:
        """The body's bytes."""
        return struct.pack(f"<IB{len(self.scores)}b", self.sample, len(self.scores), *self.scores)

    @classmethod
    def unpack(cls, body: bytes) -> Scores:
        """The reverse of `pack`."""
        if len(body) < 5 or len(body) != 5 + body[4]:
            raise MalformedBody
        sample, _, *scores = struct.unpack(f"<IB{body[4]}b", body)
        return cls(sample, tuple(scores))


@dataclass(frozen=True)
class Status(Body):
    """The answer to a command: 0 is done, else a bw_status and a text for people."""

    TYPE: ClassVar[int] = 0x05
    command: int
    command_sequence: int
    status: int
    text: str = ""

    def pack(self) -> bytes:
        """The body's bytes."""
        return struct.pack("<BHB", self.command, self.command_sequence, self.status) + counted(self.text)

    @classmethod
    def unpack(cls, body: bytes) -> Status:
        """The reverse of `pack`."""
        text, rest = split_text(body[4:])
        if rest:
            raise MalformedBody
        command, sequence, status = struct.unpack_from("<BHB", body)
        return cls(command, sequence, status, text)


@dataclass(frozen=True)
class Trace(Body):
    """Hidden state (int8) and cell (int16) of a layer after a step: part of the answer to `Parity`."""

    TYPE: ClassVar[int] = 0x06
    step: int
    layer: int
    hidden: tuple[int, ...]
    cell: tuple[int, ...]

    def pack(self) -> bytes:
        """The body's bytes."""
        n = len(self.hidden)
        return struct.pack(f"<HBB{n}b{n}h", self.step, self.layer, n, *self.hidden, *self.cell)

    @classmethod
    def unpack(cls, body: bytes) -> Trace:
        """The reverse of `pack`."""
        if len(body) < 4 or len(body) != 4 + 3 * body[3]:
            raise MalformedBody
        n = body[3]
        step, layer, _, *values = struct.unpack(f"<HBB{n}b{n}h", body)
        return cls(step, layer, tuple(values[:n]), tuple(values[n:]))


@dataclass(frozen=True)
class Counters(Numbers):
    """What the board counted since it started, and its memory in bytes; 0 is unmeasured.

    Of the samples that were `recognised`, `slept` found the network asleep; `cycles_per_step` are those awake. Older
    boards tell less, newer ones perhaps more: what is missing is 0, what is unknown is left out.
    """

    TYPE: ClassVar[int] = 0x07
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<12I")
    samples: int
    lost: int
    dropped_frames: int
    crc_errors: int
    cycles_per_step: int
    longest_loop_us: int
    stack_used: int = 0
    stack_bytes: int = 0
    arena_used: int = 0
    arena_bytes: int = 0
    recognised: int = 0
    slept: int = 0

    @property
    def asleep(self) -> float:
        """Which part of the samples that it recognised found the network asleep."""
        return self.slept / self.recognised if self.recognised else 0.0

    @classmethod
    def unpack(cls, body: bytes) -> Body:
        """The reverse of `pack`."""
        if len(body) < 24 or len(body) % 4:
            raise MalformedBody
        return super().unpack(body[: cls.LAYOUT.size].ljust(cls.LAYOUT.size, b"\0"))


@dataclass(frozen=True)
class Fault(Body):
    """Something on the board failed, or with the code `NO_FAULT`: does no longer."""

    TYPE: ClassVar[int] = 0x08
    code: int
    text: str = ""

    def pack(self) -> bytes:
        """The body's bytes."""
        return bytes([self.code]) + counted(self.text)

    @classmethod
    def unpack(cls, body: bytes) -> Fault:
        """The reverse of `pack`."""
        text, rest = split_text(body[1:])
        if rest:
            raise MalformedBody
        return cls(body[0], text)


@dataclass(frozen=True)
class Update(Numbers):
    """How far a model update is.

    Attributes:
        status: bw_status of the last chunk; not 0: go on from `received`.
        active: as in `Info`.
        received: bytes of the image that the board has.
        size: bytes of the whole image; 0: there is no update.
        digest: of the model on its way.
    """

    TYPE: ClassVar[int] = 0x09
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BBII8s")
    status: int
    active: int
    received: int
    size: int
    digest: bytes


@dataclass(frozen=True)
class Rate(Numbers):
    """With this sample the board's recognition starts afresh, and takes the sensor's samples for ones of this rate.

    Where samples are missing it starts afresh too, at the same rate and without a frame. Whoever replays the samples so
    gets the board's scores and events.
    """

    TYPE: ClassVar[int] = 0x0A
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<II")
    sample: int
    rate_mhz: int


@dataclass(frozen=True)
class Unknown(Body):
    """A sound frame of a type that this bitwave does not know: a newer board. Readers pass over it."""

    TYPE: ClassVar[int] = 0x00
    type: int
    body: bytes

    def pack(self) -> bytes:
        """The body's bytes."""
        return self.body
