"""Puts firmware on a board over USB: into the bootloader, upload, out again, self-test.

A board enters its bootloader when its port is opened at 1200 baud and closed; the bootloader is another USB device,
often with another port name. What cannot go on says what to do: a board whose sketch hangs needs its button.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import links, native
from ..errors import LinkError, MissingPackage, UsageError
from ..wire.frames import Info
from ..wire.requests import SelfTest
from . import usb

ENVIRONMENT = "nano33ble"  # in platformio.ini
FLASH_START, FLASH_END = 0x10000, 0x100000  # the bootloader lies below
RAM_START, RAM_END = 0x20000000, 0x20040000
DOUBLE_TAP = (
    "the board did not enter its bootloader: press its reset button twice quickly, until the orange light breathes, "
    "then run bitwave flash again"
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Waits:
    """How long a board may take.

    Attributes:
        bootloader_s: to come back as bootloader after the touch.
        application_s: to come back with the new firmware, and to answer.
        poll_s: between two looks.
    """

    bootloader_s: float = 10.0
    application_s: float = 20.0
    poll_s: float = 0.1


@dataclass(frozen=True)
class Flashed:
    """What came of it: the port that the board now has, what it says, and whether its model passed the self-test."""

    port: str
    info: Info
    self_test: bool


def flash(
    firmware: Path | None, port: str | None, bossac: Path | None, say: Say, waits: Waits | None = None
) -> Flashed:
    """Flashes one board.

    Args:
        firmware: a .bin for the application's place in flash; None builds the project's with PlatformIO.
        port: of the board; None for the only one.
        bossac: the uploader; None looks for it.
        say: gets a line per step and per line of the tools' output.
        waits: see there.

    Raises:
        UsageError: no or several boards and no port, or the file is no firmware for this board.
        MissingPackage: PlatformIO or bossac is needed and not installed.
        LinkError: the board does not do its part.
    """
    waits = waits or Waits()
    board = choose(port)
    if firmware is None:
        _upload_with_platformio(board, say)
    else:
        check_firmware(firmware)
        tool = bossac or find_bossac()
        board = _enter_bootloader(board, say, waits)
        _upload_with_bossac(tool, firmware, board, say)
    return _wake(board, say, waits)


def choose(port: str | None) -> usb.UsbBoard:
    """The board at a port, or the only one; raises `UsageError`."""
    boards = usb.find()
    if port is not None:
        boards = [board for board in boards if board.port == port]
        if not boards:
            raise UsageError(f"no Nano 33 BLE at {port}: bitwave ports lists what is there")
    if not boards:
        raise UsageError("no Nano 33 BLE on USB: bitwave doctor tells what to do")
    if len(boards) > 1:
        raise UsageError(f"several boards: name one with --port: {', '.join(board.port for board in boards)}")
    return boards[0]


def check_firmware(path: Path) -> None:
    """Raises `UsageError` unless a file looks like an application for this board: stack in RAM, entry in flash."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
    if len(head) < 8 or size > FLASH_END - FLASH_START:
        raise UsageError(f"{path} has {size} bytes: no firmware for a Nano 33 BLE; give the .bin of the build")
    stack, entry = struct.unpack("<II", head)
    if not (RAM_START < stack <= RAM_END and FLASH_START <= entry < FLASH_START + size and entry & 1):
        raise UsageError(f"{path} is no firmware for a Nano 33 BLE: give the .bin of the build, not .hex or .elf")


def find_bossac() -> Path:
    """Arduino's bossac, which alone knows this chip; raises `MissingPackage`."""
    home = Path.home()
    data = Path(os.environ.get("LOCALAPPDATA", home)) if os.name == "nt" else home
    places = [
        Path(os.environ.get("PLATFORMIO_CORE_DIR", home / ".platformio")) / "packages" / "tool-bossac-nordicnrf52"
    ]
    for arduino in (home / ".arduino15", home / "Library" / "Arduino15", data / "Arduino15"):
        places += sorted((arduino / "packages" / "arduino" / "tools" / "bossac").glob("*"), reverse=True)
    for place in places:
        if found := shutil.which("bossac", path=str(place)):
            return Path(found)
    if found := shutil.which("bossac"):
        return Path(found)
    raise MissingPackage(
        "bossac is not installed: pip install platformio and build once, or install the Arduino Nano boards package, "
        "or name it with --bossac"
    )


