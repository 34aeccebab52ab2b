"""The sketch on this machine: its own sources with the simulated board of tests/firmware, scripted from Python."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import c_char_p, c_double, c_int, c_size_t, c_uint32, c_uint64
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

import numpy as np

from bitwave import wire
from bitwave.errors import LinkError
from bitwave.links.link import Link
from bitwave.model import exporter
from bitwave.model.quantmodel import Int16Array, QuantModel
from bitwave.wire import frames
from bitwave.wire.codec import Frame
from ccode import CORE, CORE_SOURCES, ROOT
from models import random_model
from support import need

SKETCH = ROOT / "firmware/nano33ble"
STUBS = ROOT / "tests/firmware/stubs"
WORLD = ROOT / "tests/firmware/world"
CXX = ("-std=gnu++14", "-Wall", "-Wextra", "-Werror")
SANITIZE = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
BUILD = ("-O2", "-g", "-fPIC", "-fno-omit-frame-pointer", *SANITIZE)

Answer = TypeVar("Answer", bound=wire.Body)

#: Built into the sketch: fires often on random counts.
MODEL = random_model(11, steps=20, channels=6, hidden=(7,), dense=(4,), metadata=True, hop=5)
COMMAND, FRAMES, INFO, LAST_EVENT = range(4)  # characteristics, in the sketch's order


class Health(IntEnum):
    """How the sensor behaves: answers; refuses transfers; has no new samples; reads as all ones."""

    GOOD, ABSENT, SILENT, GARBAGE = range(4)


class Facts(ctypes.Structure):
    """What the simulated board has counted."""

    _fields_ = [
        *((name, c_uint64) for name in (
            "now_us", "samples_made", "samples_taken", "first_taken", "bus_bytes", "slow_bytes", "bus_us",
            "usb_packets", "notifications", "radio_dropped", "flash_operations", "erases",
        )),
        *((name, c_uint32) for name in ("dead", "in_bootloader", "advertises", "lamps")),
    ]  # fmt: skip


YELLOW, RED, GREEN, BLUE = 1, 2, 4, 8


def _command(source: Path, model: Path, out: Path, defines: tuple[str, ...]) -> list[str]:
    include = [f"-I{path}" for path in (STUBS, CORE / "include", model)]
    language = ["gcc", "-std=c99", "-Wall", "-Wextra"] if source.suffix == ".c" else ["g++", *CXX]
    return [*language, *BUILD, *defines, *include, "-c", str(source), "-o", str(out)]


def library(model: QuantModel = MODEL, defines: tuple[str, ...] = ()) -> Path:
    """Compiles the sketch, the core, a model and the world around them into one library; keeps it by digest."""
    need("gcc", "g++")
    folder = Path(tempfile.mkdtemp(prefix="bitwave-sketch-"))
    try:
        exporter.export(model, folder)
        sources = [
            *CORE_SOURCES,
            folder / "bitwave_model.c",
            *sorted(SKETCH.glob("*.cpp")),
            *sorted(WORLD.glob("*.cpp")),
        ]
        headers = [p for top in (SKETCH, STUBS, WORLD, CORE) for p in sorted(top.rglob("*.h"))]
        digest = hashlib.sha256(repr((CXX, BUILD, defines)).encode())
        for path in (*sources, *headers):
            digest.update(path.name.encode() + path.read_bytes())
        kept = Path(tempfile.gettempdir()) / f"bitwave-sketch-{os.getuid()}-{digest.hexdigest()[:24]}.so"
        if not kept.exists():
            objects = [folder / f"{i}.o" for i in range(len(sources))]
            pairs = zip(sources, objects, strict=True)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(_run, [_command(source, folder, out, defines) for source, out in pairs]))
            linked = folder / "sketch.so"
            _run(["g++", "-shared", "-Wl,--wrap=bw_app_sample", *SANITIZE, *map(str, objects), "-o", str(linked)])
            os.replace(shutil.copy(linked, f"{kept}.{os.getpid()}"), kept)
        return kept
    finally:
        shutil.rmtree(folder)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]


class HostEnd:
    """A host at one of the links: decodes what comes, numbers what it asks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: list[Frame] = []
        self.errors = 0
        self._rest = b""
        self._sequence = 0

    def raw(self) -> bytes:
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def listen(self) -> list[Frame]:
        """What has come since the last call."""
        decoded = wire.decode(self._rest + self.raw())
        self._rest = decoded.rest
        self.errors += decoded.errors
        self.heard += decoded.frames
        return decoded.frames

    def tell(self, body: wire.Body) -> int:
        """Sends a command; its sequence number."""
        self._sequence += 1
        self.send(wire.encode(Frame(body, self._sequence)))
        return self._sequence

    def ask(self, body: wire.Body, patience_s: float = 2.0) -> list[wire.Body]:
        """Sends a command and waits for its status, which is the last of the bodies."""
        sequence = self.tell(body)
        bodies: list[wire.Body] = []
        for _ in range(round(patience_s / 0.01)):
            self.world.run(0.01)
            for frame in self.listen():
                bodies.append(frame.body)
                status = frame.body
                if isinstance(status, frames.Status) and (status.command, status.command_sequence) == (
                    body.TYPE,
                    sequence,
                ):
                    return bodies
        raise AssertionError(f"no answer to {body}, but {bodies}")

    def answer(self, body: wire.Body, kind: type[Answer], patience_s: float = 2.0) -> Answer:
        """The frame that a command asks for, among what else comes before its status."""
        answers = [heard for heard in self.ask(body, patience_s) if isinstance(heard, kind)]
        assert len(answers) > 0
        return answers[-1]

    def status(self, body: wire.Body, patience_s: float = 2.0) -> int:
        status = self.ask(body, patience_s)[-1]
        assert isinstance(status, frames.Status)
        return status.status

    def samples(self) -> tuple[Int16Array, list[int]]:
        """All samples heard, (n, 6) int16, and the index of each."""
        batches = [f.body for f in self.heard if isinstance(f.body, frames.Samples)]
        index = [batch.first + i for batch in batches for i in range(len(batch.samples))]
        return np.concatenate([batch.samples for batch in batches]), index

    def bodies(self, kind: type[Answer]) -> list[Answer]:
        return [f.body for f in self.heard if isinstance(f.body, kind)]


