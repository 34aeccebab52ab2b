"""Data sets: loading, splits that do not leak, windows."""

from __future__ import annotations

import dataclasses
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitwave.errors import LeakingSplit, RecordingError
from bitwave.recordings import dataset
from bitwave.recordings.dataset import Dataset, Split, from_recordings
from bitwave.recordings.recording import Recording
from bitwave.recordings.session import Gap
from bitwave.recordings.windowing import movement_start
from takes import store, take


def grid(participants: int = 3, sessions: int = 2, labels: str = "chop wave idle", takes: int = 4) -> Dataset:
    return from_recordings(
        take(label, f"p{p}", f"s{s}", n)
        for label, p, s, n in product(labels.split(), range(participants), range(sessions), range(1, takes + 1))
    )


def test_load_sorts_and_digests(tmp_path: Path) -> None:
    takes = [take(number=10), take(number=9), take("idle", "p02"), take("chop", "p02")]
    store(tmp_path, *takes)
    found = dataset.load(tmp_path)
    assert [r.name for r in found.recordings] == [
        "chop.p02.s01.1", "idle.p02.s01.1", "wave.p01.s01.9", "wave.p01.s01.10",
    ]  # fmt: skip
    assert found.labels == ("chop", "wave", "idle")  # the order of the classes: background last
    assert found.digest == from_recordings(takes).digest
    assert found.digest.startswith("sha256:") and len(found.digest) == 71


def test_the_digest_tells_every_change() -> None:
    one = take()
    changed = one.samples.copy()
    changed[3, 2] ^= 1
    others = [
        one,
        dataclasses.replace(one, samples=changed),
        dataclasses.replace(one, time_us=one.time_us + 1),
        dataclasses.replace(one, label="chop"),
        dataclasses.replace(one, rate_hz=120.0),
    ]
    assert len({from_recordings([r]).digest for r in others}) == len(others)


@pytest.mark.parametrize(
    "hurt, line",
    [
        ({"gaps": (Gap(after=7, lost=2),)}, "2 samples were lost, the first after row 7"),
        ({"complete": False}, "early"),
        ({"time_us": np.empty(0, np.int64), "samples": np.empty((0, 6), np.int16)}, "it holds no sample"),
    ],
)
def test_damaged_takes_are_refused_until_told(tmp_path: Path, hurt: dict[str, object], line: str) -> None:
    store(tmp_path, take(), dataclasses.replace(take(number=2), **hurt))
    with pytest.raises(RecordingError, match=line):
        dataset.load(tmp_path)
    assert len(dataset.load(tmp_path, damaged="drop").recordings) == 1
    assert len(dataset.load(tmp_path, damaged="keep").recordings) == 2


def test_one_data_set_has_one_rate(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"rate_hz 100\.0.*rate_hz|has rate_hz"):
        from_recordings([take(), dataclasses.replace(take(number=2), rate_hz=100.0)])
    with pytest.raises(RecordingError, match="two takes are named"):
        from_recordings([take(), take()])
    with pytest.raises(RecordingError, match="holds no usable take"):
        dataset.load(tmp_path)
    with pytest.raises(RecordingError, match="is not a folder"):
        dataset.load(tmp_path / "nowhere")


def units(data: Dataset, indices: np.ndarray, by: str) -> set[str]:
    names = {"participant": lambda r: r.participant, "session": lambda r: (r.participant, r.session)}
    return {names.get(by, lambda r: r.name)(r) for r in data.select(indices)}


@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(2, 6), st.integers(0, 5), st.one_of(st.none(), st.integers(2, 4))
)
def test_folds_never_leak_and_test_everything_once(p: int, s: int, n: int, seed: int, k: int | None) -> None:
    data = grid(p, s, takes=n)
    limit = {"participant": p, "session": s, "recording": 3 * n}[data.unit]
    if k is not None and k > limit:
        with pytest.raises(RecordingError, match="folds of"):
            dataset.folds(data, k=k, seed=seed)
        return
    made = dataset.folds(data, k=k, seed=seed)
    assert sorted(np.concatenate([fold.test for fold in made])) == list(range(len(data.recordings)))
    for fold in made:
        assert sorted([*fold.train, *fold.test]) == list(range(len(data.recordings)))
        assert not units(data, fold.train, data.unit) & units(data, fold.test, data.unit)
        dataset.check_split(data, fold)
    again = dataset.folds(data, k=k, seed=seed)
    assert all(np.array_equal(a.test, b.test) and a.name == b.name for a, b in zip(made, again, strict=True))


def test_folds_of_recordings_are_stratified() -> None:
    data = grid(1, 1, takes=10)
    for fold in dataset.folds(data, seed=3):
        labels = [r.label for r in data.select(fold.test)]
        assert {label: labels.count(label) for label in data.labels} == {"chop": 2, "wave": 2, "idle": 2}
    orders = {tuple(dataset.folds(data, seed=seed)[0].test) for seed in range(5)}
    assert len(orders) > 1


