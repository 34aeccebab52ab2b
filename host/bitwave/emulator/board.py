"""The emulated board: the core's app as Cortex-M4 machine code. The host brings bytes and samples, and takes bytes.

No peripheral is faked: what a real board's USB, BLE and sensor code does around the app, the caller does here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import native
from ..errors import ImageError
from ..model.quantmodel import Int16Array
from .counter import CycleCounter
from .engine import EmulatedCore, status_text
from .machine import Machine

CHANNELS = 6
TRANSMIT_BYTES = 4096  # taken from the app in one call
COUNT_EVERY = 2048  # samples from one whose cycles are counted to the next: counting is slow
USB, BLE = 0, 1  # the app's two links


class EmulatedBoard:
    """A board without peripherals; it keeps no time of its own."""

    def __init__(
        self,
        image: bytes | None,
        compiler: native.Compiler = "clang",
        rate_hz: float = 119.0,
        flash: bytes = b"",
    ) -> None:
        """Starts the app.

        Args:
            image: a model image, or None for a board that only streams.
            compiler: of the machine code.
            rate_hz: what the board says about its sensor.
            flash: what the model slots hold, as `flash` gave it; empty for slots that were never written.

        Raises:
            ImageError: the core refuses the image, or the slots have another size.
            MissingPackage: GCC was asked for and is not installed.
            NativeBuildError: the machine code cannot be built.
        """
        self.machine = Machine(native.m4_elf(compiler)) if image is None else EmulatedCore(image, compiler).machine
        if flash and len(flash) != self.machine.symbols["bw_emu_flash"].size:
            raise ImageError(f"the flash slots of another emulated board: {len(flash)} bytes; start with new ones")
        self.machine.write("bw_emu_flash", flash)
        self._start = (image is not None, round(rate_hz * 1000))
        self._counter = CycleCounter(self.machine)
        self.restart()

    def restart(self) -> None:
        """What a power cut does: RAM is as new, flash as it was."""
        self._until_count = 0
        self._awake = 0
        status = self.machine.call("bw_emu_app_start", *self._start)
        if status:
            raise ImageError(f"the app does not start: {status_text(self.machine, status)}")

    @property
    def flash(self) -> bytes:
        """What the model slots hold."""
        return self.machine.read("bw_emu_flash", self.machine.symbols["bw_emu_flash"].size)

    def receive(self, data: bytes, link: int = USB) -> None:
        """Bytes that came over a link, in any portions."""
        room = self.machine.symbols["bw_emu_input"].size
        for first in range(0, len(data), room):
            part = data[first : first + room]
            self.machine.write("bw_emu_input", part)
            self.machine.call("bw_emu_app_receive", link, len(part))

    def sample(self, time_us: int, counts: Sequence[int] | Int16Array) -> None:
        """One raw sample of six int16 counts, at a device time that wraps at 32 bits."""
        raw = np.asarray(counts, dtype="<i2")
        if raw.shape != (CHANNELS,):
            raise ValueError(f"a sample has {CHANNELS} counts, not {raw.shape}")
        self.machine.write("bw_emu_input", raw.tobytes())
        if self._until_count > 0:
            self._until_count -= 1
            self.machine.call("bw_emu_app_sample", time_us)
        elif self.machine.call("bw_emu_app_awake") == self._awake:  # nothing is recognised yet
            self.machine.call("bw_emu_app_sample", time_us)
        else:
            self._count(time_us)

    def _count(self, time_us: int) -> None:
        """A sample whose cycles go into the counters, as a board's own clock would measure them."""
        before = self.machine.call("bw_emu_app_awake")
        run = self._counter.count("bw_emu_app_sample", time_us)
        self._awake = self.machine.call("bw_emu_app_awake")
        if self._awake > before:
            self.machine.call("bw_emu_app_cycles", self._counter.price(run).total_cycles)
            self._until_count = COUNT_EVERY

    def tick(self, time_us: int) -> None:
        """Lets time pass without a sample: a batch that waits too long is sent."""
        self.machine.call("bw_emu_app_tick", time_us)

    def transmit(self, link: int = USB) -> bytes:
        """All bytes that wait to be sent over a link."""
        sent = bytearray()
        while size := self.machine.call("bw_emu_app_transmit", link, TRANSMIT_BYTES):
            sent += self.machine.read("bw_emu_output", size)
        return bytes(sent)

    def set_counters(self, lost_samples: int = 0, cycles_per_step: int = 0, longest_loop_us: int = 0) -> None:
        """What the board measured, for its counters and info frames."""
        self.machine.call("bw_emu_app_counters", lost_samples, cycles_per_step, longest_loop_us)
