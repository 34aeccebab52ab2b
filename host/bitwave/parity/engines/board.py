"""A board behind a link: it computes what the host sends, and answers with every hidden state and cell."""

from __future__ import annotations

import hashlib

import numpy as np

from ...errors import LinkError
from ...links.link import Link
from ...model.quantmodel import Int8Array, QuantModel
from ...wire.codec import MAX_PAYLOAD
from ...wire.frames import Body, Scores, Status, Trace
from ...wire.requests import Parity, Recognise, Stream
from .base import Outputs

RESET, FINISH = 1, 2  # flags of `Parity`
TRIES = 3  # a window that lost a frame on the way is sent again
QUESTION_BYTES = MAX_PAYLOAD - 7 - 4  # what a frame has left for steps
# The board queues its answers; half of a queue (BW_APP_QUEUE) leaves room for what else it has to say.
ANSWER_BYTES = 1024
TRACE_BYTES = 7 + 4 + 2  # of an answer beside the values


class BoardEngine:
    """The model on a board, one window at a time."""

    batch = 1

    def __init__(self, link: Link, data: bytes, model: QuantModel) -> None:
        """Silences the board on this link.

        Args:
            link: an open link; stays open.
            data: bytes of the .tflite file.
            model: what the reader made of them.

        Raises:
            LinkError: the board does not answer, or runs another model.
        """
        self._link = link
        self._model = model
        check_digest(link, data)
        link.ask(Stream(0))
        link.ask(Recognise(0))
        per_step = sum(TRACE_BYTES + 3 * lstm.hidden for lstm in model.lstm)
        self._steps = max(1, min(QUESTION_BYTES // model.channels, ANSWER_BYTES // per_step))

    def run(self, windows: Int8Array) -> Outputs:
        """See `Engine`; raises `LinkError`."""
        count, steps, _ = windows.shape
        layers = self._model.lstm
        shapes = [(count, s, lstm.hidden) for s, lstm in zip(self._model.layer_steps(steps), layers, strict=True)]
        outputs = Outputs(
            np.empty((count, self._model.classes), np.int8),
            tuple(np.empty(shape, np.int8) for shape in shapes),
            tuple(np.empty(shape, np.int16) for shape in shapes),
        )
        for index, window in enumerate(windows):
            if not any(self._run_one(window, index, outputs) for _ in range(TRIES)):
                raise LinkError(f"{self._link.url} loses frames: {TRIES} answers in a row were incomplete")
        return outputs

    def _run_one(self, window: Int8Array, index: int, outputs: Outputs) -> bool:
        """Fills the outputs of one window; False where a question or a part of the answer was lost."""
        for first in range(0, len(window), self._steps):
            part = window[first : first + self._steps]
            last = first + len(part) == len(window)
            flags = (RESET if first == 0 else 0) | (FINISH if last else 0)
            answers = self._ask(Parity(first, len(part), flags, part.tobytes()))
            traces = {(body.step, body.layer): body for body in answers if isinstance(body, Trace)}
            places = self._places(range(first, first + len(part)))
            scores = [body for body in answers if isinstance(body, Scores) and body.sample == len(window)]
            if set(traces) != set(places) or (last and not scores):
                return False
            for (sample, layer), trace in traces.items():
                step = places[sample, layer]
                outputs.hidden[layer][index, step] = trace.hidden
                outputs.cell[layer][index, step] = trace.cell
            if last:
                outputs.scores[index] = scores[-1].scores
        return True

    def _places(self, samples: range) -> dict[tuple[int, int], int]:
        """For each sample and layer that steps with it, the step's number: behind a convolution not every sample."""
        counts = [self._model.layer_steps(sample) for sample in range(samples.start, samples.stop + 1)]
        return {
            (sample, layer): before
            for sample, now, then in zip(samples, counts, counts[1:], strict=False)
            for layer, (before, after) in enumerate(zip(now, then, strict=True))
            if after > before
        }

    def _ask(self, question: Parity) -> list[Body]:
        """What the board answers; nothing where the question was lost. Raises `LinkError` where it refuses."""
        status, answers = self._link.ask_once(question, (Trace, Scores))
        if status is None:
            return []
        if status.status != 0:
            raise LinkError(f"{self._link.url}: the board refuses: {_reason(status)}")
        return answers


def check_digest(link: Link, data: bytes) -> None:
    """Raises `LinkError` unless the board runs the model of this file."""
    digest = link.info().digest
    if not any(digest):
        raise LinkError(f"{link.url} has no model: send it with bitwave deploy")
    wanted = hashlib.sha256(data).digest()[: len(digest)]
    if digest != wanted:
        raise LinkError(
            f"{link.url} runs the model {digest.hex()}, the file is {wanted.hex()}: send it with bitwave deploy"
        )


def _reason(status: Status) -> str:
    return status.text or f"status {status.status}"
