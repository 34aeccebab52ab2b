"""One take while it arrives: in memory for the end, in a journal on the disk in case that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..links.samples import Block
from ..recordings.recording import Recording
from ..recordings.session import Gap, Session
from .journal import Journal
from .keeping import free_number
from .meter import Meter


class Arriving:
    """A take that arrives; nothing of it is on the disk before its first sample.

    Attributes:
        name: of the take, and of its file without the suffix.
        length: samples that it spans so far, those that were lost included.
        wanted: samples that it shall span.
    """

    def __init__(self, out: Path, session: Session, label: str, wanted: int, meter: Meter) -> None:
        self.number = free_number(out, label, session.participant, session.session)
        self.name = f"{label}.{session.participant}.{session.session}.{self.number}"
        self.wanted = wanted
        self.length = 0
        self._out = out
        self._session = session
        self._label = label
        self._meter = meter
        self._errors_before = meter.crc_errors
        self._blocks: list[Block] = []
        self._journal: Journal | None = None

    def read(self) -> list[Block]:
        """Waits for the next samples, and keeps them."""
        blocks = self._meter.read()
        for block in blocks:
            self._blocks.append(block)
            first = int(self._blocks[0].indices[0])
            inside = block.indices < first + self.wanted
            self.length = int(block.indices[-1]) - first + 1
            if self._journal is None:
                self._journal = Journal(self._out, self._session, self.name)
            self._journal.append(block.time_us[inside], block.samples[inside])
        return blocks

    @property
    def out_of_room(self) -> bool:
        """Whether the disk did not take all that came so far."""
        return self._journal is not None and self._journal.failed

    def finish(self, span: int, complete: bool = True) -> tuple[Session, Recording]:
        """Makes what came a take of so many samples; a complete one that ends before that ends in a gap.

        Raises:
            WriteError: there is no room; the message says where the take is.
        """
        assert self._journal is not None, "nothing came"
        errors = self._meter.crc_errors - self._errors_before
        take = recording(self._session, self._label, self.number, self._blocks, span, errors, complete)
        return self._journal.finish(take), take


def recording(
    session: Session,
    label: str,
    number: int,
    blocks: Sequence[Block],
    wanted: int,
    crc_errors: int,
    complete: bool = True,
) -> Recording:
    """The take of the first `wanted` samples of blocks; a complete one that ends early ends in a gap."""
    indices = np.concatenate([block.indices for block in blocks])
    inside = indices < indices[0] + wanted
    indices = indices[inside]
    return Recording(
        label=label,
        participant=session.participant,
        session=session.session,
        number=number,
        time_us=np.concatenate([block.time_us for block in blocks])[inside],
        samples=np.concatenate([block.samples for block in blocks])[inside],
        rate_hz=session.rate_hz,
        channels=session.channels,
        counts=session.counts,
        gaps=gaps_by_index(indices, int(indices[0]) + wanted if complete else None),
        crc_errors=crc_errors,
        complete=complete,
    )


def gaps_by_index(indices: npt.NDArray[np.int64], end: int | None = None) -> tuple[Gap, ...]:
    """Gaps of a take by the wire's sample index; with `end`, also the one between its last sample and its end."""
    steps = np.diff(indices if end is None else np.append(indices, end))
    return tuple(Gap(after=int(row), lost=int(steps[row]) - 1) for row in np.flatnonzero(steps > 1))
