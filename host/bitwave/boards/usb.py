"""Nano 33 BLE boards on USB: where they are, whether this user may open them, and who has them open."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")

VENDOR = 0x2341
# Product numbers in the board's definition. Sketches add 0x8000 to the bootloader's.
APPLICATION = 0x805A
BOOTLOADER = 0x005A
OTHERS = (0x015A, 0x025A)

Kind = Literal["application", "bootloader", "other"]


@dataclass(frozen=True)
class UsbBoard:
    """A board at a port.

    Attributes:
        kind: "application" runs a sketch, "bootloader" waits for firmware, "other" is one of the rarer numbers.
        location: where it is plugged in; stays the same when the board restarts. Empty where the system hides it.
    """

    port: str
    kind: Kind
    serial_number: str = ""
    location: str = ""

    @property
    def link(self) -> str:
        """URL of the port."""
        return f"serial:{self.port}"


def find() -> list[UsbBoard]:
    """The boards that are plugged in, by port."""
    boards = [
        UsbBoard(port.device, _kind(port.pid), port.serial_number or "", port.location or "")
        for port in _ports()
        if port.vid == VENDOR and port.pid in (APPLICATION, BOOTLOADER, *OTHERS)
    ]
    return sorted(boards, key=lambda board: board.port)


def other_ports() -> list[tuple[str, str]]:
    """Serial ports on USB that are no such board, with what they say they are."""
    known = {board.port for board in find()}
    ports = [port for port in _ports() if port.vid is not None and port.device not in known]
    return sorted((port.device, port.description or "") for port in ports)


def _ports() -> list[Any]:
    from serial.tools import list_ports

    return list(list_ports.comports())


def _kind(product: int) -> Kind:
    return "application" if product == APPLICATION else "bootloader" if product == BOOTLOADER else "other"


def may_open(port: str) -> bool:
    """Whether this user has the right to read and write the port; Windows gives it to everybody."""
    return os.name != "posix" or os.access(port, os.R_OK | os.W_OK)


def group_of(port: str) -> str:
    """Name of the group that may open the port; empty where there are none."""
    if os.name != "posix":
        return ""
    import grp

    try:
        return grp.getgrgid(os.stat(port).st_gid).gr_name
    except (OSError, KeyError):
        return ""


@dataclass(frozen=True)
class Holder:
    """A process that has a port open."""

    pid: int
    name: str


def holders(port: str, processes: Path = Path("/proc")) -> list[Holder]:
    """Who has the port open, this process aside; empty where the system does not tell (other than Linux)."""
    if not sys.platform.startswith("linux"):
        return []
    wanted = os.path.realpath(port)
    return [
        Holder(pid, _name(process))
        for pid, process in _others(processes)
        if any(_leads_to(wanted, link) for link in _listed(process / "fd"))
    ]


def _others(processes: Path) -> Iterator[tuple[int, Path]]:
    for entry in _listed(processes):
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            yield int(entry.name), entry


def _listed(folder: Path) -> list[Path]:
    return _try(lambda: sorted(folder.iterdir()), [])


def _leads_to(wanted: str, link: Path) -> bool:
    return _try(lambda: os.readlink(link) == wanted, False)


def _name(process: Path) -> str:
    return _try(lambda: (process / "comm").read_text().strip(), "a program")


def _try(look: Callable[[], T], otherwise: T) -> T:
    """Processes come and go, and those of others are closed to us."""
    try:
        return look()
    except OSError:
        return otherwise
