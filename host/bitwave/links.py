"""Links to a board, opened by URL: ``serial:``, ``ble:``, ``replay:``, ``emu:``. All speak the same frames.

- ``serial:/dev/ttyACM0``, ``serial:COM3``: a board on a serial port.
- ``ble:bitwave-1A2B``, ``ble:`` for the only one in reach: a board over Bluetooth Low Energy; see `bitwave.ble`.
- ``replay:wave.p01.s01.1.csv``: a recording, streamed as a board without a model would.
- ``emu:?model=model.tflite&wrist=0&participant=p01&plan=wave,idle``: the emulated board on the virtual wrist; see
  `bitwave.virtual_links` for its words.

``realtime=1`` slows a link on virtual time down to the clock on the wall.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

from . import wire
from .errors import LinkError, UsageError
from .frames import INFO_FORMAT, Body, Info, Status
from .requests import GetInfo, Parity
from .wire import Frame

if TYPE_CHECKING:
    import serial

T = TypeVar("T")

ANSWER_S = 1.0  # a board answers within a few milliseconds; a loaded PC may not look for longer
TRIES = 3


class LinkEnd(LinkError):
    """What a link had to tell is told: the end of a replayed recording or of a plan."""


class Link(ABC):
    """A link to a board; a context manager.

    Attributes:
        url: how it was opened.
        realtime: False where time runs as fast as the link is read.
        losses: how often the link broke and this side looked for the board again.
        notice: gets a line for the person when that happens; may be set.
    """

    realtime = True
    losses = 0

    def __init__(self, url: str) -> None:
        self.url = url
        self.notice: Callable[[str], None] = lambda line: None
        self._decoder = wire.Decoder()
        self._pending: list[Frame] = []
        self._sequence = 0

    @property
    def errors(self) -> int:
        """Stretches of bytes that were no sound frame: CRC errors, garbage, half frames."""
        return self._decoder.errors

    def send(self, body: Body) -> int:
        """Sends a frame; returns its sequence number. Raises `LinkError` where the link is gone."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        self._write(wire.encode(Frame(body, sequence)))
        return sequence

    def receive(self, timeout_s: float = 0.1) -> list[Frame]:
        """The frames that have come; waits up to a time for some, by the link's own clock.

        Raises:
            LinkEnd: there is nothing more to come.
            LinkError: the link is gone.
        """
        if self._pending:
            frames, self._pending = self._pending, []
            return frames
        return list(self._decoder.feed(self._read(timeout_s)))

    def frames(self) -> Iterator[Frame]:
        """All frames until the end; waits for them."""
        while True:
            try:
                yield from self.receive()
            except LinkEnd:
                return

    def ask(self, request: Body, answer: type[Body] | None = None, timeout_s: float = ANSWER_S) -> list[Body]:
        """Sends a request and waits for its status; a request that is lost on the way is repeated.

        Frames that are no answer to it are kept for `receive`.

        Args:
            request: what to ask.
            answer: type of the frames that come before the status.
            timeout_s: how long to wait for a status, each time.

        Returns:
            The answering bodies.

        Raises:
            LinkError: the board says no, or nothing.
        """
        tries = 1 if isinstance(request, Parity) else TRIES  # the others may be done twice
        for _ in range(tries):
            status, answers = self.ask_once(request, answer or (), timeout_s)
            if status is None:
                continue
            if status.status != 0:
                raise LinkError(f"{self.url}: the board refuses: {status.text or f'status {status.status}'}")
            return answers
        raise LinkError(f"{self.url} does not answer: is the bitwave firmware on it, and no other program at the port?")

    def ask_once(
        self, request: Body, answer: type[Body] | tuple[type[Body], ...], timeout_s: float = ANSWER_S
    ) -> tuple[Status | None, list[Body]]:
        """Sends a request once and waits; the status, None where none came, and the answering bodies."""
        sequence = self.send(request)
        answers: list[Body] = []
        others: list[Frame] = []
        deadline = self.clock() + timeout_s
        status = None
        while status is None and self.clock() < deadline:
            for frame in self.receive(timeout_s / 10):
                body = frame.body
                if isinstance(body, answer):
                    answers.append(body)
                elif isinstance(body, Status) and (body.command, body.command_sequence) == (request.TYPE, sequence):
                    status = body
                else:
                    others.append(frame)
        self._pending = others + self._pending
        return status, answers

    def info(self) -> Info:
        """Who the board is; raises `LinkError` where it does not say, or speaks another format."""
        infos = self.ask(GetInfo(), Info)
        if not infos or not isinstance(infos[-1], Info):
            raise LinkError(f"{self.url}: the board did not say who it is; try again")
        if infos[-1].format > INFO_FORMAT:
            raise LinkError(
                f"{self.url}: the board speaks format {infos[-1].format}, this bitwave {INFO_FORMAT}: "
                "update the older of the two"
            )
        return infos[-1]

    def clock(self) -> float:
        """Seconds on the link's own clock; it runs on while the link is read."""
        return time.monotonic()

    def cue(self, label: str, seconds: float) -> None:
        """Tells whoever wears the board to move now. People read the screen; the virtual wrist is told here."""
        return

    def close(self) -> None:
        """Gives the port back; may be called again."""
        return

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Sends bytes; raises `LinkError`."""

    @abstractmethod
    def _read(self, timeout_s: float) -> bytes:
        """The bytes that have come; waits up to a time for some; raises `LinkEnd` or `LinkError`."""


class SerialLink(Link):
    """A board on a serial port."""

    def __init__(self, url: str, port: str) -> None:
        """Opens the port; raises `LinkError`."""
        super().__init__(url)
        import serial

        self._port: serial.Serial | None = None
        try:
            # USB CDC ignores the baud rate; 1200 would reboot the board into its bootloader.
            self._port = serial.Serial(port, 115200, timeout=0.1, write_timeout=2.0, exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise LinkError(
                f"{port} cannot be opened: {_why(error)}; is the board plugged in, the port free?"
            ) from error
        # Ends what an earlier program may have left half sent.
        self._write(b"\0")

    def _write(self, data: bytes) -> None:
        self._guard(lambda port: port.write(data))

    def _read(self, timeout_s: float) -> bytes:
        def read(port: serial.Serial) -> bytes:
            port.timeout = timeout_s
            first = port.read(1)
            return bytes(first + port.read(port.in_waiting)) if first else b""

        return self._guard(read)

    def close(self) -> None:
        """Closes the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _guard(self, action: Callable[[serial.Serial], T]) -> T:
        if self._port is None:
            raise LinkError(f"{self.url} is closed")
        try:
            return action(self._port)
        except OSError as error:
            raise LinkError(f"{self.url} vanished: {_why(error)}; plug the board in again") from error


