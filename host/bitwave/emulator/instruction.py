"""One Thumb-2 instruction of a Cortex-M4 with all that the cost rules ask about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..errors import MissingPackage

try:
    import capstone
    from capstone import arm as a
    from unicorn import arm_const
except ImportError as error:
    raise MissingPackage(f"counting cycles needs the package {error.name}: pip install 'bitwave[verify]'") from error

LOADS = {"ldr", "ldrb", "ldrh", "ldrsb", "ldrsh"}
STORES = {"str", "strb", "strh"}
PAIRS = {"ldrd", "strd"}
MULTIPLE = ("ldm", "stm", "push", "pop")
FLOAT_MULTIPLE = ("vldm", "vstm", "vpush", "vpop")
BRANCHES = {"b", "bl", "bx", "blx", "cbz", "cbnz"}
FLOAT_LONG = ("vdiv", "vsqrt")
FLOAT_FUSED = ("vmla", "vmls", "vnmla", "vnmls", "vfma", "vfms", "vfnma", "vfnms")
# Whose result comes a cycle too late for the next instruction.
FLOAT_LATE = ("vadd", "vsub", "vmul", "vnmul", "vcvt", *FLOAT_FUSED, *FLOAT_LONG)
_CORE_REGISTERS = (*range(a.ARM_REG_R0, a.ARM_REG_R12 + 1), a.ARM_REG_LR, a.ARM_REG_SP)
_ALIASES = {"sb": "R9", "sl": "R10", "fp": "R11", "ip": "R12"}


class Kind(Enum):
    """Classes of instructions that the cost rules tell apart."""

    ALU = "data processing"
    LOAD = "load"
    STORE = "store"
    TRANSFER = "several words"
    BRANCH = "branch"
    TABLE_BRANCH = "table branch"
    DIVIDE = "divide"
    IT = "it"
    FLOAT = "float"
    FLOAT_MOVE = "float move"


@dataclass(frozen=True)
class Access:
    """A memory operand: address = base + displacement + (index << shift); registers as unicorn numbers them."""

    base: int
    index: int | None
    shift: int
    displacement: int
    unit: int  # bytes that the processor aligns to
    words: int  # accesses
    writes: bool
    literal: bool  # relative to the program counter

    def address(self, read_register: Callable[[int], int]) -> int:
        """The effective address with the registers as they are now."""
        index = read_register(self.index) << self.shift if self.index is not None else 0
        return (read_register(self.base) + self.displacement + index) & 0xFFFFFFFF


@dataclass(frozen=True)
class Instruction:
    """What the rules of `bitwave.emulator.cost` read; registers as capstone numbers them, but in `access`."""

    address: int
    size: int
    mnemonic: str  # without condition and width
    text: str
    kind: Kind
    cycles: int  # from the processor's tables, before any rule about neighbours
    reads: frozenset[int] = field(default_factory=frozenset)
    writes: frozenset[int] = field(default_factory=frozenset)
    address_registers: frozenset[int] = field(default_factory=frozenset)
    destination: int | None = None  # of a single load
    immediate_address: bool = True
    writes_back: bool = False
    to_pc: bool = False  # loads the program counter
    access: Access | None = None
    operands: tuple[int, int] | None = None  # dividend and divisor, unicorn's numbers

    @property
    def is_memory(self) -> bool:
        """Whether it uses the load/store unit."""
        return self.kind in (Kind.LOAD, Kind.STORE, Kind.TRANSFER)

    @property
    def is_late_float(self) -> bool:
        """Whether its floating-point result stalls an instruction that reads it next."""
        return self.kind is Kind.FLOAT and self.mnemonic.startswith(FLOAT_LATE)


def decoder() -> capstone.Cs:
    """A disassembler for the Cortex-M4."""
    cs = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    cs.detail = True
    return cs


def understand(raw: Any) -> Instruction:
    """Turns one of capstone's instructions into an `Instruction`."""
    mnemonic = _plain_mnemonic(raw)
    reads, writes = raw.regs_access()
    known = Instruction(
        raw.address,
        raw.size,
        mnemonic,
        f"{raw.mnemonic} {raw.op_str}".strip(),
        Kind.ALU,
        1,
        reads=frozenset(reads),
        writes=frozenset(writes),
        writes_back=bool(raw.writeback),
    )
    if mnemonic in LOADS | STORES | PAIRS or mnemonic.startswith(("vldr", "vstr", "ldrex", "strex")):
        return _single(known, raw)
    if mnemonic.startswith((*MULTIPLE, *FLOAT_MULTIPLE)):
        return _multiple(known, raw)
    if mnemonic in ("tbb", "tbh"):
        return replace(known, kind=Kind.TABLE_BRANCH, cycles=4)
    if mnemonic in BRANCHES or a.ARM_REG_PC in known.writes:
        return replace(known, kind=Kind.BRANCH)
    if mnemonic in ("sdiv", "udiv"):
        dividend, divisor = (_unicorn_register(raw, operand.reg) for operand in raw.operands[-2:])
        return replace(known, kind=Kind.DIVIDE, cycles=2, operands=(dividend, divisor))
    if mnemonic.startswith("it") and set(mnemonic[1:]) <= {"t", "e"}:
        return replace(known, kind=Kind.IT)
    if mnemonic == "vmov":
        from_core = any(operand.type == a.ARM_OP_REG and operand.reg in _CORE_REGISTERS for operand in raw.operands)
        return replace(known, kind=Kind.FLOAT_MOVE, cycles=2 if from_core else 1)
    if mnemonic.startswith("v"):
        cycles = 14 if mnemonic.startswith(FLOAT_LONG) else 3 if mnemonic.startswith(FLOAT_FUSED) else 1
        return replace(known, kind=Kind.FLOAT, cycles=cycles)
    return known


