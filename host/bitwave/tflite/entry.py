"""Puts a metadata entry into a .tflite file, whoever wrote it: a new root in front, the old file behind it as it was.

A FlatBuffer's offsets point forward and are relative, so the old bytes keep their meaning wherever they stand; only the
file's root table is written anew, and the vectors of buffers and of metadata, one longer each.
"""

from __future__ import annotations

import struct

from .flat import Table
from .graph import IDENTIFIER, MAX_ENTRIES, MAX_TENSORS

VERSION, CODES, SUBGRAPHS, DESCRIPTION, BUFFERS, METADATA_BUFFER, METADATA, SIGNATURES = range(8)
ALIGNMENT = 16  # the schema's force_align of Buffer.data
CARRIED = (CODES, SUBGRAPHS, METADATA_BUFFER, SIGNATURES)  # fields of the root whose vectors stay where they are


def with_metadata(data: bytes, name: str, payload: bytes, description: str) -> bytes:
    """The same model with one more metadata entry, and another description.

    Args:
        data: bytes of a file without an entry of this name.
        name: of the entry.
        payload: of the entry.
        description: the file's.

    Returns:
        The new file; tensors, operators and weights are the old file's bytes.

    Raises:
        ModelError: the file is truncated or corrupt.
    """
    root = Table.root(data, IDENTIFIER)
    front = _Front()
    fields = {slot: root.place(slot) for slot in CARRIED}
    present = [VERSION, DESCRIPTION, BUFFERS, METADATA, *(slot for slot in CARRIED if fields[slot])]
    table = front.root(present)
    front.number(table + 4 + 4 * VERSION, int(root.scalar(VERSION, "I")))
    for slot in CARRIED:
        if fields[slot]:
            front.point_behind(table + 4 + 4 * slot, fields[slot] + int(root.scalar(slot, "I")))
    front.point(table + 4 + 4 * DESCRIPTION, front.string(description))
    buffers = root.tables(BUFFERS, 2 * MAX_TENSORS)
    vector = front.vector(len(buffers) + 1)
    front.point(table + 4 + 4 * BUFFERS, vector)
    entries = root.tables(METADATA, MAX_ENTRIES)
    others = front.vector(len(entries) + 1)
    front.point(table + 4 + 4 * METADATA, others)
    for index, old in enumerate(buffers):
        front.point_behind(vector + 4 + 4 * index, old.position)
    for index, old in enumerate(entries):
        front.point_behind(others + 4 + 4 * index, old.position)
    entry = front.table((4, 8), 12)
    front.point(others + 4 + 4 * len(entries), entry)
    front.point(entry + 4, front.string(name))
    front.number(entry + 8, len(buffers))
    buffer = front.table((4,), 8)
    front.point(vector + 4 + 4 * len(buffers), buffer)
    front.point(buffer + 4, front.payload(payload))
    return front.before(data)


class _Front:
    """The bytes in front, and which of their offsets lead into the old file."""

    def __init__(self) -> None:
        self._bytes = bytearray(8)
        self._bytes[4:8] = IDENTIFIER
        self._behind: list[tuple[int, int]] = []  # place, position in the old file

    def number(self, place: int, value: int) -> None:
        struct.pack_into("<I", self._bytes, place, value)

    def point(self, place: int, target: int) -> None:
        self.number(place, target - place)

    def point_behind(self, place: int, position: int) -> None:
        self._behind.append((place, position))

    def root(self, present: list[int]) -> int:
        """The root table: field i, where present, at 4 + 4 i."""
        count = SIGNATURES + 1
        table = self.table(tuple(4 + 4 * slot if slot in present else 0 for slot in range(count)), 4 + 4 * count)
        self.number(0, table)
        return table

    def table(self, offsets: tuple[int, ...], size: int) -> int:
        """A table of zeros behind its vtable."""
        vtable = len(self._bytes)
        self._bytes += struct.pack(f"<{2 + len(offsets)}H", 4 + 2 * len(offsets), size, *offsets)
        self._pad(4)
        table = len(self._bytes)
        self._bytes += struct.pack("<i", table - vtable) + bytes(size - 4)
        return table

    def vector(self, count: int) -> int:
        """A vector of offsets, zeros so far."""
        self._bytes += struct.pack("<I", count) + bytes(4 * count)
        return len(self._bytes) - 4 - 4 * count

    def string(self, text: str) -> int:
        encoded = text.encode()
        place = len(self._bytes)
        self._bytes += struct.pack("<I", len(encoded)) + encoded + b"\0"
        self._pad(4)
        return place

    def payload(self, content: bytes) -> int:
        """A vector of bytes, the first of them aligned as the schema asks."""
        self._bytes += bytes(-(len(self._bytes) + 4) % ALIGNMENT)
        place = len(self._bytes)
        self._bytes += struct.pack("<I", len(content)) + content
        return place

    def before(self, data: bytes) -> bytes:
        self._pad(ALIGNMENT)
        for place, position in self._behind:
            self.point(place, len(self._bytes) + position)
        return bytes(self._bytes) + data

    def _pad(self, alignment: int) -> None:
        self._bytes += bytes(-len(self._bytes) % alignment)
