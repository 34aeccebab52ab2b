"""Continuous recordings: one long take, appended to the disk while it runs; `bitwave segment` finds gestures in it.

They live in the folder ``streams`` of the data set: training takes the folder's own takes alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT

from ..errors import LinkError, RecordingError
from ..links.link import Link, LinkEnd
from ..links.samples import require_sensor
from ..recordings.holding import hold
from ..recordings.recording import merged
from ..recordings.session import STREAMS, check_name
from ..wire.requests import Stream
from .arriving import Arriving
from .cues import CaptureReport, Cue, Progress
from .ending import Ended, Ending
from .meter import Meter, session_facts
from .takes import QUIT

LONGEST_S = 24 * 3600.0


def record_continuous(
    link: Link,
    out: Path,
    cue: Cue,
    participant: str,
    session: str = "s01",
    on_progress: Callable[[Progress], None] | None = None,
    keys: Callable[[], str] | None = None,
    ending: Ending | None = None,
) -> CaptureReport:
    """Records one take into ``out/streams`` until its time is over, ``q`` is typed, or Ctrl-C.

    Ctrl-C is how such a recording ends: it is complete then, as it is where another signal ends it.

    Raises:
        RecordingError: a name that cannot be used, or a session that does not fit the board.
        SessionBusy: another process records this session.
        Ended: a signal other than Ctrl-C came; what came is on the disk.
        LinkError: the board is not there, or vanished; what came is on the disk, marked as incomplete.
        WriteError: the disk is full; the message says where the take is.
    """
    for word, text in (("participant", participant), ("session", session), ("label", cue.label)):
        check_name(word, text)
    if not 0.05 <= cue.seconds <= LONGEST_S:
        raise RecordingError(f"a continuous recording takes 0.05 to {LONGEST_S:g} s")
    folder = out / STREAMS
    ending = ending or Ending()
    with hold(out, participant, session):
        info = link.info()
        require_sensor(link, info)
        facts = merged(folder, session_facts(info, participant, session))
        meter = Meter(link, info.channels, ending.check)
        take = Arriving(folder, facts, cue.label, round(cue.seconds * facts.rate_hz), meter)
        link.ask(Stream(1))
        try:
            with ending.deferred():
                return _run(take, meter, cue, facts.rate_hz, on_progress, keys)
        finally:
            with contextlib.suppress(LinkError):
                link.ask(Stream(0))


def _run(
    take: Arriving,
    meter: Meter,
    cue: Cue,
    rate_hz: float,
    on_progress: Callable[[Progress], None] | None,
    keys: Callable[[], str] | None,
) -> CaptureReport:
    end: LinkError | KeyboardInterrupt | None = None
    try:
        while take.length < take.wanted:
            for block in take.read():
                if on_progress is not None:
                    on_progress(meter.progress("take", cue, 1, 1, take.length / rate_hz, block))
            if take.out_of_room:
                break  # a day would not fit into memory
            if keys is not None and QUIT in keys():
                break
    except (LinkError, KeyboardInterrupt) as error:
        if not take.length:
            raise
        end = error
    # Where no length was asked for, the end of a plan or a replayed recording is how it ends.
    broken = isinstance(end, LinkError) and not (isinstance(end, LinkEnd) and cue.seconds >= LONGEST_S)
    known, kept = take.finish(min(take.wanted, take.length), complete=not (broken or take.out_of_room))
    if broken:
        raise LinkError(f"{end}; {len(kept.samples)} samples are kept in {kept.name}.csv, marked as incomplete")
    if isinstance(end, Ended) and end.number != SIGINT:
        end.kept = f"{len(kept.samples)} samples are kept in {STREAMS}/{kept.name}.csv"
        raise end
    return CaptureReport(known, (kept,))
