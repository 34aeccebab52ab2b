"""Finds the compiled C core, and builds it where the sources have changed.

A build's file name carries the digest of its sources and of the recipe below, so a stale build is never loaded: it has
another name, and builds of several checkouts lie side by side; one that nobody has used for a month goes when the next
is made. Wheel and editable install carry the host library and the clang build for Cortex-M4, both made by the
build hook with the compiler from the ``ziglang`` package; the GCC build for Cortex-M4 is made on demand in the user's
cache. Only the standard library is imported here, because the build hook runs this module before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import MissingPackage, NativeBuildError

Compiler = Literal["clang", "gcc"]
Kernels = Literal["dsp", "portable"]
Room = Literal["host", "emu", "footprint"]

GCC = "arm-none-eabi-gcc"

WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wmissing-prototypes")
# No debug information: it would carry the paths of the machine that built. zig would add a sanitizer by default.
ZIG_FLAGS = (*WARNINGS, "-Werror", "-g0", "-fno-sanitize=undefined")
HOST_FLAGS = ("-O3", "-shared", "-fPIC", "-s")
M4_FLAGS = (
    # Freestanding: with a hosted compiler our own memcpy would be turned into a call of itself.
    *("-g0", "-ffreestanding", "-fno-builtin", "-nostdlib", "-ffunction-sections", "-fdata-sections"),
    *("-fno-common", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-Wl,--gc-sections", "-Wl,-e,bw_reset"),
)
FOOTPRINT_FLAGS = ("-Os", "-Wl,-Tbss=0x20000000")
M4_TARGET: dict[Compiler, tuple[str, ...]] = {
    "clang": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4"),
    "gcc": ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
}
CORE = "lib/bitwave_core"
LINKER_SCRIPT = "emu/bw_emu.ld"
KEPT_DAYS = 30  # a build that has not been used for so long is deleted
_BUILD = re.compile(r".*bitwave-.*[0-9a-f]{16}\.(so|dylib|dll|elf)")


@dataclass(frozen=True)
class HostTarget:
    """What the host library is compiled for: a baseline, so that it runs on machines other than the builder's."""

    triple: str
    cpu: str
    library: str
    wheel_tag: str


_LINUX, _MAC, _WINDOWS = "libbitwave-{}.so", "libbitwave-{}.dylib", "bitwave-{}.dll"
HOST_TARGETS = {
    "linux-x86_64": HostTarget("x86_64-linux-gnu.2.17", "x86_64_v2", _LINUX, "manylinux_2_17_x86_64"),
    "linux-aarch64": HostTarget("aarch64-linux-gnu.2.17", "generic", _LINUX, "manylinux_2_17_aarch64"),
    "musl-x86_64": HostTarget("x86_64-linux-musl", "x86_64_v2", _LINUX, "musllinux_1_2_x86_64"),
    "musl-aarch64": HostTarget("aarch64-linux-musl", "generic", _LINUX, "musllinux_1_2_aarch64"),
    "darwin-x86_64": HostTarget("x86_64-macos.11.0", "x86_64_v2", _MAC, "macosx_11_0_x86_64"),
    "darwin-arm64": HostTarget("aarch64-macos.11.0", "apple_m1", _MAC, "macosx_11_0_arm64"),
    "win32-amd64": HostTarget("x86_64-windows-gnu", "x86_64_v2", _WINDOWS, "win_amd64"),
    "win32-arm64": HostTarget("aarch64-windows-gnu", "generic", _WINDOWS, "win_arm64"),
}


def host_target() -> HostTarget:
    """The entry of `HOST_TARGETS` for this interpreter; raises `NativeBuildError` where there is none."""
    system = sys.platform
    if system == "linux" and "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
        system = "musl"
    name = f"{system}-{platform.machine().lower()}"
    if name not in HOST_TARGETS or struct.calcsize("P") != 8:
        raise NativeBuildError(f"the C core is not built for {name} ({8 * struct.calcsize('P')} bit Python)")
    return HOST_TARGETS[name]


def firmware_root() -> Path:
    """The firmware sources: those the wheel ships, or the checkout's own tree."""
    package = Path(__file__).resolve().parent
    for root in (package / "_firmware", package.parents[1] / "firmware"):
        if (root / CORE / "src").is_dir():
            return root
    raise NativeBuildError("the firmware sources are missing; install bitwave again")


def source_digest() -> str:
    """SHA-256 (hex) of everything that the native builds are made of: host library and both Cortex-M4 images."""
    return _digest(_sources("host") | _sources("emu"), "all")


def host_library() -> Path:
    """The C core as a shared library for this machine, fresh; raises `NativeBuildError` if it cannot be."""
    target = host_target()
    return build_host(target, _native_folder())


def build_host(target: HostTarget, folder: Path) -> Path:
    """Builds the host library for any target into a folder, unless it is there already."""
    flags = ("-target", target.triple, f"-mcpu={target.cpu}", *ZIG_FLAGS, *HOST_FLAGS)
    sources = _sources("host")
    path = folder / target.library.format(_digest(sources, *flags)[:16])
    if not _in_use(path):
        _compile(_zig(path), flags, sources, path)
    return path


def m4_elf(compiler: Compiler, kernels: Kernels = "dsp") -> Path:
    """The Cortex-M4 image of `firmware/emu`, fresh; with the DSP kernels or, to compare, with the portable ones alone.

    Raises:
        MissingPackage: GCC was asked for and is not installed.
        NativeBuildError: the sources do not compile, or a stale build cannot be made again.
    """
    flags = (*WARNINGS, *M4_FLAGS, "-O2", f"-Wl,-T,{firmware_root() / LINKER_SCRIPT}")
    if kernels == "dsp":
        return _m4(compiler, f"m4-{compiler}", "emu", flags)
    return _m4(compiler, f"m4-{compiler}-portable", "emu", (*flags, "-DBW_PORTABLE"))


