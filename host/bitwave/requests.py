"""What a host asks of a board: one class per type. The board answers each with a `bitwave.frames.Status`."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from .frames import Body, MalformedBody, Numbers


@dataclass(frozen=True)
class GetInfo(Body):
    """Asks for `Info`."""

    TYPE: ClassVar[int] = 0x41


@dataclass(frozen=True)
class Stream(Numbers):
    """Raw samples on (1) or off (0)."""

    TYPE: ClassVar[int] = 0x42
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B")
    on: int


@dataclass(frozen=True)
class Recognise(Numbers):
    """Recognition on (1) or off (0)."""

    TYPE: ClassVar[int] = 0x43
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<B")
    on: int


@dataclass(frozen=True)
class SelfTest(Body):
    """Runs the known answer of the model image."""

    TYPE: ClassVar[int] = 0x44


@dataclass(frozen=True)
class Parity(Body):
    """Some steps of a window, as the model's int8 input; flags: 1 resets first, 2 asks for the scores after."""

    TYPE: ClassVar[int] = 0x45
    step: int
    count: int
    flags: int
    values: bytes

    def pack(self) -> bytes:
        """The body's bytes."""
        return struct.pack("<HBB", self.step, self.count, self.flags) + self.values

    @classmethod
    def unpack(cls, body: bytes) -> Parity:
        """The reverse of `pack`."""
        if len(body) < 4:
            raise MalformedBody
        step, count, flags = struct.unpack_from("<HBB", body)
        return cls(step, count, flags, body[4:])


@dataclass(frozen=True)
class GetCounters(Body):
    """Asks for `Counters`."""

    TYPE: ClassVar[int] = 0x46
