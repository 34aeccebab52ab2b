"""The sketch as the Arduino core's compiler would take it, and the files that build it."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ccode import CORE, CORE_SOURCES, ROOT
from firmware_world import CXX, SKETCH, STUBS
from support import need

MODEL = ROOT / "firmware/lib/bitwave_model"
EXAMPLE = CORE / "examples/Recognise/Recognise.ino"
# As the core's cxxflags.txt, without the warnings that it switches off.
NANO = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16", "-Os", "-funsigned-char", "-fno-rtti",
        "-fno-exceptions", "-ffunction-sections", "-fdata-sections", "-fomit-frame-pointer")  # fmt: skip
INCLUDE = (f"-I{STUBS}", f"-I{CORE / 'src'}", f"-I{MODEL}")
PROGRAM = """
int x = 5; const char image[SIZE] = {1};
int main(void) { return x + image[1]; }
"""
# The names and addresses of the core's linker script.
SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x10000, LENGTH = 0xf0000 RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 0x40000 }
ENTRY(main)
SECTIONS {
    .text : { *(.text*) *(.rodata*) } > FLASH
    __etext = .;
    .data : AT (__etext) { __data_start__ = .; *(.data*) __data_end__ = .; } > RAM
    .bss : { *(.bss*) } > RAM
}
"""


def compile_nano(source: Path, out: Path, *more: str) -> None:
    need("arm-none-eabi-g++")
    command = ["arm-none-eabi-g++", *CXX, *NANO, *INCLUDE, *more, "-c", str(source), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source", sorted(SKETCH.glob("*.cpp")), ids=lambda path: path.stem)
def test_the_sketch_compiles_for_the_board_without_a_warning(source: Path, tmp_path: Path) -> None:
    compile_nano(source, tmp_path / "out.o")


@pytest.mark.parametrize("header", sorted(SKETCH.glob("*.h")), ids=lambda path: path.stem)
def test_every_header_stands_alone(header: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.cpp").write_text(f'#include "{header}"\n')
    compile_nano(tmp_path / "alone.cpp", tmp_path / "out.o")


def test_the_core_compiles_from_its_sources_folder_alone(tmp_path: Path) -> None:
    """As the Arduino IDE does: headers are found in src only."""
    need("arm-none-eabi-gcc")
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", *(f for f in NANO if f != "-fno-rtti"), f"-I{CORE / 'src'}"]
    for source in CORE_SOURCES:
        subprocess.run(["arm-none-eabi-gcc", *flags, "-c", str(source), "-o", str(tmp_path / "out.o")], check=True)


def test_the_example_compiles(tmp_path: Path) -> None:
    compile_nano(EXAMPLE, tmp_path / "out.o", "-x", "c++")


@pytest.mark.parametrize(("size", "fits"), [(0xCF000, True), (0xD0000, False)])
@pytest.mark.parametrize("first", ["slots", "core"])
def test_the_link_fails_where_the_program_reaches_the_slots(tmp_path: Path, size: int, fits: bool, first: str) -> None:
    need("arm-none-eabi-gcc")
    (tmp_path / "program.c").write_text(PROGRAM)
    (tmp_path / "core.ld").write_text(SCRIPT)
    scripts = {"slots": f"-Wl,{SKETCH / 'slots.ld'}", "core": f"-T{tmp_path / 'core.ld'}"}
    order = [scripts.pop(first), *scripts.values()]
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-nostdlib", f"-DSIZE={size}", *order,
               str(tmp_path / "program.c"), "-o", str(tmp_path / "program.elf")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == fits, done.stderr
    assert fits or "the program reaches the model slots" in done.stderr


def test_the_slots_address_is_the_same_everywhere() -> None:
    config = (SKETCH / "config.h").read_text()
    pages = int(re.findall(r"SLOT_PAGES = (\d+)", config)[0])
    start = 0x100000 - 2 * pages * 4096
    assert re.findall(r"<= (0x\w+)", (SKETCH / "slots.ld").read_text()) == [f"0x{start:X}"]
    assert platformio()["board_upload.maximum_size"] == str(start - 0x10000)


def platformio() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
    parser.read(ROOT / "platformio.ini")
    return parser["env:nano33ble"]


def test_platformio_takes_its_configuration(tmp_path: Path) -> None:
    need("platformio")
    environment = {**os.environ, "PLATFORMIO_CORE_DIR": str(tmp_path), "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no"}
    command = [sys.executable, "-m", "platformio", "project", "config", "--lint", "--project-dir", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0 and "free from linting errors" in done.stdout, done.stdout + done.stderr
    computed = json.loads(subprocess.run(
        [*command[:-3], "--json-output", *command[-2:]], capture_output=True, text=True, env=environment, check=True
    ).stdout)  # fmt: skip
    sections = {name: dict(values) for name, values in computed}
    env = sections["env:nano33ble"]
    assert env["platform"].startswith("nordicnrf52@") and env["framework"] == ["arduino"]
    assert len(env["lib_deps"]) == 3 and all("@" in dependency for dependency in env["lib_deps"])
    assert "-mfloat-abi=soft" in env["build_unflags"] and "-std=gnu++14" in env["build_flags"]
    assert Path(sections["platformio"]["src_dir"]) == SKETCH


def test_the_core_is_a_library_of_one_version() -> None:
    properties = dict(line.split("=", 1) for line in (CORE / "library.properties").read_text().splitlines())
    manifest = json.loads((CORE / "library.json").read_text())
    version = re.findall(r"FIRMWARE\[3\] = \{(\d+), (\d+), (\d+)\}", (SKETCH / "config.h").read_text())[0]
    assert properties["name"] == manifest["name"] == "bitwave_core"
    assert properties["version"] == manifest["version"] == ".".join(version)
    assert {"sentence", "maintainer", "category", "architectures"} <= properties.keys()
