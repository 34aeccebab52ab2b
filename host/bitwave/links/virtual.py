"""Links on virtual time: a replayed recording, and the emulated board on the virtual wrist.

Words of an ``emu:`` URL, all optional: ``model`` (a .tflite with bitwave metadata, or a model image), ``compiler``
(clang or gcc), ``recording`` (a take to feed, instead of the wrist), ``wrist`` (seed of the virtual wrist),
``participant``, ``session``, ``plan`` (labels to perform one after the other, then the link ends; ``random`` goes on
for ever), ``flash`` (a file that keeps the board's model slots from one link to the next), ``realtime=1``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import LinkError, UsageError
from ..files import write_whole
from ..recordings.recording import read
from ..recordings.session import DEFAULT_COUNTS
from ..synth.wrist import LABELS, RATE_HZ, Interval, Wrist, random_plan
from .link import Link, LinkEnd
from .replay import BATCH, WRAP, RecordingSource, ReplayBoard

PAUSE_S = (1.0, 2.0)  # rest before each movement of a plan
TAIL_S = 1.5
FLUSH_US = 100_000  # a board sends an unfinished batch well before this


class Source(Protocol):
    """Where a virtual board's samples come from."""

    rate_hz: float

    def take(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
        """Up to `count` samples: (n,) times in microseconds and (n, channels) counts; none at the end."""

    def cue(self, label: str, seconds: float) -> None:
        """Asks for a movement now."""


class WristSource:
    """The virtual wrist, on cue or by a plan.

    Attributes:
        truth: what the plan has made the wrist do, by sample.
    """

    def __init__(self, wrist: Wrist, plan: list[str] | None, endless: bool = False) -> None:
        self.wrist = wrist
        self.rate_hz = wrist.rate_hz
        self.truth: list[Interval] = []
        self._plan = plan
        self._endless = endless
        self._rounds = 0
        self._pauses = np.random.default_rng(0)
        self._end = self._perform() if plan is not None else None

    def _perform(self) -> int:
        for label in self._plan or []:
            self.truth.append(self.wrist.perform(label, delay=float(self._pauses.uniform(*PAUSE_S))))
        return self.wrist.position + self.wrist.busy + round(TAIL_S * self.rate_hz)

    def take(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
        """The next samples."""
        first = self.wrist.position
        if self._end is not None and first + count > self._end:
            if self._endless:
                self._rounds += 1
                self._plan = random_plan(len(LABELS), seed=self._rounds)
                self._end = self._perform()
            else:
                count = self._end - first
        indices = np.arange(first, first + count)
        return np.rint(indices * (1e6 / self.rate_hz)).astype(np.int64), self.wrist.read(count)

    def cue(self, label: str, seconds: float) -> None:
        """The person hears it, whatever the plan."""
        if label not in LABELS:
            raise UsageError(f"the virtual wrist does not know {label!r}: it does {', '.join(LABELS)}")
        self.wrist.cue(label, seconds)


class Board(Protocol):
    """What a virtual link needs of a board; `bitwave.emulator.board.EmulatedBoard` is one."""

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""

    def sample(self, time_us: int, counts: npt.NDArray[np.int16]) -> None:
        """One sample of the sensor."""

    def tick(self, time_us: int) -> None:
        """Time passes without a sample."""

    def transmit(self) -> bytes:
        """Bytes to the host."""


class VirtualLink(Link):
    """A board in a world whose time moves on when the link is read."""

    def __init__(self, url: str, board: Board, source: Source, realtime: bool) -> None:
        super().__init__(url)
        self.realtime = realtime
        self.source = source
        self.on_close: Callable[[], None] | None = None
        self._board = board
        self._now = 0.0
        self._started = time.monotonic()
        self._over = False
        self._device_us = 0

    def clock(self) -> float:
        """Seconds of the virtual world."""
        return self._now

    def close(self) -> None:
        """Lets whoever waits for the end keep something of the board."""
        keep, self.on_close = self.on_close, None
        if keep is not None:
            keep()

    @property
    def truth(self) -> list[Interval]:
        """What the virtual wrist did by its plan, where the samples come from it."""
        return self.source.truth if isinstance(self.source, WristSource) else []

    def cue(self, label: str, seconds: float) -> None:
        """Tells the virtual wrist."""
        self.source.cue(label, seconds)

    def _write(self, data: bytes) -> None:
        self._board.receive(data)

    def _read(self, timeout_s: float) -> bytes:
        deadline = self._now + timeout_s
        while not (out := self._board.transmit()) and self._now < deadline:
            if self._over:
                raise LinkEnd(f"{self.url} is over")
            self._move_on()
        return out

    def _move_on(self) -> None:
        times, samples = self.source.take(BATCH)
        self._over = len(samples) < BATCH
        for time_us, counts in zip(times.tolist(), samples, strict=True):
            self._board.sample(time_us % WRAP, counts)
            self._device_us = time_us
        if self._over:
            self._board.tick((self._device_us + FLUSH_US) % WRAP)
        self._now += BATCH / self.source.rate_hz
        if self.realtime:
            time.sleep(max(0.0, self._started + self._now - time.monotonic()))


def replay_link(url: str, place: str, words: dict[str, str]) -> Link:
    """Opens ``replay:FILE``; raises `RecordingError` or `UsageError`."""
    _refuse_unknown(url, words, {"realtime"})
    take = read(Path(place))
    return VirtualLink(url, ReplayBoard(take), RecordingSource(take), _truth_of(words, "realtime"))


def emulated_link(url: str, words: dict[str, str]) -> Link:
    """Opens ``emu:``.

    Raises:
        UsageError: a word that makes no sense.
        ModelError, ImageError: the model cannot be used.
        RecordingError: the recording cannot be read.
        LinkError: the recording is none of this board.
    """
    allowed = {"model", "compiler", "recording", "wrist", "participant", "session", "plan", "flash", "realtime"}
    _refuse_unknown(url, words, allowed)
    from ..emulator.board import EmulatedBoard

    compiler = words.get("compiler", "clang")
    if compiler not in ("clang", "gcc"):
        raise UsageError(f"{url}: compiler {compiler!r}: clang or gcc")
    source = _recording_source(words["recording"]) if "recording" in words else _wrist_source(url, words)
    image = model_image(Path(words["model"])) if "model" in words else None
    kept = Path(words["flash"]) if "flash" in words else None
    flash = kept.read_bytes() if kept is not None and kept.exists() else b""
    board = EmulatedBoard(image, "gcc" if compiler == "gcc" else "clang", source.rate_hz, flash)
    link = VirtualLink(url, board, source, _truth_of(words, "realtime"))
    if kept is None:
        link.keeps = "emu:?flash=FILE"
    else:
        link.on_close = lambda: write_whole(kept, board.flash)
    return link


def model_image(path: Path) -> bytes:
    """The model image of a file: a .tflite, or an image already; raises `ModelError`."""
    from .. import tflite
    from ..model import image

    content = tflite.read_bytes(path)
    return content if content.startswith(b"BWIM") else image.build(tflite.read_model(path))


def _recording_source(place: str) -> Source:
    take = read(Path(place))
    if take.counts != DEFAULT_COUNTS or take.samples.shape[1] != 6:
        raise LinkError(f"{place} has another scale or other channels than the emulated board: use replay:{place}")
    return RecordingSource(take)


def _wrist_source(url: str, words: dict[str, str]) -> Source:
    try:
        seed = int(words.get("wrist", "0"))
    except ValueError as error:
        raise UsageError(f"{url}: wrist={words['wrist']}: the seed is a whole number") from error
    wrist = Wrist(words.get("participant", "p01"), words.get("session", "s01"), seed, RATE_HZ)
    plan = words.get("plan")
    if plan is None:
        return WristSource(wrist, None)
    if plan == "random":
        return WristSource(wrist, [], endless=True)
    return WristSource(wrist, [label for label in plan.split(",") if label])


def _refuse_unknown(url: str, words: dict[str, str], allowed: set[str]) -> None:
    for word in words:
        if word not in allowed:
            raise UsageError(f"{url}: {word!r} is not among {', '.join(sorted(allowed))}")


def _truth_of(words: dict[str, str], word: str) -> bool:
    return words.get(word, "0") not in ("", "0", "false", "no")
