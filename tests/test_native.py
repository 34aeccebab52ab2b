"""Native builds: never stale, for a baseline processor, for every platform of the table, refused in one line."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bitwave import native
from bitwave.errors import MissingPackage, NativeBuildError
from support import need

PACKAGE = Path(native.__file__).parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a native build is made of; returns the copied firmware folder."""
    package = tmp_path / "host" / "bitwave"
    package.mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "native.py"):
        shutil.copy(PACKAGE / name, package)
    shutil.copytree(native.firmware_root(), tmp_path / "firmware")
    return tmp_path / "firmware"


def in_checkout(firmware: Path, code: str, compiler: bool = True) -> dict[str, str]:
    """Runs code on the copied package; returns what it put into `out`, or the error's line."""
    lines = ["import json, sys", "from pathlib import Path", f"sys.path.insert(0, {str(firmware.parent / 'host')!r})"]
    lines += [] if compiler else ["sys.modules['ziglang'] = None"]
    lines += ["from bitwave import native", "from bitwave.errors import BitwaveError", "out = {}", "try:"]
    lines += [f"    {line}" for line in code.splitlines()]
    lines += ["except BitwaveError as error:", "    out['error'] = str(error)", "print(json.dumps(out))"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


HOST = "out['path'] = str(native.host_library())"


def touch_source(firmware: Path) -> None:
    source = firmware / "lib" / "bitwave_core" / "src" / "bw_crc.c"
    source.write_text(source.read_text() + "/* changed */\n")


def test_a_changed_source_is_built_again(checkout: Path) -> None:
    need("ziglang")
    first = in_checkout(checkout, HOST)["path"]
    built = Path(first).stat().st_mtime_ns
    assert in_checkout(checkout, HOST, compiler=False) == {"path": first}  # fresh: needs no compiler
    touch_source(checkout)
    second = in_checkout(checkout, HOST)["path"]
    assert second != first
    assert Path(first).exists()  # another checkout may use it
    assert Path(second).stat().st_mtime_ns > built
    assert ctypes.CDLL(second).bw_crc32(0, b"123456789", ctypes.c_size_t(9)) & 0xFFFFFFFF == 0xCBF43926


def test_a_build_goes_when_it_has_not_been_used_for_a_month(checkout: Path) -> None:
    need("ziglang")
    used = Path(in_checkout(checkout, HOST)["path"])
    folder, day = used.parent, 24 * 3600
    names = {"libbitwave-0123456789abcdef.so": 31, "bitwave-m4-gcc-0123456789abcdef.elf": 31, "notes.so": 31}
    names["libbitwave-fedcba9876543210.so"] = 29
    for name, days in names.items():
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (used.stat().st_mtime - days * day,) * 2)
    os.utime(used, (used.stat().st_mtime - 31 * day,) * 2)
    assert Path(in_checkout(checkout, HOST)["path"]) == used  # used again: its month begins anew
    touch_source(checkout)
    new = Path(in_checkout(checkout, HOST)["path"])
    kept = {new.name, used.name, "notes.so", "libbitwave-fedcba9876543210.so"}
    assert {path.name for path in folder.iterdir()} == kept


def test_a_stale_build_without_a_compiler_is_refused(checkout: Path) -> None:
    need("ziglang")
    code = HOST + "\nout['m4'] = str(native.m4_elf('clang'))"
    assert "m4" in in_checkout(checkout, code)
    touch_source(checkout)
    for function in ("native.host_library()", "native.m4_elf('clang')"):
        error = in_checkout(checkout, function, compiler=False)["error"]
        assert "sources have changed" in error
        assert "pip install ziglang" in error


def test_rooms_do_not_rebuild_each_other(checkout: Path) -> None:
    digest = "out['digest'] = native.source_digest()"
    names = "import platform; out['name'] = native._digest(native._sources('host'))"
    before, host = in_checkout(checkout, digest), in_checkout(checkout, names)
    main = checkout / "emu" / "main.c"
    main.write_text(main.read_text() + "\n")
    assert in_checkout(checkout, names) == host
    assert in_checkout(checkout, digest) != before


