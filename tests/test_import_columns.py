"""Any CSV by its columns and units, lists of segments, and the watch data of seglearn without running its pickle."""

from __future__ import annotations

import pickle
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from bitwave import cli
from bitwave.errors import RecordingError, UsageError
from bitwave.exchange.columns import Units, cut, read_columns
from bitwave.exchange.physical import STANDARD_GRAVITY
from bitwave.exchange.seglearn import MEMBER, read_watch
from bitwave.recordings import dataset
from bitwave.recordings.streams import load_streams
from bitwave.synth.wrist import Interval
from support import need_data

SIX = "--columns aX,aY,aZ,gX,gY,gZ --accel-unit m/s2 --gyro-unit rad/s".split()


def command(*arguments: object) -> int:
    points = [EntryPoint("import", "bitwave.commands.import_:import_", cli.GROUP)]
    return cli.run(cli.build_app(points), list(map(str, ("import", *arguments))))


def write_stream(folder: Path, name: str = "wave_1.csv", rows: int = 30) -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["t,aX,aY,aZ,gX,gY,gZ,marker"]
    lines += [f"{n},{0.1 * n},0,{STANDARD_GRAVITY},{n / 100},0,0,x" for n in range(rows)]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def test_uhh_by_its_segments(tmp_path: Path) -> None:
    folder = need_data("uhh-imu-gestures")
    options = [*SIX, "--rate", 33, "--accel-lsb", 4096, "--segments", folder / "segments.csv", "--window", 60]
    assert command(folder, "--out", tmp_path, *options) == 0
    data = dataset.load(tmp_path)
    assert len(data.recordings) == 501
    assert data.participants == ("j", "l", "na", "ni", "s")
    assert len(data.labels) == 10 and "bounce-up" in data.labels
    assert (data.counts.accel_lsb_per_g, data.rate_hz) == (4096.0, 33.0)
    assert {len(take.samples) for take in data.recordings} == {60}
    # The first segment of j_0_left.csv has rows 5 to 26: its window begins 15 rows before the file does.
    first = next(take for take in data.recordings if take.name == "left.j.s01.1")
    row = np.array([0.24256, 0.21668, 0.53765]) / 9.80665 * 4096
    assert (first.samples[:16, :3] == np.rint(row).astype(int)).all()
    assert (first.samples[16, :3] != first.samples[15, :3]).any()
    assert sum(take.clipped for take in data.recordings) == 0


def test_units_by_hand(tmp_path: Path) -> None:
    folder = write_stream(tmp_path / "in")
    assert command(folder, "--out", tmp_path / "out", *SIX, "--rate", 50) == 0
    (take,) = dataset.load(tmp_path / "out").recordings
    assert take.name == "wave-1.p01.s01.1"
    assert take.samples[10].tolist() == [835, 0, 8192, 94, 0, 0]  # 1 m/s^2 = 0.10197 g, 0.1 rad/s = 5.7296 degree/s
    assert read_columns(folder / "wave_1.csv", ["t"]).ravel().tolist() == list(range(30))


def test_slices_and_averages(tmp_path: Path) -> None:
    folder = write_stream(tmp_path / "in", rows=31)
    options = [*SIX, "--rate", 50, "--average", 2, "--slice", 5, "--slice-hop", 4]
    assert command(folder, "--out", tmp_path / "out", *options) == 0
    data = dataset.load(tmp_path / "out")
    assert data.rate_hz == 25.0
    assert [take.number for take in data.recordings] == [1, 2, 3]
    assert data.recordings[1].samples[0, 0] == round((0.8 + 0.9) / 2 / 9.80665 * 8192)


