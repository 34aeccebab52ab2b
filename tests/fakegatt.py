"""What a fake BlueZ shows on its bus: adapter, devices, services and characteristics."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dbus_fast import Message, Variant

if TYPE_CHECKING:
    from fakebluez import FakeBlueZ

OBJECTS = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"

ADVERTISING_S = 0.02  # interval of a fake advertiser

Reply = tuple[str, list[Any], list[int]]  # signature, body, file descriptors to pass and close
DONE: Reply = ("", [], [])


class GattError(Exception):
    """A D-Bus error to answer with."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(text)
        self.name = name
        self.text = text


class Node:
    """A D-Bus object with one interface of properties."""

    def __init__(self, bluez: FakeBlueZ, path: str, interface: str, properties: dict[str, Variant]) -> None:
        self.bluez = bluez
        self.path = path
        self.interface = interface
        self.properties = properties
        bluez.nodes[path] = self

    @property
    def shown(self) -> bool:
        """Whether the object manager lists it."""
        return True

    async def change(self, **changed: Variant) -> None:
        self.properties.update(changed)
        await self.bluez.signal(self.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [self.interface, changed, []])

    async def appear(self) -> None:
        found = {self.interface: self.properties}
        await self.bluez.signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [self.path, found])

    async def vanish(self) -> None:
        await self.bluez.signal("/", OBJECTS, "InterfacesRemoved", "oas", [self.path, [self.interface]])

    async def call(self, message: Message) -> Reply:
        raise GattError(UNKNOWN_METHOD, str(message.member))


class Characteristic(Node):
    """A GATT characteristic of a fake peripheral.

    Attributes:
        on_write: called with each written piece.
        writes: (piece, "command" or "request") in order.
        acquired: notifications went through a socket at least once.
        refuse_acquire: answer AcquireNotify with an error, as for some devices.
    """

    def __init__(self, service: Service, handle: int, uuid: str, flags: list[str], value: bytes) -> None:
        mtu = service.device.mtu
        properties = {
            "UUID": Variant("s", uuid.lower()),
            "Service": Variant("o", service.path),
            "Flags": Variant("as", flags),
            "Value": Variant("ay", value),
            "Notifying": Variant("b", False),
            "MTU": Variant("q", mtu),
        }
        if "notify" in flags:
            properties["NotifyAcquired"] = Variant("b", False)
        super().__init__(service.bluez, f"{service.path}/char{handle:04x}", CHARACTERISTIC, properties)
        self.device = service.device
        self.flags = flags
        self.mtu = mtu
        self.on_write: Callable[[bytes], None] | None = None
        self.writes: list[tuple[bytes, str]] = []
        self.acquired = False
        self.refuse_acquire = False
        self.socket: socket.socket | None = None

    @property
    def shown(self) -> bool:
        return self.device.connected

    @property
    def subscribed(self) -> bool:
        return self.socket is not None or bool(self.properties["Notifying"].value)

    async def notify(self, piece: bytes) -> bool:
        """Sends one notification of at most MTU - 3 bytes; False where nobody listens."""
        assert len(piece) <= self.mtu - 3, "a peripheral would cut this"
        if self.socket is None:
            if self.subscribed:
                await self.change(Value=Variant("ay", piece))
            return self.subscribed
        try:
            await asyncio.get_running_loop().sock_sendall(self.socket, piece)
        except OSError:
            self.unsubscribe()
        return self.subscribed

    def unsubscribe(self) -> None:
        self.properties["Notifying"] = Variant("b", False)
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    async def call(self, message: Message) -> Reply:
        if not self.device.connected:
            raise GattError("org.bluez.Error.NotConnected", "Not Connected")
        if message.member == "ReadValue" and "read" in self.flags:
            return "ay", [self.properties["Value"].value], []
        if message.member == "WriteValue":
            return self._write(bytes(message.body[0]), message.body[1]["type"].value)
        if message.member == "StartNotify" and "notify" in self.flags:
            await self.change(Notifying=Variant("b", True))
            return DONE
        if message.member == "StopNotify":
            await self.change(Notifying=Variant("b", False))
            return DONE
        if message.member == "AcquireNotify" and "notify" in self.flags and not self.refuse_acquire:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            self.socket = ours
            self.acquired = True
            return "hq", [0, self.mtu], [theirs.detach()]
        raise GattError("org.bluez.Error.NotSupported", "Operation is not supported")

    def _write(self, piece: bytes, kind: str) -> Reply:
        flag = "write-without-response" if kind == "command" else "write"
        if flag not in self.flags:
            raise GattError("org.bluez.Error.NotPermitted", "Write not permitted")
        if kind == "command" and len(piece) > self.mtu - 3:
            raise GattError("org.bluez.Error.Failed", "Failed to initiate write")
        self.writes.append((piece, kind))
        if self.on_write is not None:
            self.on_write(piece)
        return DONE