def _enter_bootloader(board: usb.UsbBoard, say: Say, waits: Waits) -> usb.UsbBoard:
    if board.kind == "bootloader":
        say(f"{board.port} is in its bootloader already")
        return board
    say(f"{board.port}: into the bootloader")
    _touch(board.port)
    found = _wait_for(board, lambda other: other.kind != board.kind, waits.bootloader_s, waits.poll_s)
    if found is None:
        raise LinkError(DOUBLE_TAP)
    return found


def _touch(port: str) -> None:
    """Opens the port at 1200 baud and closes it with DTR low: the sketch's own USB code then restarts the board."""
    import serial

    try:
        touched = serial.Serial(port, 1200)
    except (OSError, ValueError) as error:
        raise LinkError(f"{port} cannot be opened: {error}; bitwave doctor tells who has it") from error
    # The board may be gone before the port is closed.
    with contextlib.suppress(OSError):
        touched.dtr = False
    with contextlib.suppress(OSError):
        touched.close()


def _wait_for(
    board: usb.UsbBoard, wanted: Callable[[usb.UsbBoard], bool], seconds: float, poll_s: float
) -> usb.UsbBoard | None:
    """The same board in another state, as soon as it may be opened: rights come a moment after the port."""
    deadline = time.monotonic() + seconds
    while True:
        for other in usb.find():
            if _same(board, other) and wanted(other) and usb.may_open(other.port):
                return other
        if time.monotonic() > deadline:
            return None
        time.sleep(poll_s)


def _same(board: usb.UsbBoard, other: usb.UsbBoard) -> bool:
    """By where it is plugged in, else by its number; a system that hides both has one board, one hopes."""
    if board.location and other.location:
        return board.location == other.location
    if board.serial_number and other.serial_number:
        return board.serial_number == other.serial_number
    return True


def _upload_with_bossac(tool: Path, firmware: Path, board: usb.UsbBoard, say: Say) -> None:
    say(f"{board.port}: writing {firmware}")
    port = board.port.removeprefix("/dev/")  # bossac adds it
    status, last = run_tool([str(tool), "-d", f"--port={port}", "-U", "-i", "-e", "-w", str(firmware), "-R"], say)
    if status:
        raise LinkError(f"bossac failed ({last or f'status {status}'}): press reset twice quickly and try again")


def _upload_with_platformio(board: usb.UsbBoard, say: Say) -> None:
    project = native.firmware_root().parent
    if not (project / "platformio.ini").is_file():
        raise UsageError("there is no platformio.ini here: give a firmware .bin, or work in a checkout of bitwave")
    tool = shutil.which("pio") or shutil.which("platformio")
    if tool is None:
        raise MissingPackage("PlatformIO is not installed: pip install platformio, or give a firmware .bin")
    say(f"{board.port}: building and uploading with PlatformIO")
    words = ["run", "-d", str(project), "-e", ENVIRONMENT, "-t", "upload", "--upload-port", board.port]
    status, last = run_tool([tool, *words], say)
    if status:
        advice = "" if board.kind == "bootloader" else f"; if it built and could not upload: {DOUBLE_TAP}"
        raise LinkError(f"PlatformIO failed ({last or f'status {status}'}){advice}")


def run_tool(words: Sequence[str], say: Say) -> tuple[int, str]:
    """Runs a program and passes its lines on; returns its exit status and its last line that is not empty."""
    last = ""
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as tool:
        assert tool.stdout is not None
        for line in tool.stdout:  # a progress bar's carriage return ends a line too
            if line.strip():
                last = line.strip()
                say(f"  {last}")
    return tool.returncode, last


def _wake(board: usb.UsbBoard, say: Say, waits: Waits) -> Flashed:
    """Waits for the new firmware and lets it prove itself."""
    deadline = time.monotonic() + waits.application_s
    found = _wait_for(board, lambda other: other.kind != "bootloader", waits.application_s, waits.poll_s)
    if found is None:
        raise LinkError("the board did not come back: press its reset button once, then run bitwave doctor")
    while True:
        try:
            with links.open(found.link) as link:
                info = link.info()
                if info.labels:
                    say(f"{found.port}: self-test")
                    link.ask(SelfTest())
                return Flashed(found.port, info, bool(info.labels))
        except LinkError:
            if time.monotonic() > deadline:
                raise
        time.sleep(waits.poll_s)