def _plain_mnemonic(raw: Any) -> str:
    name = str(raw.mnemonic).split(".")[0]
    if raw.cc in (a.ARM_CC_AL, a.ARM_CC_INVALID) or name.startswith("it"):
        return name
    return name[:-2] if len(name) > 2 else name  # every condition has two letters


def _unicorn_register(raw: Any, register: int) -> int:
    name = str(raw.reg_name(register))
    return int(getattr(arm_const, "UC_ARM_REG_" + _ALIASES.get(name, name.upper())))


def _is_double(register: int) -> bool:
    return bool(a.ARM_REG_D0 <= register <= a.ARM_REG_D31)


def _single(known: Instruction, raw: Any) -> Instruction:
    """LDR, STR and their kin: one memory operand."""
    name = known.mnemonic
    operand = next(operand for operand in raw.operands if operand.type == a.ARM_OP_MEM)
    memory = operand.mem
    double = name in PAIRS or (name.startswith("v") and _is_double(raw.operands[0].reg))
    width = name.removeprefix("ldr").removeprefix("str").removeprefix("ex")
    access = Access(
        base=_unicorn_register(raw, memory.base),
        index=_unicorn_register(raw, memory.index) if memory.index else None,
        shift=operand.shift.value,
        displacement=memory.disp,
        unit=4 if name in PAIRS else {"h": 2, "b": 1}.get(width[-1:], 4),
        words=2 if double else 1,
        writes="str" in name,
        literal=memory.base == a.ARM_REG_PC,
    )
    known = replace(
        known,
        access=access,
        immediate_address=not memory.index,
        address_registers=frozenset({memory.base, memory.index} - {0}),
    )
    if name in LOADS:
        destination = raw.operands[0].reg
        return replace(known, kind=Kind.LOAD, cycles=2, destination=destination, to_pc=destination == a.ARM_REG_PC)
    if name in STORES:
        return replace(known, kind=Kind.STORE, cycles=1 if known.immediate_address else 2)
    return replace(known, kind=Kind.TRANSFER, cycles=3 if double else 2)


def _multiple(known: Instruction, raw: Any) -> Instruction:
    """LDM, STM, PUSH, POP and the floating-point ones: a list of registers."""
    registers = [operand.reg for operand in raw.operands if operand.type == a.ARM_OP_REG]
    stack = known.mnemonic.lstrip("v").startswith(("push", "pop"))
    base = a.ARM_REG_SP if stack else registers.pop(0)
    words = sum(2 if _is_double(register) else 1 for register in registers)
    writes = known.mnemonic.lstrip("v").startswith(("push", "st"))
    access = Access(_unicorn_register(raw, base), None, 0, 0, unit=4, words=words, writes=writes, literal=False)
    return replace(
        known,
        kind=Kind.TRANSFER,
        cycles=1 + words,
        access=access,
        address_registers=frozenset({base}),
        to_pc=not writes and a.ARM_REG_PC in registers,
    )
