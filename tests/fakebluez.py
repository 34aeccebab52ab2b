"""A fake BlueZ on a private D-Bus, so that bleak's real backend runs without a radio.

    with FakeBlueZ() as bluez:
        device = bluez.add_device("AA:BB:CC:DD:EE:FF", "bitwave-EEFF", [SERVICE])
        frames = device.service(SERVICE).characteristic(FRAMES, ["notify"])
        ...bleak finds, connects and subscribes...
        bluez.run(frames.notify(b"..."))
        bluez.run(device.drop())

The bus and its one service live in a thread; `run` does things there. Needs dbus-daemon and dbus-fast.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import threading
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from fakegatt import DONE, OBJECTS, PROPERTIES, Adapter, Characteristic, Device, GattError, Node, Reply

T = TypeVar("T")

OWN_INTERFACES = ("org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable")  # dbus-fast answers these

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="false"/><allow eavesdrop="false"/><allow own="*"/>
</policy></busconfig>"""


class FakeBlueZ:
    """The service ``org.bluez`` on a bus of its own, which is the system bus of this process meanwhile."""

    bus: MessageBus
    adapter: Adapter

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="fake BlueZ", daemon=True)
        self._exit = ExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does something in the service's thread and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def add_device(self, address: str, name: str, uuids: Iterable[str], mtu: int = 247, rssi: int = -50) -> Device:
        return Device(self, address, name, uuids, mtu, rssi)

    def __enter__(self) -> FakeBlueZ:
        address = _start_bus(self._exit)
        self._thread.start()
        self._exit.callback(self._stop)
        self.adapter = Adapter(self)
        self.run(self._connect(address))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    async def _connect(self, address: str) -> None:
        self.bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM, negotiate_unix_fd=True)
        await self.bus.connect()
        self.bus.add_message_handler(self._receive)
        await self.bus.request_name("org.bluez")

    def _stop(self) -> None:
        self.run(self._disconnect())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _disconnect(self) -> None:
        self.adapter.stop()
        for node in self.nodes.values():
            if isinstance(node, Characteristic):
                node.unsubscribe()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.bus.disconnect()

    async def signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        kind = MessageType.SIGNAL
        message = Message(
            path=path, interface=interface, member=member, message_type=kind, signature=signature, body=body
        )
        await self.bus.send(message)

    def _receive(self, message: Message) -> bool | None:
        if message.message_type != MessageType.METHOD_CALL or message.interface in OWN_INTERFACES:
            return None
        task = asyncio.ensure_future(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, message: Message) -> None:
        try:
            signature, body, descriptors = await self._dispatch(message)
        except GattError as error:
            await self.bus.send(Message.new_error(message, error.name, error.text))
            return
        await self.bus.send(Message.new_method_return(message, signature, body, descriptors))
        for descriptor in descriptors:
            os.close(descriptor)

    async def _dispatch(self, message: Message) -> Reply:
        if message.interface == OBJECTS:
            shown = {node.path: {node.interface: node.properties} for node in self.nodes.values() if node.shown}
            return "a{oa{sa{sv}}}", [shown], []
        node = self.nodes.get(str(message.path))
        if node is None or not node.shown:
            raise GattError("org.freedesktop.DBus.Error.UnknownObject", f"no object {message.path}")
        if message.interface != PROPERTIES:
            return await node.call(message)
        if message.member == "Get":
            return "v", [node.properties[message.body[1]]], []
        if message.member == "GetAll":
            return "a{sv}", [node.properties], []
        await node.change(**{message.body[1]: message.body[2]})
        return DONE


def _start_bus(stack: ExitStack) -> str:
    """Starts dbus-daemon as this process's system bus; returns its address."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bitwave-bus-")))
    address = f"unix:path={folder}/bus"
    config = folder / "bus.conf"
    config.write_text(BUS_CONFIG.format(address=address))
    daemon = subprocess.Popen(
        ["dbus-daemon", "--nofork", "--print-address", f"--config-file={config}"], stdout=subprocess.PIPE
    )
    stack.callback(_end, daemon)
    assert daemon.stdout is not None
    assert daemon.stdout.readline(), "dbus-daemon says where it listens"
    before = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
    stack.callback(_restore, before)
    return address


def _end(daemon: subprocess.Popen[bytes]) -> None:
    with daemon:
        daemon.terminate()


def _restore(before: str | None) -> None:
    if before is None:
        del os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    else:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = before
