"""Continuous recordings in a data set: counted with their segments, looked through, mended, forgotten."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bitwave import synth
from bitwave.commands.dataset import dataset as verb
from bitwave.commands.segment import segment
from bitwave.recordings import dataset, mending
from bitwave.recordings.recording import Recording, even_times, read, write
from bitwave.recordings.segments import corrections, moved, read_segments, write_segments
from bitwave.recordings.session import Gap
from bitwave.recordings.streams import load_streams, training_takes
from bitwave.recordings.survey import Survey, survey
from bitwave.synth.wrist import Interval
from support import need

RATE = 119.0


def stream(who: str = "p01", session: str = "s01", number: int = 1) -> tuple[Recording, tuple[Interval, ...]]:
    """Wave, chop, another movement, wave; with what was done when."""
    made = synth.stream(["wave", "idle", "chop", "unknown", "wave", "idle"], who, seed=number)
    times = even_times(len(made.samples), RATE, 5000)
    samples = np.clip(made.samples, -30000, 30000)  # this wrist reaches beyond 4 g
    found = Recording("stream", who, session, number, times, samples, RATE)
    return found, tuple(one for one in made.intervals if one.label != "idle")


def put(folder: Path, recording: Recording, segments: tuple[Interval, ...] | None = None) -> Path:
    write(folder, synth.session_facts(recording.participant, recording.session), [recording])
    path = folder / f"{recording.name}.csv"
    if segments is not None:
        write_segments(corrections(path), segments)
    return path


def told(data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    verb([str(data)], as_json=True)
    found: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def kinds(found: Survey) -> list[tuple[str, str]]:
    return [(finding.where, finding.kind) for finding in found.findings]


def test_streams_are_counted_by_label_and_participant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    first, made = stream()
    unnamed = (dataclasses.replace(made[0], label="?"), *made[1:])
    place = put(data / "streams", first, unnamed)
    put(data / "streams", stream("p02")[0], stream("p02")[1])
    put(data / "streams", stream("p02", number=2)[0])
    streams = told(data, capsys)["streams"]
    assert streams["recordings"] == 3 and streams["segments"] == 8
    labels = streams["labels"]
    assert isinstance(labels, dict)
    assert {label: found["participants"] for label, found in labels.items()} == {
        "?": {"p01": 1, "p02": 0}, "chop": {"p01": 1, "p02": 1},
        "unknown": {"p01": 1, "p02": 1}, "wave": {"p01": 1, "p02": 2},
    }  # fmt: skip
    lasted = sum(one.end - one.start for one in made if one.label == "chop") / RATE
    other = sum(one.end - one.start for one in stream("p02")[1] if one.label == "chop") / RATE
    assert labels["chop"]["seconds"] == pytest.approx(lasted + other, abs=0.011)
    assert streams["not_segmented"] == ["stream.p02.s01.2.csv"]
    assert streams["without_a_name"] == {"stream.p01.s01.1.csv": 1}
    sessions = streams["sessions"]
    assert isinstance(sessions, dict)
    assert sessions["streams/p02.s01"]["recordings"] == 2
    assert sessions["streams/p01.s01"]["seconds"] == pytest.approx(len(first.samples) / RATE, abs=0.01)
    verb([str(data)])
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 stream is not segmented yet: run bitwave segment" in shown
    assert f"1 segment has no name in {corrections(place)}: write one" in shown
    assert "3 streams, " in shown and "8 segments" in shown and "takes" not in shown


def test_the_folder_of_the_streams_may_be_given_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path / "data" / "streams", tmp_path / "elsewhere"):
        put(folder, *stream())
        found = told(folder, capsys)
        assert (found["recordings"], found["streams"]["recordings"], found["streams"]["segments"]) == (0, 1, 4)
        assert list(found["streams"]["sessions"]) == ["p01.s01"]  # type: ignore[call-overload]


def test_every_fault_of_streams_is_found_and_named(tmp_path: Path) -> None:
    data = tmp_path / "data" / "streams"
    good, made = stream()
    put(data, good, made)
    put(data, dataclasses.replace(good, number=2))
    gappy, _ = stream("p02")
    rows = np.delete(np.arange(len(gappy.samples)), slice(101, 105))
    gappy = dataclasses.replace(gappy, samples=gappy.samples[rows], time_us=gappy.time_us[rows])
    put(data, dataclasses.replace(gappy, gaps=(Gap(after=100, lost=4),)))
    loud, _ = stream("p03")
    loud.samples[7, 1] = -32768
    put(data, dataclasses.replace(loud, complete=False))
    turned, _ = stream("p04")
    put(data, dataclasses.replace(turned, samples=turned.samples[:, [0, 2, 1, 3, 5, 4]]))
    (data / "stream.p01.s01.3.csv").write_text("t_us,ax\n")
    (data / "stream.p03.s01.1.csv").rename(data / "stream.p03.s01.9.csv")
    found = kinds(survey(data.parent))
    assert sorted(found) == sorted(
        [
            ("streams/stream.p01.s01.2", "duplicate"),
            ("streams/stream.p01.s01.3", "unreadable"),
            ("streams/stream.p02.s01.1", "gap"),
            ("streams/p03.s01", "missing"),
            ("streams/stream.p03.s01.9", "clipped"),
            ("streams/p04.s01", "axes"),
        ]
    )
    write(data.parent, synth.session_facts("p09", rate_hz=50.0), [])
    slow = dataclasses.replace(take_of(good, "wave", 0, 60), participant="p09", rate_hz=50.0)
    write(data.parent, synth.session_facts("p09", rate_hz=50.0), [retimed(slow)])
    assert ("streams/p01.s01", "rate") in kinds(survey(data.parent))


def take_of(of: Recording, label: str, start: int, end: int, number: int = 1) -> Recording:
    return dataclasses.replace(
        of, label=label, number=number, time_us=of.time_us[start:end], samples=of.samples[start:end]
    )


def retimed(take: Recording) -> Recording:
    return dataclasses.replace(take, time_us=even_times(len(take.samples), take.rate_hz))


FAULTS = """label,start,end
wave,10,50
Wave!,60,70
chop,40,80
chop,90
chop,100,999999
two--dashes,1,2
,3,4
wave,70,60
"""


def test_every_fault_of_segments_has_one_line_with_file_and_row(tmp_path: Path) -> None:
    data = tmp_path / "data"
    recording, made = stream()
    path = put(data / "streams", recording, made)
    corrections(path).write_text(FAULTS)
    orphan = corrections(path).with_name("stream.p07.s01.1.csv")
    orphan.write_text("label,start,end\n")
    put(data / "streams", stream("p02")[0], stream("p02")[1])
    corrections(data / "streams" / "stream.p02.s01.1.csv").write_text("name,from,to\n")
    found = survey(data)
    where = "streams/segments/stream.p01.s01.1.csv, line "
    texts = {finding.where: finding.text for finding in found.findings}
    name = "is not usable: up to 24 lower-case letters"
    length = len(recording.samples)
    wanted = {
        where + "3": f"label 'Wave!' {name}",
        where + "4": "rows 40 to 80 overlap another segment, that of line 2",
        where + "5": "a segment is label,start,end in rows",
        where + "6": f"rows 100 to 999999 are not inside the recording's {length}",
        where + "7": f"label 'two--dashes' {name}",
        where + "8": f"label '' {name}",
        where + "9": "rows 70 to 60 are not inside",
        "streams/segments/stream.p07.s01.1.csv": "belongs to no recording",
        "streams/segments/stream.p02.s01.1.csv, line 1": "the header must be label,start,end",
    }
    assert set(texts) == set(wanted) and {finding.kind for finding in found.findings} == {"segments"}
    for place, text in wanted.items():
        assert texts[place].startswith(text) and "\n" not in texts[place], place
    assert found.segments == {}


def cut_out(data: Path) -> None:
    segment([data / "streams"], cut=data, background="idle", seconds=0.5)


def test_takes_cut_from_a_stream_are_known_and_no_doubles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    recording, made = stream()
    path = put(data / "streams", recording, made)
    cut_out(data)
    takes = len(dataset.load(data).recordings)
    found = survey(data)
    assert found.cut == takes > 4 and found.findings == ()
    capsys.readouterr()
    verb([str(data)])
    assert f"{takes} takes, {takes} of them cut from the streams" in capsys.readouterr().out
    # Corrected by a few rows, and cut again: other counts, the same movement.
    corrections(path).unlink()
    write_segments(corrections(path), [dataclasses.replace(made[0], start=made[0].start + 3), *made[1:]])
    cut_out(data)
    again = survey(data)
    twins = {name for name, kind in kinds(again) if kind == "duplicate"}
    assert twins and twins == {take.name for take in dataset.load(data).recordings} - {
        take.name for take in found.recordings
    }
    mended = mending.mend(again, tmp_path / "copy")
    assert set(mended.left_out) == twins and mended.kept == takes


def test_a_take_that_disagrees_with_its_stream(tmp_path: Path) -> None:
    data = tmp_path / "data"
    recording, made = stream()
    path = put(data / "streams", recording, made)
    cut_out(data)
    corrections(path).unlink()
    renamed = [dataclasses.replace(one, label="unknown" if one.label == "chop" else one.label) for one in made[:-1]]
    write_segments(corrections(path), renamed)
    misnamed = dataclasses.replace(read(data / "wave.p01.s01.1.csv"), participant="p02")
    write(data, synth.session_facts("p02"), [dataclasses.replace(misnamed, samples=misnamed.samples[:-1],
          time_us=misnamed.time_us[:-1])])  # fmt: skip
    found = {finding.where: (finding.kind, finding.text) for finding in survey(data).findings}
    assert set(found) == {"chop.p01.s01.1", "wave.p01.s01.2", "wave.p02.s01.1"}
    kind, text = found["chop.p01.s01.1"]
    assert kind == "label" and "which its segments call unknown: delete it and cut again" in text
    kind, text = found["wave.p01.s01.2"]
    assert kind == "label" and "where no segment is any more" in text
    kind, text = found["wave.p02.s01.1"]
    assert kind == "duplicate" and "which another session has" in text


def test_mending_moves_the_rows_of_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    whole, made = stream()
    short, long = Gap(after=made[0].start + 9, lost=4), Gap(after=made[1].end + 20, lost=30)
    gone = np.r_[short.after + 1 : short.after + 5, long.after + 5 : long.after + 35]
    rows = np.delete(np.arange(len(whole.samples)), gone)
    recording = dataclasses.replace(
        whole, samples=whole.samples[rows], time_us=whole.time_us[rows], gaps=(short, long), complete=False
    )
    there = [Interval(one.label, *np.searchsorted(rows, (one.start, one.end)).tolist()) for one in made]
    place = corrections(put(data / "streams", recording, tuple(there)))
    place.write_text(place.read_text() + "Oops, 3 ,1\nwave,5000000,5000001\n")
    put(data / "streams", dataclasses.replace(recording, number=2))
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    verb([str(data)], fix=copy, as_json=True)
    fixed = json.loads(capsys.readouterr().out)["fixed"]
    assert (fixed["kept"], fixed["streams"], fixed["segments"]) == (0, 1, 1)
    assert fixed["filled"] == ["streams/stream.p01.s01.1"] and list(fixed["left_out"]) == ["streams/stream.p01.s01.2"]
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
    path = copy / "streams" / "stream.p01.s01.1.csv"
    mended = read(path)
    assert not mended.complete and mended.gaps == (Gap(after=long.after + 4, lost=30),)
    back = np.searchsorted(whole.time_us, mended.time_us)
    assert np.array_equal(whole.time_us[back[:50]], mended.time_us[:50])
    lines = corrections(path).read_text().splitlines()
    assert lines[-2:] == ["Oops, 3 ,1", "wave,5000004,5000005"]  # still wrong, and still for a person to judge
    corrections(path).write_text("\n".join(lines[:-2]) + "\n")
    for old, new in zip(made, read_segments(corrections(path), len(mended.samples)), strict=True):
        assert old.label == new.label
        kept = old.end - old.start - 30 * (old.start <= long.after + 5 < old.end)
        assert new.end - new.start == kept  # as long as before the samples were lost
        assert np.array_equal(mended.samples[new.start + 20], whole.samples[old.start + 20])
    assert not any(take.gaps for take in training_takes(load_streams(copy), 40, 8).recordings)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"label,start,end\nwave,2,3\r\n? , 3 , 9\n", b"label,start,end\nwave,2,3\r\n? , 6 , 12\n"),
        (b"wave,0,0\nchop,8,90\nthird,x,3\nlast,9,10", b"wave,0,0\nchop,11,93\nthird,x,3\nlast,12,13"),
        (b"\xef\xbb\xbflabel,start,end\n\n7,4,4", b"\xef\xbb\xbflabel,start,end\n\n7,7,7"),
    ],
)
def test_only_row_numbers_move(text: bytes, wanted: bytes) -> None:
    rows = np.array([0, 1, 2, 6, 7, 8, 9, 10, 11, 12])  # three rows were filled in behind row 2
    assert moved(text, rows) == wanted
    assert moved(text, np.arange(10)) is text


def test_nothing_of_a_forgotten_participant_remains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("matplotlib")
    data = tmp_path / "data"
    for who in ("quail", "p02"):
        put(data / "streams", *stream(who))
        put(data / "streams" / "redone", dataclasses.replace(stream(who, number=5)[0]))
    segment([data / "streams"], cut=data, background="idle", png=True)
    segments = data / "streams" / "segments"
    (segments / "stream.quail.s01.1.csv~").write_text("old")
    (segments / ".~lock.stream.quail.s01.1.csv#").write_text(",quail,")
    (data / "streams" / ".stream.quail.s02.1.csv.part").write_text("t_us\n")
    (data / ".wave.quail.s02.1.csv.part").write_text("t_us\n")
    (data / ".quail.s01.lock").write_text("")
    (data / "streams" / ".quail.s01.json.x7.tmp").write_text('{"participant": "quail"')
    before = {path for path in data.rglob("*") if path.is_file()}
    assert sum("quail" in path.name for path in before) > 20
    verb(["forget", "quail", str(data)], yes=True, as_json=True)
    gone = json.loads(capsys.readouterr().out.splitlines()[-1])
    left = {path for path in data.rglob("*") if path.is_file()}
    assert left == {path for path in before if "p02" in path.name} and len(left) > 10
    assert len(gone["files"]) == len(before) - len(left) and gone["still_mentioned_in"] == []
    for path in data.rglob("*"):
        assert "quail" not in path.name and (path.is_dir() or b"quail" not in path.read_bytes()), path
    assert survey(data).participants == ("p02",)


def test_what_people_wrote_is_named_and_not_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "streams", *stream("quail"))
    put(tmp_path / "streams", *stream("p02", session="quail"))
    (tmp_path / "plan.toml").write_text('participants = ["quail", "p02"]\n')
    (tmp_path / "quails.txt").write_text("quails and quail-like birds\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "stream.quail.s01.1.csv").write_text("")
    verb(["forget", "quail", str(tmp_path)], yes=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{tmp_path / 'plan.toml'} still mentions quail: take that out yourself" in shown
    assert (tmp_path / "plan.toml").exists() and (tmp_path / ".git" / "stream.quail.s01.1.csv").exists()
    assert "3 files of quail are gone" in shown  # stream, segments, session
    assert (tmp_path / "streams" / "stream.p02.quail.1.csv").exists()
