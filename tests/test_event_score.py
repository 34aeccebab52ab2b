"""The rule by which events are scored, case by case, and figures that add up."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitwave.recognition.event_score import Score, Tally, background_s, score
from bitwave.recognition.live import LiveEvent
from bitwave.synth.wrist import Interval

RATE = 100.0  # half a second is 50 samples
WAVE = Interval("wave", 100, 200)


def said(*events: tuple[int, str]) -> list[LiveEvent]:
    return [LiveEvent(sample, sample / RATE, label, 200) for sample, label in events]


def kinds(made: list[Interval], *events: tuple[int, str]) -> tuple[int, int, int, int, int]:
    """Hits, misses, repeated, wrong, false."""
    total = score(made, said(*events), 1000, RATE).total
    return total.hits, total.misses, total.repeated, total.wrong, total.false


@pytest.mark.parametrize(
    ("sample", "hit"), [(99, 0), (100, 1), (199, 1), (249, 1), (250, 0)], ids=["before", "start", "end", "late", "over"]
)
def test_an_event_counts_from_the_start_to_half_a_second_after_the_end(sample: int, hit: int) -> None:
    assert kinds([WAVE], (sample, "wave")) == (hit, 1 - hit, 0, 0, 1 - hit)


def test_a_gesture_counts_once() -> None:
    assert kinds([WAVE], (150, "wave"), (210, "wave"), (249, "wave")) == (1, 0, 2, 0, 0)


def test_another_gesture_in_its_window_is_wrong_and_it_stays_missed() -> None:
    assert kinds([WAVE], (150, "chop")) == (0, 1, 0, 1, 0)
    assert kinds([WAVE], (150, "chop"), (160, "wave")) == (1, 0, 0, 1, 0)
    found = score([WAVE], said((150, "chop")), 1000, RATE)
    assert found.confused == {("wave", "chop"): 1}
    assert (found.classes["chop"].wrong, found.classes["wave"].misses) == (1, 1)


def test_background_is_no_gesture() -> None:
    made = [Interval("unknown", 100, 200), Interval("idle", 300, 400)]
    assert kinds(made, (150, "wave")) == (0, 0, 0, 0, 1)


def test_windows_that_overlap_are_matched_so_that_most_are_hit() -> None:
    next_one = Interval("wave", 220, 300)
    assert kinds([WAVE, next_one], (230, "wave"), (240, "wave")) == (2, 0, 0, 0, 0)
    # The first event lies in both windows and takes the one that ends first, whatever the order they are given in.
    assert kinds([next_one, WAVE], (230, "wave"), (320, "wave")) == (2, 0, 0, 0, 0)


def test_delays_are_from_the_last_sample() -> None:
    found = score([WAVE, Interval("wave", 400, 500)], said((209, "wave"), (489, "wave")), 1000, RATE).total
    assert found.delays_s == (0.1, -0.1) and found.median_delay_s == 0.0


def test_false_activations_are_per_hour_of_background() -> None:
    found = score([WAVE], said((600, "wave"), (700, "chop")), 1000, RATE).total
    assert found.background_s == 8.5 and found.false_per_hour == pytest.approx(2 * 3600 / 8.5)
    assert background_s([WAVE, Interval("chop", 150, 240), Interval("chop", 990, 1100)], 1000, RATE) == 8.0
    assert background_s([WAVE], 1000, RATE, first=150) == 9.0


def test_figures() -> None:
    made = [WAVE, Interval("wave", 400, 500), Interval("chop", 600, 700)]
    found = score(made, said((150, "wave"), (450, "chop"), (650, "chop"), (900, "chop")), 1000, RATE)
    assert found.total.precision == 0.5 and found.total.recall == pytest.approx(2 / 3)
    assert found.total.f1 == pytest.approx(4 / 7)
    assert (found.classes["wave"].precision, found.classes["wave"].recall) == (1.0, 0.5)
    assert found.classes["chop"].precision == pytest.approx(1 / 3)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    empty = Score()
    assert (empty.total, empty.macro_f1, empty.total.f1, empty.total.false_per_hour) == (Tally(), None, None, None)
    json.dumps(found.summary() | empty.summary(), allow_nan=False)


def test_streams_add_up_by_class_and_participant() -> None:
    one = score([WAVE], said((150, "wave")), 1000, RATE, "p01")
    two = score([WAVE], said((150, "chop"), (900, "wave")), 1000, RATE, "p02")
    both = one + two + two
    assert sorted(both.participants) == ["p01", "p02"]
    assert (both.total.gestures, both.total.hits, both.total.wrong, both.total.false) == (3, 1, 2, 2)
    assert both.total.background_s == pytest.approx(3 * 8.5) == both.classes["wave"].background_s
    assert both.participants["p01"].f1 == 1.0 and both.participants["p02"].f1 == 0.0
    assert both.confused == {("wave", "chop"): 2}


LABELS = st.sampled_from(["wave", "chop", "idle"])
MADE = st.lists(st.tuples(LABELS, st.integers(0, 900), st.integers(1, 99)), max_size=8)
SAID = st.lists(st.tuples(st.integers(0, 999), st.sampled_from(["wave", "chop"])), max_size=12)


@given(made=MADE, events=SAID)
def test_every_gesture_and_event_is_counted_once(
    made: list[tuple[str, int, int]], events: list[tuple[int, str]]
) -> None:
    intervals = [Interval(label, start, start + length) for label, start, length in made]
    found = score(intervals, said(*events), 1000, RATE)
    assert found.total.events == len(events)
    assert found.total.gestures == sum(label != "idle" for label, _, _ in made)
    assert found.total.hits + found.total.misses == found.total.gestures
    assert 0 <= found.total.background_s <= 10.0
    again = score(intervals[::-1], said(*events[::-1]), 1000, RATE)
    assert (again.total.hits, again.total.wrong, again.total.repeated) == (
        found.total.hits, found.total.wrong, found.total.repeated,
    )  # fmt: skip
