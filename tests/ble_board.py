"""A board behind fake Bluetooth: what the sketch does around the app, done here."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Callable

from bitwave import wire
from bitwave.links import ble_uuids as ble
from bitwave.links.replay import BATCH, WRAP
from bitwave.links.virtual import Board, Source
from bitwave.wire.requests import Recognise, Stream
from fakebluez import FakeBlueZ
from fakegatt import Device

TICK_S = 0.001  # of the wall, for BATCH samples: about 60 times as fast as life


class BleBoard:
    """A peripheral with the bitwave service; its board samples all the time, connected or not.

    Attributes:
        sampled: samples that the board took.
        paused: the clock stands still: nothing is sampled, nothing is sent.
    """

    def __init__(
        self,
        bluez: FakeBlueZ,
        board: Board,
        source: Source | None,
        name: str = "bitwave-EEFF",
        address: str = "AA:BB:CC:DD:EE:FF",
        mtu: int = 247,
        rssi: int = -50,
    ) -> None:
        self.bluez = bluez
        self.board = board
        self.source = source
        self.sampled = 0
        self.paused = False
        self.device: Device = bluez.add_device(address, name, [ble.SERVICE], mtu, rssi)
        service = self.device.service(ble.SERVICE)
        self.command = service.characteristic(ble.COMMAND, ["write", "write-without-response"])
        self.frames = service.characteristic(ble.FRAMES, ["notify"])
        self.command.on_write = board.receive
        self.device.on_drop = self._reset_link
        self.on_tick: Callable[[BleBoard], None] | None = None
        self._task = asyncio.run_coroutine_threadsafe(self._live(), bluez.loop)

    def close(self) -> None:
        """Ends the board; its own failures come out here."""
        self._task.cancel()
        with contextlib.suppress(concurrent.futures.CancelledError):
            self._task.result(10)

    def drop(self) -> None:
        """The link breaks."""
        self.bluez.run(self.device.drop())

    def in_loop(self, action: Callable[[], None]) -> None:
        """Does something with the board where nobody else does at the same time."""

        async def act() -> None:
            action()

        self.bluez.run(act())

    def _reset_link(self) -> None:
        """A new connection starts with nothing switched on and nothing queued."""
        self.board.receive(b"\0" + b"".join(wire.encode(wire.Frame(body)) for body in (Stream(0), Recognise(0))))
        self.board.transmit()

    async def _live(self) -> None:
        while True:
            if not self.paused:
                self._sample()
                waiting = self.board.transmit()
                size = self.frames.mtu - 3
                for first in range(0, len(waiting), size):
                    if not await self.frames.notify(waiting[first : first + size]):
                        break
            if self.on_tick is not None:
                self.on_tick(self)
            await asyncio.sleep(TICK_S)

    def _sample(self) -> None:
        if self.source is None:
            return
        times, samples = self.source.take(BATCH)
        for time_us, counts in zip(times.tolist(), samples, strict=True):
            self.board.sample(time_us % WRAP, counts)
            self.sampled += 1
