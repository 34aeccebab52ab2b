"""A link to a board: frames out, frames in, questions with their answers. Subclasses carry the bytes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeVar

from .. import wire
from ..errors import LinkError
from ..wire.codec import Frame
from ..wire.frames import INFO_FORMAT, Body, Info, Status
from ..wire.requests import GetInfo, Parity

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
        keeps: how a model that is deployed outlives the link; empty where it does so by itself.
        losses: how often the link broke and this side looked for the board again.
        notice: gets a line for the person when that happens; may be set.
    """

    realtime = True
    keeps = ""
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
