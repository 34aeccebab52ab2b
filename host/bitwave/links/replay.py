"""A recording that answers like a board: it streams, and has no model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import wire
from ..recordings.recording import Recording
from ..wire.codec import Frame
from ..wire.frames import Body, Info, Samples, Status
from ..wire.requests import GetInfo, Recognise, Stream

BATCH = 8  # samples that a board puts into a frame at most
WRAP = 1 << 32
NO_MODEL = 9  # any status but 0 says no; the text says why


class RecordingSource:
    """A recording, once."""

    def __init__(self, take: Recording) -> None:
        self.recording = take
        self.rate_hz = take.rate_hz
        self._at = 0

    def take(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
        """The next samples."""
        part = slice(self._at, self._at + count)
        self._at += count
        return self.recording.time_us[part], self.recording.samples[part]

    def cue(self, label: str, seconds: float) -> None:
        """What is recorded is recorded."""


class ReplayBoard:
    """A board without a model, for recordings of any rate, scale and channels."""

    def __init__(self, take: Recording) -> None:
        """Rate, scale and gaps come from the take; sample indices leave out what was lost."""
        self.take = take
        self.lost_before = np.zeros(len(take.samples) + 1, np.int64)
        for gap in take.gaps:
            self.lost_before[gap.after + 1 :] += gap.lost
        self._decoder = wire.Decoder()
        self._out = bytearray()
        self._sequence = 0
        self._row = 0
        self._batch: list[tuple[int, int, int, npt.NDArray[np.int16]]] = []  # index, time, step, counts
        self._streaming = False

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        for frame in self._decoder.feed(data):
            status, text = 0, ""
            if isinstance(frame.body, GetInfo):
                self._send(self._info(), 0)
            elif isinstance(frame.body, Stream):
                self._streaming = bool(frame.body.on)
            elif isinstance(frame.body, Recognise):
                status, text = NO_MODEL, "a recording has no model"
            else:
                status, text = NO_MODEL, "a recording only streams"
            self._send(Status(frame.body.TYPE, frame.sequence, status, text), 0)

    def _info(self) -> Info:
        counts = self.take.counts
        return Info(
            channels=self.take.samples.shape[1],
            rate_mhz=round(self.take.rate_hz * 1000),
            accel_milli_lsb=round(counts.accel_lsb_per_g * 1000),
            gyro_milli_lsb=round(counts.gyro_lsb_per_dps * 1000),
            lost_samples=self.take.lost,
        )

    def sample(self, time_us: int, counts: npt.NDArray[np.int16]) -> None:
        """One sample of the recording, which waits for `transmit`."""
        index = int(self._row + self.lost_before[self._row])
        self._row += 1
        if self._streaming:
            last = self._batch[-1] if self._batch else None
            step = (time_us - last[1]) % WRAP if last else 0
            if last and (len(self._batch) == BATCH or index != last[0] + 1 or step > 0xFFFF):
                self._flush()
                step = 0
            self._batch.append((index, time_us, step, counts))

    def tick(self, time_us: int) -> None:
        """Time passes; nothing waits for it here."""

    def transmit(self) -> bytes:
        """Bytes to the host."""
        self._flush()
        out = bytes(self._out)
        self._out.clear()
        return out

    def _flush(self) -> None:
        if not self._batch:
            return
        indices, times, steps, rows = zip(*self._batch, strict=True)
        self._batch = []
        self._send(Samples(indices[0] % WRAP, np.array(steps, np.uint16), np.stack(rows)), times[0])

    def _send(self, body: Body, time_us: int) -> None:
        self._out += wire.encode(Frame(body, self._sequence, time_us))
        self._sequence += 1
