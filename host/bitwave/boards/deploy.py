"""Sends a model to a board's flash slots: several chunks ahead, on from where it was after a loss, verified by digest.

The board goes on recognising with the model it has until the new one is whole and gives its known answer.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import tflite
from ..errors import LinkError, ModelError
from ..links.link import Link
from ..model import image as images
from ..wire.frames import NO_ACTIVE, Body, Info, Status, Update
from ..wire.requests import AllowUpdate, Rollback, SelfTest, UpdateBegin, UpdateChunk, UpdateFinish

ANSWER_S = 2.0  # erasing a page takes 85 ms, the known answer some more
TRIES = 5  # in a row without a byte of progress
WINDOWS = (2, 8)  # chunks on their way before an answer: at first, and at most
DIGEST_BYTES = 8

# bw_status: a chunk before this one was lost, or the board has no such update (any more).
BAD_STATE = 13

Progress = Callable[[int, int], None]  # bytes that the board has, bytes in all


@dataclass(frozen=True)
class Deployed:
    """What came of it.

    Attributes:
        info: what the board says afterwards.
        size: bytes of the image.
        sent: bytes of the image that were sent, those twice that were lost on the way.
        began_at: bytes that the board had already, from an attempt before.
        seconds: by the link's clock; 0 where the board ran this model already.
    """

    info: Info
    size: int
    sent: int
    began_at: int
    seconds: float


def deploy(link: Link, model: Path, on_progress: Progress | None = None, cable: Link | None = None) -> Deployed:
    """Sends a model and switches to it.

    Args:
        link: an open link.
        model: a .tflite with bitwave metadata, or a model image.
        on_progress: called after each answer of the board.
        cable: a physical link to the same board, which allows the update over `link`.

    Raises:
        ModelError: the file cannot be used.
        LinkError: the board does not take it, or went; the model that it had goes on.
    """
    content, digest = _image(model)
    info = link.info()
    _check_fit(link, info, content, cable is not None)
    if info.digest == digest and info.active != NO_ACTIVE:
        return Deployed(info, len(content), 0, len(content), 0.0)
    if cable is not None:
        cable.ask(AllowUpdate())
    sending = _Sending(link, UpdateBegin(len(content), zlib.crc32(content), digest), content, on_progress)
    start = link.clock()
    sending.run()
    info = _finish(link, digest)
    link.ask(SelfTest(), timeout_s=ANSWER_S)
    return Deployed(info, len(content), sending.sent, sending.began_at, link.clock() - start)


def rollback(link: Link) -> Info:
    """Back to the model before; returns what the board says then. Raises `LinkError` where there is none."""
    before = link.info()
    status, _ = link.ask_once(Rollback(), Info, ANSWER_S)
    after = link.info()
    if (after.active, after.digest) == (before.active, before.digest):
        raise LinkError(f"{link.url}: the board keeps its model: {_reason(status)}")
    return after


def _image(model: Path) -> tuple[bytes, bytes]:
    """The model image of a .tflite, or an image already, and the digest it goes by."""
    data = tflite.read_bytes(model)
    if data.startswith(images.MAGIC):
        return data, images.describe(data).digest[:DIGEST_BYTES]
    quantized = tflite.read_model(data)
    if quantized.metadata is None:
        raise ModelError(f"{model} has no labels and scaling: bitwave export --labels ... makes a model.bwi to deploy")
    return images.build(quantized), hashlib.sha256(data).digest()[:DIGEST_BYTES]


def _check_fit(link: Link, info: Info, content: bytes, allowed: bool) -> None:
    needed = images.describe(content).abi
    if not needed <= info.abi <= images.ABI:
        step = "update bitwave here" if info.abi > images.ABI else "bitwave flash"
        raise LinkError(f"{link.url} takes images of version {info.abi}, this model needs {needed}: {step}")
    if not info.slot_bytes:
        raise LinkError(f"{link.url} has no model slots: bitwave flash puts a firmware on it that has")
    if len(content) > info.slot_bytes:
        raise LinkError(
            f"the image has {len(content)} bytes, a slot of {link.url} {info.slot_bytes}: train a smaller one"
        )
    if not info.may_update and not allowed:
        raise LinkError(
            f"{link.url} takes no model from whoever is near: add --allow serial:PORT with the board on a cable too, "
            "or hold the pose that its firmware was given"
        )


class _Sending:
    """The image on its way.

    Attributes:
        sent: bytes of chunks that were sent.
        began_at: where the board wanted to go on at first.
    """

    def __init__(self, link: Link, begin: UpdateBegin, content: bytes, on_progress: Progress | None) -> None:
        self.sent = 0
        self.began_at = 0
        self._link = link
        self._begin = begin
        self._content = content
        self._on_progress = on_progress

    def run(self) -> None:
        received = self.began_at = self._announce()
        window = WINDOWS[0]
        idle = 0
        while received < len(self._content):
            self._tell(received)
            before = received
            received = self._send_window(received, window)
            wanted = min(window * UpdateChunk.MAX_DATA, len(self._content) - before)
            window = min(2 * window, WINDOWS[1]) if received == before + wanted else max(1, window // 2)
            idle = 0 if received > before else idle + 1
            if idle == TRIES:
                raise LinkError(
                    f"{self._link.url}: {received} of {len(self._content)} bytes came over, then nothing more: come "
                    "nearer and deploy again, it goes on from there"
                )
        self._tell(received)

    def _announce(self) -> int:
        """Where the board wants to go on; announcing the same image again changes nothing."""
        answers = self._link.ask(self._begin, Update, ANSWER_S)
        updates = [body for body in answers if isinstance(body, Update)]
        if not updates:
            return 0
        return updates[-1].received

    def _send_window(self, first: int, chunks: int) -> int:
        """Sends chunks ahead, the last one asking for an answer; where the board wants to go on then."""
        end = min(len(self._content), first + chunks * UpdateChunk.MAX_DATA)
        at = first
        while end - at > UpdateChunk.MAX_DATA:
            self._link.send(UpdateChunk(at, self._content[at : at + UpdateChunk.MAX_DATA]))
            at += UpdateChunk.MAX_DATA
        last = UpdateChunk(at, self._content[at:end], UpdateChunk.ANSWER)
        self.sent += end - first
        status, answers = self._link.ask_once(last, Update, ANSWER_S)
        if status is not None and status.status not in (0, BAD_STATE):
            raise LinkError(f"{self._link.url}: the board refuses the model: {_reason(status)}")
        updates = [body for body in answers if isinstance(body, Update) and body.size == len(self._content)]
        return updates[-1].received if updates and status is not None else self._announce()

    def _tell(self, received: int) -> None:
        if self._on_progress is not None:
            self._on_progress(received, len(self._content))


def _finish(link: Link, digest: bytes) -> Info:
    """Switches over; what counts is what the board says that it runs."""
    status = None
    for _ in range(TRIES):
        status, _answers = link.ask_once(UpdateFinish(), (Update, Info), ANSWER_S)
        info = link.info()
        if info.digest == digest and info.active != NO_ACTIVE:
            return info
        if status is not None:
            break
    raise LinkError(f"{link.url}: the board refuses the model and keeps the one before: {_reason(status)}")


def _reason(status: Status | Body | None) -> str:
    if not isinstance(status, Status):
        return "it did not answer"
    return status.text or f"status {status.status}"
