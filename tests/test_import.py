"""The Arduino capture format: real recordings, stated rounding and clipping, faults that give one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bitwave.errors import RecordingError, WriteError
from bitwave.exchange.importer import HEADER, import_folder, read_capture, to_counts
from bitwave.files import write_whole
from bitwave.recordings import dataset, recording
from bitwave.recordings.session import DEFAULT_COUNTS
from support import need_data


def capture(*recordings: int, value: str = "0.1,-0.2,0.98,1.5,-2.5,30") -> str:
    """A file with recordings of these lengths."""
    return HEADER + "\n" + "\n".join((value + "\n") * rows for rows in recordings)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_five_moves(tmp_path: Path) -> None:
    folder = need_data("nano33ble-five-moves")
    report = import_folder(folder, tmp_path, rate_hz=119.0, participant="p01", session="s01")
    assert report.recordings == {"circ": 48, "flex": 26, "hori": 98, "punch": 16, "vert": 77}
    assert report.samples == 265 * 119
    data = dataset.load(tmp_path)
    assert len(data.recordings) == 265
    assert {len(take.samples) for take in data.recordings} == {119}
    assert sum(take.clipped for take in data.recordings) >= sum(report.clipped.values()) > 0
    assert [len(fold.test) for fold in dataset.folds(data, k=5)] == [53] * 5
    # The first row of hori.csv, by hand: -0.303 g * 8192 = -2482.2, 249.39 degree/s * 16.384 = 4086.0
    first = next(take for take in data.recordings if take.name == "hori.p01.s01.1")
    assert first.samples[0].tolist() == [-2482, -9322, 8249, 661, -115, 4086]


def test_two_punches_of_a_rev2_board(tmp_path: Path) -> None:
    folder = need_data("nano33ble-rev2-two-punches")
    report = import_folder(folder, tmp_path, rate_hz=99.84, participant="p02", session="s01", board="nano33ble-rev2")
    assert report.recordings == {"punch": 17, "upper-cut": 18}
    assert dataset.load(tmp_path).labels == ("punch", "upper-cut")


def test_rounding_and_clipping() -> None:
    half = 0.5 / 8192
    values = np.array(
        [
            [half, 3 * half, -half, 1 / 16.384, 0.0, 0.0],
            [4.0, -4.0, -4.001, 2000.0, -2000.0, 0.0],
            [3.9999, 0.0, 0.0, 1999.9, 0.0, 0.0],
        ]
    )
    counts, clipped = to_counts(values, DEFAULT_COUNTS)
    assert counts.tolist() == [
        [0, 2, 0, 1, 0, 0],  # ties to even
        [32767, -32768, -32768, 32767, -32768, 0],
        [32767, 0, 0, 32766, 0, 0],
    ]
    assert clipped == 1  # -4 g is -32768, which fits; 3.9999 g rounds to 32767


def test_a_second_import_goes_on_counting(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for text in (capture(5, 5), capture(5, 5, value="0.2,-0.2,0.98,1.5,-2.5,30")):
        write(source, "Upper_Cut.csv", text)
        import_folder(source, tmp_path / "out", rate_hz=119.0, participant="p01", session="s01")
    names = [take.name for take in dataset.load(tmp_path / "out").recordings]
    assert names == [f"upper-cut.p01.s01.{n}" for n in (1, 2, 3, 4)]


def test_the_same_take_is_not_imported_twice(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    write(source, "wave.csv", capture(5))
    import_folder(source, tmp_path / "out", rate_hz=119.0, participant="p01", session="s01")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    write(source, "wave.csv", capture(5, value="0.2,-0.2,0.98,1.5,-2.5,30") + "\n" + capture(5).partition("\n")[2])
    with pytest.raises(RecordingError, match="recording 2: .* holds it already as a take of wave"):
        import_folder(source, tmp_path / "out", rate_hz=119.0, participant="p01", session="s01")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("error", [WriteError("the disk is full"), KeyboardInterrupt()])
def test_an_import_that_cannot_finish_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write(source, "wave.csv", capture(5, 5, 5))

    def full(path: Path, content: bytes) -> None:
        if path.name == "wave.p01.s01.3.csv":
            raise error
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(recording, "write_whole", full)
        with pytest.raises(type(error)):
            import_folder(source, out, rate_hz=119.0, participant="p01", session="s01")
    assert list(out.iterdir()) == []
    assert import_folder(source, out, rate_hz=119.0, participant="p01", session="s01").recordings == {"wave": 3}


def test_blank_lines_may_repeat_and_line_ends_differ(tmp_path: Path) -> None:
    text = capture(3, 3).replace("\n", "\r\n") + "\r\n \r\n\r\n"
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [r.shape for r in read_capture(path)] == [(3, 6), (3, 6)]


@pytest.mark.parametrize(
    "text, line",
    [
        ("", "line 1: the header must be aX,aY,aZ,gX,gY,gZ, found nothing"),
        (capture(3).replace("gZ", "mZ"), "line 1: the header"),
        (HEADER + "\n\n", "holds no recording"),
        (capture(3) + "0.1,nan,1,0,0,0\n", "line 5, aY: nan is not a finite number"),
        (capture(3) + "0.1,0,1,0,0,inf\n", "line 5, gZ: inf is not"),
        (capture(3) + "0.1,0,1,x,0,0\n", "line 5, gX: 'x' is not a number"),
        (capture(3) + "0.1,0,1\n", "line 5: 3 values under 6 columns"),
        (capture(5, 5, 4), "line 14: this recording has 4 rows, the others 5"),
        (capture(5, 5, 10), "line 14: this recording has 10 rows, the others 5"),
        (capture(9, value="0.3,0.1,9.81,0,0,0"), "9.8 in the median where gravity gives about 1 g"),
        (capture(9, value="0.01,0.02,0.0,0,0,0"), "where gravity gives"),
    ],
)
def test_faults_give_one_clear_line_and_write_nothing(tmp_path: Path, text: str, line: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    write(source, "good.csv", capture(5))
    write(source, "wave.csv", text)
    with pytest.raises(RecordingError, match=line) as caught:
        import_folder(source, tmp_path / "out", rate_hz=119.0, participant="p01", session="s01")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rate", [0.0, -119.0, float("nan"), float("inf"), 119_000.0])
def test_an_odd_rate_is_refused(tmp_path: Path, rate: float) -> None:
    write(tmp_path, "wave.csv", capture(5))
    with pytest.raises(RecordingError, match="is odd"):
        import_folder(tmp_path, tmp_path / "out", rate_hz=rate, participant="p01", session="s01")


def test_names_and_folders_are_checked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RecordingError, match=r"holds no \.csv file"):
        import_folder(tmp_path, out, rate_hz=119.0, participant="p01", session="s01")
    write(tmp_path, "wave.csv", capture(5))
    with pytest.raises(RecordingError, match="participant 'Ann B' is not usable"):
        import_folder(tmp_path, out, rate_hz=119.0, participant="Ann B", session="s01")
    write(tmp_path, "WAVE_.csv", capture(5))
    with pytest.raises(RecordingError, match="label 'wave-' is not usable"):
        import_folder(tmp_path, out, rate_hz=119.0, participant="p01", session="s01")
    (tmp_path / "WAVE_.csv").rename(tmp_path / "Wave.csv")
    with pytest.raises(RecordingError, match="another file gives the label wave too"):
        import_folder(tmp_path, out, rate_hz=119.0, participant="p01", session="s01")
