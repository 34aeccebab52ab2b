"""The INFO frame: who a board is. Every format so far is read and written; the board's side is in ``bw_commands.c``."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

from .bodies import Body, MalformedBody, counted, split, split_text

INFO_FORMAT = 3
SLOTS = 2
BUILT_IN = 0xFF  # `active`: the model that the firmware was built with
NO_ACTIVE = 0xFE  # `active`: no model at all


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
        model_flags: 1: the model has a motion gate; 2: its state is carried on. Read `gate` and `stateful`.
        measured_rate_mhz: of the sensor, by the board's own clock; 0: not yet, or an older board.
        taken_rate_mhz: as which the recognizer takes the samples; 0: nobody recognises, or an older board.
    """

    TYPE: ClassVar[int] = 0x01
    HEAD: ClassVar[struct.Struct] = struct.Struct("<BBB3sBBIIHHII8sII")
    HEAD_2: ClassVar[struct.Struct] = struct.Struct("<B2sBIII")  # since format 2
    HEAD_3: ClassVar[struct.Struct] = struct.Struct("<BII")  # since format 3
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
    model_flags: int = 0
    measured_rate_mhz: int = 0
    taken_rate_mhz: int = 0
    labels: tuple[str, ...] = ()

    @property
    def physical(self) -> bool:
        """Whether this link is one whose user can touch the board."""
        return bool(self.flags & 1)

    @property
    def may_update(self) -> bool:
        """Whether a model update would be taken over this link now."""
        return bool(self.flags & 2)

    @property
    def gate(self) -> bool | None:
        """Whether the network sleeps while the board rests; None: an older board does not say."""
        return bool(self.model_flags & 1) if self.format > 2 else None

    @property
    def stateful(self) -> bool | None:
        """Whether the model's states are carried on from window to window; None: an older board does not say."""
        return bool(self.model_flags & 2) if self.format > 2 else None

    @property
    def traits(self) -> tuple[str, ...]:
        """What is special about the model, for a person."""
        return (*(["motion gate"] if self.gate else []), *(["state carried on"] if self.stateful else []))

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
        if self.format > 2:
            body += self.HEAD_3.pack(self.model_flags, self.measured_rate_mhz, self.taken_rate_mhz)
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
        if head[0] > 2:
            latest, rest = split(cls.HEAD_3, rest)
            later += latest
        labels = []
        for _ in range(count):
            label, rest = split_text(rest)
            labels.append(label)
        if rest:
            raise MalformedBody
        return replace(cls(*head, *later), labels=tuple(labels))
