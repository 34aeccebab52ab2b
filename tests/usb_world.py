"""A made-up USB: what pyserial's list of ports shows is what a test plugs in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from bitwave.boards import usb


@dataclass
class UsbWorld:
    """Ports by name; programs look at it as often as they like."""

    ports: dict[str, ListPortInfo] = field(default_factory=dict)
    on_look: Callable[[], None] | None = None  # before each look

    def plug(self, port: str, pid: int = usb.APPLICATION, vid: int = usb.VENDOR, location: str = "1-2") -> None:
        info = ListPortInfo(port)
        info.vid, info.pid, info.location = vid, pid, location
        info.serial_number, info.description = "04D3", "Nano 33 BLE" if vid == usb.VENDOR else "USB Serial"
        self.ports[port] = info

    def unplug(self, port: str) -> None:
        self.ports.pop(port, None)

    def comports(self) -> list[ListPortInfo]:
        if self.on_look is not None:
            self.on_look()
        return list(self.ports.values())


@pytest.fixture
def usb_world(monkeypatch: pytest.MonkeyPatch) -> UsbWorld:
    world = UsbWorld()
    monkeypatch.setattr(list_ports, "comports", world.comports)
    return world