def test_a_window_about_a_segment() -> None:
    values = np.arange(10.0)[:, None]
    assert cut(values, 2, 5, None).ravel().tolist() == [2, 3, 4]
    assert cut(values, 0, 2, 6).ravel().tolist() == [0, 0, 0, 1, 2, 3]
    assert cut(values, 9, 10, 4).ravel().tolist() == [7, 8, 9, 9]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*SIX], "--rate is missing"),
        (["--columns", "aX,aY", "--rate", 50], "--columns names 2"),
        (["--columns", "aX,aY,aW", "--accel-unit", "g", "--rate", 50], "column aW is missing in the header"),
        (["--columns", "aX,aY,marker", "--accel-unit", "g", "--rate", 50], "line 2, marker: 'x' is not a number"),
        ([*SIX, "--accel-unit", "ft", "--rate", 50], "--accel-unit ft: choose g or mg or m/s2"),
        ([*SIX, "--rate", 50, "--accel-lsb", 0], "--accel-lsb is above 0"),
        (["--columns", "t,aY,aZ", "--accel-unit", "g", "--rate", 50], "of the samples are beyond"),
        ([*SIX, "--rate", 50, "--slice", 99], "there is no take to import"),
        (["--rate", 50, "--average", 2], "go with --columns"),
    ],
)
def test_words_that_make_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[object], message: str
) -> None:
    folder = write_stream(tmp_path / "in")
    code = command(folder, "--out", tmp_path / "out", *options)
    assert code in (UsageError.exit_code, RecordingError.exit_code)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,label,start\nwave_1.csv,wave,1", "column end is missing"),
        ("file,label,start,end\nwave_1.csv,wave,1,99", "rows 1 to 99 are not within the 30 rows"),
        ("file,label,start,end\nwave_1.csv,wave,one,9", "start and end must be whole numbers"),
        ("file,label,start,end\nnone.csv,wave,1,9", "there is no file none.csv"),
        ("file,label,start,end\nwave_1.csv,wave,1", "3 values under 4 columns"),
        ("file,label,start,end,person\nwave_1.csv,wave,1,9,Jane Doe", "participant 'jane doe' is not usable"),
    ],
)
def test_bad_lists_of_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, message: str) -> None:
    folder = write_stream(tmp_path / "in")
    (tmp_path / "segments.csv").write_text(table + "\n")
    options = [*SIX, "--rate", 50, "--segments", tmp_path / "segments.csv"]
    assert command(folder, "--out", tmp_path / "out", *options) == RecordingError.exit_code
    assert message in capsys.readouterr().err


def test_nan_and_a_second_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_stream(tmp_path / "in")
    options = (folder, "--out", tmp_path / "out", *SIX, "--rate", 50)
    assert command(*options) == 0
    assert command(*options) == RecordingError.exit_code
    assert "holds it already as a take of wave" in capsys.readouterr().err
    assert len(dataset.load(tmp_path / "out").recordings) == 1
    path = folder / "wave_1.csv"
    path.write_text(path.read_text().replace("\n3,", "\nnan,"))
    with pytest.raises(RecordingError, match="line 5, t: nan is not a finite number"):
        read_columns(path, ["t"])
    assert Units("mg").convert(np.array([[1000.0, 0, 0]]))[0, 0] == 1.0


