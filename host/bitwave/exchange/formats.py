"""Recordings from and to other tools: Edge Impulse's JSON, CBOR and CSV, the Arduino capture format, NPZ.

Edge Impulse's CSV is ``timestamp,accX,...`` with milliseconds and without units; its files are named
``label.anything.ending``. Exports are in m/s^2 and degree/s, written so that an import gives the same counts again.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import RecordingError, UsageError
from ..files import write_whole
from ..recordings.dataset import Dataset
from ..recordings.recording import Recording, even_times, gaps_by_time, measured_rate, next_number, write
from ..recordings.session import CHANNELS, DEFAULT_COUNTS, Session, check_name
from ..wording import counted
from . import acquisition
from .importer import HEADER, refuse_known, stored, to_counts
from .physical import STANDARD_GRAVITY, FloatArray, Told, canonical

Format = Literal["edge-impulse-json", "edge-impulse-cbor", "edge-impulse-csv", "arduino", "npz"]
FORMATS: tuple[Format, ...] = ("edge-impulse-json", "edge-impulse-cbor", "edge-impulse-csv", "arduino", "npz")
SENSORS = ("accX", "accY", "accZ", "gyrX", "gyrY", "gyrZ")
UNITS = ("m/s2",) * 3 + ("dps",) * 3
SAME_RATE = 1e-3


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        recordings: by label.
        clipped: samples with a value beyond int16.
        trust: number of files by what is known about their signature.
    """

    recordings: dict[str, int]
    clipped: int
    trust: dict[str, int]
    rate_hz: float


@dataclass(frozen=True)
class Exported:
    """What an export did; takes that the format cannot hold are left out, with the reason."""

    files: tuple[str, ...]
    left_out: dict[str, str]


@dataclass(frozen=True, eq=False)
class _Foreign:
    """One file: (n,) microseconds, (n, 3 or 6) in g and degree/s."""

    label: str
    time_us: npt.NDArray[np.int64]
    values: FloatArray
    rate_hz: float
    trust: str
    board: str


def import_edge_impulse(
    source: Path, out: Path, told: Told, participant: str, session: str, key: str | None = None
) -> Imported:
    """Imports one file or every .json, .cbor and .csv of a folder as one session, nothing unless all can be read.

    Raises:
        RecordingError: nothing there, a file that cannot be read as it stands (the line names it), or files of
            different rates.
        WriteError: the disk is full or read-only.
    """
    check_name("participant", participant)
    check_name("session", session)
    paths = [source] if source.is_file() else sorted(p for p in source.glob("*") if p.suffix in _READERS)
    if not paths:
        raise RecordingError(f"{source} holds no {', '.join(_READERS)} file of Edge Impulse")
    found = [_read(path, told, key) for path in paths]
    rate = found[0].rate_hz
    for path, one in zip(paths, found, strict=True):
        if abs(one.rate_hz / rate - 1) > SAME_RATE or one.values.shape[1] != found[0].values.shape[1]:
            raise RecordingError(
                f"{path}: {one.rate_hz:g} Hz and {one.values.shape[1]} columns, {paths[0].name} has {rate:g} Hz and "
                f"{found[0].values.shape[1]}: import them as sessions of their own"
            )
    facts = Session(
        tool=f"bitwave {__version__}",
        source="import",
        participant=participant,
        session=session,
        board=found[0].board[:64] or "unknown",
        channels=CHANNELS[: found[0].values.shape[1]],
        rate_hz=rate,
        note=f"Edge Impulse, {counted(len(paths), 'file')}, axes {told.axes}",
    )
    numbers: Counter[str] = Counter()
    takes, clipped = [], 0
    for path, one in zip(paths, found, strict=True):
        first = next_number(out, one.label, participant, session)
        known = [] if first == 1 else stored(out, one.label, participant, session)
        counts, beyond = to_counts(_six(one.values), DEFAULT_COUNTS)
        refuse_known(str(path), counts[:, : one.values.shape[1]], known, out, one.label)
        clipped += beyond
        takes.append(
            Recording(
                one.label, participant, session, first + numbers[one.label], one.time_us,
                counts[:, : one.values.shape[1]], rate, facts.channels, gaps=gaps_by_time(one.time_us, rate),
            )
        )  # fmt: skip
        numbers[one.label] += 1
    write(out, facts, takes)
    return Imported(dict(numbers), clipped, dict(Counter(one.trust for one in found)), rate)


