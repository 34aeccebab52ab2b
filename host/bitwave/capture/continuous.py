"""Continuous recordings: one long take, appended to the disk while it runs; `bitwave segment` finds gestures in it.

They live in the folder ``streams`` of the data set: training takes the folder's own takes alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from ..errors import LinkError, RecordingError, WriteError
from ..links.link import Link, LinkEnd
from ..links.samples import Block
from ..recordings.session import check_name
from ..wire.requests import Stream
from .cues import CaptureReport, Cue, Progress
from .keeping import Journal, free_number, recover, rescue
from .takes import QUIT, Meter, recording, session_facts

FOLDER = "streams"
LABEL = "stream"
LONGEST_S = 24 * 3600.0


def record_continuous(
    link: Link,
    out: Path,
    cue: Cue,
    participant: str,
    session: str = "s01",
    on_progress: Callable[[Progress], None] | None = None,
    keys: Callable[[], str] | None = None,
) -> CaptureReport:
    """Records one take into ``out/streams`` until its time is over, ``q`` is typed, or Ctrl-C.

    Ctrl-C is how such a recording ends: it is complete then.

    Raises:
        RecordingError: a name that cannot be used, or a session that does not fit the board.
        LinkError: the board is not there, or vanished; what came is on the disk, marked as incomplete.
        WriteError: the disk is full; the message says where the take is.
    """
    for word, text in (("participant", participant), ("session", session), ("label", cue.label)):
        check_name(word, text)
    if not 0.05 <= cue.seconds <= LONGEST_S:
        raise RecordingError(f"a continuous recording takes 0.05 to {LONGEST_S:g} s")
    folder = out / FOLDER
    info = link.info()
    facts = session_facts(info, participant, session)
    recovered = tuple(path.stem for path in recover(folder, facts))
    number = free_number(folder, cue.label, participant, session)
    meter = Meter(link, info.channels)
    wanted = round(cue.seconds * facts.rate_hz)
    blocks: list[Block] = []
    fault: LinkError | None = None
    journal = Journal(folder, facts, f"{cue.label}.{participant}.{session}.{number}")
    link.ask(Stream(1))
    try:
        while not blocks or _length(blocks) < wanted:
            for block in meter.read():
                blocks.append(block)
                inside = block.indices < blocks[0].indices[0] + wanted
                journal.append(block.time_us[inside], block.samples[inside])
                if on_progress is not None:
                    elapsed = _length(blocks) / facts.rate_hz
                    on_progress(meter.progress("take", cue, 1, 1, elapsed, block))
            if keys is not None and QUIT in keys():
                break
    except KeyboardInterrupt:
        if not blocks:
            journal.discard()
            raise
    except LinkError as error:
        if not blocks:
            journal.discard()
            raise
        # Where no length was asked for, the end of a plan or a replayed recording is how it ends.
        fault = None if isinstance(error, LinkEnd) and cue.seconds >= LONGEST_S else error
    except WriteError as error:
        take = recording(facts, cue.label, number, blocks, _length(blocks), meter.crc_errors, complete=False)
        raise WriteError(f"{error}; {rescue(facts, take)}") from error
    finally:
        with contextlib.suppress(LinkError):
            link.ask(Stream(0))
    length = min(wanted, _length(blocks))
    take = recording(facts, cue.label, number, blocks, length, meter.crc_errors, complete=fault is None)
    known = journal.finish(take)
    if fault is not None:
        raise LinkError(f"{fault}; {len(take.samples)} samples are kept in {take.name}.csv, marked as incomplete")
    return CaptureReport(known, (take,), recovered=recovered)


def _length(blocks: list[Block]) -> int:
    return int(blocks[-1].indices[-1] - blocks[0].indices[0]) + 1
