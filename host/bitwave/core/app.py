"""The board's command side on this machine: `HostApp` is the app of the C core, `HostFlash` holds its model slots."""

from __future__ import annotations

import ctypes
from ctypes import c_uint8, c_uint32
from typing import NamedTuple

import numpy as np

from ..errors import ModelError
from ..model.quantmodel import Int16Array
from .host import HostCore, c_object, library, status_text, words

SLOTS = 2
NEVER = 0xFFFFFFFF
NOTHING, ALL, TORN = 0, 1, 2  # how the operation ends at which the power is cut


class Board(ctypes.Structure):
    """`bw_board`: what a board knows about itself; scales in thousandths of a count per unit; links are remote (0)."""

    _fields_ = [
        ("kind", c_uint8),
        ("firmware", c_uint8 * 3),
        ("channels", c_uint8),
        ("rate_mhz", c_uint32),
        ("accel_milli_lsb_per_g", c_uint32),
        ("gyro_milli_lsb_per_dps", c_uint32),
        ("link_kinds", c_uint8 * 2),
    ]


class FlashState(NamedTuple):
    """What a flash has seen: operations, breaches of its rules, and whether its power was cut."""

    operations: int
    breaches: int
    off: bool


class HostFlash:
    """NOR flash that keeps the rules of the nRF52840's, and can lose its power at any operation; see `bw_nor.h`."""

    def __init__(self, page_bytes: int = 4096, slot_pages: int = 4) -> None:
        """A new flash, with power."""
        self._library = library()
        self._page_bytes, self._slot_pages = page_bytes, slot_pages
        size = SLOTS * page_bytes * slot_pages
        self._bytes = words(size)
        ctypes.memset(self._bytes, 0xFF, size)
        self._writes = words(size // 4)
        self.nor = c_object(self._library.bw_host_flash_size())
        self.power_on()

    def power_on(self, cut_at: int = NEVER, tear: int = NOTHING, seed: int = 0) -> None:
        """The contents stay; the power goes at an operation (an erased page, a written word), counted from here."""
        self._library.bw_host_flash_start(
            self.nor, self._bytes, self._writes, self._page_bytes, self._slot_pages, cut_at, tear, seed
        )

    @property
    def state(self) -> FlashState:
        """Since the power came on."""
        told = (c_uint32 * 3)()
        self._library.bw_host_flash_told(self.nor, told)
        return FlashState(told[0], told[1], bool(told[2]))

    @property
    def contents(self) -> bytes:
        """Both slots."""
        return bytes(self._bytes)

    @contents.setter
    def contents(self, data: bytes) -> None:
        """Puts bytes there without any rule; words count as never written."""
        ctypes.memmove(self._bytes, data, min(len(data), ctypes.sizeof(self._bytes)))
        ctypes.memset(self._writes, 0, ctypes.sizeof(self._writes))


class HostApp:
    """The board's app on this machine: bytes and samples in, bytes out; see `bitwave.h`."""

    def __init__(
        self, core: HostCore | None, board: Board, flash: HostFlash | None = None, arena_bytes: int | None = None
    ) -> None:
        """Starts.

        Args:
            core: the built-in model, or None.
            board: its facts.
            flash: with the model slots, or None.
            arena_bytes: memory for a model's states; what the built-in one needs where None.

        Raises:
            ModelError: the core refuses.
        """
        self._library = library()
        self._core = core  # keeps model and image alive
        self._board = board
        self._app = c_object(self._library.bw_host_app_size())
        self._flash = flash
        self._arena_bytes = arena_bytes if arena_bytes is not None else core.app_bytes if core else 0
        self._arena = words(self._arena_bytes)
        status = self._library.bw_host_app_start(
            self._app, ctypes.byref(board), core.model if core else None, flash.nor if flash else None, self._arena,
            self._arena_bytes,
        )  # fmt: skip
        if status != 0:
            raise ModelError(f"the app does not start: {status_text(status)}")

    def receive(self, data: bytes, link: int = 0) -> None:
        """Bytes from a host."""
        self._library.bw_host_app_receive(self._app, link, data, len(data))

    def sample(self, time_us: int, sample: Int16Array) -> None:
        """One raw sample, (channels,) int16."""
        if sample.dtype != np.int16 or sample.shape != (self._board.channels,):
            raise ModelError(f"a sample of {sample.dtype} {sample.shape} does not fit the board's channels")
        data = np.ascontiguousarray(sample)
        self._library.bw_host_app_sample(self._app, time_us % 2**32, data.ctypes.data)

    def tick(self, time_us: int) -> None:
        """Time goes by without a sample."""
        self._library.bw_host_app_tick(self._app, time_us % 2**32)

    def fault(self, code: int, text: str) -> None:
        """The board has trouble."""
        self._library.bw_host_app_fault(self._app, code, text.encode("ascii"))

    def lost(self, samples: int) -> None:
        """Samples that the sensor lost."""
        self._library.bw_host_app_lost(self._app, samples)

    def allow_update(self) -> None:
        """Opens the window for updates over the remote link."""
        self._library.bw_host_app_allow_update(self._app)

    def board_changed(self) -> None:
        """The facts in the board given have changed."""
        self._library.bw_host_app_board_changed(self._app)

    @property
    def wants_bootloader(self) -> bool:
        """Whether a host asked for the bootloader."""
        return bool(self._library.bw_host_app_wants_bootloader(self._app))

    def transmit(self, capacity: int = 1 << 16, link: int = 0) -> bytes:
        """Takes up to `capacity` bytes that wait for a host."""
        out = ctypes.create_string_buffer(capacity)
        size: int = self._library.bw_host_app_transmit(self._app, link, out, capacity)
        return out.raw[:size]
