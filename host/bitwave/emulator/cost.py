"""What a run costs on a Cortex-M4: exact instruction counts, cycles by the processor's published tables.

Source: Arm Cortex-M4 Technical Reference Manual (100166_0001), sections 3.3.1 table 3-1, 3.3.2, 3.3.3 and 7.2.3
table 7-1, for memory without wait states. Per instruction, in cycles, with P the pipeline refill (TRM: 1 to 3; here 2):

====================================================================  ==========================================
data processing, shifts, extends, bit fields, saturation, packing     1
MUL, MLA, MLS, SMULL, UMULL, SMLAL, UMLAL, all DSP multiplies         1
SDIV, UDIV                                                            2..12: 2 if the result is 0, else 3 + a quarter
                                                                      of the quotient's bits (an assumption)
IT; an instruction that IT skips                                      1; 1
B, BL, BX, BLX, CBZ, CBNZ                                             1, taken 1 + P
TBB, TBH                                                              4 + P
LDR                                                                   2; 1 right after a single load whose result
                                                                      is not part of this address
LDR to the program counter                                            2 + max(P, 3)
STR [Rn, #immediate]                                                  1
STR [Rn, Rm]                                                          2; 1 right after a single load
LDRD, STRD                                                            3
LDM, STM, PUSH, POP                                                   1 + N, with the program counter + P
any of these with an address register written by the data-
processing instruction right before it                                + 1
access not aligned to its size                                        + 1, a word at an odd address + 2
VADD, VSUB, VMUL, VNEG, VABS, VCVT, VCMP, VMRS, VMSR, VMOV            1; VMOV with a core register 2
VMLA, VMLS, VFMA, VFMS and their negations                            3
VDIV, VSQRT                                                           14
VLDR, VSTR                                                            2, double 3
VLDM, VSTM, VPUSH, VPOP                                               1 + N
floating-point result read by the next instruction                    + 1
====================================================================  ==========================================

Not modelled: flash wait states and the board's instruction cache, bus contention, fetch stalls of 32-bit branch
targets (they hide in P), out-of-order VDIV.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .instruction import Instruction, Kind

Edge = tuple[int, int]  # address of an instruction (0: none) and of the one that ran after it
IT_SPAN = 16  # bytes that an IT block can skip at most

Decode = Callable[[int], Instruction]


@dataclass(frozen=True)
class CostModel:
    """The assumptions that the manual leaves open."""

    refill: int = 2
    address_interlock: bool = True
    folds_it: bool = False  # IT for free after a 16-bit instruction
    pipelines_loads: bool = True
    pipelines_write_back: bool = True  # also loads whose base register is written back


@dataclass(frozen=True)
class Cost:
    """Per address: how often an instruction ran (or was skipped by IT), and its cycles."""

    counts: Mapping[int, int]
    cycles: Mapping[int, int]

    @property
    def total_instructions(self) -> int:
        """All instructions, skipped ones included."""
        return sum(self.counts.values())

    @property
    def total_cycles(self) -> int:
        """All cycles."""
        return sum(self.cycles.values())


def divide_cycles(dividend: int, divisor: int) -> int:
    """Cycles of a division of two magnitudes."""
    if divisor == 0 or dividend < divisor:
        return 2
    return min(12, 3 + -(-(dividend // divisor).bit_length() // 4))


def price(
    edges: Mapping[Edge, int],
    last: int,
    extra: Mapping[int, int],
    decode: Decode,
    model: CostModel | None = None,
) -> Cost:
    """Prices a run.

    Args:
        edges: how often each pair of consecutive instructions ran.
        last: address of the last instruction, which leaves the run.
        extra: cycles per address that only the run could tell: unaligned accesses and divisions beyond 2 cycles.
        decode: the instruction at an address.
        model: the assumptions; None for the default ones.
    """
    model = model or CostModel()
    counts: Counter[int] = Counter()
    cycles: Counter[int] = Counter(extra)
    for (before, address), times in edges.items():
        instruction = decode(address)
        previous = decode(before) if before else None
        counts[address] += times
        cycles[address] += times * instruction.cycles
        if previous is None:
            continue
        if previous.kind in (Kind.BRANCH, Kind.TABLE_BRANCH) or previous.to_pc:
            if before + previous.size != address:
                cycles[before] += times * _leave(previous, model)
        elif before + previous.size != address:
            for skipped in _skipped(previous, address, decode):
                counts[skipped] += times
                cycles[skipped] += times
            continue  # what was skipped separates the two
        if before + previous.size == address:
            cycles[address] += times * _follow(previous, instruction, model)
            if previous.is_late_float and previous.writes & instruction.reads:
                cycles[before] += times
    if last:
        cycles[last] += _leave(decode(last), model)
    return Cost(counts, cycles)


def _leave(instruction: Instruction, model: CostModel) -> int:
    """Cycles that a taken branch adds."""
    if instruction.kind is Kind.LOAD and instruction.to_pc:
        return max(model.refill, 3)
    leaves = instruction.kind in (Kind.BRANCH, Kind.TABLE_BRANCH) or instruction.to_pc
    return model.refill if leaves else 0


def _follow(previous: Instruction, instruction: Instruction, model: CostModel) -> int:
    """Cycles that the instruction right before adds or saves."""
    cycles = 0
    independent = previous.destination not in instruction.address_registers
    if model.pipelines_loads and previous.kind is Kind.LOAD and not previous.to_pc and independent:
        written_back = previous.writes_back or instruction.writes_back
        if instruction.kind is Kind.LOAD and (model.pipelines_write_back or not written_back):
            cycles -= 1
        elif instruction.kind is Kind.STORE and not instruction.immediate_address:
            cycles -= 1
    interlocked = previous.kind is Kind.ALU and previous.writes & instruction.address_registers
    if model.address_interlock and instruction.is_memory and interlocked:
        cycles += 1
    if model.folds_it and instruction.kind is Kind.IT and previous.size == 2:
        cycles -= 1
    return cycles


def _skipped(previous: Instruction, address: int, decode: Decode) -> list[int]:
    """Addresses between two instructions of straight code: those that IT skipped, which unicorn does not report."""
    at, skipped = previous.address + previous.size, []
    while at != address:
        if not at < address <= at + IT_SPAN:
            raise ValueError(f"no way from {previous.text} at {previous.address:#x} to {address:#x}")
        skipped.append(at)
        at += decode(at).size
    return skipped
