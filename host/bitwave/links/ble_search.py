"""Which boards are in reach by Bluetooth Low Energy."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bleak import BleakScanner
from bleak.exc import BleakError

from ..errors import LinkError
from .ble_uuids import SERVICE

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

# What the radio's stack raises where the radio, the board or the bus is gone; an assertion is bleak's way to find out
# that the connection went between two lines of its own.
RADIO_ERRORS = (BleakError, OSError, EOFError, asyncio.TimeoutError, AssertionError)


@dataclass(frozen=True)
class Advertiser:
    """A board in reach; the signal strength is in dBm."""

    name: str
    address: str
    rssi: int


def scan(seconds: float) -> list[Advertiser]:
    """Boards that advertise the bitwave service, strongest first; raises `LinkError` where there is no Bluetooth."""
    try:
        found = asyncio.run(BleakScanner.discover(seconds, return_adv=True, service_uuids=[SERVICE]))
    except RADIO_ERRORS as error:
        raise LinkError(f"no Bluetooth here: {why(error)}; switch it on, or use a cable") from error
    boards = [Advertiser(_name(device, data), device.address, data.rssi) for device, data in found.values()]
    return sorted(boards, key=lambda board: (-board.rssi, board.name))


async def look_for(name: str, seconds: float, settle_s: float = 0.0) -> BLEDevice | None:
    """The board of a name or an address; without a name the only one in reach; None where it does not show up.

    Raises:
        LinkError: several boards are in reach, and no name was given.
    """
    seen: dict[str, tuple[BLEDevice, str]] = {}
    news = asyncio.Event()

    def note(device: BLEDevice, data: AdvertisementData) -> None:
        called = _name(device, data)
        if not name or name.lower() in (called.lower(), device.address.lower()):
            seen[device.address] = (device, called)
            news.set()

    async with BleakScanner(note, service_uuids=[SERVICE]):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(news.wait(), seconds)
            if not name:
                await asyncio.sleep(settle_s)
    if len(seen) > 1:
        names = ", ".join(f"ble:{called or address}" for address, (_, called) in sorted(seen.items()))
        raise LinkError(f"several boards are in reach; name one: {names}")
    return next((device for device, _ in seen.values()), None)


def _name(device: BLEDevice, data: AdvertisementData) -> str:
    return data.local_name or device.name or ""


def why(error: BaseException) -> str:
    """One line of what a radio error says."""
    if isinstance(error, FileNotFoundError):
        return "there is no D-Bus system bus"  # where Linux programs find Bluetooth
    text = " ".join(str(error).split())
    return text or type(error).__name__