def test_a_source_that_does_not_compile_is_one_line_and_leaves_nothing(checkout: Path) -> None:
    need("ziglang")
    source = checkout / "lib" / "bitwave_core" / "src" / "bw_crc.c"
    source.write_text("int bw_broken(void) { return undeclared; }\n")
    error = in_checkout(checkout, HOST)["error"]
    assert "bw_crc.c:1" in error
    assert "\n" not in error
    assert list((checkout.parent / "host" / "bitwave" / "_native").iterdir()) == []


def test_no_firmware_sources(checkout: Path) -> None:
    shutil.rmtree(checkout)
    assert in_checkout(checkout, HOST) == {"error": "the firmware sources are missing; install bitwave again"}


def test_missing_gcc_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert native.m4_compilers() == ("clang",)
    with pytest.raises(MissingPackage, match="install the package gcc-arm-none-eabi"):
        native.m4_elf("gcc")


def test_gcc_build_lands_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need("arm-none-eabi-gcc")
    monkeypatch.setattr(native, "_cache_folder", lambda: tmp_path / "cache")
    path = native.m4_elf("gcc")
    assert path.parent == tmp_path / "cache"
    assert native.m4_elf("gcc") == path
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("system", "machine", "tag"),
    [
        ("linux", "x86_64", "manylinux_2_17_x86_64"),
        ("linux", "aarch64", "manylinux_2_17_aarch64"),
        ("darwin", "arm64", "macosx_11_0_arm64"),
        ("win32", "AMD64", "win_amd64"),
    ],
)
def test_target_of_a_platform(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, tag: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "x86_64-pc-linux-gnu")
    assert native.host_target().wheel_tag == tag


def test_musl_and_unknown_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "x86_64-alpine-linux-musl")
    assert native.host_target().wheel_tag == "musllinux_1_2_x86_64"
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(NativeBuildError, match="not built for musl-riscv64"):
        native.host_target()


@pytest.mark.parametrize("name", ["darwin-arm64", "musl-x86_64", "win32-amd64"])
def test_sources_compile_for(name: str, tmp_path: Path) -> None:
    """Compiles only: linking would first build that system's C library, which takes a minute for Windows."""
    need("ziglang")
    target, root = native.HOST_TARGETS[name], native.firmware_root()
    command = [*native._zig(Path(name)), "-target", target.triple, f"-mcpu={target.cpu}", *native.ZIG_FLAGS]
    command += ["-O3", "-c", f"-I{root / native.CORE / 'include'}"]
    for source in sorted(path for path in native._sources("host") if path.suffix == ".c"):
        done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), source.name


def test_another_platforms_library_links(tmp_path: Path) -> None:
    need("ziglang")
    path = native.build_host(native.HOST_TARGETS["linux-aarch64"], tmp_path)
    assert path.read_bytes()[:20].endswith(b"\xb7\x00")  # EM_AARCH64


def test_host_library_uses_nothing_newer_than_its_baseline() -> None:
    need("elftools", "capstone")
    target = native.host_target()
    if not target.triple.startswith("x86_64-linux"):
        return  # the other baselines are their architecture's first version
    import capstone
    from elftools.elf.elffile import ELFFile

    with native.host_library().open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        code, address = text.data(), text["sh_addr"]
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    names = {name for _, _, name, _ in disassembler.disasm_lite(code, address)}
    assert len(names) > 20
    assert {name for name in names if name.startswith("v")} == set()  # AVX and later


def test_m4_image_names_no_machine() -> None:
    data = native.m4_elf("clang").read_bytes() + native.host_library().read_bytes()
    for path in (Path.home(), native.firmware_root().parent, Path(sys.prefix)):
        assert str(path).encode() not in data
