"""Segments in continuous recordings: found by energy, corrected by hand, cut into takes."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bitwave import synth
from bitwave.commands.segment import segment as verb
from bitwave.errors import RecordingError, UsageError
from bitwave.recordings import dataset, segments
from bitwave.recordings.recording import Recording, even_times, read, write
from bitwave.recordings.segment_page import page
from bitwave.recordings.session import Gap
from bitwave.synth.wrist import Interval
from support import need, need_data


def overlap(one: Interval, other: Interval) -> float:
    """Intersection over union."""
    both = min(one.end, other.end) - max(one.start, other.start)
    return max(0, both) / (max(one.end, other.end) - min(one.start, other.start))


def fitting(these: list[Interval], those: list[Interval]) -> int:
    return sum(any(overlap(one, other) >= 0.5 for other in those) for one in these)


def recorded(seed: int = 1, movements: int = 24, label: str = "stream") -> tuple[Recording, list[Interval]]:
    """A continuous recording of the virtual wrist, and the movements in it that are more than idle."""
    who = f"p{seed:02d}"
    made = synth.stream(synth.random_plan(movements, seed=seed), who, seed=seed)
    times = even_times(len(made.samples), 119.0, 5000)
    found = Recording(label, who, "s01", 1, times, made.samples, 119.0)
    return found, [interval for interval in made.intervals if interval.label != "idle"]


def test_movements_of_the_virtual_wrist_are_found() -> None:
    truth, found = 0, 0
    right = [0, 0]
    for seed in range(1, 6):
        recording, made = recorded(seed)
        seen = segments.find(recording)
        truth, found = truth + len(made), found + len(seen)
        right = [right[0] + fitting(made, seen), right[1] + fitting(seen, made)]
        assert {one.label for one in seen} == {"?"}
    assert right[0] >= 0.95 * truth and right[1] >= 0.95 * found


def test_gestures_of_a_phone_are_found() -> None:
    folder = need_data("uhh-imu-gestures")
    truth: dict[str, list[Interval]] = {}
    with (folder / "segments.csv").open() as file:
        for row in csv.DictReader(file):
            truth.setdefault(row["file"], []).append(Interval(row["label"], int(row["start"]), int(row["end"])))
    right, made, seen = [0, 0], 0, 0
    for name, marked in truth.items():
        table = np.genfromtxt(folder / "recordings" / name, delimiter=",", skip_header=1)[:, :6]
        counts = np.hstack((table[:, :3] / 9.80665 * 8192, np.rad2deg(table[:, 3:]) * 16.384))
        samples = np.clip(np.rint(counts), -32768, 32767).astype(np.int16)
        found = segments.find(Recording("left", "j", "s01", 1, even_times(len(samples), 33.0), samples, 33.0))
        right = [right[0] + fitting(marked, found), right[1] + fitting(found, marked)]
        made, seen = made + len(marked), seen + len(found)
    assert made == 501 and right[0] >= 0.95 * made and right[1] >= 0.95 * seen


def test_rest_holds_nothing() -> None:
    made = synth.stream(["idle"] * 4, "p03")
    still = Recording("wave", "p03", "s01", 1, even_times(len(made.samples), 119.0), made.samples, 119.0)
    assert segments.find(still) == []
    nothing = dataclasses.replace(still, samples=still.samples[:0], time_us=still.time_us[:0])
    assert segments.find(nothing) == []
    short = dataclasses.replace(still, samples=still.samples[:5], time_us=still.time_us[:5])
    assert segments.find(short) == []


def test_neighbours_are_joined_and_a_twitch_is_none() -> None:
    samples = np.zeros((1190, 6), np.int16)
    samples[:, 2] = 8192
    for start, end in ((300, 350), (370, 420), (800, 804)):
        samples[start:end, 3] = 8000
    found = segments.find(Recording("wave", "p01", "s01", 1, even_times(1190, 119.0), samples, 119.0))
    assert [one.label for one in found] == ["wave"]
    assert abs(found[0].start - 300) < 12 and abs(found[0].end - 420) < 12


def test_cutting_keeps_clear_of_neighbours_borders_and_gaps() -> None:
    recording, _ = recorded()
    recording = dataclasses.replace(
        recording, samples=recording.samples[:1000], time_us=recording.time_us[:1000], gaps=(Gap(after=700, lost=3),)
    )
    named = [Interval(*one) for one in (("wave", 10, 60), ("chop", 75, 200), ("?", 300, 400), ("wave", 650, 750))]
    takes = segments.cut(recording, named, "idle", 1.0)
    told = {
        take.name: (int(np.searchsorted(recording.time_us, take.time_us[0])), len(take.samples)) for _, take in takes
    }
    assert told == {
        "wave.p01.s01.1": (0, 75),  # from the recording's start to the next segment
        "chop.p01.s01.1": (60, 170),
        "idle.p01.s01.1": (430, 190),
        "idle.p01.s01.2": (780, 190),
    }
    for _, take in takes:
        assert not take.gaps and take.complete
    with_gap = segments.piece(recording, "wave", 1, 650, 750)
    assert with_gap.gaps == (Gap(after=50, lost=3),)


FAULTS = {
    "start,end\n": "line 1: the header must be label,start,end",
    "label,start,end\nwave,1\n": "line 2: a segment is label,start,end in rows",
    "label,start,end\nwave,-1,5\n": "line 2: a segment is",
    "label,start,end\nWave,1,5\n": "line 2: label 'Wave' is not usable",
    "label,start,end\nwave,5,5\n": "line 2: rows 5 to 5 are not inside",
    "label,start,end\n\nwave,5,101\n": "line 3: rows 5 to 101 are not inside the recording's 100",
    "label,start,end\nwave,5,50\nchop,2,6\n": "line 2: rows 5 to 50 overlap another segment",
}


@pytest.mark.parametrize("text", FAULTS)
def test_corrections_with_faults_are_named_by_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "segments.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=FAULTS[text]) as caught:
        segments.read_segments(path, 100)
    assert "\n" not in str(caught.value)


def test_corrections_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "segments.csv"
    path.write_bytes("\ufefflabel,start,end\r\nwave, 50, 90\r\n?,1,20\r\n".encode())
    assert segments.read_segments(path, 100) == [Interval("?", 1, 20), Interval("wave", 50, 90)]
    with pytest.raises(RecordingError, match="exists and may hold corrections"):
        segments.write_segments(path, [])


def test_from_a_continuous_recording_to_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, made = recorded()
    data, streams = tmp_path / "data", tmp_path / "data" / "streams"
    write(streams, synth.session_facts(recording.participant), [recording])
    verb([streams], as_json=True)
    (told,) = json.loads(capsys.readouterr().out)
    place = streams / "segments" / "stream.p01.s01.1.csv"
    assert told["new"] and told["csv"] == str(place) and told["takes"] == []
    # A person names the segments.
    found = segments.read_segments(place, len(recording.samples))
    named = [dataclasses.replace(one, label=max(made, key=lambda m: overlap(one, m)).label) for one in found]
    place.unlink()
    segments.write_segments(place, named)
    before = place.read_bytes()
    verb([streams / "stream.p01.s01.1.csv"], cut=data, background="idle", as_json=True)
    (told,) = json.loads(capsys.readouterr().out)
    assert not told["new"] and place.read_bytes() == before
    takes = dataset.load(data).recordings
    assert len(takes) == len(told["takes"]) >= len(named) and min(len(take.samples) for take in takes) >= 119
    assert {take.label for take in takes} == {one.label for one in named} | {"idle"}
    verb([streams], cut=data, background="idle")
    assert "0 takes cut" in " ".join(capsys.readouterr().out.split())
    assert len(dataset.load(data).recordings) == len(takes)
    first = read(data / "idle.p01.s01.1.csv")
    row = int(np.searchsorted(recording.time_us, first.time_us[0]))
    assert np.array_equal(first.samples, recording.samples[row : row + len(first.samples)])


def test_words_that_make_no_sense(tmp_path: Path) -> None:
    recording, _ = recorded(movements=2)
    write(tmp_path, synth.session_facts("p01"), [recording])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match="needs --cut"):
        verb([tmp_path], background="idle")
    with pytest.raises(UsageError, match="cut into another folder"):
        verb([tmp_path], cut=tmp_path)
    with pytest.raises(RecordingError, match="holds no recording"):
        verb([tmp_path / "nothing"])


def test_the_page_shows_every_segment_and_is_a_function_of_its_input() -> None:
    recording, _ = recorded(movements=3)
    named = [Interval("wave", 100, 200), Interval("?", 250, 300)]
    text = page(recording, named, "x<y.csv")
    assert text == page(recording, named, "x<y.csv")
    assert text.count("<rect") == 2 and text.count("<polyline") == 7 and "x&lt;y.csv" in text
    accel = recording.samples[:, :3] / recording.counts.accel_lsb_per_g
    assert all(f">{value:.1f}<" in text for value in (accel.min(), accel.max()))  # the axis has its ends
    assert "1: wave, rows 100 to 200" in text and "<td>250</td><td>300</td>" in text
    empty = dataclasses.replace(recording, samples=recording.samples[:0], time_us=recording.time_us[:0])
    assert "0 segments" in page(empty, [], "none.csv")


def test_a_png_on_request(tmp_path: Path) -> None:
    need("matplotlib")
    recording, _ = recorded(movements=2)
    write(tmp_path, synth.session_facts("p01"), [recording])
    verb([tmp_path], png=True)
    assert (tmp_path / "segments" / "stream.p01.s01.1.png").read_bytes().startswith(b"\x89PNG")