class UsbHost(HostEnd):
    def open(self, reads: bool = True) -> UsbHost:
        self.world.dll.world_usb(1, int(reads))
        return self

    def close(self) -> None:
        self.world.dll.world_usb(0, 0)

    def send(self, data: bytes) -> None:
        self.world.dll.world_usb_write(data, c_size_t(len(data)))

    def raw(self) -> bytes:
        return self.world.take(self.world.dll.world_usb_read)


class Confirmed(IntEnum):
    """Which pieces of a frame are written with response; `bitwave.links.ble` asks for it with the last."""

    NONE, LAST, ALL = range(3)


class BleHost(HostEnd):
    mtu = 247
    confirmed = Confirmed.LAST

    def connect(self, mtu: int = 247, interval_ms: float = 30, packets: int = 1, subscribe: bool = True) -> BleHost:
        """A central connects, and the sketch gets time to notice."""
        self.mtu = mtu
        self.world.dll.world_ble_connect(mtu, c_uint64(round(interval_ms * 1000)), packets)
        self.world.run(0.05)
        if subscribe:
            self.world.dll.world_ble_subscribe(FRAMES, 1)
            self.world.dll.world_ble_subscribe(LAST_EVENT, 1)
        self._rest = b""
        return self

    def disconnect(self) -> None:
        self.world.dll.world_ble_disconnect()
        self.world.run(0.05)
        self.listen()
        self._rest = b""

    def send(self, data: bytes) -> None:
        for at in range(0, len(data), self.mtu - 3):
            piece = data[at : at + self.mtu - 3]
            is_last = at + len(piece) == len(data)
            with_response = self.confirmed == Confirmed.ALL or (is_last and self.confirmed == Confirmed.LAST)
            self.world.dll.world_ble_write(COMMAND, piece, c_size_t(len(piece)), int(with_response))

    def raw(self) -> bytes:
        return self.world.take(lambda *a: self.world.dll.world_ble_read(FRAMES, *a))

    def value(self, characteristic: int) -> bytes:
        return self.world.take(lambda *a: self.world.dll.world_ble_value(characteristic, *a))


