"""Counts what a call costs: instructions exactly, cycles by `bitwave.emulator.cost`.

A code hook keeps a histogram of edges (address of one instruction, address of the next); every edge is priced once,
after the run, so a run can be priced again under other assumptions. The hook is there only while counting, and memory
traffic is worked out in it from the registers: unicorn 2.1.4 computes wrong results with a memory hook installed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import unicorn
from unicorn import arm_const

from .cost import Cost, CostModel, Edge, divide_cycles, price
from .instruction import Instruction, Kind, decoder, understand
from .machine import RAM, Machine


@dataclass(frozen=True)
class Share:
    """One function's part of a run, callees not included."""

    function: str
    instructions: int
    cycles: int
    calls: int


@dataclass
class Run:
    """What one counted call did."""

    result: int = 0
    stack: int = 0  # bytes
    last: int = 0  # address of the last instruction
    edges: dict[Edge, int] = field(default_factory=lambda: defaultdict(int))
    extra: Counter[int] = field(default_factory=Counter)  # cycles that depend on operands, by address
    flash_reads: int = 0  # data accesses, literals among them
    ram_reads: int = 0
    writes: int = 0


class CycleCounter:
    """Counts calls on one machine; keeps the instructions that it has decoded."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._disassembler = decoder()
        self._known: dict[int, Instruction] = {}

    def decode(self, address: int) -> Instruction:
        """The instruction at an address; raises ValueError where there is none."""
        known = self._known.get(address)
        if known is None:
            raw = next(self._disassembler.disasm(self.machine.read(address, 4), address, 1), None)
            if raw is None:
                raise ValueError(f"no instruction at {address:#x}: {self.machine.read(address, 4).hex()}")
            known = self._known[address] = understand(raw)
        return known

    def count(self, function: str, *arguments: int) -> Run:
        """Calls a function as `Machine.call` does, and counts."""
        machine, run = self.machine, Run()
        start = machine.enter(function, *arguments)
        machine.paint_stack()
        processor = machine.processor
        processor.ctl_flush_tb()  # what was translated without the hook would not be seen
        hook = processor.hook_add(unicorn.UC_HOOK_CODE, self._observer(run))
        try:
            machine.run(start)
        finally:
            processor.hook_del(hook)
            processor.ctl_flush_tb()
        run.stack = machine.stack_used()
        run.result = int(processor.reg_read(arm_const.UC_ARM_REG_R0))
        return run

    def _observer(self, run: Run) -> Callable[[unicorn.Uc, int, int, object], None]:
        """The hook: as little as possible per instruction, a closer look only at memory accesses and divisions."""
        read_register: Callable[[int], int] = self.machine.processor.reg_read
        edges = run.edges
        closer: dict[int, Instruction | None] = {}

        def look(_uc: unicorn.Uc, address: int, _size: int, _data: object) -> None:
            edges[run.last, address] += 1
            run.last = address
            if address not in closer:
                instruction = self.decode(address)
                closer[address] = instruction if instruction.access or instruction.operands else None
            interesting = closer[address]
            if interesting is not None:
                _look_closer(run, interesting, read_register)

        return look

    def price(self, run: Run, model: CostModel | None = None) -> Cost:
        """Instructions and cycles of a run."""
        return price(run.edges, run.last, run.extra, self.decode, model)

    def by_function(self, cost: Cost) -> list[Share]:
        """The run's cost by function, dearest first."""
        instructions: Counter[str] = Counter()
        cycles: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        for address, count in cost.counts.items():
            symbol = self.machine.function_at(address)
            name = symbol.name if symbol else "?"
            instructions[name] += count
            cycles[name] += cost.cycles[address]
            if symbol and symbol.address == address:
                calls[name] += count
        return [Share(name, instructions[name], spent, calls[name]) for name, spent in cycles.most_common()]

    def by_kind(self, cost: Cost) -> dict[Kind, tuple[int, int]]:
        """Instructions and cycles by kind of instruction."""
        instructions: Counter[Kind] = Counter()
        cycles: Counter[Kind] = Counter()
        for address, count in cost.counts.items():
            kind = self.decode(address).kind
            instructions[kind] += count
            cycles[kind] += cost.cycles[address]
        return {kind: (instructions[kind], cycles[kind]) for kind in instructions}


def _look_closer(run: Run, instruction: Instruction, read_register: Callable[[int], int]) -> None:
    """Costs that only the registers tell: lengths of divisions, unaligned accesses, flash or RAM."""
    if instruction.operands:
        dividend, divisor = (read_register(register) for register in instruction.operands)
        if instruction.mnemonic == "sdiv":
            dividend, divisor = (abs(value - (value >> 31 << 32)) for value in (dividend, divisor))
        run.extra[instruction.address] += divide_cycles(dividend, divisor) - instruction.cycles
        return
    access = instruction.access
    if access is None:
        return
    if access.literal:
        run.flash_reads += access.words
        return
    address = access.address(read_register)
    if access.writes:
        run.writes += access.words
    elif address < RAM[0]:
        run.flash_reads += access.words
    else:
        run.ram_reads += access.words
    if address & (access.unit - 1):
        run.extra[instruction.address] += 2 if access.unit == 4 and address & 1 else 1
