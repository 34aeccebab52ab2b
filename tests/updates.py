"""A host at both links of the app on this machine, its flash, and small models to send."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from bitwave import wire
from bitwave.core.app import Board, HostApp, HostFlash
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.quantmodel import Int16Array
from bitwave.wire import frames, requests
from bitwave.wire.codec import Frame
from models import random_model

USB, BLE = 0, 1
BOARD = Board(1, (1, 2, 3), 6, 119_000, 8_192_000, 16_384, (1, 0))
PERIOD_US = 8403
ARENA = 4096


@lru_cache
def packed(seed: int) -> bytes:
    """A small model image; its digest differs with the seed."""
    model = random_model(seed, steps=12, channels=6, hidden=(5,), dense=(4,), metadata=True, hop=4)
    data = bytearray(image.build(model))
    data[16:32] = bytes([seed]) * 16
    return image.with_crc(bytes(data))


def wrong_answer() -> bytes:
    """An image that does not give its known answer."""
    data = bytearray(packed(2))
    data[-1] ^= 1
    return image.with_crc(bytes(data))


def noise(samples: int, seed: int = 0) -> Int16Array:
    """Random counts of six channels."""
    return np.random.default_rng(seed).integers(-32768, 32768, (samples, 6)).astype(np.int16)


def digest_of(data: bytes) -> bytes:
    """What names the model of an image."""
    return data[16:24]


class Host:
    """An app with a flash, and both of its links."""

    def __init__(
        self,
        built_in: bytes | None,
        board: Board = BOARD,
        slots: bool = True,
        arena_bytes: int = ARENA,
        flash: HostFlash | None = None,
    ) -> None:
        self.flash = flash or HostFlash()
        self._core = HostCore(built_in) if built_in else None
        self._board, self._slots, self._arena_bytes = board, slots, arena_bytes
        self.update = frames.Update(0, 0, 0, 0, bytes(8))
        self.restart()

    def restart(self, board: Board | None = None) -> None:
        """Power off and on; the flash stays as it is."""
        self._board = board or self._board
        self.sequence = self.time_us = 0
        self.app = HostApp(self._core, self._board, self.flash if self._slots else None, self._arena_bytes)

    def command(self, body: wire.Body, link: int = USB) -> bytes:
        """Sends without listening; what was sent."""
        self.sequence += 1
        sent = wire.encode(Frame(body, self.sequence))
        self.app.receive(sent, link)
        return sent

    def ask(self, body: wire.Body, link: int = USB) -> list[wire.Body]:
        """Sends a command; all that waits on the link, of which the command's status is the last."""
        self.command(body, link)
        answers = self.listen(link)
        status = answers[-1]
        assert isinstance(status, frames.Status) and status.command_sequence == self.sequence % 65536
        self.update = next((a for a in reversed(answers) if isinstance(a, frames.Update)), self.update)
        return answers

    def status(self, body: wire.Body, link: int = USB) -> int:
        status = self.ask(body, link)[-1]
        assert isinstance(status, frames.Status)
        return status.status

    def listen(self, link: int = USB) -> list[wire.Body]:
        decoded = wire.decode(self.app.transmit(link=link))
        assert (decoded.errors, decoded.rest) == (0, b"")
        return [frame.body for frame in decoded.frames]

    def info(self, link: int = USB) -> frames.Info:
        self.listen(link)
        info = self.ask(requests.GetInfo(), link)[0]
        assert isinstance(info, frames.Info)
        return info

    def counters(self) -> frames.Counters:
        self.listen()
        counters = self.ask(requests.GetCounters())[0]
        assert isinstance(counters, frames.Counters)
        return counters

    def begin(self, data: bytes, link: int = USB) -> int:
        return self.status(requests.UpdateBegin(len(data), zlib.crc32(data), digest_of(data)), link)

    @staticmethod
    def chunks(data: bytes, size: int = 480) -> Iterator[requests.UpdateChunk]:
        for at in range(0, len(data), size):
            yield requests.UpdateChunk(at, data[at : at + size])

    def send_chunks(self, data: bytes, link: int = USB) -> None:
        for chunk in self.chunks(data):
            self.command(chunk, link)

    def deploy(self, data: bytes, link: int = USB) -> int:
        """A whole update; the first status that is not 0."""
        status = self.begin(data, link)
        if status:
            return status
        self.send_chunks(data, link)
        return self.status(requests.UpdateFinish(), link)

    def move(self, raw: Int16Array) -> None:
        for sample in raw:
            self.app.sample(self.time_us, sample)
            self.time_us += PERIOD_US

    def wait(self, micros: int) -> None:
        """Time goes by, with the board looking at its clock now and then."""
        end = self.time_us + micros
        while self.time_us < end:
            self.time_us = min(end, self.time_us + 20_000_000)
            self.app.tick(self.time_us)
