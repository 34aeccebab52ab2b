"""The recording format: round trips, faults that give one clear line, files that are whole or absent."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitwave.commands.record import off_rate
from bitwave.errors import RecordingError, WriteError
from bitwave.files import write_whole
from bitwave.recordings import recording
from bitwave.recordings.recording import Recording, read
from bitwave.recordings.session import Gap, read_session
from takes import facts, store, take


def same(a: Recording, b: Recording) -> bool:
    """Whether two takes are equal in every field."""
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name))
        if isinstance(getattr(a, f.name), np.ndarray)
        else getattr(a, f.name) == getattr(b, f.name)
        for f in dataclasses.fields(Recording)
    )


@given(
    counts=st.lists(st.lists(st.integers(-32768, 32767), min_size=6, max_size=6), max_size=20),
    start=st.integers(0, 2**40),
    jitter=st.integers(-400, 400),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, counts: list[list[int]], start: int, jitter: int) -> None:
    folder = tmp_path_factory.mktemp("set")
    times = start + np.arange(len(counts), dtype=np.int64) * (8403 + jitter)
    samples = np.array(counts, np.int16).reshape(-1, 6)
    made = dataclasses.replace(take(), time_us=times, samples=samples, crc_errors=3)
    recording.write(folder, facts(), [made])
    assert same(read(folder / "wave.p01.s01.1.csv"), made)


def test_gaps_and_cut_takes_are_remembered(tmp_path: Path) -> None:
    made = take()
    times = made.time_us + np.where(np.arange(50) > 20, 4 * 8403, 0)
    made = dataclasses.replace(made, time_us=times, gaps=(Gap(after=20, lost=4),), complete=False)
    store(tmp_path, made)
    found = read(tmp_path / f"{made.name}.csv")
    assert (found.gaps, found.complete, found.lost) == ((Gap(after=20, lost=4),), False, 4)


def test_a_gap_that_nobody_declared_shows_in_the_times(tmp_path: Path) -> None:
    made = take()
    store(tmp_path, dataclasses.replace(made, time_us=made.time_us + np.where(np.arange(50) > 9, 2 * 8403, 0)))
    assert read(tmp_path / f"{made.name}.csv").gaps == (Gap(after=9, lost=2),)


def test_a_take_that_the_session_does_not_list_is_good(tmp_path: Path) -> None:
    store(tmp_path, take())
    extra = take(number=2)
    write_whole(tmp_path / f"{extra.name}.csv", recording.csv_text(extra).encode())
    assert same(read(tmp_path / f"{extra.name}.csv"), extra)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    store(tmp_path, take())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RecordingError, match=r"wave\.p01\.s01\.1\.csv exists"):
        store(tmp_path, take(number=2), take(number=1, seed=9))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert recording.next_number(tmp_path, "wave", "p01", "s01") == 2


@pytest.mark.parametrize("fact, value", [("rate_hz", 99.84), ("counts", {"accel_lsb_per_g": 4096.0})])
def test_a_session_has_one_scale_and_rate(tmp_path: Path, fact: str, value: object) -> None:
    store(tmp_path, take())
    with pytest.raises(RecordingError, match=f"has {fact}"):
        recording.write(tmp_path, facts(**{fact: value}), [take(number=2)])


FAULTS = {
    "wrong column": (lambda t: t.replace("gz", "mz", 1), r"line 1: the header must be t_us,ax,ay,az,gx,gy,gz, found"),
    "a column too few": (lambda t: t.replace(",gz", "", 1), "line 1: the header"),
    "empty": (lambda t: "", "found nothing"),
    "nan": (lambda t: t.replace(t.split("\n")[3].split(",")[2], "nan", 1), r"line 4, ay: 'nan' is not a whole number"),
    "fraction": (lambda t: t[: t.rindex(",")] + ",1.5\n", r"line 51, gz: '1\.5' is not a whole number"),
    "ragged": (lambda t: t[: t.rindex(",")] + "\n", "line 51: 6 values under 7 columns"),
    "cut": (lambda t: t[:-3], "line 51: the file ends in the middle of a line"),
    "beyond int16": (lambda t: t[: t.rindex(",")] + ",32768\n", "line 51, gz: 32768 is outside int16"),
    "beyond int64": (lambda t: t[: t.rindex(",")] + f",{2**70}\n", "beyond 64 bits"),
    "time stands": (lambda t: t + t.splitlines()[-1] + "\n", "line 52, t_us: time does not run forward"),
    "blank line": (lambda t: t + "\n", "line 52: 1 value under 7"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_give_one_clear_line(tmp_path: Path, name: str) -> None:
    hurt, line = FAULTS[name]
    # Distinct small counts, so that each replacement above hits what it names.
    samples = (np.arange(300).reshape(50, 6) + 11).astype(np.int16)
    store(tmp_path, dataclasses.replace(take(), samples=samples))
    path = tmp_path / "wave.p01.s01.1.csv"
    path.write_text(hurt(path.read_text()))
    with pytest.raises(RecordingError, match=line) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_every_cut_is_refused_or_shorter(tmp_path: Path) -> None:
    store(tmp_path, take(samples=3))
    path = tmp_path / "wave.p01.s01.1.csv"
    whole = path.read_text()
    for cut in range(len(whole)):
        path.write_text(whole[:cut])
        try:
            found = read(path)
        except RecordingError:
            continue
        assert whole[:cut].endswith("\n") and len(found.samples) < 3, cut


def test_an_odd_clock_is_refused(tmp_path: Path) -> None:
    store(tmp_path, dataclasses.replace(take(), time_us=np.arange(50, dtype=np.int64) * 4200))
    with pytest.raises(RecordingError, match=r"t_us runs at 238\.10 Hz, its session says 119 Hz"):
        read(tmp_path / "wave.p01.s01.1.csv")


@pytest.mark.parametrize("name", ["Wave.p01.s01.1.csv", "wave.p01.1.csv", "wave.p01.s01.x.csv", "a_b.p01.s01.1.csv"])
def test_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordingError, match="a take is named"):
        read(tmp_path / name)


@pytest.mark.parametrize("label", ["Wave", "two_punches", "a.b", "", "x" * 25, "-a", "../x"])
def test_names_that_are_not_usable(tmp_path: Path, label: str) -> None:
    with pytest.raises(RecordingError, match="not usable"):
        recording.write(tmp_path, facts(), [dataclasses.replace(take(), label=label)])
    assert list(tmp_path.iterdir()) == []


# A session file as format 1 wrote it, kept for ever.
FORMAT_1 = """{
 "format": 1, "tool": "bitwave 0.1.0", "source": "record", "participant": "p01", "session": "s01",
 "board": "nano33ble-rev1", "firmware": "0.1.0", "channels": ["ax", "ay", "az", "gx", "gy", "gz"],
 "counts": {"accel_lsb_per_g": 8192.0, "gyro_lsb_per_dps": 16.384}, "accel_range_g": 4.0, "gyro_range_dps": 2000.0,
 "rate_hz": 119.0, "note": "",
 "takes": [{"label": "wave", "number": 1, "samples": 2, "measured_rate_hz": 119.0,
            "gaps": [{"after": 0, "lost": 2}], "crc_errors": 1, "clipped": 0, "complete": false}]
}"""


def test_format_1_is_read(tmp_path: Path) -> None:
    (tmp_path / "p01.s01.json").write_text(FORMAT_1)
    (tmp_path / "wave.p01.s01.1.csv").write_text("t_us,ax,ay,az,gx,gy,gz\n0,1,2,3,4,5,6\n25210,7,8,9,-1,-2,-3\n")
    found = read(tmp_path / "wave.p01.s01.1.csv")
    assert found.samples.tolist() == [[1, 2, 3, 4, 5, 6], [7, 8, 9, -1, -2, -3]]
    assert (found.gaps, found.crc_errors, found.complete) == ((Gap(after=0, lost=2),), 1, False)


@pytest.mark.parametrize(
    "change, line",
    [
        ({"format": 2}, "format 2, this bitwave reads up to 1: update bitwave"),
        ({"rate_hz": 0}, "rate_hz: Input should be greater than 0"),
        ({"wings": 2}, "wings: Extra inputs"),
        ({"participant": "p02"}, "says it is p02.s01.json"),
        ({"participant": "Ann Other"}, "participant: String should match"),
    ],
)
def test_session_faults(tmp_path: Path, change: dict[str, object], line: str) -> None:
    path = tmp_path / "p01.s01.json"
    path.write_text(json.dumps(json.loads(FORMAT_1) | change))
    with pytest.raises(RecordingError, match=line):
        read_session(path)


def test_every_cut_of_a_session_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p01.s01.json"
    for cut in range(len(FORMAT_1)):
        path.write_text(FORMAT_1[:cut])
        with pytest.raises(RecordingError, match="is not JSON"):
            read_session(path)


def test_a_take_without_its_session_says_so(tmp_path: Path) -> None:
    store(tmp_path, take())
    (tmp_path / "p01.s01.json").unlink()
    with pytest.raises(RecordingError, match="it says what the counts mean"):
        read(tmp_path / "wave.p01.s01.1.csv")


def test_write_whole_replaces_and_keeps_permissions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"one")
    path.chmod(0o640)
    write_whole(path, b"two")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o640)
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no named pipes in folders")
def test_write_whole_writes_to_a_pipe_and_leaves_it_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(path, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_write_whole_refuses_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="could not be written"):
        write_whole(tmp_path / "folder", b"content")


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_write_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, broken, fail)
    wanted = WriteError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(wanted):
        write_whole(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


FULL_DISK = """
import resource, sys
from pathlib import Path
from takes import facts, take
from bitwave.errors import WriteError
from bitwave.recordings.recording import write
folder = Path(sys.argv[1])
write(folder, facts(), [take()])
resource.setrlimit(resource.RLIMIT_FSIZE, (1200, 1200))
try:
    write(folder, facts(), [take(number=2, samples=500)])
except WriteError as error:
    print(error)
"""


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no RLIMIT_FSIZE")
    paths = os.pathsep.join(path for path in sys.path if path)
    told = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], env=os.environ | {"PYTHONPATH": paths},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "wave.p01.s01.2.csv could not be written: File too large; make room" in told.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p01.s01.json", "wave.p01.s01.1.csv"]
    assert same(read(tmp_path / "wave.p01.s01.1.csv"), take())


def test_record_says_where_a_clock_ran_otherwise() -> None:
    def at(rate_hz: float) -> Recording:
        return dataclasses.replace(take(), time_us=recording.even_times(50, rate_hz))

    assert list(off_rate([take(), at(120.0)])) == []
    slow, wild = off_rate([at(110.0), at(300.0)])
    assert slow.startswith("wave.p01.s01.1: came at 110.0 Hz, the board says 119 Hz: what is replayed is resampled")
    assert "too far off to be used" in wild
