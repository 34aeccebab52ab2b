"""What a data set holds and what is wrong in it; mended copies; a participant who is forgotten."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from bitwave import cli
from bitwave.commands.dataset import dataset as verb
from bitwave.errors import RecordingError, UsageError, WriteError
from bitwave.recordings import dataset, forgetting
from bitwave.recordings.mending import mend
from bitwave.recordings.recording import Recording, even_times, write
from bitwave.recordings.session import Gap
from bitwave.recordings.survey import Survey, survey
from takes import facts, take

LEVEL = (0, 0, 8192, 0, 0, 0)


def level(label: str = "wave", at_rest: tuple[int, ...] = LEVEL, **other: object) -> Recording:
    """A take of a board that is nearly at rest."""
    made = take(label, **other)  # type: ignore[arg-type]
    rng = np.random.default_rng([*f"{label} {made.name}".encode()])
    noise = rng.integers(-200, 201, made.samples.shape)
    return dataclasses.replace(made, samples=(np.array(at_rest) + noise).astype(np.int16))


def put(folder: Path, *takes: Recording, **other: object) -> None:
    for made in takes:
        write(folder, facts(made.participant, made.session, **other), [made])


def kinds(found: Survey) -> list[tuple[str, str]]:
    return [(finding.where, finding.kind) for finding in found.findings]


def test_a_good_data_set_is_counted_and_nothing_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, level(), level(number=2), level("idle", samples=119), level(participant="p02", session="s02"))
    verb([str(tmp_path)], as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["recordings"] == 4 and told["seconds"] == pytest.approx(3 * 50 / 119 + 1, abs=0.01)
    assert told["labels"]["wave"] == {"recordings": 3, "seconds": 1.26, "participants": {"p01": 2, "p02": 1}}
    assert told["labels"]["idle"]["participants"] == {"p01": 1, "p02": 0}
    assert told["sessions"]["p01.s01"]["measured_rate_hz"] == [pytest.approx(119.0, abs=0.01)] * 2
    assert told["findings"] == []
    verb([str(tmp_path)])
    shown = capsys.readouterr().out
    assert "p02.s02" in shown and "4 takes, 2 s\n0 findings" in shown


def test_every_fault_is_found_and_named(tmp_path: Path) -> None:
    good = level()
    put(tmp_path, good, dataclasses.replace(good, number=2))
    gap = np.where(np.arange(50) > 20, 4 * 8403, 0)
    put(tmp_path, dataclasses.replace(level(number=3), time_us=good.time_us + gap, gaps=(Gap(after=20, lost=4),)))
    put(tmp_path, dataclasses.replace(level(number=4), complete=False))
    loud = level(number=5)
    loud.samples[7:10, 1] = -32768
    put(tmp_path, loud)
    put(tmp_path, dataclasses.replace(level(number=6), time_us=even_times(50, 115.0)))
    (tmp_path / "wave.p01.s01.7.csv").write_text("t_us,ax\n")
    (tmp_path / "notes.csv").write_text("hello\n")
    (tmp_path / "wave.p09.s01.1.csv").write_text("t_us,ax\n")
    (tmp_path / "p03.s01.json").write_text("{")
    found = survey(tmp_path)
    name = "wave.p01.s01."
    assert sorted(kinds(found)) == sorted(
        [
            ("p03.s01.json", "unreadable"),
            ("notes", "unreadable"),
            (name + "7", "unreadable"),
            ("wave.p09.s01.1", "unreadable"),
            (name + "2", "duplicate"),
            (name + "3", "gap"),
            (name + "4", "cut"),
            (name + "5", "clipped"),
            (name + "6", "rate"),
        ]
    )
    texts = {finding.where: finding.text for finding in found.findings}
    assert texts[name + "5"] == "3 of 50 samples are at the end of the range"
    assert texts[name + "6"] == "its clock runs at 115.00 Hz, its session says 119 Hz"
    assert all("\n" not in text for text in texts.values())


def test_the_sensors_own_range_clips_too(tmp_path: Path) -> None:
    loud = level()
    loud.samples[3, 4] = 8192  # 500 degree/s
    put(tmp_path, loud, gyro_range_dps=500.0)
    assert kinds(survey(tmp_path)) == [("wave.p01.s01.1", "clipped")]


@pytest.mark.parametrize(
    ("at_rest", "text"),
    [
        ((0, 8192, 0, 0, 0, 0), "gravity lies along +y, at rest and level it is along +z, 90 degrees away"),
        ((0, 0, -8192, 0, 0, 0), "gravity lies along -z, at rest and level it is along +z, 180 degrees away"),
        ((0, 0, 0, 0, 0, 0), "the acceleration at rest is 0.0"),
        ((0, 0, 32000, 0, 0, 0), "the acceleration at rest is 3.9"),
    ],
)
def test_gravity_in_an_odd_place(tmp_path: Path, at_rest: tuple[int, ...], text: str) -> None:
    put(tmp_path, level(at_rest=at_rest))
    (finding,) = survey(tmp_path).findings
    assert (finding.where, finding.kind) == ("p01.s01", "axes")
    assert finding.text.startswith(text)


def test_from_three_sessions_on_the_others_say_where_gravity_is(tmp_path: Path) -> None:
    put(tmp_path, *(level(at_rest=(8192, 0, 0, 0, 0, 0), session=f"s0{n}") for n in (1, 2, 3)))
    assert survey(tmp_path).findings == ()
    put(tmp_path, level(session="s04"))
    (finding,) = survey(tmp_path).findings
    assert finding.where == "p01.s04" and "in the other sessions along +x" in finding.text


def test_sessions_that_do_not_go_together(tmp_path: Path) -> None:
    put(tmp_path, level())
    other = facts("p02", rate_hz=99.84, counts={"accel_lsb_per_g": 8192.0, "gyro_lsb_per_dps": 32.0})
    slow = dataclasses.replace(level(participant="p02"), time_us=even_times(50, 99.84))
    write(tmp_path, other, [slow])
    assert kinds(survey(tmp_path)) == [("p02.s01", "scale"), ("p02.s01", "rate")]


def test_two_sessions_of_one_name_show(tmp_path: Path) -> None:
    put(tmp_path, level(), level(number=2))
    (tmp_path / "wave.p01.s01.2.csv").rename(tmp_path / "chop.p01.s01.1.csv")
    (finding,) = survey(tmp_path).findings
    assert (finding.where, finding.kind) == ("p01.s01", "missing")
    assert finding.text.startswith("1 take that its file lists is not here, like wave.p01.s01.2")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no recording"):
        survey(tmp_path)


def test_a_mended_copy_trains_and_the_original_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    good = level(samples=60)
    short, long = (np.delete(np.arange(60), slice(21, 21 + lost)) for lost in (3, 20))
    put(data, good, dataclasses.replace(good, number=2), dataclasses.replace(level(number=3), complete=False))
    for number, rows, gap in ((4, short, Gap(after=20, lost=3)), (5, long, Gap(after=20, lost=20))):
        made = level(number=number, samples=60)
        put(data, dataclasses.replace(made, samples=made.samples[rows], time_us=made.time_us[rows], gaps=(gap,)))
    (data / "bad.csv").write_text("")
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    verb([str(data)], fix=copy, as_json=True)
    told = json.loads(capsys.readouterr().out)["fixed"]
    assert (told["kept"], told["filled"]) == (2, ["wave.p01.s01.4"])
    assert set(told["left_out"]) == {"bad", "wave.p01.s01.2", "wave.p01.s01.3", "wave.p01.s01.5"}
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    first, mended = dataset.load(copy).recordings
    assert np.array_equal(first.samples, good.samples) and len(mended.samples) == 60
    whole = level(number=4, samples=60)
    assert np.abs(mended.time_us - whole.time_us).max() <= 1  # both rounded to the microsecond
    assert np.array_equal(mended.samples[short], whole.samples[short])
    middle = (whole.samples[20].astype(float) + whole.samples[24]) / 2
    assert np.array_equal(mended.samples[22], np.rint(middle))
    with pytest.raises(UsageError, match="nothing is overwritten"):
        mend(survey(data), copy)


def test_forget_removes_all_of_one_participant_and_nothing_else(tmp_path: Path) -> None:
    put(
        tmp_path,
        level(),
        level(number=2, session="p02"),
        level(participant="p02"),
        level(participant="p02", session="p01"),
    )
    notes = tmp_path / "segments"
    notes.mkdir()
    for name in ("wave.p01.s01.1.csv", "wave.p01.s01.1.png", "wave.p02.p01.1.csv"):
        (notes / name).write_text("")
    (tmp_path / ".wave.p01.s01.3.csv.abc.tmp").write_text("half")
    put(tmp_path / "streams", level("stream"))
    put(tmp_path / "redone", level(number=9))
    kept = {path for path in tmp_path.rglob("*p02*") if "p01.p02." not in path.name}
    assert len(kept) == 5
    with pytest.raises(UsageError, match=r"deletes 11 files of p01 for good: say so with --yes"):
        verb(["forget", "p01", str(tmp_path)])
    verb(["forget", "p01", str(tmp_path)], yes=True)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == kept
    with pytest.raises(RecordingError, match="holds nothing of p01: there are p02"):
        verb(["forget", "p01", str(tmp_path)], yes=True)
    with pytest.raises(RecordingError, match="is no pseudonym"):
        verb(["forget", "*", str(tmp_path)], yes=True)


def test_forget_can_go_on_after_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, level(), level(number=2))
    real = Path.unlink

    def fails(path: Path, missing_ok: bool = False) -> None:
        if path.name == "wave.p01.s01.2.csv":
            raise PermissionError(13, "Permission denied")
        real(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fails)
        with pytest.raises(WriteError, match="could not be deleted: Permission denied"):
            forgetting.forget(tmp_path, "p01")
    assert len(forgetting.forget(tmp_path, "p01")) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["forget"], ["forget", "p01", "a", "b"], ["a", "b"]])
def test_words_that_make_no_sense(words: list[str]) -> None:
    with pytest.raises(UsageError):
        verb(words)


def test_the_command_line_knows_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, level())
    app = cli.build_app([EntryPoint("dataset", "bitwave.commands.dataset:dataset", cli.GROUP)])
    assert cli.run(app, ["dataset", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recordings"] == 1
