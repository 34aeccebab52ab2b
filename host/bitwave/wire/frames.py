"""What a board's frames say: one class per type, with the layout of its bytes. All numbers are little-endian.

What a host asks for is in `bitwave.wire.requests`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .bodies import Body as Body
from .bodies import MalformedBody as MalformedBody
from .bodies import Numbers as Numbers
from .bodies import counted, split, split_text

INFO_FORMAT = 2
SLOTS = 2
BUILT_IN = 0xFF  # `active`: the model that the firmware was built with
NO_ACTIVE = 0xFE  # `active`: no model at all
NO_FAULT = 0  # `Fault.code`: what was said before is over


class SlotState(IntEnum):
    """What a flash slot holds."""

    EMPTY = 0
    VALID = 1
    REVOKED = 2
    UNUSABLE = 3
    RECEIVING = 4


@dataclass(frozen=True)
class Info(Body):
    """Who the board is. Rates in mHz, scales in counts per 1000 g and 1000 degree/s, sizes in bytes.

    Attributes:
        active: the slot of the model, `BUILT_IN` or `NO_ACTIVE`.
        slots: a `SlotState` each.
        physical: this link is one whose user can touch the board.
        may_update: a model update would be taken over this link now.
        slot_bytes: the largest image that a slot takes; 0: the board has none.
        arena_bytes, arena_used: memory for a model's states, and what the present model needs of it.
    """

    TYPE: ClassVar[int] = 0x01
    HEAD: ClassVar[struct.Struct] = struct.Struct("<BBB3sBBIIHHII8sII")
    HEAD_2: ClassVar[struct.Struct] = struct.Struct("<B2sBIII")  # since format 2
    format: int = INFO_FORMAT
    abi: int = 0
    board: int = 255
    firmware: bytes = bytes(3)
    channels: int = 6
    rate_mhz: int = 0
    model_rate_mhz: int = 0
    window: int = 0
    hop: int = 0
    accel_milli_lsb: int = 0
    gyro_milli_lsb: int = 0
    digest: bytes = bytes(8)
    lost_samples: int = 0
    dropped_frames: int = 0
    active: int = NO_ACTIVE
    slots: bytes = bytes(SLOTS)
    flags: int = 0
    slot_bytes: int = 0
    arena_bytes: int = 0
    arena_used: int = 0
    labels: tuple[str, ...] = ()

    @property
    def physical(self) -> bool:
        """Whether this link is one whose user can touch the board."""
        return bool(self.flags & 1)

    @property
    def may_update(self) -> bool:
        """Whether a model update would be taken over this link now."""
        return bool(self.flags & 2)

    def pack(self) -> bytes:
        """The body's bytes, in this object's format."""
        body = self.HEAD.pack(
            self.format, self.abi, self.board, self.firmware, self.channels, len(self.labels), self.rate_mhz,
            self.model_rate_mhz, self.window, self.hop, self.accel_milli_lsb, self.gyro_milli_lsb, self.digest,
            self.lost_samples, self.dropped_frames,
        )  # fmt: skip
        if self.format > 1:
            body += self.HEAD_2.pack(
                self.active, self.slots, self.flags, self.slot_bytes, self.arena_bytes, self.arena_used
            )
        return body + b"".join(counted(label) for label in self.labels)

    @classmethod
    def unpack(cls, body: bytes) -> Info:
        """The reverse of `pack`, for every format so far; of a newer one only the number is known."""
        if body and not 1 <= body[0] <= INFO_FORMAT:
            return cls(format=body[0])
        head, rest = split(cls.HEAD, body)
        count = head.pop(5)
        later: list[Any] = [BUILT_IN if count else NO_ACTIVE, bytes(SLOTS), 0, 0, 0, 0]
        if head[0] > 1:
            later, rest = split(cls.HEAD_2, rest)
        labels = []
        for _ in range(count):
            label, rest = split_text(rest)
            labels.append(label)
        if rest:
            raise MalformedBody
        return replace(cls(*head, *later), labels=tuple(labels))


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
class Unknown(Body):
    """A sound frame of a type that this bitwave does not know: a newer board. Readers pass over it."""

    TYPE: ClassVar[int] = 0x00
    type: int
    body: bytes

    def pack(self) -> bytes:
        """The body's bytes."""
        return self.body
