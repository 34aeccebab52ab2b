"""Boards for the tests of links: a recording that answers over a pseudo-terminal, and one that misbehaves."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bitwave import wire
from bitwave.links.replay import RecordingSource, ReplayBoard
from bitwave.links.virtual import Board, VirtualLink
from bitwave.recordings.recording import Recording
from bitwave.wire.requests import Stream
from support import absent

if TYPE_CHECKING:
    from bitwave.emulator.board import EmulatedBoard

Mangle = Callable[[bytes], bytes]


class FaultyBoard(ReplayBoard):
    """A recording behind a bad cable: what it sends passes through `mangle`, one frame at a time."""

    def __init__(self, take: Recording, mangle: Mangle) -> None:
        super().__init__(take)
        self._mangle = mangle

    def transmit(self) -> bytes:
        frames = super().transmit().split(b"\0")[:-1]
        return b"".join(self._mangle(frame + b"\0") for frame in frames)


def faulty_link(take: Recording, mangle: Mangle = bytes) -> VirtualLink:
    """A link on virtual time to such a board."""
    return VirtualLink("replay:test", FaultyBoard(take, mangle), RecordingSource(take), realtime=False)


def only_samples(mangle: Callable[[int, bytes], bytes]) -> Mangle:
    """Mangles SAMPLES frames alone, given how many came before; the rest passes."""
    seen = 0

    def choose(frame: bytes) -> bytes:
        nonlocal seen
        decoded = wire.decode(frame).frames
        if not decoded or decoded[0].body.TYPE != 0x02:
            return frame
        seen += 1
        return mangle(seen - 1, frame)

    return choose


class PtyBoard:
    """A recording that answers at a pseudo-terminal from a thread, as a board at a port does.

    Attributes:
        port: path of the terminal.
    """

    def __init__(
        self, take: Recording, mangle: Mangle = bytes, byte_by_byte: bool = False, board: Board | None = None
    ) -> None:
        """`board` answers instead of the recording, which still gives the samples."""
        try:
            import pty
            import tty
        except ImportError:
            absent("needs pseudo-terminals: run this test on Linux or macOS")
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave  # open until a program has the port: Linux hangs the terminal up otherwise
        self._board = board or FaultyBoard(take, mangle)
        self._source = RecordingSource(take)
        self._step = 1 if byte_by_byte else 4096
        self._streaming = False
        self._unplug = threading.Event()
        self._decoder = wire.Decoder()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def touched(self) -> bool:
        """Whether a program has set the port to 1200 baud: what makes a sketch restart into its bootloader."""
        import termios

        return bool(termios.tcgetattr(self._master)[5] == termios.B1200)

    def unplug(self) -> None:
        """Pulls the cable; returns when the port is dead."""
        self._unplug.set()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._unplug.is_set():
            if select.select([self._master], [], [], 0.001)[0]:
                self._hear(os.read(self._master, 4096))
            if self._streaming:
                self._sample(*self._source.take(8))
            out = self._board.transmit()
            for at in range(0, len(out), self._step):
                os.write(self._master, out[at : at + self._step])
        os.close(self._slave)
        os.close(self._master)

    def _hear(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            if isinstance(frame.body, Stream):
                self._streaming = bool(frame.body.on)
        self._board.receive(data)

    def _sample(self, times: npt.NDArray[np.int64], samples: npt.NDArray[np.int16]) -> None:
        for time_us, counts in zip(times.tolist(), samples, strict=True):
            self._board.sample(time_us % 2**32, counts)


class OnLink:
    """One of the two links of an emulated board."""

    def __init__(self, board: EmulatedBoard, link: int) -> None:
        self.board = board
        self.link = link
        self.sample = board.sample
        self.tick = board.tick

    def receive(self, data: bytes) -> None:
        self.board.receive(data, self.link)

    def transmit(self) -> bytes:
        return self.board.transmit(self.link)


@contextlib.contextmanager
def pty_board(take: Recording, mangle: Mangle = bytes, byte_by_byte: bool = False) -> Iterator[PtyBoard]:
    """A `PtyBoard` that is unplugged in the end."""
    board = PtyBoard(take, mangle, byte_by_byte)
    try:
        yield board
    finally:
        board.unplug()
