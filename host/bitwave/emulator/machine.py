"""A Cortex-M4 with the emulated board's memory: load an image, call its functions, look at its memory.

No memory hook is ever installed: with one, unicorn 2.1.4 was seen to compute wrong results around IT blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingPackage

try:
    import unicorn
    from elftools.elf.elffile import ELFFile
    from unicorn import arm_const
except ImportError as error:
    raise MissingPackage(
        f"the emulated Cortex-M4 needs the package {error.name}: pip install 'bitwave[verify]'"
    ) from error

# As in firmware/emu/bw_emu.ld.
FLASH = (0x00000000, 0x00100000)
RAM = (0x20000000, 0x00040000)
EXCHANGE = (0x21000000, 0x00400000)
SYSTEM_CONTROL = (0xE000E000, 0x1000)  # plain memory here: the start-up code writes CPACR
STOP = 0x00FFFFF0  # where a called function returns to
ARGUMENTS = 4  # that the calling convention passes in registers; more go on the stack
STACK_FILL = 0xA5
STACK_WATCHED = 0x4000  # bytes below the stack's top that are filled, to find the high-water mark


class MachineFault(RuntimeError):
    """The processor stopped where it should not: a bug in the code that it ran."""


@dataclass(frozen=True)
class Symbol:
    """A named address; `size` in bytes, 0 where the file does not say."""

    name: str
    address: int
    size: int
    is_function: bool


class Machine:
    """One processor with one image; memory keeps its contents between calls."""

    def __init__(self, elf: Path) -> None:
        """Loads the image as the start-up code would leave it: data initialised, the rest of RAM zero."""
        self.symbols: dict[str, Symbol] = {}
        self.processor = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.processor.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        for start, size in (FLASH, RAM, EXCHANGE, SYSTEM_CONTROL, (STOP & ~0xFFF, 0x1000)):
            self.processor.mem_map(start, size)
        with elf.open("rb") as file:
            self._load(ELFFile(file))
        self._functions = sorted((s for s in self.symbols.values() if s.is_function), key=lambda s: s.address)
        self._starts = [symbol.address for symbol in self._functions]

    def _load(self, elf: ELFFile) -> None:
        for segment in elf.iter_segments("PT_LOAD"):
            if segment["p_filesz"]:
                self.processor.mem_write(segment["p_paddr"], segment.data())
                self.processor.mem_write(segment["p_vaddr"], segment.data())
        for entry in elf.get_section_by_name(".symtab").iter_symbols():
            kind = entry["st_info"]["type"]
            if not entry.name or entry.name.startswith("$") or entry["st_shndx"] == "SHN_UNDEF":
                continue
            if kind in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE"):
                is_function = kind == "STT_FUNC"
                address = entry["st_value"] & ~1 if is_function else entry["st_value"]
                self.symbols[entry.name] = Symbol(entry.name, address, entry["st_size"], is_function)

    def address(self, where: str | int) -> int:
        """The address of a symbol, or the address itself."""
        return self.symbols[where].address if isinstance(where, str) else where

    def function_at(self, address: int) -> Symbol | None:
        """The function that covers an address."""
        index = bisect_right(self._starts, address) - 1
        return self._functions[index] if index >= 0 else None

    def write(self, where: str | int, data: bytes, offset: int = 0) -> None:
        """Puts bytes into memory; raises ValueError where they do not fit into the symbol."""
        if isinstance(where, str) and offset + len(data) > self.symbols[where].size:
            raise ValueError(f"{len(data)} bytes at {offset} do not fit into {where} ({self.symbols[where].size})")
        self.processor.mem_write(self.address(where) + offset, data)

    def read(self, where: str | int, size: int | None = None, offset: int = 0) -> bytes:
        """Bytes from memory; all of a symbol if no size is given."""
        if size is None:
            size = self.symbols[where].size - offset if isinstance(where, str) else 4
        return bytes(self.processor.mem_read(self.address(where) + offset, size))

    def call(self, function: str, *arguments: int) -> int:
        """Calls a function with integers; returns r0, unsigned.

        Raises:
            MachineFault: the processor faulted or did not return.
        """
        start = self.enter(function, *arguments)
        self.run(start)
        return int(self.processor.reg_read(arm_const.UC_ARM_REG_R0))

    def enter(self, function: str, *arguments: int) -> int:
        """Sets the registers up for a call; returns the function's address."""
        for index, value in enumerate(arguments[:ARGUMENTS]):
            self.processor.reg_write(arm_const.UC_ARM_REG_R0 + index, value & 0xFFFFFFFF)
        rest = b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in arguments[ARGUMENTS:])
        stack = self.stack_top - (len(rest) + 7) // 8 * 8
        self.processor.mem_write(stack, rest)
        self.processor.reg_write(arm_const.UC_ARM_REG_SP, stack)
        self.processor.reg_write(arm_const.UC_ARM_REG_LR, STOP | 1)
        return self.address(function)

    def run(self, start: int) -> None:
        """Runs from an address until the called function returns."""
        try:
            self.processor.emu_start(start | 1, STOP)
        except unicorn.UcError as error:
            raise MachineFault(f"{error} {self._here()}") from error
        if self.processor.reg_read(arm_const.UC_ARM_REG_PC) != STOP:
            raise MachineFault(f"the processor halted {self._here()}")

    def _here(self) -> str:
        address = int(self.processor.reg_read(arm_const.UC_ARM_REG_PC))
        function = self.function_at(address)
        return f"at {address:#x} in {function.name if function else 'no function'}"

    @property
    def stack_top(self) -> int:
        """Where the stack starts, downward: the end of RAM."""
        return RAM[0] + RAM[1]

    def paint_stack(self) -> None:
        """Fills the stack below its top, so that `stack_used` can tell how deep a call went."""
        self.processor.mem_write(self.stack_top - STACK_WATCHED, bytes([STACK_FILL]) * STACK_WATCHED)

    def stack_used(self) -> int:
        """Bytes of stack written since `paint_stack`."""
        stack = self.read(self.stack_top - STACK_WATCHED, STACK_WATCHED)
        return len(stack.lstrip(bytes([STACK_FILL])))