@pytest.mark.parametrize(
    "people, sessions, by, error, line",
    [
        (3, 2, "session", LeakingSplit, "the same participant"),
        (3, 2, "recording", LeakingSplit, "the same participant"),
        (1, 2, "recording", LeakingSplit, "the same session"),
        (1, 1, "window", LeakingSplit, "windows of one take overlap"),
        (3, 2, "window", LeakingSplit, "windows of one take overlap"),
        (1, 2, "participant", RecordingError, "there is one participant only"),
        (1, 1, "session", RecordingError, "there is one session only"),
        (1, 1, "moon", RecordingError, "choose participant, session or recording"),
    ],
)
def test_splits_that_make_no_sense_say_why(
    people: int, sessions: int, by: str, error: type[Exception], line: str
) -> None:
    with pytest.raises(error, match=line):
        dataset.folds(grid(people, sessions), by)


def test_a_split_by_hand_is_checked() -> None:
    data = grid()
    held = dataset.hold_out(data, ["p1"])
    dataset.check_split(data, held)
    assert units(data, held.test, "participant") == {"p1"}
    with pytest.raises(LeakingSplit, match="participant p1 would be in training and in test"):
        dataset.check_split(data, Split("bad", np.append(held.train, held.test[:1]), held.test[1:]))
    for wrong in (["p9"], [], ["p0", "p1", "p2"]):
        with pytest.raises(RecordingError):
            dataset.hold_out(data, wrong)


def test_one_take_under_two_names_stays_on_one_side() -> None:
    data = grid(1, 1, takes=5)
    twin = dataclasses.replace(data.recordings[0], number=99)
    doubled = from_recordings([*data.recordings, twin])
    first = next(i for i, r in enumerate(doubled.recordings) if r.number == 1 and r.label == twin.label)
    second = next(i for i, r in enumerate(doubled.recordings) if r.number == 99)
    for seed in range(10):
        for fold in dataset.folds(doubled, seed=seed):
            assert (first in fold.test) == (second in fold.test)
    everything = np.arange(len(doubled.recordings))
    with pytest.raises(LeakingSplit):
        dataset.check_split(doubled, Split("twins", np.delete(everything, second), np.array([second])))


def test_a_label_with_one_recording_is_refused() -> None:
    data = from_recordings([*grid(1, 1).recordings, take("lonely", "p0", "s0")])
    with pytest.raises(RecordingError, match="label lonely has one recording"):
        dataset.folds(data, k=2)


def bump(at: int, samples: int = 178, label: str = "wave") -> Recording:
    """Rest, a short movement around a sample, rest."""
    counts = np.zeros((samples, 6), np.int16)
    counts[:, 2] = 8192
    span = np.arange(samples)
    counts[:, 0] = (8000 * np.exp(-(((span - at) / 8.0) ** 2))).astype(np.int16)
    return dataclasses.replace(take(label, samples=samples), samples=counts)


@pytest.mark.parametrize("at, start", [(80, 30), (20, 0), (170, 78), (100, 50)])
def test_gesture_windows_are_centred_on_the_movement(at: int, start: int) -> None:
    made = bump(at)
    assert abs(movement_start(made.samples, 100, made.counts) - start) <= 1
    cut = dataset.windows([made], ["wave"], 100, 20)
    begin = movement_start(made.samples, 100, made.counts)
    assert np.array_equal(cut.samples, made.samples[None, begin : begin + 100])


def test_shifts_stay_inside_the_take() -> None:
    made = bump(80)
    begin = movement_start(made.samples, 100, made.counts)
    cut = dataset.windows([made], ["wave"], 100, 20, shifts=(-500, -10, 0, 10, 500))
    starts = [0, begin - 10, begin, begin + 10, 78]
    assert np.array_equal(cut.samples, np.stack([made.samples[i : i + 100] for i in starts]))


def test_background_windows_slide() -> None:
    cut = dataset.windows([bump(80, label="idle"), bump(80)], ["wave", "idle"], 100, 26)
    assert cut.classes.tolist() == [1, 1, 1, 1, 0]
    assert cut.recording.tolist() == [0, 0, 0, 0, 1]
    assert np.array_equal(cut.samples[2], bump(80).samples[52:152])


@pytest.mark.parametrize("samples, padded", [(100, 0), (96, 4), (95, 5)])
def test_short_takes_are_padded(samples: int, padded: int) -> None:
    made = take(samples=samples)
    cut = dataset.windows([made], ["wave"], 100, 20).samples
    assert cut.shape == (1, 100, 6)
    assert np.array_equal(cut[0, :samples], made.samples)
    assert np.array_equal(cut[0, samples:], np.repeat(made.samples[-1:], padded, axis=0))


def test_windows_refuse() -> None:
    with pytest.raises(RecordingError, match="has 94 samples, the window 100"):
        dataset.windows([take(samples=94)], ["wave"], 100, 20)
    with pytest.raises(RecordingError, match="label wave is not among chop"):
        dataset.windows([take(samples=100)], ["chop"], 100, 20)
    assert dataset.windows([], ["wave"], 10, 5).samples.shape == (0, 10, 0)


def test_the_demo_sessions_are_small_and_whole() -> None:
    folder = Path(__file__).parents[1] / "datasets" / "demo"
    data = dataset.load(folder)
    assert data.labels == ("chop", "circle", "punch", "swipe", "twist", "wave", "idle", "unknown")
    assert data.participants == ("p01", "p02")
    assert len(data.recordings) == 48
    assert sum(path.stat().st_size for path in folder.parent.rglob("*")) < 1_000_000
    for made in data.recordings:
        if made.label == "idle":
            gravity = np.linalg.norm(np.median(made.samples[:, :3], axis=0)) / data.counts.accel_lsb_per_g
            assert 0.95 < gravity < 1.05
