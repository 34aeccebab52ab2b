"""A board at a pseudo-terminal, in a process of its own and by the clock on the wall, with faults on order.

Run as a program it prints one JSON line (the port), streams until its standard input ends, then prints another (what it
did). The C core's own app queues and drops frames as on a board, once the host's buffer before it is full.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitwave import wire
from bitwave.core.app import Board, HostApp
from bitwave.wire.frames import Samples

RATE_HZ = 1000.0
# A pseudo-terminal holds 4 KiB, a quarter of a second; for a USB port Linux holds 64 KiB until a program reads.
HOST_BUFFER = 65536
PATIENCE = 4096  # bytes that a patient board lets wait
PAUSE_S = 0.05  # a longer pause of this process is none of the board
FAULT_EVERY = 97  # SAMPLES frames between faults, so that each can be told from the next


def counts(index: int) -> npt.NDArray[np.int16]:
    """(6,) what the sensor says at an index: every sample tells its own place."""
    return np.array([index % 30000, index // 30000, 8192, -index % 977, index % 101, 7], np.int16)


class Faults:
    """Loses, repeats and corrupts SAMPLES frames in turn, and remembers what.

    Attributes:
        lost: first index and number of samples of each frame that did not arrive whole.
        repeated, corrupted: frames.
    """

    def __init__(self, on: bool) -> None:
        self.on = on
        self.seen = 0
        self.lost: list[tuple[int, int]] = []
        self.repeated = self.corrupted = 0

    def __call__(self, data: bytes) -> bytes:
        """What arrives of whole frames."""
        return b"".join(map(self._one, data.split(b"\0")[:-1])) if self.on else data

    def _one(self, stretch: bytes) -> bytes:
        frame = stretch + b"\0"
        found = wire.decode(frame).frames
        if not found or not isinstance(found[0].body, Samples):
            return frame
        self.seen += 1
        fault, due = divmod(self.seen, FAULT_EVERY)
        if due:
            return frame
        if fault % 3 == 2:
            self.repeated += 1
            return frame * 2
        self.lost.append((found[0].body.first, len(found[0].body.samples)))
        if fault % 3 == 0:
            return b""
        self.corrupted += 1
        return frame[:20] + bytes([frame[20] ^ 0x55 or 1]) + frame[21:]


def main() -> None:
    """Streams; see the module. Words: ``faults`` orders faults, ``patient`` stops the world while the port is full."""
    import pty
    import tty

    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    app = HostApp(None, Board(255, (0, 1, 0), 6, round(RATE_HZ * 1000), 8_192_000, 16_384))
    print(json.dumps({"port": os.ttyname(slave)}), flush=True)
    faults = Faults("faults" in sys.argv)
    patient = "patient" in sys.argv
    waiting = b""
    done = 0
    longest_s = 0.0
    started = last = time.monotonic()
    while True:
        ready = select.select([sys.stdin, master], [], [], 0.0005)[0]
        if sys.stdin in ready and not os.read(sys.stdin.fileno(), 64):
            break
        if master in ready:
            with contextlib.suppress(OSError):  # nobody has the port
                app.receive(os.read(master, 4096))
        now = time.monotonic()
        # While this process had no processor, its world stood still: a board's sensor has a clock of its own.
        started += now - last if patient and len(waiting) > PATIENCE else max(0.0, now - last - PAUSE_S)
        longest_s, last = max(longest_s, now - last), now
        for index in range(done, int((now - started) * RATE_HZ)):
            app.sample(round(index * 1e6 / RATE_HZ), counts(index))
            done = index + 1
        if len(waiting) < HOST_BUFFER:
            waiting += faults(app.transmit())
        with contextlib.suppress(BlockingIOError):
            waiting = waiting[os.write(master, waiting) :] if waiting else waiting
    told = {"samples": done, "lost": faults.lost, "repeated": faults.repeated, "corrupted": faults.corrupted}
    print(json.dumps(told | {"longest_s": longest_s}), flush=True)


@contextlib.contextmanager
def running(*words: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The board's port, and what it did once it has ended."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(Path(__file__)), *words]
    board = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    told: dict[str, Any] = {}
    try:
        assert board.stdout is not None
        port = json.loads(board.stdout.readline())["port"]
        yield port, told
    finally:
        rest, _ = board.communicate()
        told.update(json.loads(rest or "{}"))


@contextlib.contextmanager
def loaded(cores: int) -> Iterator[None]:
    """Keeps that many cores busy."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


if __name__ == "__main__":
    main()
