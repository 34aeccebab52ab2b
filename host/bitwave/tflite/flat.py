"""Bounds-checked reading of FlatBuffers: a corrupt file gives one error, never a crash, a hang or a huge allocation.

Every offset is checked against the buffer before it is followed, and every vector's length against the bytes that are
there, so nothing read from the file can make this module allocate more than the file's own size.

Layout: https://flatbuffers.dev/internals (table = i32 offset back to its vtable; vtable = u16 sizes, then one u16
offset per field; 0 means absent; vectors and strings start with their u32 length).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError


def _fault(what: str) -> ModelError:
    return ModelError(f"the .tflite file is truncated or corrupt ({what}); fetch or convert it again")


def _read(data: bytes, position: int, code: str) -> Any:
    size = struct.calcsize(code)
    if position < 0 or position + size > len(data):
        raise _fault(f"an offset points to {position} of {len(data)} bytes")
    return struct.unpack_from("<" + code, data, position)[0]


@dataclass(frozen=True)
class Table:
    """One table of a FlatBuffer at a checked position."""

    data: bytes
    position: int

    @classmethod
    def root(cls, data: bytes, identifier: bytes) -> Table:
        """The root table; raises `ModelError` when the file identifier is another."""
        if data[4:8] != identifier:
            raise ModelError(f"this is not a .tflite file: it does not carry the identifier {identifier.decode()}")
        return cls(data, _read(data, 0, "I"))

    def place(self, slot: int) -> int:
        """Position of a field's value, 0 when absent."""
        vtable = self.position - int(_read(self.data, self.position, "i"))
        if 4 + 2 * slot + 2 > _read(self.data, vtable, "H"):
            return 0
        offset = int(_read(self.data, vtable + 4 + 2 * slot, "H"))
        return self.position + offset if offset else 0

    def scalar(self, slot: int, code: str, default: Any = 0) -> Any:
        """A scalar field by its `struct` code."""
        field = self.place(slot)
        return _read(self.data, field, code) if field else default

    def table(self, slot: int) -> Table | None:
        """A table field."""
        field = self.place(slot)
        return Table(self.data, field + _read(self.data, field, "I")) if field else None

    def vector(self, slot: int, element_size: int) -> tuple[int, int]:
        """Position of the first element and length of a vector field; an absent one is empty."""
        field = self.place(slot)
        if not field:
            return 0, 0
        start = field + int(_read(self.data, field, "I"))
        length = int(_read(self.data, start, "I"))
        if length * element_size > len(self.data) - start - 4:
            raise _fault(f"a vector of {length} elements does not fit")
        return start + 4, length

    def array(self, slot: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A vector of scalars, read-only, without a copy."""
        kind = np.dtype(dtype).newbyteorder("<")
        start, length = self.vector(slot, kind.itemsize)
        if not length:
            return np.empty(0, kind)
        return np.frombuffer(self.data, kind, length, start)

    def tables(self, slot: int, most: int) -> list[Table]:
        """A vector of tables; more than ``most`` are refused."""
        start, length = self.vector(slot, 4)
        if length > most:
            raise ModelError(f"the .tflite file has {length} entries where bitwave takes at most {most}")
        places = [start + 4 * i for i in range(length)]
        return [Table(self.data, place + _read(self.data, place, "I")) for place in places]

    def string(self, slot: int) -> str:
        """A string field, at most 200 bytes of it, whatever its bytes are."""
        return self.array(slot, np.uint8)[:200].tobytes().decode("utf-8", "replace")
