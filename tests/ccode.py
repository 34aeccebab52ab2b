"""Compiling C in tests: the compilers that the core must please, and programs under sanitizers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from support import need

ROOT = Path(__file__).parents[1]
CORE = ROOT / "firmware/lib/bitwave_core"
CORE_SOURCES = tuple(sorted((CORE / "src").glob("*.c")))
M4_SOURCES = (*CORE_SOURCES, *sorted((CORE / "src").glob("*.S")))  # with the DSP kernels
PROGRAMS = ROOT / "tests/c"
STRICT = (
    *("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes", "-Werror"),
    f"-I{CORE / 'include'}",
)
SANITIZE = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-ffreestanding")

# name -> (what must be installed, command with the target's flags)
COMPILERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gcc": ("gcc", ("gcc",)),
    "clang": ("clang", ("clang",)),
    "zig-host": ("ziglang", (sys.executable, "-m", "ziglang", "cc")),
    "zig-m4": (
        "ziglang",
        (sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4",
         f"-I{ROOT / 'firmware/emu/include'}"),
    ),
    "arm-gcc": ("arm-none-eabi-gcc", ("arm-none-eabi-gcc", *M4)),
}  # fmt: skip


def run(command: Sequence[str | Path], data: bytes = b"", cwd: Path | None = None) -> bytes:
    """Runs a program that must succeed; returns what it printed."""
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')[:4000]}"
    return done.stdout


def compiler(name: str) -> tuple[str, ...]:
    """The command of a compiler; skips where it is missing."""
    package, command = COMPILERS[name]
    need(package)
    return command


def program(name: str, cc: str, folder: Path, flags: Sequence[str] = SANITIZE) -> Path:
    """Builds tests/c/NAME.c with the core."""
    out = folder / f"{name}-{cc}"
    run([*compiler(cc), *STRICT, *flags, PROGRAMS / f"{name}.c", *CORE_SOURCES, "-o", out])
    return out