def m4_footprint(compiler: Compiler, left_out: Sequence[str]) -> Path:
    """A program with the recognizer and no more, built for size as the board's is; it is measured, not run.

    Args:
        compiler: which one.
        left_out: what it is built without, in the words of bitwave.h: ``BW_NO_POOLING`` and the like.

    Raises:
        MissingPackage: GCC was asked for and is not installed.
        NativeBuildError: the sources do not compile.
    """
    defines = tuple(f"-D{name}" for name in left_out)
    return _m4(compiler, f"m4-{compiler}-footprint", "footprint", (*WARNINGS, *M4_FLAGS, *FOOTPRINT_FLAGS, *defines))


def _m4(compiler: Compiler, name: str, room: Room, flags: tuple[str, ...]) -> Path:
    """Builds for Cortex-M4. Only clang's image of the emulator stands beside the package, as the wheel has it."""
    sources = _sources(room)
    recipe = tuple(flag for flag in flags if not flag.startswith("-Wl,-T,"))  # a path
    folder = _native_folder() if name == "m4-clang" else _cache_folder()
    if compiler == "clang":
        recipe = (*M4_TARGET["clang"], *ZIG_FLAGS, *recipe)
        path = folder / f"bitwave-{name}-{_digest(sources, *recipe)[:16]}.elf"
        if not _in_use(path):
            _compile(_zig(path), (*M4_TARGET["clang"], *ZIG_FLAGS, *flags), sources, path)
        return path
    gcc, version = _gcc()
    recipe = (*M4_TARGET["gcc"], *recipe)
    path = folder / f"bitwave-{name}-{_digest(sources, *recipe, version)[:16]}.elf"
    if not _in_use(path):
        _compile([gcc], (*M4_TARGET["gcc"], *flags), sources, path, libraries=("-lgcc",))
    return path


def m4_compilers() -> tuple[Compiler, ...]:
    """The compilers whose Cortex-M4 image can be had here."""
    return ("clang", "gcc") if shutil.which(GCC) else ("clang",)


def _native_folder() -> Path:
    return Path(__file__).resolve().parent / "_native"


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("bitwave") / "native"


def _sources(room: Room) -> frozenset[Path]:
    """C and assembly files, headers and linker scripts of the core and of one room around it."""
    root = firmware_root()
    found = [path for folder in (CORE, room) for path in (root / folder).rglob("*")]
    if room == "footprint":
        found.append(root / "emu" / "bw_string.c")
    return frozenset(
        path for path in found if path.suffix in (".c", ".h", ".S", ".ld") and "examples" not in path.parts
    )


def _digest(sources: Iterable[Path], *recipe: str) -> str:
    root, digest = firmware_root(), hashlib.sha256()
    for word in recipe:
        digest.update(word.encode() + b"\0")
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in sources):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _zig(wanted: Path) -> list[str]:
    """The command that runs the pinned clang; `wanted` only names what cannot be had without it."""
    try:
        import ziglang
    except ImportError as error:
        raise NativeBuildError(
            f"the C sources have changed since the build at hand ({wanted.name} is missing); "
            "install bitwave again, or `pip install ziglang`"
        ) from error
    folder = Path(str(ziglang.__file__)).parent
    return [str(folder / ("zig.exe" if sys.platform == "win32" else "zig")), "cc"]


def _gcc() -> tuple[str, str]:
    """Path and version of the installed arm-none-eabi-gcc."""
    gcc = shutil.which(GCC)
    if gcc is None:
        raise MissingPackage(f"{GCC} is not installed; install the package gcc-arm-none-eabi")
    return gcc, _run([gcc, "-dumpfullversion"]).strip()


def _compile(
    compiler: Sequence[str], flags: Sequence[str], sources: Iterable[Path], path: Path, libraries: Sequence[str] = ()
) -> None:
    """Compiles and links to `path`, which appears whole or not at all; long unused builds beside it go."""
    root = firmware_root()
    rooms = (CORE, "emu") if "-ffreestanding" in flags else (CORE,)
    includes = [f"-I{root / room / 'include'}" for room in rooms]
    suffixes = (".c", ".S") if "-ffreestanding" in flags else (".c",)
    files = sorted(str(source) for source in sources if source.suffix in suffixes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
            fresh = Path(folder) / path.name
            _run([*compiler, *flags, *includes, *files, *libraries, "-o", str(fresh)], cwd=folder)
            os.replace(fresh, path)
    except OSError as error:
        raise NativeBuildError(f"the C core cannot be built in {path.parent}: {error}") from error
    _forget_unused(path.parent)


def _in_use(path: Path) -> bool:
    """Whether a build is there; if so, its time tells from now on that it was used."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:
        return path.exists()  # somebody else's installation
    return True


def _forget_unused(folder: Path) -> None:
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for build in folder.iterdir():
        if _BUILD.fullmatch(build.name):
            _forget(build, oldest)


def _forget(build: Path, oldest: float) -> None:
    try:
        if build.stat().st_mtime < oldest:
            build.unlink()
    except OSError:
        return  # gone already, loaded (Windows locks it) or not ours; the next build tries again


def _run(command: Sequence[str], cwd: str | None = None) -> str:
    """Standard output of a command; its first error line becomes a `NativeBuildError`."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        first = next((line for line in lines if "error" in line), lines[0] if lines else f"exit {done.returncode}")
        raise NativeBuildError(f"the C core does not compile: {first}")
    return done.stdout
