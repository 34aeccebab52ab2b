"""The virtual wrist against physics, and against what it is for: gestures that a classifier can learn."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bitwave import synth
from bitwave.errors import UsageError
from bitwave.recordings import dataset
from bitwave.recordings.recording import write
from bitwave.recordings.session import DEFAULT_COUNTS
from bitwave.synth.movements import GESTURES, Arc, Reach, minimum_jerk
from bitwave.synth.person import Person, person
from bitwave.synth.wrist import Wrist

RATE = 119.0


def plain_person() -> Person:
    """Level, centred, without noise, bias or tremor: what it feels can be computed by hand."""
    none = np.zeros(3)
    return dataclasses.replace(
        person("p01"), posture=none, tilt=none, accel_bias=none, gyro_bias=none, accel_noise=0.0, gyro_noise=0.0,
        tremor=np.zeros((0, 3)), tremor_size=np.zeros(0), place=np.array([0.25, 0.0, 0.0]),
    )  # fmt: skip


def felt(*movements: Reach | Arc, seconds: float = 2.0, who: Person | None = None) -> np.ndarray:
    """What a plain wrist feels: (n, 6) in g and degree/s."""
    wrist = Wrist(rate_hz=1000.0)
    wrist.person = who or plain_person()
    wrist._base = np.concatenate((np.zeros(3), wrist.person.posture))
    wrist._movements = list(movements)
    scale = np.array([8192.0] * 3 + [16.384] * 3)
    return wrist.read(round(seconds * 1000)) / scale


def test_rest_feels_one_g_upwards() -> None:
    assert np.array_equal(felt(seconds=0.1), np.tile([0, 0, 1, 0, 0, 0], (100, 1)))


@pytest.mark.parametrize(
    "tilt, expected", [((0.0, -90.0), (1, 0, 0)), ((90.0, 0.0), (0, 1, 0)), ((180.0, 0.0), (0, 0, -1))]
)
def test_gravity_turns_with_the_forearm(tilt: tuple[float, float], expected: tuple[int, ...]) -> None:
    posture = np.deg2rad([*tilt, 0.0])
    got = felt(seconds=0.01, who=dataclasses.replace(plain_person(), posture=posture))
    assert np.abs(got[:, :3] - expected).max() < 2 / 8192
    assert np.abs(got[:, 3:]).max() == 0


@pytest.mark.parametrize("axis, column", [(3, 3), (4, 4), (5, 5)])
def test_the_gyroscope_integrates_to_the_turn(axis: int, column: int) -> None:
    change = [0.0] * 6
    change[axis] = np.deg2rad(80.0)
    got = felt(Reach(0.2, 0.5, tuple(change)))
    assert abs(got[:, column].sum() / 1000 - 80.0) < 0.2
    others = [c for c in (3, 4, 5) if c != column]
    assert np.abs(got[:, others]).max() <= 1 / 16.384
    # Peak of the minimum-jerk speed: 15/8 of the mean speed.
    assert abs(got[:, column].max() - 80.0 / 0.5 * 15 / 8) < 1.0


def test_a_straight_reach_feels_its_acceleration() -> None:
    got = felt(Reach(0.1, 0.5, (0.2, 0.0, 0.0, 0.0, 0.0, 0.0)))
    # Peak of the minimum-jerk acceleration: 10/sqrt(3) d/T^2.
    assert abs(got[:, 0].max() - 10 / np.sqrt(3) * 0.2 / 0.25 / 9.80665) < 2e-3
    assert abs(got[:, 0].sum()) < 0.05  # at rest before and after
    assert np.abs(got[:, [1, 3, 4, 5]]).max() == 0 and np.abs(got[:, 2] - 1).max() < 2 / 8192


def test_turning_feels_the_centripetal_force() -> None:
    # Yaw at peak speed w: the sensor at 0.25 m from the elbow is pulled inward by w^2 r.
    got = felt(Reach(0.2, 0.5, (0.0, 0.0, 0.0, 0.0, 0.0, np.deg2rad(80.0))))
    w = np.deg2rad(got[:, 5].max())
    assert abs(got[got[:, 5].argmax(), 0] + w * w * 0.25 / 9.80665) < 2e-3


def test_an_arc_comes_back() -> None:
    pose = Arc(0.0, 1.0, 0.2, -0.1).pose(np.array([0.0, 0.5, 1.0, 9.0]))
    assert np.abs(pose[[0, 2, 3]]).max() < 1e-15
    assert pose[1, 2] == pytest.approx(-0.2)


def test_minimum_jerk_is_clamped_and_exact_at_its_ends() -> None:
    assert minimum_jerk(np.array([-1.0, 0.0, 0.5, 1.0, 7.0])).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_clipping_at_the_ends_of_the_sensor() -> None:
    got = synth.to_counts(np.array([[9.0, -9.0, 4.0]]), np.array([[2500.0, -2500.0, 2000.0]]), DEFAULT_COUNTS)
    assert got.tolist() == [[32767, -32768, 32767, 32767, -32768, 32767]]


def test_the_same_seed_gives_the_same_samples_however_they_are_read() -> None:
    def wrist(seed: int = 5, participant: str = "p01") -> Wrist:
        made = Wrist(participant, seed=seed)
        for label in synth.LABELS:
            made.perform(label, delay=0.3)
        return made

    whole = wrist().read(1500)
    parts = wrist()
    assert np.array_equal(whole, np.concatenate([parts.read(n) for n in (1, 7, 100, 333, 300, 0, 759)]))
    assert not np.array_equal(whole, wrist(seed=6).read(1500))
    assert not np.array_equal(whole, wrist(participant="p02").read(1500))


def test_people_differ_and_stay_themselves() -> None:
    people = [person(f"p{i}") for i in range(30)]
    assert np.std([p.amplitude for p in people]) > 0.05 and np.std([p.tempo for p in people]) > 0.03
    one, two = person("p01", "s01"), person("p01", "s02")
    assert one.amplitude == two.amplitude and not np.array_equal(one.tilt, two.tilt)


def test_a_stream_tells_the_truth() -> None:
    made = synth.stream(synth.random_plan(40, seed=3), "p07", seed=1)
    assert sorted({i.label for i in made.intervals}) == sorted(synth.LABELS)
    movement = np.abs(np.diff(made.samples.astype(int), axis=0)).sum(axis=1)
    inside = np.zeros(len(movement), bool)
    for before, after in zip(made.intervals, made.intervals[1:], strict=False):
        assert before.end < after.start
    for interval in made.intervals:
        inside[interval.start : interval.end] = True
        if interval.label in GESTURES:
            assert movement[interval.start : interval.end].mean() > 2 * np.median(movement[~inside])
            assert 0.4 < (interval.end - interval.start) / RATE < 1.8
    assert np.percentile(movement[~inside], 99) < np.percentile(movement[inside], 75)


def test_on_cue_a_gesture_fits_its_take_and_the_rest_is_filled() -> None:
    wrist = Wrist("p03")
    for label in synth.LABELS * 4:
        wrist.cue(label, 1.5)
        if label in GESTURES:
            assert wrist.busy < 1.7 * RATE
        else:
            assert 1.5 * RATE <= wrist.busy < 5 * RATE
        wrist.read(wrist.busy)
        assert np.abs(wrist._pose([], np.array([0.0]))[0, :3]).max() < 0.5  # the arm does not wander off
        wrist.read(60)


def test_an_hour_stays_in_place() -> None:
    wrist = Wrist("p04")
    for label in synth.random_plan(1200, seed=2):
        wrist.perform(label, delay=0.2)
    wrist.read(wrist.busy)
    wrist.read(600)
    away = wrist._base - np.concatenate((np.zeros(3), wrist.person.posture))
    assert np.abs(away).max() < 1e-9


def features(takes: list[synth.Recording]) -> tuple[np.ndarray, np.ndarray]:
    """Coarse windows in g and 180 degree/s, and their classes."""
    cut = dataset.windows(takes, synth.LABELS, 112, 66)
    scaled = cut.samples / np.array([8192.0] * 3 + [16.384 * 180] * 3)
    return scaled.reshape(len(scaled), 14, 8, 6).mean(axis=2).reshape(len(scaled), -1), cut.classes


def test_gestures_of_unseen_people_can_be_told_apart_but_not_trivially() -> None:
    seen, classes = features([t for i in range(6) for t in synth.takes(f"p{i}", count=8)])
    unseen, wanted = features([t for i in range(6, 10) for t in synth.takes(f"p{i}", count=8)])
    distance = ((unseen[:, None, :] - seen[None, :, :]) ** 2).sum(axis=2)
    got = classes[distance.argmin(axis=1)]
    gestures = wanted < len(GESTURES)
    assert 0.75 < (got == wanted)[gestures].mean() < 1.0  # chance is 1/8
    assert (got == wanted).mean() < 0.98


def test_takes_make_a_data_set(tmp_path: Path) -> None:
    made = synth.takes("p01", count=2, labels=("wave", "idle"))
    write(tmp_path, synth.session_facts("p01"), made)
    found = dataset.load(tmp_path)
    assert [r.name for r in found.recordings] == [
        "idle.p01.s01.1",
        "idle.p01.s01.2",
        "wave.p01.s01.1",
        "wave.p01.s01.2",
    ]
    assert all(len(r.samples) == 178 for r in found.recordings)  # 1.5 s * 119 Hz, to the nearest


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(UsageError, match="does chop, circle, punch, swipe, twist, wave, idle, unknown"):
        Wrist().perform("backflip")
