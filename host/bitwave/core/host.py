"""The C core on this machine, through ctypes: `HostCore` runs a model image; the board's side is in `bitwave.core.app`.

ctypes releases the interpreter lock while C runs, every call has its own states, and an opened model is never written
to: one `HostCore` may serve many threads.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_void_p
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import native
from ..errors import ImageError, ModelError
from ..model.quantmodel import Int8Array, Int16Array
from ..simulator.stream import Event

MAX_LAYERS = 8
MAX_LABELS = 16
MAX_FRAME = 518
GESTURE = 2
RATE_MISMATCH = 15
_BATCH_FROM = 4  # windows; with fewer, a batch mostly computes nothing
_CHUNK = 65536  # samples per call of the recognizer: bounds the results' memory


class Classified(NamedTuple):
    """What the core computed for a batch of windows; ``hidden`` and ``cell`` are empty without trace.

    Attributes:
        hidden: per layer, (windows, steps, hidden) int8 after every step; fewer steps behind a convolution.
        cell: per layer, (windows, steps, hidden) int16 after every step.
        scores: (windows, classes) int8.
    """

    hidden: tuple[Int8Array, ...]
    cell: tuple[Int16Array, ...]
    scores: Int8Array


class Recognised(NamedTuple):
    """What the recognizer said about a stretch of samples.

    Attributes:
        events: the gestures, in order.
        samples: (windows,) uint32, index since the reset of the sensor's sample with which each window ended.
        scores: (windows, classes) int8, of each finished window.
        slept: how many samples found the network asleep.
    """

    events: list[Event]
    samples: npt.NDArray[np.uint32]
    scores: Int8Array
    slept: int


class _Shape(ctypes.Structure):
    """`bw_host_shape`."""

    _fields_ = [
        *((name, c_uint32) for name in ("window", "hop", "channels", "classes", "layers", "lanes")),
        *((name, c_uint32 * MAX_LAYERS) for name in ("hidden", "kernel", "stride")),
        *((name, c_uint32) for name in ("network_bytes", "recognizer_bytes", "app_bytes")),
    ]


# `bw_host_result`
_RESULT = np.dtype(
    [("sample", "<u4"), ("kind", "u1"), ("label", "u1"), ("score", "u1"), ("x", "u1"), ("scores", "i1", (MAX_LABELS,))]
)

_POINTERS = POINTER(c_void_p)
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "model_size": (c_size_t, ()),
    "recognizer_size": (c_size_t, ()),
    "app_size": (c_size_t, ()),
    "status_text": (c_char_p, (c_int,)),
    "open": (c_int, (c_void_p, c_void_p, c_size_t)),
    "describe": (None, (c_void_p, POINTER(_Shape))),
    "self_test": (c_int, (c_void_p, c_void_p, c_size_t)),
    "classify": (
        c_int,
        (c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_uint32, c_void_p, _POINTERS, _POINTERS),
    ),
    "batch_size": (c_size_t, (c_void_p,)),
    "batch_prepare": (c_void_p, (c_void_p, c_void_p)),
    "batch_arena_size": (c_size_t, (c_void_p,)),
    "classify_batches": (
        c_int,
        (c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_uint32, c_void_p, _POINTERS, _POINTERS),
    ),
    "recognizer_start": (c_int, (c_void_p, c_void_p, c_uint32, c_void_p, c_size_t)),
    "recognize": (c_size_t, (c_void_p, c_void_p, c_size_t, c_void_p, POINTER(c_uint32))),
    "encode": (c_size_t, (c_void_p, c_char_p, c_size_t)),
    "app_start": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t)),
    "app_receive": (None, (c_void_p, c_uint32, c_char_p, c_size_t)),
    "app_sample": (None, (c_void_p, c_uint32, c_void_p)),
    "app_tick": (None, (c_void_p, c_uint32)),
    "app_fault": (None, (c_void_p, c_uint8, c_char_p)),
    "app_lost": (None, (c_void_p, c_uint32)),
    "app_allow_update": (None, (c_void_p,)),
    "app_board_changed": (None, (c_void_p,)),
    "app_wants_bootloader": (c_int, (c_void_p,)),
    "flash_size": (c_size_t, ()),
    "flash_start": (None, (c_void_p, c_void_p, c_void_p, c_uint32, c_uint32, c_uint32, c_uint32, c_uint32)),
    "flash_told": (None, (c_void_p, POINTER(c_uint32))),
    "app_transmit": (c_size_t, (c_void_p, c_uint32, c_void_p, c_size_t)),
}


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The compiled core with typed functions; raises `NativeBuildError` where there is none."""
    loaded = ctypes.CDLL(str(native.host_library()))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(loaded, f"bw_host_{name}")
        function.restype, function.argtypes = result, arguments
    return loaded


