"""``ble:NAME``: a board over Bluetooth Low Energy, on Linux (BlueZ), macOS and Windows alike, through bleak.

NAME is what the board advertises (``bitwave-1A2B``) or its address; without one, the only board in reach is meant.
The radio lives in a thread with an event loop of its own. When the link breaks, the board goes on sampling: this side
says so, tries again with growing pauses, and switches on again what was on; the samples in between are a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bleak import BleakClient
from bleak.exc import BleakError

from ..errors import LinkError
from ..wire.frames import Body
from ..wire.requests import Recognise, Stream
from .ble_search import RADIO_ERRORS, look_for, why
from .ble_uuids import COMMAND, FRAMES, SERVICE
from .link import Link

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice

T = TypeVar("T")

MAX_PIECE = 244  # what the board's characteristic holds, whatever MTU two clever radios agree on


@dataclass(frozen=True)
class Patience:
    """How long to look for a board.

    Attributes:
        search_s: a scan for a board that was never seen.
        settle_s: a scan goes on for so long after the first board, to find out whether it is the only one.
        connect_s: to connect, with all attempts.
        lost_s: to find a board again whose link broke.
        back_off_s: pauses between attempts; the last one again and again.
    """

    search_s: float = 10.0
    settle_s: float = 1.0
    connect_s: float = 30.0
    lost_s: float = 60.0
    back_off_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0)


class BleLink(Link):
    """A board over Bluetooth; losses are survived as long as `Patience` lasts."""

    def __init__(self, url: str, name: str, patience: Patience | None = None) -> None:
        """Finds the board and connects; raises `LinkError`."""
        super().__init__(url)
        self._name = name
        self._patience = patience or Patience()
        self._changed = threading.Condition()
        self._received = bytearray()
        self._notices: list[str] = []
        self._client: BleakClient | None = None
        self._down_since: float | None = None
        self._down_s = 0.0
        self._restore = False
        self._on: dict[int, Body] = {}
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bitwave-ble", daemon=True)
        self._thread.start()
        self._life: Future[None] = self._start(self._live())
        self._life.add_done_callback(lambda _: self._wake())
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._client is not None or self._life.done())
            self._raise_if_over()
        except BaseException:
            self.close()
            raise

    def send(self, body: Body) -> int:
        """See `Link.send`; remembers what is switched on, for after a loss."""
        if isinstance(body, Stream | Recognise):
            self._on[body.TYPE] = body
        return super().send(body)

    def clock(self) -> float:
        """Stands still while the board is out of reach: nobody can answer in time then."""
        with self._changed:
            since = self._down_since
            return (time.monotonic() if since is None else since) - self._down_s

    def close(self) -> None:
        """Disconnects, so that the board advertises again."""
        if self._loop.is_closed():
            return
        self._start(self._wind_up()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _write(self, data: bytes) -> None:
        self._await_link()
        # A piece that the radio loses is like a frame that the radio loses: whoever asked asks again.
        with contextlib.suppress(*RADIO_ERRORS):
            self._start(self._send_pieces(data)).result()

    def _read(self, timeout_s: float) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._received or self._notices or self._life.done(), timeout_s)
            data = bytes(self._received)
            self._received.clear()
            notices, self._notices = self._notices, []
            restore, self._restore = self._restore, False
        for line in notices:
            self.notice(line)
        if restore:
            for body in self._on.values():
                super().send(body)
        if not data:
            self._raise_if_over()
        return data

    def _await_link(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._client is not None or self._life.done())
        self._raise_if_over()

    def _raise_if_over(self) -> None:
        if self._loop.is_closed() or self._life.cancelled():
            raise LinkError(f"{self.url} is closed")
        if self._life.done():
            self._life.result()

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop.is_closed():
            work.close()
            raise LinkError(f"{self.url} is closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # ---- in the radio's thread ----

    async def _live(self) -> None:
        """Connects, again and again; ends with `LinkError` when patience is over."""
        self._task = asyncio.current_task()
        device = await self._search()
        deadline = time.monotonic() + self._patience.connect_s
        attempt = 0
        while True:
            lost = asyncio.Event()
            client = BleakClient(device, lambda _, lost=lost: lost.set(), services=[SERVICE], timeout=5.0)  # type: ignore[misc]
            reason = "the link broke"
            try:
                await client.connect()
                await self._subscribe(client)
                self._note_up(client)
                attempt = 0
                await lost.wait()
            except RADIO_ERRORS as error:
                reason = why(error)
            finally:
                if self._note_down(reason):
                    deadline = time.monotonic() + self._patience.lost_s
                with contextlib.suppress(*RADIO_ERRORS):
                    await client.disconnect()
            if time.monotonic() > deadline:
                raise LinkError(
                    f"{self.url} is out of reach: {reason}; bring the board nearer or reset it, then try again"
                )
            await asyncio.sleep(self._patience.back_off_s[min(attempt, len(self._patience.back_off_s) - 1)])
            attempt += 1
            if attempt > 1:  # the system may have forgotten it
                with contextlib.suppress(*RADIO_ERRORS):
                    device = await look_for(device.address, min(2.0, self._patience.search_s)) or device

    async def _search(self) -> BLEDevice:
        try:
            found = await look_for(self._name, self._patience.search_s, self._patience.settle_s)
        except RADIO_ERRORS as error:
            raise LinkError(f"no Bluetooth here: {why(error)}; switch it on, or use a cable") from error
        if found is None:
            name = self._name or "any board"
            raise LinkError(
                f"{self.url}: {name} does not advertise the bitwave service: is it powered, near, and not connected "
                "to another computer?"
            )
        return found

    async def _subscribe(self, client: BleakClient) -> None:
        """Notifications through a socket of their own where BlueZ offers it: they cannot drown the bus."""
        if any(client.services.get_characteristic(uuid) is None for uuid in (COMMAND, FRAMES)):
            raise LinkError(f"{self.url} lacks a characteristic: flash the bitwave firmware of this version")
        try:
            await client.start_notify(FRAMES, self._take, bluez={"use_start_notify": False})
        except BleakError:
            if not client.is_connected:
                raise
            await client.start_notify(FRAMES, self._take, bluez={"use_start_notify": True})
        await self._send_to(client, b"\0")  # ends what an earlier connection may have left half sent

    def _take(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        with self._changed:
            self._received += data
            self._changed.notify_all()

    def _note_up(self, client: BleakClient) -> None:
        with self._changed:
            self._client = client
            if self._down_since is not None:
                seconds = time.monotonic() - self._down_since
                self._down_s += seconds
                self._down_since = None
                self._restore = True
                self._notices.append(f"{self.url} is back after {seconds:.1f} s")
            self._changed.notify_all()

    def _note_down(self, reason: str) -> bool:
        """True where a link has been lost that stood."""
        with self._changed:
            if self._client is None or self._closing:
                return False
            self._client = None
            self._down_since = time.monotonic()
            self.losses += 1
            self._received += b"\0"  # half a frame stays one
            self._notices.append(f"{self.url} is out of reach ({reason}): trying again")
            self._changed.notify_all()
            return True

    async def _send_pieces(self, data: bytes) -> None:
        if self._client is not None:
            await self._send_to(self._client, data)

    async def _send_to(self, client: BleakClient, data: bytes) -> None:
        """In pieces; the board confirms the last, and with it those before.

        Those need no answer each, which would take two connection intervals; but without any the system's queue would
        be all that holds this side back, and some systems drop what it has no room for.
        """
        command = client.services.get_characteristic(COMMAND)
        if command is None:
            return  # the connection went just now
        size = min(command.max_write_without_response_size, MAX_PIECE)
        can_confirm = "write" in command.properties
        can_hurry = "write-without-response" in command.properties
        for first in range(0, len(data), size):
            is_last = first + size >= len(data)
            confirmed = can_confirm and (is_last or not can_hurry)
            await client.write_gatt_char(command, data[first : first + size], response=confirmed)

    async def _wind_up(self) -> None:
        """Ends our own task first, which says goodbye to the board, then what bleak keeps running."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
