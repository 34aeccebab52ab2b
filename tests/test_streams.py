"""Windows of continuous recordings: what they are called, and which ones training takes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bitwave import synth
from bitwave.errors import RecordingError
from bitwave.recordings.recording import Recording, even_times, write
from bitwave.recordings.segments import corrections, write_segments
from bitwave.recordings.session import Gap
from bitwave.recordings.streams import LEFT_OUT, Stream, load_streams, training_takes, window_labels
from bitwave.recordings.windowing import BACKGROUND
from bitwave.synth.wrist import Interval

WINDOW, RATE = 40, 100.0


def called(segments: list[Interval], length: int = 600) -> list[str]:
    """For each row what the window that ends with it is called; "" is left out."""
    labels, found = window_labels(segments, length, WINDOW, RATE)
    return ["" if index == LEFT_OUT else labels[index] for index in found.tolist()]


def test_a_window_is_called_by_the_share_of_a_gesture_that_it_holds() -> None:
    names = called([Interval("wave", 100, 120)])
    assert names[:39] == [""] * 39 and set(names[39:100]) == {"idle"}
    # 20 rows long: 15 of them are three quarters, 10 are half.
    assert set(names[100:110]) == {"unknown"} and set(names[110:114]) == {""}
    assert set(names[114:145]) == {"wave"}  # row 145: the window begins with 106, 14 rows are left
    assert set(names[145:149]) == {""} and set(names[149:159]) == {"unknown"} and set(names[159:]) == {"idle"}


def test_a_gesture_longer_than_the_window_is_called_from_three_quarters_of_a_window_on() -> None:
    names = called([Interval("shake", 100, 300)])
    assert names[128] == "" and set(names[129:310]) == {"shake"} and names[310] == ""


def test_a_gesture_is_called_no_longer_than_an_event_of_it_counts() -> None:
    _, names = window_labels([Interval("wave", 400, 410)], 600, 300, RATE)
    assert np.flatnonzero(names == 0)[[0, -1]].tolist() == [407, 459]  # 8 of 10 rows, then half a second
    _, names = window_labels([Interval("wave", 100, 110)], 600, 300, RATE)
    assert not (names == 0).any()  # the first window ends too late for it


def test_neighbours_and_other_movements() -> None:
    names = called([Interval("wave", 100, 120), Interval("chop", 125, 145), Interval("unknown", 300, 320)])
    assert names[122] == "wave" and names[144] == "chop" and names[138] in ("", "wave")
    assert set(names[300:359]) == {"unknown"} and names[299] == names[359] == "idle"
    assert called([Interval("idle", 100, 200)])[150] == "idle"


def recorded(number: int = 1, participant: str = "p01", gaps: tuple[Gap, ...] = ()) -> Stream:
    made = synth.stream(["wave", "unknown", "chop", "idle", "wave"], participant, seed=number, rate_hz=RATE)
    times = even_times(len(made.samples), RATE)
    recording = Recording("stream", participant, "s01", number, times, made.samples, RATE, gaps=gaps)
    return Stream(recording, made.intervals)


def test_takes_hold_windows_of_their_label_alone() -> None:
    stream = recorded()
    labels, names = window_labels(stream.segments, len(stream.recording.samples), WINDOW, RATE)
    takes = training_takes([stream], WINDOW, 8).recordings
    counts = Counter(take.label for take in takes)
    assert counts["wave"] == 2 * 3 and counts["chop"] == 3 and counts["idle"] > 10 and counts["unknown"] > 5
    waves = set()
    for take in takes:
        first = int(np.searchsorted(stream.recording.time_us, take.time_us[0]))
        ends = range(first + WINDOW - 1, first + len(take.samples))
        assert np.array_equal(take.samples, stream.recording.samples[first : ends.stop])
        if take.label in BACKGROUND:
            assert len(take.samples) == WINDOW + 8
            assert {labels[names[end]] for end in (ends[0], ends[-1])} == {take.label}
        else:
            assert {labels[names[end]] for end in ends} == {take.label}
            waves |= set(ends) if take.label == "wave" else set()
    assert waves == set(np.flatnonzero(names == labels.index("wave")).tolist())


def test_a_gap_is_in_no_take() -> None:
    middle = recorded().segments[0].end
    whole, gappy = (
        training_takes([recorded()], WINDOW, 8),
        training_takes([recorded(gaps=(Gap(after=middle, lost=4),))], WINDOW, 8),
    )
    assert len(gappy.recordings) < len(whole.recordings)
    assert not any(take.gaps for take in gappy.recordings)
    with pytest.raises(RecordingError, match="no stream holds a window of 99999"):
        training_takes([recorded()], 99999, 8)


def test_streams_are_read_with_their_segments(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "streams"
    stream = recorded()
    write(folder, synth.session_facts("p01", rate_hz=RATE), [stream.recording])
    path = folder / f"{stream.recording.name}.csv"
    with pytest.raises(RecordingError, match="has no segments yet: run bitwave segment"):
        load_streams(tmp_path / "data")
    write_segments(corrections(path), [dataclasses.replace(stream.segments[0], label="?"), *stream.segments[1:]])
    with pytest.raises(RecordingError, match="have no name yet"):
        load_streams(folder)
    corrections(path).unlink()
    write_segments(corrections(path), stream.segments)
    for given in (tmp_path / "data", folder):
        (found,) = load_streams(given)
        assert found.segments == stream.segments and np.array_equal(found.recording.samples, stream.recording.samples)
    with pytest.raises(RecordingError, match="holds no continuous recording"):
        load_streams(tmp_path)
    write(tmp_path / "takes", synth.session_facts("p01", rate_hz=RATE), [stream.recording])
    with pytest.raises(RecordingError, match="holds takes, no continuous recordings with segments"):
        load_streams(tmp_path / "takes")
