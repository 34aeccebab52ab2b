"""What all bodies of frames have in common: a type, and bytes that they are packed into and read from."""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from typing import Any, ClassVar


class MalformedBody(ValueError):
    """A body that does not fit its type; `decode` counts it as an error."""


class Body:
    """What a frame says. Subclasses state their type number and the layout of their bytes."""

    TYPE: ClassVar[int]

    def pack(self) -> bytes:
        """The body's bytes."""
        return b""

    @classmethod
    def unpack(cls, body: bytes) -> Body:
        """The reverse of `pack`; raises `MalformedBody`."""
        if body:
            raise MalformedBody
        return cls()


@dataclass(frozen=True)
class Numbers(Body):
    """A body of a fixed layout, mostly unsigned little-endian numbers, in the order of the fields."""

    LAYOUT: ClassVar[struct.Struct]

    def pack(self) -> bytes:
        """The body's bytes."""
        return self.LAYOUT.pack(*(getattr(self, field.name) for field in fields(self)))

    @classmethod
    def unpack(cls, body: bytes) -> Body:
        """The reverse of `pack`."""
        if len(body) != cls.LAYOUT.size:
            raise MalformedBody
        return cls(*cls.LAYOUT.unpack(body))


def counted(text: str) -> bytes:
    """An ASCII text behind its length."""
    raw = text.encode("ascii")
    return bytes([len(raw)]) + raw


def split(layout: struct.Struct, body: bytes) -> tuple[list[Any], bytes]:
    """The values of a layout and what follows them."""
    if len(body) < layout.size:
        raise MalformedBody
    return list(layout.unpack_from(body)), body[layout.size :]


def split_text(body: bytes) -> tuple[str, bytes]:
    """A counted ASCII text and what follows it."""
    if not body or len(body) < 1 + body[0]:
        raise MalformedBody
    raw, rest = body[1 : 1 + body[0]], body[1 + body[0] :]
    if not raw.isascii():
        raise MalformedBody
    return raw.decode("ascii"), rest
