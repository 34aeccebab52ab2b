"""A folder of recordings as a data set: loading, splits that do not leak, windows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import LeakingSplit, RecordingError
from ..model.metadata import CountsScale
from ..wording import counted
from .recording import Recording, read, split_name
from .session import read_session
from .windowing import BACKGROUND, Windows, windows

__all__ = (
    "BACKGROUND",
    "Damaged",
    "Dataset",
    "Split",
    "Windows",
    "check_split",
    "damage",
    "folds",
    "from_recordings",
    "hold_out",
    "load",
    "split_unit",
    "windows",
)

Unit = Literal["participant", "session", "recording"]
Damaged = Literal["refuse", "drop", "keep"]
UNITS: tuple[Unit, ...] = ("participant", "session", "recording")
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Recordings sorted by label, participant, session and number, with one scale, rate and set of channels."""

    recordings: tuple[Recording, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Gestures by name, then the background labels: the order of the classes."""
        return tuple(sorted({r.label for r in self.recordings}, key=lambda label: (label in BACKGROUND, label)))

    @property
    def participants(self) -> tuple[str, ...]:
        """Pseudonyms by name."""
        return tuple(sorted({r.participant for r in self.recordings}))

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of every recording."""
        return self.recordings[0].channels

    @property
    def counts(self) -> CountsScale:
        """Scale of every recording."""
        return self.recordings[0].counts

    @property
    def rate_hz(self) -> float:
        """Nominal rate of every recording."""
        return self.recordings[0].rate_hz

    @property
    def digest(self) -> str:
        """``sha256:`` and 64 hex digits over names, scale, rate, times and counts of all recordings."""
        whole = hashlib.sha256()
        for r in self.recordings:
            scale = (r.counts.accel_lsb_per_g, r.counts.gyro_lsb_per_dps)
            whole.update(repr((r.name, r.rate_hz, r.channels, scale, r.samples.shape)).encode())
            whole.update(np.ascontiguousarray(r.time_us, "<i8").tobytes())
            whole.update(np.ascontiguousarray(r.samples, "<i2").tobytes())
        return f"sha256:{whole.hexdigest()}"

    @property
    def unit(self) -> Unit:
        """What may not stand on both sides of a split: participant, else session, else recording."""
        return split_unit(self.recordings)

    def select(self, indices: Iterable[int]) -> tuple[Recording, ...]:
        """The recordings at these indices, in their order."""
        return tuple(self.recordings[int(i)] for i in indices)


def load(folder: Path, damaged: Damaged = "refuse") -> Dataset:
    """Reads every take of a folder (not of its sub-folders).

    Args:
        folder: of the data set.
        damaged: what to do with a take that has a gap or was cut short.

    Raises:
        RecordingError: nothing there, a take that cannot be read, a damaged one, or takes of different scale, rate or
            channels.
    """
    if not folder.is_dir():
        raise RecordingError(f"{folder} is not a folder: give the folder that bitwave record or import wrote")
    paths = sorted(folder.glob("*.csv"), key=split_name)
    sessions = {}
    found = []
    for path in paths:
        _, participant, session, _ = split_name(path)
        key = path.with_name(f"{participant}.{session}.json")
        if key not in sessions:
            sessions[key] = read_session(key)
        take = read(path, sessions[key])
        fault = damage(take)
        if fault and damaged == "refuse":
            raise RecordingError(f"{path}: {fault}; record it again, or leave such takes out with --damaged drop")
        if not (fault and damaged == "drop"):
            found.append(take)
    if not found and (folder / "streams").is_dir():
        raise RecordingError(
            f"{folder} holds no usable take, but streams: give {folder / 'streams'}, or cut takes from "
            f"them with bitwave segment {folder / 'streams'} --cut {folder}"
        )
    if not found:
        raise RecordingError(f"{folder} holds no usable take: record some with bitwave record, or bitwave import them")
    return from_recordings(found)


def from_recordings(takes: Iterable[Recording]) -> Dataset:
    """A data set of recordings in memory; raises `RecordingError` where they do not go together."""
    ordered = sorted(takes, key=lambda r: (r.label, r.participant, r.session, r.number))
    names = Counter(r.name for r in ordered)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        raise RecordingError(f"two takes are named {repeated[0]}")
    for take in ordered:
        for fact in ("channels", "counts", "rate_hz"):
            if getattr(take, fact) != getattr(ordered[0], fact):
                raise RecordingError(
                    f"{take.name} has {fact} {getattr(take, fact)}, {ordered[0].name} has "
                    f"{getattr(ordered[0], fact)}: one data set has one; keep them in folders of their own"
                )
    return Dataset(tuple(ordered))


def damage(take: Recording) -> str:
    """What is wrong with a take that was recorded badly, in a few words; empty where nothing is."""
    if not len(take.samples):
        return "it holds no sample"
    if take.gaps:
        were = "sample was" if take.lost == 1 else "samples were"
        return f"{take.lost} {were} lost, the first after row {take.gaps[0].after}"
    if not take.complete:
        return f"recording stopped early, after {counted(len(take.samples), 'sample')}"
    return ""


@dataclass(frozen=True, eq=False)
class Split:
    """One way to hold recordings out; indices into `Dataset.recordings`."""

    name: str
    train: Indices
    test: Indices


def split_unit(recordings: Sequence[Recording]) -> Unit:
    """The coarsest unit that there are at least two of."""
    if len({r.participant for r in recordings}) > 1:
        return "participant"
    if len({r.session for r in recordings}) > 1:
        return "session"
    return "recording"


def check_split(dataset: Dataset, split: Split) -> None:
    """Raises `LeakingSplit` where a participant, session or take stands on both sides."""
    groups = _groups(dataset.recordings, dataset.unit)
    shared = {groups[i] for i in split.train} & {groups[i] for i in split.test}
    if shared:
        raise LeakingSplit(
            f"{dataset.unit} {sorted(shared)[0]} would be in training and in test: "
            f"the score would flatter; split by {dataset.unit}"
        )


def hold_out(dataset: Dataset, participants: Iterable[str]) -> Split:
    """Holds participants out by name; raises `RecordingError` where that leaves a side empty."""
    wanted = tuple(participants)
    for participant in wanted:
        if participant not in dataset.participants:
            raise RecordingError(f"no participant {participant}: there are {', '.join(dataset.participants)}")
    mask = np.array([r.participant in wanted for r in dataset.recordings])
    if mask.all() or not mask.any():
        raise RecordingError(f"holding out {', '.join(wanted) or 'nobody'} leaves one side of the split empty")
    return Split("+".join(wanted), np.flatnonzero(~mask), np.flatnonzero(mask))


def folds(dataset: Dataset, by: str = "auto", k: int | None = None, seed: int = 0) -> list[Split]:
    """Cross-validation folds by participant, else session, else recording; every recording is tested once.

    Args:
        dataset: what to split.
        by: participant, session, recording, or auto for the coarsest that there are two of.
        k: number of folds; None leaves one participant or session out at a time, or takes 5 folds of recordings.
        seed: of the shuffle that deals units to folds.

    Raises:
        LeakingSplit: `by` is finer than the data allow, so the same person or session would be on both sides.
        RecordingError: there are too few units, or too few recordings of a label.
    """
    unit = _chosen_unit(dataset, by)
    groups = _groups(dataset.recordings, unit)
    units = sorted(set(groups))
    if k is None:
        k = 5 if unit == "recording" else len(units)
    if k < 2 or k > len(units):
        fewer = {0: "", 1: "", 2: "take 2, or "}.get(len(units), f"take 2 to {len(units)}, or ")
        raise RecordingError(f"{counted(k, 'fold')} of {counted(len(units), unit)}: {fewer}bring more {unit}s")
    fold_of = _deal_stratified(dataset, groups, k, seed) if unit == "recording" else _deal(units, k, seed)
    member = np.array([fold_of[group] for group in groups])
    named = unit != "recording" and k == len(units)
    result = []
    for fold in range(k):
        inside = [group for group in units if fold_of[group] == fold]
        name = inside[0] if named else f"fold {fold + 1}"
        result.append(Split(name, np.flatnonzero(member != fold), np.flatnonzero(member == fold)))
    return sorted(result, key=lambda split: split.name) if named else result


def _chosen_unit(dataset: Dataset, by: str) -> Unit:
    if by == "window":
        raise LeakingSplit("windows of one take overlap and look alike: a split by window tests on what it trained on")
    if by == "auto":
        return dataset.unit
    unit = next((unit for unit in UNITS if unit == by), None)
    if unit is None:
        raise RecordingError(f"split by {by!r}: choose participant, session or recording")
    if UNITS.index(unit) > UNITS.index(dataset.unit):
        raise LeakingSplit(
            f"a split by {unit} would put the same {dataset.unit} into training and test, and the score would "
            f"flatter: split by {dataset.unit}"
        )
    if UNITS.index(unit) < UNITS.index(dataset.unit):
        raise RecordingError(f"there is one {unit} only: split by {dataset.unit}, or record another {unit}")
    return unit


def _groups(recordings: Sequence[Recording], unit: Unit) -> list[str]:
    """The unit that each recording belongs to. Takes with the same counts are one, whatever their names."""
    if unit == "participant":
        return [r.participant for r in recordings]
    if unit == "session":
        return [f"{r.participant}.{r.session}" for r in recordings]
    first: dict[bytes, str] = {}
    return [first.setdefault(hashlib.sha256(r.samples.tobytes()).digest(), r.name) for r in recordings]


def _deal(units: Sequence[str], k: int, seed: int) -> dict[str, int]:
    order = np.random.default_rng(seed).permutation(len(units))
    return {units[int(index)]: position % k for position, index in enumerate(order)}


def _deal_stratified(dataset: Dataset, groups: Sequence[str], k: int, seed: int) -> dict[str, int]:
    """Deals each label's takes round the folds, going on where the last label stopped."""
    generator = np.random.default_rng(seed)
    label_of = {group: r.label for group, r in zip(groups, dataset.recordings, strict=True)}
    fold_of = {}
    position = 0
    for label in dataset.labels:
        members = sorted(group for group, of in label_of.items() if of == label)
        if len(members) < 2:
            raise RecordingError(f"label {label} has one recording: it cannot be in training and in test; record more")
        for index in generator.permutation(len(members)):
            fold_of[members[int(index)]] = position % k
            position += 1
    return fold_of