def _why(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())


def split_url(url: str) -> tuple[str, str, dict[str, str]]:
    """``scheme:rest?key=value&...`` in its parts; raises `UsageError`."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise UsageError(f"{url!r} is no link: serial:PORT, ble:NAME, replay:FILE.csv or emu:")
    place, mark, query = rest.rpartition("?")
    if not mark or "=" not in query:
        place, query = rest, ""
    return scheme, place, dict(parse_qsl(query, keep_blank_values=True))


def open(url: str, realtime: bool = False) -> Link:
    """Opens a link by its URL.

    Args:
        url: see the module.
        realtime: slow a link on virtual time down, as ``realtime=1`` in the URL does.

    Raises:
        UsageError: the URL makes no sense.
        LinkError: the port cannot be opened.
        RecordingError: the recording to replay cannot be read.
    """
    scheme, place, words = split_url(url)
    if realtime:
        words["realtime"] = "1"
    if scheme == "serial" and place:
        return SerialLink(url, place)
    if scheme == "ble":
        from .ble import BleLink

        return BleLink(url, place)
    if scheme == "replay" and place:
        from .virtual_links import replay_link

        return replay_link(url, place, words)
    if scheme == "emu":
        from .virtual_links import emulated_link

        return emulated_link(url, words)
    raise UsageError(f"{url!r} is no link: serial:PORT, ble:NAME, replay:FILE.csv or emu:")