def watch(path: Path, content: object) -> Path:
    """A wheel as small as can be, with a .npy file of one object, as an old NumPy wrote them."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    with zipfile.ZipFile(path, "w") as wheel:
        data = pickle.dumps(content, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        wheel.writestr(MEMBER, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data)
    return path


def test_the_watch_data(tmp_path: Path) -> None:
    content = {
        "X": [np.full((101, 6), 0.5), np.full((60, 6), 1.0)],
        "y": np.array([1, 0]),
        "subject": np.array([3, 10]),
        "y_labels": ["PEN", "ABD"],
    }
    path = watch(tmp_path / "seglearn.whl", content)
    assert command(path, "--out", tmp_path / "out", "--average", 2, "--slice", 25) == 0
    data = dataset.load(tmp_path / "out")
    assert [take.name for take in data.recordings] == ["abd.s03.s01.1", "abd.s03.s01.2", "pen.s10.s01.1"]
    assert data.rate_hz == 25.0
    assert data.recordings[0].samples[0].tolist() == [4096] * 3 + [round(np.rad2deg(0.5) * 16.384)] * 3


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("owned"),)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordingError, match="which no array needs: it was not loaded"):
        read_watch(watch(tmp_path / "evil.whl", Evil()))
    assert not Path("owned").exists()
    (tmp_path / "other.whl").write_bytes(b"PK no zip")
    with pytest.raises(RecordingError, match="cannot be read"):
        read_watch(tmp_path / "other.whl")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w"):
        pass
    with pytest.raises(RecordingError, match="does not hold"):
        read_watch(tmp_path / "empty.whl")
    with pytest.raises(RecordingError, match="does not hold"):
        read_watch(watch(tmp_path / "part.whl", {"X": []}))


def test_whole_files_become_continuous_recordings_with_their_segments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.random.default_rng(1).normal(0, 0.1, (50, 3)) + [0, 0, 1]
    for name in ("one", "two"):
        rows = [",".join(f"{value:.4f}" for value in row) for row in values]
        (tmp_path / f"{name}.csv").write_text("\n".join(("x,y,z", *rows)) + "\n")
        values = values[::-1]
    table = tmp_path / "segments.txt"
    table.write_text("file,person,label,start,end\none.csv,A,Go_Up,30,40\none.csv,A,down,5,12\ntwo.csv,A,down,1,50\n")
    out = tmp_path / "out"

    def bring(*words: str) -> int:
        options = (
            "--out",
            out,
            "--rate",
            50,
            "--columns",
            "x,y,z",
            "--accel-unit",
            "g",
            "--segments",
            table,
            "--streams",
        )
        return command(tmp_path, *options, *words)

    assert bring() == 0
    first, second = load_streams(out)
    assert (first.recording.participant, len(first.recording.samples)) == ("a", 50)
    assert first.segments == (Interval("down", 5, 12), Interval("go-up", 30, 40))
    assert second.segments == (Interval("down", 1, 50),)
    assert not list(out.glob("*.csv"))  # no takes
    assert bring() == RecordingError.exit_code
    assert "choose another --session" in capsys.readouterr().err
    assert bring("--session", "s02", "--window", "9") == UsageError.exit_code
    table.write_text("file,person,label,start,end\none.csv,a,down,5,12\none.csv,b,down,15,22\n")
    assert bring("--session", "s03") == RecordingError.exit_code
    assert "one.csv is of a and of b" in capsys.readouterr().err


def test_units_are_told_and_axes_turned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_stream(tmp_path / "in")
    words = (tmp_path / "in", "--out", tmp_path / "out", "--rate", 50)
    assert command(*words, "--columns", "aX,aY,aZ,gX,gY,gZ") == UsageError.exit_code
    assert "the files do not say the unit: --accel-unit g or mg or m/s2" in capsys.readouterr().err
    assert command(*words, "--columns", "aX,aY,aZ,gX,gY,gZ", "--accel-unit", "m/s2") == UsageError.exit_code
    assert "--gyro-unit dps or mdps or rad/s" in capsys.readouterr().err
    assert command(*words, *SIX, "--axes", "x,y,-z") == UsageError.exit_code
    assert "mirrors the frame" in capsys.readouterr().err
    assert command(*words, *SIX) == 0 and command(*words, *SIX, "--axes", "z,x,y", "--session", "s02") == 0
    plain, turned = sorted(dataset.load(tmp_path / "out").recordings, key=lambda take: take.session)
    assert np.array_equal(turned.samples, plain.samples[:, [2, 0, 1, 5, 3, 4]])
    assert plain.samples[1, 2] == 8192 and turned.samples[1, 0] == 8192


def test_a_source_that_is_not_there_is_said_before_what_else_is_missing(tmp_path: Path) -> None:
    from bitwave.commands.import_ import import_

    with pytest.raises(RecordingError, match="is not there"):
        import_(tmp_path / "nothing", tmp_path / "out")