class Service(Node):
    """A GATT service of a fake peripheral."""

    def __init__(self, device: Device, handle: int, uuid: str) -> None:
        self.device = device
        self.characteristics: list[Characteristic] = []
        properties = {
            "UUID": Variant("s", uuid.lower()),
            "Device": Variant("o", device.path),
            "Primary": Variant("b", True),
        }
        super().__init__(device.bluez, f"{device.path}/service{handle:04x}", SERVICE, properties)

    @property
    def shown(self) -> bool:
        return self.device.connected

    def characteristic(self, uuid: str, flags: list[str], value: bytes = b"") -> Characteristic:
        found = Characteristic(self, self.device.next_handle(), uuid, flags, value)
        self.characteristics.append(found)
        return found


class Device(Node):
    """A fake peripheral.

    Attributes:
        advertising: it can be seen.
        refusals: texts of the errors with which the next connections fail.
        connects: attempts so far.
        on_drop: called when a connection ends.
    """

    def __init__(self, bluez: FakeBlueZ, address: str, name: str, uuids: Iterable[str], mtu: int, rssi: int) -> None:
        path = f"{bluez.adapter.path}/dev_{address.replace(':', '_')}"
        flags = ("Paired", "Bonded", "Trusted", "Blocked", "LegacyPairing", "Connected", "ServicesResolved")
        super().__init__(
            bluez,
            path,
            DEVICE,
            {
                "Address": Variant("s", address),
                "AddressType": Variant("s", "public"),
                "Alias": Variant("s", name),
                "Name": Variant("s", name),
                "Adapter": Variant("o", bluez.adapter.path),
                "UUIDs": Variant("as", [uuid.lower() for uuid in uuids]),
                "RSSI": Variant("n", rssi),
                **{flag: Variant("b", False) for flag in flags},
            },
        )
        self.mtu = mtu
        self.advertising = True
        self.refusals: list[str] = []
        self.connects = 0
        self.on_drop: Callable[[], None] | None = None
        self.services: list[Service] = []
        self._visible = False
        self._handle = 0x000A

    @property
    def shown(self) -> bool:
        return self._visible

    @property
    def connected(self) -> bool:
        return bool(self.properties["Connected"].value)

    def next_handle(self) -> int:
        self._handle += 3
        return self._handle

    def service(self, uuid: str) -> Service:
        found = Service(self, self.next_handle(), uuid)
        self.services.append(found)
        return found

    def parts(self) -> list[Node]:
        return [node for service in self.services for node in (service, *service.characteristics)]

    async def show(self) -> None:
        """One advertisement."""
        if self._visible:
            await self.change(RSSI=self.properties["RSSI"])
        else:
            self._visible = True
            await self.appear()

    async def forget(self) -> None:
        """BlueZ drops what it knows of a device that it has not seen for a while."""
        self._visible = False
        await self.vanish()

    async def drop(self) -> None:
        """The link breaks."""
        for service in self.services:
            for characteristic in service.characteristics:
                characteristic.unsubscribe()
        await self.change(Connected=Variant("b", False), ServicesResolved=Variant("b", False))
        for node in reversed(self.parts()):
            await node.vanish()
        if self.on_drop is not None:
            self.on_drop()

    async def call(self, message: Message) -> Reply:
        if message.member == "Connect":
            self.connects += 1
            if self.refusals:
                raise GattError("org.bluez.Error.Failed", self.refusals.pop(0))
            if not self.advertising:
                raise GattError("org.bluez.Error.Failed", "le-connection-abort-by-peer")
            if not self.connected:
                await self.change(Connected=Variant("b", True))
                for node in self.parts():
                    await node.appear()
                await self.change(ServicesResolved=Variant("b", True))
            return DONE
        if message.member == "Disconnect":
            if self.connected:
                await self.drop()
            return DONE
        raise GattError(UNKNOWN_METHOD, str(message.member))


class Adapter(Node):
    """The fake radio."""

    def __init__(self, bluez: FakeBlueZ) -> None:
        properties = {
            "Address": Variant("s", "00:00:00:00:00:01"),
            "Name": Variant("s", "fake"),
            "Alias": Variant("s", "fake"),
            "Powered": Variant("b", True),
            "Discovering": Variant("b", False),
            "Roles": Variant("as", ["central"]),
            "UUIDs": Variant("as", []),
        }
        super().__init__(bluez, "/org/bluez/hci0", ADAPTER, properties)
        self.discovery: asyncio.Task[None] | None = None

    async def call(self, message: Message) -> Reply:
        if message.member == "SetDiscoveryFilter":
            return DONE
        if message.member == "StartDiscovery":
            await self.change(Discovering=Variant("b", True))
            self.discovery = asyncio.create_task(self._discover())
            return DONE
        if message.member == "StopDiscovery":
            self.stop()
            await self.change(Discovering=Variant("b", False))
            return DONE
        raise GattError(UNKNOWN_METHOD, str(message.member))

    def stop(self) -> None:
        if self.discovery is not None:
            self.discovery.cancel()
            self.discovery = None

    async def _discover(self) -> None:
        while True:
            for node in list(self.bluez.nodes.values()):
                if isinstance(node, Device) and node.advertising and not node.connected:
                    await node.show()
            await asyncio.sleep(ADVERTISING_S)
