"""What a host asks of a board: one class per type.

The board answers each with a `bitwave.wire.frames.Status`, after the frame asked for; an `UpdateChunk` only where
flagged.
"""

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


@dataclass(frozen=True)
class UpdateBegin(Numbers):
    """Announces a model image, answered by `Update`: the same again goes on where it was.

    Attributes:
        size: of the image.
        crc: CRC-32 of the whole image, as zlib's.
        digest: first 8 bytes of the .tflite's SHA-256.
    """

    TYPE: ClassVar[int] = 0x47
    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<II8s")
    size: int
    crc: int
    digest: bytes


@dataclass(frozen=True)
class UpdateChunk(Body):
    """Bytes of the image, a multiple of 4 and at most `MAX_DATA`.

    Without `ANSWER` the board says nothing as long as all goes well. Where a chunk is missing before this one, it says
    so once, unasked, by an `Update`, and passes over all until the missing bytes come.
    """

    TYPE: ClassVar[int] = 0x48
    ANSWER: ClassVar[int] = 1
    MAX_DATA: ClassVar[int] = 480
    offset: int
    data: bytes
    flags: int = 0

    def pack(self) -> bytes:
        """The body's bytes."""
        return struct.pack("<BI", self.flags, self.offset) + self.data

    @classmethod
    def unpack(cls, body: bytes) -> UpdateChunk:
        """The reverse of `pack`."""
        if len(body) < 5:
            raise MalformedBody
        flags, offset = struct.unpack_from("<BI", body)
        return cls(offset, body[5:], flags)


@dataclass(frozen=True)
class UpdateFinish(Body):
    """Asks to verify the whole image and to run it from now on; answered by `Update`, and by `Info` if it does."""

    TYPE: ClassVar[int] = 0x49


@dataclass(frozen=True)
class UpdateAbort(Body):
    """Gives the update up."""

    TYPE: ClassVar[int] = 0x4A


@dataclass(frozen=True)
class Rollback(Body):
    """Back to the model before this one, at last to the one that is built in; `Info` follows."""

    TYPE: ClassVar[int] = 0x4B


@dataclass(frozen=True)
class AllowUpdate(Body):
    """Over a physical link: remote links may update the model for the next 60 seconds."""

    TYPE: ClassVar[int] = 0x4C


@dataclass(frozen=True)
class Bootloader(Body):
    """Over a physical link: restart into the bootloader."""

    TYPE: ClassVar[int] = 0x4D
