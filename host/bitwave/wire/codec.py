"""The wire format: bytes in, typed frames out, and back. No I/O here.

A frame is ``COBS(payload + crc16) 0x00``; the CRC is CRC-16/CCITT-FALSE of the payload; a payload is
``type u8, sequence u16, time_us u32, body``, at most 512 bytes, all little-endian. The same format stands in
``bw_wire.c`` and ``bw_app.c``; a test holds both equal.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cobs import cobs

from .frames import (
    Body,
    Counters,
    Event,
    Fault,
    Info,
    MalformedBody,
    Rate,
    Samples,
    Scores,
    Status,
    Trace,
    Unknown,
    Update,
)
from .requests import (
    AllowUpdate,
    Bootloader,
    GetCounters,
    GetInfo,
    Parity,
    Recognise,
    Rollback,
    SelfTest,
    Stream,
    UpdateAbort,
    UpdateBegin,
    UpdateChunk,
    UpdateFinish,
)

MAX_PAYLOAD = 512
MAX_FRAME = MAX_PAYLOAD + 2 + 3  # CRC and COBS overhead, without the delimiter
_HEADER = struct.Struct("<BHI")

BODIES: dict[int, type[Body]] = {
    body.TYPE: body
    for body in (
        Info, Samples, Event, Scores, Status, Trace, Counters, Fault, Update, Rate,
        GetInfo, Stream, Recognise, SelfTest, Parity, GetCounters,
        UpdateBegin, UpdateChunk, UpdateFinish, UpdateAbort, Rollback, AllowUpdate, Bootloader,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One frame; the time is that of the board, in microseconds, modulo 2**32 (0 from the host)."""

    body: Body
    sequence: int = 0
    time_us: int = 0


class Decoded(NamedTuple):
    """Frames in order, the bytes of an unfinished one, and how many stretches were no sound frame."""

    frames: list[Frame]
    rest: bytes
    errors: int


def crc16(payload: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, nothing reflected."""
    return binascii.crc_hqx(payload, 0xFFFF)


def encode(frame: Frame) -> bytes:
    """A frame's bytes, delimiter included; raises ValueError where the payload is too long."""
    body = frame.body
    kind = body.type if isinstance(body, Unknown) else body.TYPE
    payload = _HEADER.pack(kind, frame.sequence & 0xFFFF, frame.time_us & 0xFFFFFFFF) + body.pack()
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(payload)} bytes, {MAX_PAYLOAD} fit")
    return bytes(cobs.encode(payload + struct.pack("<H", crc16(payload)))) + b"\0"


def decode(buffer: bytes) -> Decoded:
    """Takes whole frames from the front of a buffer; what is no frame is skipped and counted.

    Call again with ``rest`` and the bytes that came since. However the bytes are cut, the frames are the same.
    """
    *stretches, rest = buffer.split(b"\0")
    frames = []
    errors = 0
    for stretch in stretches:
        if not stretch:
            continue  # two delimiters in a row: a sender's way to begin afresh
        try:
            frames.append(_decode_one(stretch))
        except (MalformedBody, cobs.DecodeError, struct.error):
            errors += 1
    # Garbage without a delimiter must not grow for ever; one byte too many keeps it an error.
    return Decoded(frames, rest[: MAX_FRAME + 1], errors)


def _decode_one(stretch: bytes) -> Frame:
    if len(stretch) > MAX_FRAME:
        raise MalformedBody
    whole = bytes(cobs.decode(stretch))
    if not _HEADER.size + 2 <= len(whole) <= MAX_PAYLOAD + 2:
        raise MalformedBody
    payload = whole[:-2]
    if crc16(payload) != int.from_bytes(whole[-2:], "little"):
        raise MalformedBody
    kind, sequence, time_us = _HEADER.unpack_from(payload)
    body = payload[_HEADER.size :]
    known = BODIES.get(kind)
    return Frame(known.unpack(body) if known else Unknown(kind, body), sequence, time_us)


@dataclass
class Decoder:
    """`decode` for bytes that come in portions: keeps the rest and counts.

    Attributes:
        errors: stretches that were no sound frame.
    """

    rest: bytes = b""
    errors: int = 0

    def feed(self, portion: bytes) -> Iterable[Frame]:
        """The frames that this portion completes."""
        frames, self.rest, errors = decode(self.rest + portion)
        self.errors += errors
        return frames
