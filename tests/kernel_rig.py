"""Calls the Cortex-M4 kernels one by one, on numbers of the test's choice, as machine code under emulation."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bitwave import native
from bitwave.emulator.machine import Machine
from bitwave.model.quantmodel import Multiplier

RECORD = 12  # BW_RECORD, int16
GROUP = 8  # BW_GROUP
MIDDLE = 256  # BW_SLOPES_MIDDLE

Int64Array = npt.NDArray[np.int64]


def rounding(multiplier: Multiplier) -> tuple[int, int, int, int]:
    """What bw_prepare.c makes of a scale: multiplier, constant, factor, sign."""
    if multiplier.shift >= 0:
        return multiplier.mantissa, 7 - multiplier.shift, 0, 0
    factor = 1 << (5 + multiplier.shift)
    return multiplier.mantissa, 64 + (1 << (6 - multiplier.shift)), factor, -128 * factor


class Rig:
    """One machine; whatever a kernel is given lies in the emulator's exchange memory."""

    def __init__(self, compiler: native.Compiler) -> None:
        """Loads the emulator's image."""
        self.machine = Machine(native.m4_elf(compiler))
        self._next = 0

    def place(self, data: bytes) -> int:
        """Puts bytes somewhere aligned; returns where."""
        room = self.machine.symbols["bw_emu_output"]
        address = room.address + self._next
        self._next += -(-len(data) // 8) * 8
        assert self._next <= room.size
        self.machine.write(address, data)
        return address

    def product(
        self,
        weights: npt.NDArray[np.int16],
        bias: Int64Array,
        inputs: Sequence[npt.NDArray[np.int8]],
        multipliers: Sequence[Multiplier],
        pairs: int = 0,
    ) -> list[npt.NDArray[np.int16]]:
        """Parts (gates, units) per input vector: one vector by bw_dsp_product, two by bw_dsp_product_lanes.

        Args:
            weights: halfwords (gates, groups, pairs + quads, 8, 2).
            bias: (gates, 8 * groups), scaled by 256.
            inputs: one or two vectors of int8.
            multipliers: one per gate.
            pairs: 0 or 1.
        """
        self._next = 0
        gates, groups, blocks = weights.shape[:3]
        head = (self.place(weights.astype("<i2").tobytes()), blocks - pairs, pairs, groups)
        rows = [word for multiplier in multipliers for word in rounding(multiplier)]
        matrix = self.place(struct.pack("<4I", *head) + struct.pack(f"<{4 * gates}i", *rows))
        biases = self.place((bias & 0xFFFFFFFF).astype("<u4").tobytes())
        vectors = [self.place(vector.tobytes()) for vector in inputs]
        size = groups * GROUP * RECORD * 2
        parts = self.place(bytes(size))
        if len(vectors) == 1:
            self.machine.call("bw_dsp_product", matrix, biases, vectors[0], parts)
        else:
            self.machine.call("bw_dsp_product_lanes", matrix, biases, *vectors, parts)
        records = np.frombuffer(self.machine.read(parts, size), "<i2").reshape(-1, RECORD)
        return [records[:, 8 * lane : 8 * lane + gates].T for lane in range(len(vectors))]

    def activate(
        self, gates: Int64Array, cell: Int64Array, exponent: int, output: Multiplier, zero: int
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int8]]:
        """New cell and hidden state of `bw_dsp_activate`.

        Args:
            gates: (units, 4) Q3.12, units even; they go in as the sum of two parts.
            cell: (units,).
            exponent: log2 of the cell's scale.
            output: of tanh(cell) times output gate.
            zero: zero point of the hidden state.
        """
        self._next = 0
        units = len(cell)
        records = np.zeros((units, RECORD), "<i2")
        records[:, :4] = gates >> 1
        records[:, 4:8] = gates - (gates >> 1)
        table = self.machine.address("bw_slopes") + 4 * MIDDLE
        added = 30 + exponent
        shift = -output.shift
        constants = self.place(
            struct.pack(
                "<2I9i", table, units, 64 * ((1 << 24) + 512), 3 << 16 | 6, 1 + (1 << 14), 1 + (1 << (added - 1)),
                added, 3 << (16 + exponent + 12), (1 << (shift - 1)) + (zero << shift), output.mantissa, shift,
            )
        )  # fmt: skip
        parts, cells = self.place(records.tobytes()), self.place(cell.astype("<i2").tobytes())
        hidden = self.place(bytes(units))
        self.machine.call("bw_dsp_activate", parts, cells, hidden, constants)
        return (
            np.frombuffer(self.machine.read(cells, 2 * units), "<i2"),
            np.frombuffer(self.machine.read(hidden, units), np.int8),
        )
