"""Ways to record: takes done again, guided sessions, continuous recordings, and what a crash leaves."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bitwave.capture import guide, journal
from bitwave.capture.continuous import LONGEST_S, record_continuous
from bitwave.capture.cues import CaptureReport
from bitwave.capture.keyboard import keys
from bitwave.capture.takes import Cue, Progress, record_cues
from bitwave.commands import record_display
from bitwave.commands.record import record as verb
from bitwave.errors import LinkError, RecordingError, UsageError, WriteError
from bitwave.recordings import dataset
from bitwave.recordings.recording import read
from bitwave.recordings.session import Gap, read_session
from boards import faulty_link, only_samples
from support import absent
from takes import store, take

CUE = Cue("wave", 1.0, 0.5)


class Typist:
    """Types a key at a moment; also collects the moments."""

    def __init__(self, *when: Callable[[Progress], bool], key: str = "r") -> None:
        self.when = list(when)
        self.key = key
        self.typed = ""
        self.moments: list[Progress] = []

    def see(self, moment: Progress) -> None:
        self.moments.append(moment)
        if self.when and self.when[0](moment):
            self.when.pop(0)
            self.typed += self.key

    def __call__(self) -> str:
        typed, self.typed = self.typed, ""
        return typed


def run(out: Path, cues: list[Cue], typist: Typist, samples: int = 3000) -> CaptureReport:
    with faulty_link(take(samples=samples)) as link:
        return record_cues(link, out, "p01", "s01", cues, typist.see, typist)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.csv"))


@pytest.mark.parametrize(
    "when",
    [
        lambda m: m.phase == "take" and m.take == 2 and m.elapsed_s > 0.5,
        lambda m: m.phase == "count-in" and m.take == 3 and m.elapsed_s > 0.2,
    ],
    ids=["while it runs", "in the next count-in"],
)
def test_the_last_take_is_done_again_and_the_old_one_kept(tmp_path: Path, when: Callable[[Progress], bool]) -> None:
    report = run(tmp_path, [CUE] * 3, Typist(when))
    assert names(tmp_path) == [f"wave.p01.s01.{n}.csv" for n in (1, 3, 4)]
    assert names(tmp_path / "redone") == ["wave.p01.s01.2.csv"]
    assert report.redone == ("wave.p01.s01.2",) and len(report.recordings) == 3
    session = read_session(tmp_path / "p01.s01.json")
    assert sorted(listed.number for listed in session.takes) == [1, 3, 4] and session == report.session
    assert len(read(tmp_path / "redone" / "wave.p01.s01.2.csv").samples) == 119
    assert len(dataset.load(tmp_path).recordings) == 3


def test_the_very_last_take_may_be_done_again(tmp_path: Path) -> None:
    typist = Typist(lambda m: m.phase == "over" and m.elapsed_s > 1, lambda m: m.phase == "over" and m.take == 2)
    report = run(tmp_path, [CUE] * 2, typist)
    assert report.redone == ("wave.p01.s01.2", "wave.p01.s01.3")
    assert names(tmp_path) == ["wave.p01.s01.1.csv", "wave.p01.s01.4.csv"]


def test_redo_before_the_first_take_changes_nothing(tmp_path: Path) -> None:
    typist = Typist(lambda m: m.phase == "count-in")
    assert run(tmp_path, [CUE], typist).redone == ()
    assert max(m.elapsed_s for m in typist.moments if m.phase == "count-in") >= 0.5


def test_q_stops_after_the_take(tmp_path: Path) -> None:
    report = run(tmp_path, [CUE] * 5, Typist(lambda m: m.phase == "take" and m.take == 2, key="q"))
    assert [len(r.samples) for r in report.recordings] == [119, 119]


def test_q_in_a_count_in_starts_nothing(tmp_path: Path) -> None:
    report = run(tmp_path, [CUE] * 5, Typist(lambda m: m.phase == "count-in" and m.take == 2, key="q"))
    assert len(report.recordings) == 1 and len(names(tmp_path)) == 1


def test_progress_counts_clipping(tmp_path: Path) -> None:
    loud = take(samples=300)
    loud.samples[:] = 100
    loud.samples[30:34, 2] = 32767
    typist = Typist()
    with faulty_link(loud) as link:
        report = record_cues(link, tmp_path, "p01", "s01", [Cue("wave", 1.0, 0.0)], typist.see)
    assert typist.moments[-1].clipped == report.clipped == 4
    assert read_session(tmp_path / "p01.s01.json").takes[0].clipped == 4


# Guided sessions


def plan_file(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_a_plan_includes_idle_and_other_movements(tmp_path: Path) -> None:
    text = 'seconds = 1.0\ncount_in = 0.5\n[labels]\nwave = 4\nchop = {count = 2, seconds = 2.0, say = "hard"}\n'
    plan = guide.read_plan(plan_file(tmp_path, text))
    assert {label: wanted.count for label, wanted in plan.labels.items()} == {
        "wave": 4,
        "chop": 2,
        "idle": 4,
        "unknown": 4,
    }
    assert plan.cue("chop") == Cue("chop", 2.0, 0.5, "hard") and plan.cue("idle").say == "keep still, or nearly"
    plan = guide.read_plan(plan_file(tmp_path, "[labels]\nwave = 4\nidle = 0\n"))
    assert {label: wanted.count for label, wanted in plan.labels.items()} == {"wave": 4, "idle": 0, "unknown": 4}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[labels", "is no TOML"),
        ("seconds = 1.0", "labels: Field required"),
        ("[labels]\nWave = 3", "labels.Wave"),
        ("[labels]\nwave = -1", "labels.wave.count"),
        ("[labels]\nwave = 'ten'", "labels.wave"),
        ("second = 1\n[labels]\nwave = 1", "second: Extra inputs"),
    ],
)
def test_plans_that_make_no_sense(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(UsageError, match=line) as caught:
        guide.read_plan(plan_file(tmp_path, text))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        guide.read_plan(tmp_path / "nowhere.toml")


def test_only_what_is_missing_is_asked_for_shuffled_in_rounds(tmp_path: Path) -> None:
    plan = guide.read_plan(plan_file(tmp_path, "participants = ['p03']\n[labels]\nwave = 3\nchop = 2\nidle = 2\n"))
    bad = dataclasses.replace(take(number=2), complete=False)
    gap = dataclasses.replace(take(number=3), gaps=(Gap(after=3, lost=1),))
    store(tmp_path, take(), bad, gap, take("chop"), take("chop", number=2), take("wave", participant="p02"))
    found = guide.recorded(tmp_path)
    assert guide.people(plan, found, "p01") == ("p01", "p02", "p03")
    left = guide.missing(plan, found, ("p01", "p02", "p03"))
    assert left["p01"] == {"wave": 2, "chop": 0, "idle": 2, "unknown": 3}
    assert left["p02"] == {"wave": 2, "chop": 2, "idle": 2, "unknown": 3}
    assert left["p03"] == {"wave": 3, "chop": 2, "idle": 2, "unknown": 3}
    order = [cue.label for cue in guide.shuffled(plan, "p01", "s01", left["p01"])]
    assert [sorted(order[at : at + 3]) for at in (0, 3)] == [["idle", "unknown", "wave"]] * 2 and order[6:] == [
        "unknown"
    ]
    assert order == [cue.label for cue in guide.shuffled(plan, "p01", "s01", left["p01"])]
    orders = {tuple(cue.label for cue in guide.shuffled(plan, "p01", f"s{n}", left["p03"])) for n in range(20)}
    assert len(orders) > 10


@pytest.fixture
def replayed(tmp_path: Path) -> str:
    store(tmp_path / "source", take(samples=6000))
    return f"replay:{tmp_path}/source/wave.p01.s01.1.csv"


def test_a_guided_session_ends_with_nothing_missing(
    tmp_path: Path, replayed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    plan = plan_file(tmp_path, "seconds = 0.5\ncount_in = 0.2\n[labels]\nwave = 3\nchop = 2\nidle = 1\nunknown = 1\n")
    verb(replayed, "p01", out, plan=plan, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["missing"] == {"p01": {"wave": 0, "chop": 0, "idle": 0, "unknown": 0}}
    labels = [entry["file"].split(".")[0] for entry in told["takes"]]
    assert sorted(labels) == sorted(["wave"] * 3 + ["chop"] * 2 + ["idle", "unknown"]) and labels != sorted(labels)
    assert len(names(out)) == 7
    verb(replayed, "p01", out, plan=plan)
    assert "Nothing is missing" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--plan says"):
        verb(replayed, "p01", out, plan=plan, label="wave")
    with pytest.raises(UsageError, match="give the gesture"):
        verb(replayed, "p01", out)


def test_what_is_wrong_with_a_take_is_said_while_it_may_be_done_again(tmp_path: Path) -> None:
    loud = take(samples=600)
    loud.samples[:] = 100
    loud.samples[70:74, 2] = 32767
    typist = Typist()
    with faulty_link(loud, only_samples(lambda i, frame: b"" if i == 35 else frame)) as link:
        record_cues(link, tmp_path, "p01", "s01", [Cue("wave", 1.0, 0.5)] * 3, typist.see)
    told = [moment.faults for moment in typist.moments if moment.phase == "saved"]
    assert told == ["wave.p01.s01.1: 4 samples clipped", "wave.p01.s01.2: 8 samples lost", ""]
    with record_display.display(Console(file=(screen := StringIO()), width=120), keys=True) as show:
        for moment in typist.moments:
            show(moment)
    assert "wave.p01.s01.1: 4 samples clipped; r does it again" in screen.getvalue()


def test_redo_needs_a_board(tmp_path: Path, replayed: str) -> None:
    out = tmp_path / "data"
    verb(replayed, "p01", out, label="wave", count=2, seconds=0.5, count_in=0.0)
    with pytest.raises(LinkError, match="cannot be opened"):
        verb("serial:/dev/nowhere", "p01", out, label="wave", redo=True)
    assert names(out) == ["wave.p01.s01.1.csv", "wave.p01.s01.2.csv"]


def test_bad_takes_are_refused_before_the_board_is_looked_for(tmp_path: Path) -> None:
    out = tmp_path / "data"
    for words, line in (
        ({"label": "Wave"}, "label 'Wave' is not usable"),
        ({"label": "Wave", "continuous": True}, "label 'Wave' is not usable"),
        ({"label": "wave", "seconds": 7200.0}, "longer ones are --continuous"),
        ({"label": "wave", "count_in": 100.0}, "count-in of 0 to 60 s"),
    ):
        with pytest.raises(RecordingError, match=line):
            verb("serial:/dev/nowhere", "p01", out, **words)  # type: ignore[arg-type]
    assert not out.exists()


def test_redo_from_the_command_line(tmp_path: Path, replayed: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    verb(replayed, "p01", out, label="wave", count=3, seconds=0.5, count_in=0.0)
    capsys.readouterr()
    verb(replayed, "p01", out, label="wave", seconds=0.5, redo=True, as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out)["redone"] == ["wave.p01.s01.3"]
    assert names(out) == [f"wave.p01.s01.{n}.csv" for n in (1, 2, 4)]
    assert names(out / "redone") == ["wave.p01.s01.3.csv"]
    with pytest.raises(UsageError, match="has no take of chop by p01 in s01 to redo"):
        verb(replayed, "p01", out, label="chop", redo=True)
    assert "names are pseudonyms" in captured.err


# Continuous recordings


def test_a_continuous_recording_is_one_take_of_its_own_folder(tmp_path: Path) -> None:
    made = take(samples=3000)
    lost = only_samples(lambda i, frame: b"" if i in (50, 51) else frame)
    with faulty_link(made, lost) as link:
        report = record_continuous(link, tmp_path, Cue("stream", 20.0), "p01")
    (found,) = [read(path) for path in (tmp_path / "streams").glob("*.csv")]
    assert found.name == "stream.p01.s01.1" and found.complete
    assert np.array_equal(found.samples, np.delete(made.samples[:2380], range(400, 416), axis=0))
    assert found.gaps == (Gap(after=399, lost=16),) and report.lost == 16
    (listed,) = read_session(tmp_path / "streams" / "p01.s01.json").takes
    assert listed == report.recordings[0].take()
    assert not list(tmp_path.rglob(".*"))


def test_ctrl_c_or_q_ends_a_continuous_recording(tmp_path: Path) -> None:
    def stop(moment: Progress) -> None:
        if moment.elapsed_s > 2:
            raise KeyboardInterrupt

    with faulty_link(take(samples=3000)) as link:
        record_continuous(link, tmp_path, Cue("stream", 600.0), "p01", on_progress=stop)
    typist = Typist(lambda m: m.elapsed_s > 3, key="q")
    with faulty_link(take(samples=3000)) as link:
        record_continuous(link, tmp_path, Cue("stream", 600.0), "p01", "s01", typist.see, typist)
    first, second = (read(tmp_path / "streams" / f"stream.p01.s01.{n}.csv") for n in (1, 2))
    assert (len(first.samples), len(second.samples)) == (240, 360)
    assert first.complete and second.complete and not first.gaps


def test_a_link_that_ends_keeps_the_continuous_recording(tmp_path: Path) -> None:
    with faulty_link(take(samples=300)) as link, pytest.raises(LinkError, match="300 samples are kept in stream.p01"):
        record_continuous(link, tmp_path, Cue("stream", 600.0), "p01")
    found = read(tmp_path / "streams" / "stream.p01.s01.1.csv")
    assert len(found.samples) == 300 and not found.complete and not found.gaps
    silent = only_samples(lambda i, frame: b"")
    with faulty_link(take(samples=900), silent) as link, pytest.raises(LinkError, match="no samples for 2 s"):
        record_continuous(link, tmp_path, Cue("stream", 600.0), "p01")
    assert not list(tmp_path.rglob("*.2.csv*")) and not list(tmp_path.rglob(".*"))


def test_without_a_length_the_end_of_a_plan_is_the_end(tmp_path: Path) -> None:
    with faulty_link(take(samples=300)) as link:
        report = record_continuous(link, tmp_path, Cue("stream", LONGEST_S), "p01")
    assert [(len(r.samples), r.complete, r.gaps) for r in report.recordings] == [(300, True, ())]


def test_no_room_for_a_continuous_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))

    def full(descriptor: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "_sync", full)
    made = take(samples=6000)
    with faulty_link(made) as link, pytest.raises(WriteError, match="No space left.*safe in"):
        record_continuous(link, tmp_path / "full", Cue("stream", 50.0), "p01")
    (path,) = (tmp_path / "tmp").rglob("stream.p01.s01.1.csv")
    kept = read(path)
    assert len(kept.samples) and np.array_equal(kept.samples, made.samples[: len(kept.samples)])


def test_continuous_from_the_command_line(tmp_path: Path, replayed: str, capsys: pytest.CaptureFixture[str]) -> None:
    verb(replayed, "p01", tmp_path / "data", continuous=True, seconds=5.0, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["takes"] == [{"file": "stream.p01.s01.1.csv", "samples": 595, "lost": 0}]


def test_bad_words_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with faulty_link(take(), lambda frame: b"") as link:
        with pytest.raises(RecordingError, match="is not usable"):
            record_continuous(link, tmp_path, Cue("stream"), "Ann")
        with pytest.raises(RecordingError, match="takes 0.05 to"):
            record_continuous(link, tmp_path, Cue("stream", 0.0), "p01")
    assert list(tmp_path.iterdir()) == []


# The terminal


def test_keys_come_singly_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        import pty
    except ImportError:
        absent("needs pseudo-terminals: run this test on Linux or macOS")
    master, slave = pty.openpty()
    with open(slave) as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", terminal)
        with keys() as typed:
            assert typed is not None and typed() == ""
            os.write(master, b"rq")
            found, deadline = "", time.monotonic() + 5
            while len(found) < 2 and time.monotonic() < deadline:
                found += typed()
            assert found == "rq"
    os.close(master)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with keys() as typed:
            assert typed is None


def test_the_display_says_what_to_do_and_how_the_link_is(tmp_path: Path) -> None:
    typist = Typist(lambda m: m.phase == "over")
    run(tmp_path, [Cue("wave", 1.0, 1.0, "hello")], typist)
    lines = {moment.phase: str(record_display.line(moment)) for moment in typist.moments}
    assert lines["count-in"].startswith("wave in") and "(hello)" in lines["take"] and "take 1/1" in lines["saved"]
    assert "119.0 Hz" in lines["saved"] and "lost 0  CRC 0  clipped" in lines["saved"]
    assert record_display.spark((0.0, 50.0, 100.0, 500.0), 100.0) == " ▄██"
    endless = dataclasses.replace(typist.moments[-1], phase="take", cue=Cue("stream", LONGEST_S), elapsed_s=90.0)
    assert str(record_display.line(endless)).startswith("stream NOW 90.0 s  ")
    show = record_display.Display(keys=True)
    for moment in typist.moments:
        show(moment)
    assert len(show.signal) <= record_display.WIDTH