def _six(values: FloatArray) -> FloatArray:
    """Acceleration alone is followed by zeros, as `to_counts` takes six."""
    return values if values.shape[1] == 6 else np.hstack((values, np.zeros((len(values), 3))))


def _read(path: Path, told: Told, key: str | None) -> _Foreign:
    label = path.name.split(".")[0].lower().replace("_", "-").replace(" ", "-")
    check_name(f"{path}: label", label)
    try:
        content = path.read_bytes()
        return _READERS[path.suffix](content, label, told, key)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise RecordingError(f"{path}: files end in {', '.join(_READERS)}") from error
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def _read_document(content: bytes, label: str, told: Told, key: str | None) -> _Foreign:
    found = acquisition.parse(content, key)
    names, units = [sensor.name for sensor in found.sensors], [sensor.units for sensor in found.sensors]
    values = canonical(names, units, found.values, told)
    rate = round(1000.0 / found.interval_ms, 6)
    return _Foreign(label, even_times(len(values), rate), values, rate, found.trust, found.device_type)


def _read_csv(content: bytes, label: str, told: Told, key: str | None) -> _Foreign:
    if key is not None:
        raise RecordingError("a CSV is not signed: leave the key out to take it all the same")
    try:
        header, *lines = content.decode("utf-8-sig").split("\n")
        names = [name.strip().strip('"') for name in header.split(",")]
        rows = [[float(field) for field in line.split(",")] for line in lines if line.strip()]
    except ValueError as error:
        raise RecordingError(f"no table of numbers: {error}") from error
    if names[0] != "timestamp" or any(len(row) != len(names) for row in rows) or len(rows) < 2:
        raise RecordingError("a timestamp column first, then one number per column and at least two rows")
    table = np.array(rows)
    if not np.isfinite(table).all() or (np.diff(table[:, 0]) <= 0).any():
        raise RecordingError("a value is not finite, or time does not run forward")
    times = np.rint(table[:, 0] * 1000.0).astype(np.int64)
    rate = round(measured_rate(times), 2)
    values = canonical(names[1:], [""] * (len(names) - 1), table[:, 1:], told)
    return _Foreign(label, times, values, rate, "not signed", "")


_READERS: dict[str, Callable[[bytes, str, Told, str | None], _Foreign]] = {
    ".json": _read_document,
    ".cbor": _read_document,
    ".csv": _read_csv,
}


