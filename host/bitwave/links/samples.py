"""Raw samples off a link, in order: what was repeated is dropped, what was lost is counted and located."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import LinkError
from ..wire.codec import Frame
from ..wire.frames import Info, Samples
from .link import Link

QUIET_S = 2.0  # a board that streams sends every 50 ms; after this it is gone, whatever the port says
WRAP = 1 << 32
# Further back than a few frames that were sent twice, a board counts from zero again: it has restarted.
REPEATED = 1024


@dataclass(frozen=True, eq=False)
class Block:
    """Samples that came together.

    Attributes:
        indices: (n,) int64, index since the board started; a step above 1 is a gap.
        time_us: (n,) int64, device time without wraps, strictly increasing.
        samples: (n, channels) int16 counts.
    """

    indices: npt.NDArray[np.int64]
    time_us: npt.NDArray[np.int64]
    samples: npt.NDArray[np.int16]


NO_SENSOR = "the board has found no motion sensor"
NO_SENSOR_STEP = "only the Sense has one, and it is found within 3 s; press reset, and if it stays the sensor is broken"


def require_sensor(link: Link, info: Info) -> None:
    """Raises `LinkError` where the board has no sensor: such a board states no rate."""
    if not info.rate_mhz:
        raise LinkError(f"{link.url}: {NO_SENSOR}: {NO_SENSOR_STEP}")


class SampleReader:
    """Turns SAMPLES frames into blocks.

    Attributes:
        lost: samples that never came, since the first one.
        repeated: samples that came again and were dropped.
        rate_hz: measured by the clock of the board over the last second or so; 0 at first.
    """

    def __init__(
        self,
        link: Link,
        channels: int,
        other: Callable[[Frame], None] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Reads from a link that streams; frames of other types go to `other`; `check` may raise while it waits."""
        self._link = link
        self._channels = channels
        self._other = other
        self._check = check
        self._next: int | None = None
        self._time = 0
        self._window: list[tuple[int, int]] = []  # index and time of some samples of the last second
        self.lost = 0
        self.repeated = 0

    @property
    def rate_hz(self) -> float:
        """Samples per second of the board's own clock."""
        if len(self._window) < 2:
            return 0.0
        (first, start), (last, end) = self._window[0], self._window[-1]
        return (last - first) * 1e6 / (end - start)

    def read(self) -> list[Block]:
        """Waits for the next samples.

        Raises:
            LinkEnd: there are no more.
            LinkError: the link is gone, the board is quiet or has restarted, or it sends other channels.
        """
        deadline = self._link.clock() + QUIET_S
        while True:
            self._check()
            blocks = []
            for frame in self._link.receive():
                if isinstance(frame.body, Samples):
                    blocks.append(self._take(frame.body, frame.time_us))
                elif self._other is not None:
                    self._other(frame)
            blocks = [block for block in blocks if len(block.indices)]
            if blocks:
                return blocks
            if self._link.clock() >= deadline:
                raise LinkError(f"{self._link.url} has sent no samples for {QUIET_S:g} s: is its sensor working?")

    def _take(self, body: Samples, time_us: int) -> Block:
        count, channels = body.samples.shape
        if channels != self._channels:
            raise LinkError(f"{self._link.url} sends {channels} channels after announcing {self._channels}")
        times = body.times_us(time_us)
        if self._next is None:
            self._next, self._time = body.first, int(times[0]) - 1
        # Signed distance modulo 2**32: forward is a gap, backward a repetition.
        ahead = (body.first - self._next + WRAP // 2) % WRAP - WRAP // 2
        if ahead < -REPEATED:
            raise LinkError(f"{self._link.url}: the board has restarted; record this take again")
        skip = min(max(0, -ahead), count)
        self.repeated += skip
        self.lost += max(0, ahead)
        first = self._next + ahead
        indices = np.arange(first, first + count, dtype=np.int64)[skip:]
        times = self._unwrapped(times)[skip:]
        if len(indices):
            self._next = int(indices[-1]) + 1
            self._time = int(times[-1])
            self._note(int(indices[-1]), self._time)
        return Block(indices, times, body.samples[skip:])

    def _unwrapped(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        ahead = (int(times[0]) - self._time + WRAP // 2) % WRAP - WRAP // 2
        whole = times - times[0] + self._time + ahead
        # Two samples that a board read in the same microsecond stay in order: recordings need time that runs.
        floor = self._time + 1 + np.arange(len(whole))
        return np.maximum(whole, floor) if ahead >= 0 else whole

    def _note(self, index: int, time_us: int) -> None:
        self._window.append((index, time_us))
        while time_us - self._window[0][1] > 1_000_000 and len(self._window) > 2:
            self._window.pop(0)