def status_text(status: int) -> str:
    """The core's own words for a status number, as STATUS frames carry it."""
    text: bytes = library().bw_host_status_text(status)
    return text.decode("ascii")


def encode_frame(payload: bytes) -> bytes:
    """A wire frame as the board makes it; empty where the payload's size is out of range."""
    frame = ctypes.create_string_buffer(MAX_FRAME)
    size: int = library().bw_host_encode(frame, payload, len(payload))
    return frame.raw[:size]


def words(size: int) -> ctypes.Array[c_uint32]:
    """Zeroed memory of at least `size` bytes with the alignment that the core asks for."""
    return (c_uint32 * max(1, -(-size // 4)))()


def c_object(size: int) -> ctypes.Array[ctypes.c_uint64]:
    """Zeroed memory for a C struct of `size` bytes, aligned for pointers."""
    return (ctypes.c_uint64 * -(-size // 8))()


def _pointers(arrays: tuple[npt.NDArray[Any], ...]) -> ctypes.Array[c_void_p] | None:
    return (c_void_p * MAX_LAYERS)(*(array.ctypes.data for array in arrays)) if arrays else None


class HostCore:
    """An opened model image.

    Attributes:
        steps, channels, classes, hop, lanes: of the model; hop and lanes are 0 for a model without metadata.
        hidden: units per LSTM layer.
        network_bytes, recognizer_bytes, app_bytes: arena sizes: one window, all lanes, the whole app.
    """

    def __init__(self, image: bytes) -> None:
        """Opens and validates; raises `ImageError` if the core refuses the image."""
        self._library = library()
        self._image = words(len(image))
        ctypes.memmove(self._image, image, len(image))
        self.model = c_object(self._library.bw_host_model_size())
        status = self._library.bw_host_open(self.model, self._image, len(image))
        if status != 0:
            raise ImageError(f"the core refuses the model image: {status_text(status)}; run `bitwave export` again")
        shape = _Shape()
        self._library.bw_host_describe(self.model, shape)
        self.steps = int(shape.window)
        self.channels = int(shape.channels)
        self.classes = int(shape.classes)
        self.hop = int(shape.hop)
        self.lanes = int(shape.lanes)
        self.hidden = tuple(int(units) for units in shape.hidden[: shape.layers])
        self._taps = tuple(zip(shape.kernel[: shape.layers], shape.stride[: shape.layers], strict=True))
        self.network_bytes = int(shape.network_bytes)
        self.recognizer_bytes = int(shape.recognizer_bytes)
        self.app_bytes = int(shape.app_bytes)

    def self_test(self) -> bool:
        """Whether the core computes the known answer that the image carries."""
        arena = words(self.network_bytes)
        return bool(self._library.bw_host_self_test(self.model, arena, ctypes.sizeof(arena)) == 0)

    @cached_property
    def _batch(self) -> ctypes.Array[ctypes.c_uint64]:
        """The model as `bw_batch.h` wants it, prepared on first use and only read afterwards."""
        prepared = c_object(self._library.bw_host_batch_size(self.model))
        self._library.bw_host_batch_prepare(self.model, prepared)
        return prepared

    def classify(self, windows: Int8Array, trace: bool = True, batched: bool | None = None) -> Classified:
        """Runs each window from a reset, in one call of C, during which other threads run.

        Args:
            windows: (windows, steps, channels) int8; any number of steps.
            trace: whether to keep the states after every step.
            batched: whether sixteen windows at a time fill the processor's vectors (`bw_batch.h`), or one by one goes
                the way that it goes on a board. By default speed decides, but a trace is of the board's way.

        Raises:
            ModelError: the windows have another shape or type.
        """
        if windows.dtype != np.int8 or windows.ndim != 3 or windows.shape[1] < 1 or windows.shape[2] != self.channels:
            raise ModelError(f"windows of {windows.dtype} {windows.shape} do not fit {self.channels} int8 channels")
        data = np.ascontiguousarray(windows)
        count, steps, _ = data.shape
        kept = zip(self._taps, self.hidden, strict=True) if trace else ()
        shapes = [(count, max(0, (steps - kernel) // stride + 1), units) for (kernel, stride), units in kept]
        hidden = tuple(np.empty(shape, np.int8) for shape in shapes)
        cell = tuple(np.empty(shape, np.int16) for shape in shapes)
        scores = np.empty((count, self.classes), np.int8)
        values = (data.ctypes.data, count, steps, scores.ctypes.data, _pointers(hidden), _pointers(cell))
        if batched or (batched is None and not trace and count >= _BATCH_FROM):
            arena = words(self._library.bw_host_batch_arena_size(self._batch))
            status = self._library.bw_host_classify_batches(
                self._batch, self.model, arena, ctypes.sizeof(arena), *values
            )
        else:
            arena = words(self.network_bytes)
            status = self._library.bw_host_classify(self.model, arena, ctypes.sizeof(arena), *values)
        if status != 0:
            raise ModelError(f"the core cannot classify: {status_text(status)}")
        return Classified(hidden, cell, scores)

    def stream(self, rate_hz: float | None = None) -> HostStream:
        """A recognizer that starts reset, for a sensor of this rate or of the model's.

        Raises:
            ModelError: the model has no metadata, or the rate does not suit it.
        """
        return HostStream(self, rate_hz)

    def events(self, raw: Int16Array, rate_hz: float | None = None) -> Recognised:
        """Recognises a whole recording from a reset: (samples, channels) int16 counts at this rate or the model's."""
        return self.stream(rate_hz).push(raw)


class HostStream:
    """A recognizer in use: samples in, gestures out; what came before counts."""

    def __init__(self, core: HostCore, rate_hz: float | None = None) -> None:
        """Starts reset; raises `ModelError` where the model cannot recognise, or not samples of this rate."""
        self._core = core
        self._library = core._library
        self._recognizer = c_object(self._library.bw_host_recognizer_size())
        self._arena = words(core.recognizer_bytes)
        rate_mhz = 0 if rate_hz is None else round(rate_hz * 1000)
        status = self._library.bw_host_recognizer_start(
            self._recognizer, core.model, rate_mhz, self._arena, ctypes.sizeof(self._arena)
        )
        if status == RATE_MISMATCH:
            raise ModelError(f"this model cannot recognise samples of {rate_hz:g} Hz: {status_text(status)}")
        if status != 0:
            raise ModelError(f"this model cannot recognise a stream: {status_text(status)}; export it with --labels")

    def push(self, raw: Int16Array) -> Recognised:
        """Feeds (samples, channels) int16 counts; raises `ModelError` on another shape or type."""
        if raw.dtype != np.int16 or raw.ndim != 2 or raw.shape[1] != self._core.channels:
            raise ModelError(f"samples of {raw.dtype} {raw.shape} do not fit {self._core.channels} int16 channels")
        data = np.ascontiguousarray(raw)
        slept = c_uint32()
        parts = [self._push(data[at : at + _CHUNK], slept) for at in range(0, len(data), _CHUNK)]
        results = np.concatenate(parts) if parts else np.empty(0, _RESULT)
        gestures = results[results["kind"] == GESTURE]
        events = [Event(int(row["sample"]), int(row["label"]), int(row["score"])) for row in gestures]
        scores = results["scores"][:, : self._core.classes].copy()
        return Recognised(events, results["sample"].copy(), scores, slept.value)

    def _push(self, data: Int16Array, slept: c_uint32) -> npt.NDArray[np.void]:
        results = np.zeros(len(data), _RESULT)
        found = self._library.bw_host_recognize(
            self._recognizer, data.ctypes.data, len(data), results.ctypes.data, ctypes.byref(slept)
        )
        return results[:found].copy()