class World:
    """One power-up of the simulated board."""

    def __init__(
        self, path: Path, revision: int = 1, *, flash: bytes | None = None, boot_us: int = 0, program_end: int = 0x60000
    ) -> None:
        """Copies the library, so that all its variables are new, and switches the board on.

        Args:
            path: from `library`.
            revision: of the board; 0: without a sensor.
            flash: contents of the slots, from `flash`; erased by default.
            boot_us: what the board's clock shows first.
            program_end: where the program's flash ends.
        """
        with tempfile.NamedTemporaryFile(suffix=".so") as copy:
            shutil.copy(path, copy.name)
            self.dll = ctypes.CDLL(copy.name)
        for name in ("world_usb_read", "world_ble_read", "world_ble_value", "world_flash_size"):
            getattr(self.dll, name).restype = c_size_t
        self.dll.world_ble_name.restype = self.dll.world_ble_service.restype = c_char_p
        self.dll.world_power_on(c_int(revision), flash, c_uint64(boot_us), c_uint32(program_end))
        self.usb = UsbHost(self)
        self.ble = BleHost(self)
        self._script: Int16Array | None = None

    def script(self, counts: Int16Array) -> World:
        """The sensor's samples from power on, (n, 6) canonical counts, again and again."""
        self._script = np.ascontiguousarray(counts, np.int16)
        self.dll.world_script(self._script.ctypes.data_as(ctypes.c_void_p), c_size_t(len(counts)))
        return self

    def sensor(self, health: Health = Health.GOOD, fifo: bool = True) -> None:
        self.dll.world_sensor(int(health), int(fifo))

    def rate(self, hz: float) -> World:
        """The chip's own clock runs at another speed from now on: its samples per second."""
        self.dll.world_rate(c_double(hz))
        return self

    def run(self, seconds: float) -> World:
        self.dll.world_run(c_uint64(round(seconds * 1e6)))
        return self

    @property
    def facts(self) -> Facts:
        facts = Facts()
        self.dll.world_facts(ctypes.byref(facts))
        return facts

    @property
    def flash(self) -> bytes:
        out = ctypes.create_string_buffer(self.dll.world_flash_size())
        self.dll.world_flash(out)
        return out.raw

    def cut_at(self, operation: int) -> None:
        """Power goes during the flash operation with this number from now, 0 the next."""
        self.dll.world_cut_at(c_uint64(operation))

    def take(self, read: object) -> bytes:
        assert callable(read)
        out = b""
        buffer = ctypes.create_string_buffer(1 << 16)
        while size := int(read(buffer, c_size_t(len(buffer)))):
            out += buffer.raw[:size]
            if size < len(buffer):
                break
        return out

    def close(self) -> None:
        """Unloads the copy."""
        import _ctypes

        _ctypes.dlclose(self.dll._handle)


class SketchLink(Link):
    """One of the simulated board's links as the host's commands use it, on the board's time."""

    realtime = False

    def __init__(self, end: HostEnd) -> None:
        super().__init__("test:")
        self._end = end

    def clock(self) -> float:
        return self._end.world.facts.now_us / 1e6

    def _write(self, data: bytes) -> None:
        self._end.send(data)

    def _read(self, timeout_s: float) -> bytes:
        """In steps of a millisecond, as an operating system wakes a reader."""
        for _ in range(max(1, round(timeout_s * 1000))):
            self._end.world.run(0.001)
            if self._end.world.facts.dead:
                raise LinkError("test: the board is gone")
            if data := self._end.raw():
                return data
        return b""


@contextmanager
def board(path: Path, revision: int = 1, **options: object) -> Iterator[World]:
    """A simulated board, switched off at the end."""
    world = World(path, revision, **options)  # type: ignore[arg-type]
    try:
        yield world
    finally:
        world.close()
