"""Streams in g and degree/s, from whatever reader, become takes or continuous recordings: a session per participant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import RecordingError
from ..model.metadata import CountsScale
from ..recordings.recording import COUNT_MAX, Recording, even_times, next_number
from ..recordings.segments import corrections, write_segments
from ..recordings.session import CHANNELS, DEFAULT_COUNTS, STREAM, STREAMS, Session, check_name
from ..synth.wrist import Interval
from .columns import Segmented, Stream
from .importer import ImportReport, check_rate, label_of, refuse_known, stored, to_counts, write_sessions

MAX_CLIPPED = 0.05  # share of samples; more is a wrong unit


def import_streams(
    streams: Iterable[Stream],
    out: Path,
    *,
    rate_hz: float,
    session: str,
    counts: CountsScale = DEFAULT_COUNTS,
    board: str = "unknown",
    note: str = "",
) -> ImportReport:
    """Imports streams as one take each, one session per participant; all is written, or nothing.

    Args:
        streams: in g and degree/s.
        out: folder of the data set.
        rate_hz: their sample rate.
        session: name of the session.
        counts: scale of the recordings.
        board: kept as it is in the session file.
        note: likewise.

    Raises:
        RecordingError: an odd rate, a name that cannot be one, values far beyond the scale, or a take that is there.
        WriteError: the disk is full or read-only.
    """
    check_rate(rate_hz)
    check_name("session", session)
    takes: dict[str, list[Recording]] = {}
    numbers: Counter[tuple[str, str]] = Counter()
    clipped: Counter[str] = Counter()
    known: dict[tuple[str, str], list[npt.NDArray[np.int16]]] = {}
    samples = 0
    for stream in streams:
        label, who = label_of(stream.label), stream.participant.lower()
        check_name("label", label)
        check_name("participant", who)
        taken = numbers.setdefault((label, who), next_number(out, label, who, session) - 1) + 1
        if taken > 1 and (label, who) not in known:
            known[label, who] = stored(out, label, who, session)
        numbers[label, who] = taken
        found, beyond = to_counts(stream.values, counts)
        refuse_known(f"take {taken} of {label} of {who}", found, known.get((label, who), ()), out, label)
        clipped[label] += beyond
        samples += len(found)
        channels = CHANNELS[: found.shape[1]]
        times = even_times(len(found), rate_hz)
        take = Recording(label, who, session, taken, times, found, rate_hz, channels, counts)
        takes.setdefault(who, []).append(take)
    if not takes:
        raise RecordingError("there is no take to import: is every stream shorter than a slice?")
    if sum(clipped.values()) > MAX_CLIPPED * samples:
        most = f"{COUNT_MAX / counts.accel_lsb_per_g:.3g} g or {COUNT_MAX / counts.gyro_lsb_per_dps:.0f} degree/s"
        raise RecordingError(
            f"{sum(clipped.values()) / samples:.0%} of the samples are beyond {most}: "
            "give the units of the file, or a coarser scale"
        )
    sessions = [
        (
            Session(
                tool=f"bitwave {__version__}",
                source="import",
                participant=who,
                session=session,
                board=board,
                channels=of_one[0].channels,
                counts=counts,
                accel_range_g=COUNT_MAX / counts.accel_lsb_per_g,
                gyro_range_dps=COUNT_MAX / counts.gyro_lsb_per_dps,
                rate_hz=rate_hz,
                note=note,
            ),
            of_one,
        )
        for who, of_one in takes.items()
    ]
    write_sessions(out, sessions)
    labels = Counter(take.label for of_one in takes.values() for take in of_one)
    return ImportReport(dict(labels), samples, {label: count for label, count in clipped.items() if count})


def import_continuous(
    files: Iterable[Segmented], out: Path, *, rate_hz: float, session: str, **facts: Any
) -> ImportReport:
    """Imports whole files as continuous recordings into ``out/streams``, with the segments that a list gave them.

    Args and errors are those of `import_streams`; nothing may be there already, since segments may hold corrections.
    """
    found = list(files)
    folder = out / STREAMS
    if folder.is_dir() and any(folder.glob(f"{STREAM}.*.{session}.*.csv")):
        raise RecordingError(f"{folder} holds continuous recordings of session {session}: choose another --session")
    streams = (Stream(STREAM, one.participant, one.values) for one in found)
    report = import_streams(streams, folder, rate_hz=rate_hz, session=session, **facts)
    numbers: Counter[str] = Counter()
    for one in found:
        who = one.participant.lower()
        numbers[who] += 1
        segments = [Interval(label_of(label), start, end) for label, start, end in one.segments]
        write_segments(corrections(folder / f"{STREAM}.{who}.{session}.{numbers[who]}.csv"), segments)
    return report