def export(data: Dataset, out: Path, form: Format, key: str | None = None) -> Exported:
    """Writes a data set in a format of others, into a new folder.

    Raises:
        UsageError: the folder has something in it, or a key was given for a format that is not signed.
        RecordingError: the channels are not acceleration, or that and angular rate.
        WriteError: the disk is full or read-only.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already: nothing is overwritten, give a new folder")
    if key is not None and form not in ("edge-impulse-json", "edge-impulse-cbor"):
        raise UsageError(f"{form} is not signed: leave the key out")
    if form != "npz" and data.channels not in (CHANNELS, CHANNELS[:3]):
        raise RecordingError(f"{form} takes ax to gz; the recordings have {', '.join(data.channels)}: use npz")
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    if form == "npz":
        files["dataset.npz"] = npz(data)
    elif form == "arduino":
        files, left_out = _arduino(data)
    for take in data.recordings if form.startswith("edge") else ():
        name = f"{take.label}.{take.participant}-{take.session}-{take.number}"
        if form == "edge-impulse-csv":
            files[f"{name}.csv"] = _csv(take)
        elif take.gaps:
            missing = "1 sample is" if take.lost == 1 else f"{take.lost} samples are"
            left_out[take.name] = f"{missing} missing, and the format has one interval"
        else:
            encoding: acquisition.Encoding = "json" if form == "edge-impulse-json" else "cbor"
            files[f"{name}.{encoding}"] = acquisition.build(_document(take), encoding, key)
    for name, content in files.items():
        write_whole(out / name, content)
    return Exported(tuple(files), left_out)


def units_of(take: Recording) -> FloatArray:
    """(samples, channels) in g and degree/s."""
    lsb = np.array([take.counts.accel_lsb_per_g] * 3 + [take.counts.gyro_lsb_per_dps] * 3)
    values: FloatArray = take.samples / lsb[: take.samples.shape[1]]
    return values


def _metric(take: Recording) -> FloatArray:
    values = units_of(take)
    values[:, :3] *= STANDARD_GRAVITY
    return values


def _document(take: Recording) -> acquisition.Acquisition:
    width = take.samples.shape[1]
    sensors = tuple(acquisition.Sensor(name=n, units=u) for n, u in zip(SENSORS[:width], UNITS[:width], strict=True))
    return acquisition.Acquisition(1000.0 / take.rate_hz, sensors, _metric(take))


def _csv(take: Recording) -> bytes:
    rows = [",".join(("timestamp", *SENSORS[: take.samples.shape[1]]))]
    times = ((take.time_us - (take.time_us[0] if len(take.time_us) else 0)) / 1000.0).tolist()
    rows += [",".join(map(repr, (at, *row))) for at, row in zip(times, _metric(take).tolist(), strict=True)]
    return ("\n".join(rows) + "\n").encode()


def _arduino(data: Dataset) -> tuple[dict[str, bytes], dict[str, str]]:
    """One file per label, a blank line between recordings, which all have the length that most have."""
    if len(data.channels) != 6:
        raise RecordingError("the Arduino capture format has six columns; these recordings have no angular rate")
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    for label in data.labels:
        takes = [take for take in data.recordings if take.label == label]
        usual = Counter(len(take.samples) for take in takes).most_common(1)[0][0]
        for take in takes:
            if len(take.samples) != usual or take.gaps:
                faults = f"{counted(len(take.samples), 'sample')} with {counted(len(take.gaps), 'gap')}"
                left_out[take.name] = f"{faults}, the others have {usual}"
        blocks = [_rows(units_of(take)) for take in takes if take.name not in left_out]
        if blocks:
            files[f"{label}.csv"] = (HEADER + "\n" + "\n".join(blocks)).encode()
    return files, left_out


def _rows(values: FloatArray) -> str:
    return "".join(",".join(map(repr, row)) + "\n" for row in values.tolist())


def npz(data: Dataset) -> bytes:
    """All takes as arrays: take i is rows ``first[i]`` to ``first[i + 1]`` of ``samples`` and ``time_us``."""
    takes: Sequence[Recording] = data.recordings
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        samples=np.concatenate([take.samples for take in takes]),
        time_us=np.concatenate([take.time_us for take in takes]),
        first=np.cumsum([0, *(len(take.samples) for take in takes)]),
        label=np.array([take.label for take in takes]),
        participant=np.array([take.participant for take in takes]),
        session=np.array([take.session for take in takes]),
        number=np.array([take.number for take in takes]),
        lost=np.array([take.lost for take in takes]),
        channels=np.array(data.channels),
        rate_hz=np.array(data.rate_hz),
        accel_lsb_per_g=np.array(data.counts.accel_lsb_per_g),
        gyro_lsb_per_dps=np.array(data.counts.gyro_lsb_per_dps),
    )
    return buffer.getvalue()
