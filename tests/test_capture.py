"""Recording off a link: what comes is written, what is lost is counted and located, what breaks loses nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bitwave import links, wire
from bitwave.capture import journal
from bitwave.capture.takes import CapturePlan, Progress, record
from bitwave.errors import LinkError, RecordingError, UsageError, WriteError
from bitwave.links.virtual import VirtualLink
from bitwave.recordings import dataset
from bitwave.recordings.recording import Recording, read
from bitwave.recordings.session import Gap, read_session
from boards import faulty_link, only_samples, pty_board
from support import need
from takes import take


def plan(out: Path, count: int = 1, seconds: float = 1.0, count_in_s: float = 0.0, **other: str) -> CapturePlan:
    return CapturePlan(out, "wave", "p01", count=count, seconds=seconds, count_in_s=count_in_s, **other)


def only_take(folder: Path) -> Recording:
    (path,) = folder.glob("*.csv")
    return read(path)


def test_takes_are_the_samples_behind_each_count_in(tmp_path: Path) -> None:
    made = take(samples=1000)
    moments: list[Progress] = []
    with faulty_link(made) as link:
        report = record(link, plan(tmp_path, count=3, count_in_s=1.0), moments.append)
    assert report.lost == report.crc_errors == 0
    found = dataset.load(tmp_path).recordings
    assert [r.name for r in found] == [f"wave.p01.s01.{n}" for n in (1, 2, 3)]
    for n, r in enumerate(found):
        start = 240 * n + 120  # both phases end with the frame of 8 samples in which they are over
        assert np.array_equal(r.samples, made.samples[start : start + 119])
        assert np.array_equal(r.time_us, made.time_us[start : start + 119])
    assert {m.phase for m in moments} == {"count-in", "take", "saved"}
    assert [m.take for m in moments if m.phase == "saved"] == [1, 2, 3]
    assert moments[-1].rate_hz == pytest.approx(119.0, abs=0.1)
    session = read_session(tmp_path / "p01.s01.json")
    assert (session.source, session.board, session.rate_hz, len(session.takes)) == ("record", "unknown", 119.0, 3)


def test_the_virtual_wrist_records_a_data_set(tmp_path: Path) -> None:
    need("unicorn", "ziglang")
    with links.open("emu:?participant=p04") as link:
        for label in ("wave", "idle"):
            record(link, CapturePlan(tmp_path, label, "p04", count=3, count_in_s=1.0))
    found = dataset.load(tmp_path)
    assert [r.label for r in found.recordings] == ["idle"] * 3 + ["wave"] * 3
    moved = [r.samples.astype(float).std(axis=0).sum() for r in found.recordings]
    assert max(moved[:3]) * 5 < min(moved[3:])  # each gesture lies inside its take
    assert read_session(tmp_path / "p04.s01.json").board == "emulated"


@pytest.mark.parametrize("fault", ["lost", "corrupt", "cut"])
def test_faults_are_counted_and_located(tmp_path: Path, fault: str) -> None:
    def hurt(index: int, frame: bytes) -> bytes:
        if index not in (2, 3, 9):
            return frame
        if fault == "lost":
            return b""
        return (
            frame[: len(frame) // 2] + b"\0" if fault == "cut" else frame[:9] + bytes([frame[9] ^ 1 or 2]) + frame[10:]
        )

    made = take(samples=300)
    with faulty_link(made, only_samples(hurt)) as link:
        report = record(link, plan(tmp_path))
    found = only_take(tmp_path)
    assert found.gaps == (Gap(after=15, lost=16), Gap(after=55, lost=8))
    assert np.array_equal(found.samples, np.delete(made.samples[:119], [*range(16, 32), *range(72, 80)], axis=0))
    assert (report.lost, report.crc_errors) == (24, 0 if fault == "lost" else 3)
    assert found.crc_errors == report.crc_errors
    with pytest.raises(RecordingError, match="24 samples were lost, the first after row 15"):
        dataset.load(tmp_path)


def test_a_gap_at_the_end_of_a_take_is_a_gap(tmp_path: Path) -> None:
    with faulty_link(take(samples=300), only_samples(lambda i, frame: b"" if i in (13, 14, 15) else frame)) as link:
        record(link, plan(tmp_path))
    found = only_take(tmp_path)
    assert (len(found.samples), found.gaps, found.complete) == (104, (Gap(after=103, lost=15),), True)


def test_repeated_frames_count_once(tmp_path: Path) -> None:
    made = take(samples=300)
    with faulty_link(made, only_samples(lambda i, frame: frame * (1 + i % 3))) as link:
        report = record(link, plan(tmp_path))
    assert np.array_equal(only_take(tmp_path).samples, made.samples[:119])
    assert report.lost == 0


def test_the_clock_may_wrap(tmp_path: Path) -> None:
    made = take(samples=300)
    made = dataclasses.replace(made, time_us=made.time_us + 2**32 - 400_000)
    with faulty_link(made) as link:
        record(link, plan(tmp_path))
    found = only_take(tmp_path)
    assert np.array_equal(np.diff(found.time_us), np.diff(made.time_us[:119]))


def test_the_index_may_wrap(tmp_path: Path) -> None:
    def late(index: int, frame: bytes) -> bytes:
        found = wire.decode(frame).frames[0]
        body = dataclasses.replace(found.body, first=(found.body.first + 2**32 - 40) % 2**32)
        return wire.encode(dataclasses.replace(found, body=body))

    with faulty_link(take(samples=300), only_samples(late)) as link:
        report = record(link, plan(tmp_path))
    assert (len(only_take(tmp_path).samples), report.lost) == (119, 0)


def test_a_board_that_restarts_ends_the_take(tmp_path: Path) -> None:
    def restart(index: int, frame: bytes) -> bytes:
        found = wire.decode(frame).frames[0]
        first = found.body.first + 5000 if index < 9 else found.body.first
        return wire.encode(dataclasses.replace(found, body=dataclasses.replace(found.body, first=first)))

    with faulty_link(take(samples=300), only_samples(restart)) as link:
        with pytest.raises(LinkError, match="the board has restarted.*72 of 119 samples are kept"):
            record(link, plan(tmp_path))
    assert not only_take(tmp_path).complete


def test_a_link_that_ends_keeps_what_came(tmp_path: Path) -> None:
    made = take(samples=300)
    with faulty_link(made) as link:
        with pytest.raises(
            LinkError, match=r"60 of 119 samples are kept in wave\.p01\.s01\.3\.csv, marked as incomplete"
        ):
            record(link, plan(tmp_path, count=5))
    found = [read(path) for path in sorted(tmp_path.glob("*.csv"))]
    assert [(len(r.samples), r.complete) for r in found] == [(119, True), (119, True), (60, False)]
    with pytest.raises(RecordingError, match="recording stopped early"):
        dataset.load(tmp_path)
    assert len(dataset.load(tmp_path, damaged="drop").recordings) == 2


def test_a_link_that_ends_in_the_count_in_writes_nothing(tmp_path: Path) -> None:
    with faulty_link(take(samples=100)) as link, pytest.raises(LinkError, match="is over"):
        record(link, plan(tmp_path, count_in_s=3.0))
    assert list(tmp_path.iterdir()) == []


def test_a_quiet_board_is_said(tmp_path: Path) -> None:
    with faulty_link(take(samples=900), only_samples(lambda i, frame: b"" if i > 5 else frame)) as link:
        with pytest.raises(LinkError, match="has sent no samples for 2 s.*48 of 119 samples are kept"):
            record(link, plan(tmp_path))


def test_ctrl_c_keeps_what_came(tmp_path: Path) -> None:
    def stop(moment: Progress) -> None:
        if moment.take == 2 and moment.elapsed_s > 0.5:
            raise KeyboardInterrupt

    with faulty_link(take(samples=900)) as link, pytest.raises(KeyboardInterrupt):
        record(link, plan(tmp_path, count=5), stop)
    found = [read(path) for path in sorted(tmp_path.glob("*.csv"))]
    assert [(len(r.samples), r.complete) for r in found] == [(119, True), (64, False)]
    assert not list(tmp_path.glob(".*"))


def test_unplugged_while_recording(tmp_path: Path) -> None:
    # Takes are long against what the terminal buffers (4 KiB, some 300 samples), which may still come.
    with pty_board(take(samples=40_000)) as board, links.open(f"serial:{board.port}") as link:

        def unplug(moment: Progress) -> None:
            if moment.phase == "take" and moment.take == 2:
                board.unplug()

        with pytest.raises(LinkError, match=r"vanished.*samples are kept in wave\.p01\.s01\.2\.csv"):
            record(link, plan(tmp_path, count=5, seconds=20.0), unplug)
    first, second = (read(path) for path in sorted(tmp_path.glob("*.csv")))
    assert (len(first.samples), first.complete) == (2380, True)
    assert 8 <= len(second.samples) < 2380 and not second.complete


def test_a_take_that_finds_no_room_is_rescued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, rescue = tmp_path / "full", tmp_path / "tmp"
    rescue.mkdir()

    def full(descriptor: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "_sync", full)
    monkeypatch.setattr("tempfile.tempdir", str(rescue))
    made = take(samples=300)
    with faulty_link(made) as link, pytest.raises(WriteError, match="No space left.*the take is safe in") as caught:
        record(link, plan(out))
    (kept,) = rescue.glob("bitwave-rescued-*/*.csv")
    assert str(kept.parent) in str(caught.value)
    assert np.array_equal(read(kept).samples, made.samples[:119])


def test_bad_plans_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    link = faulty_link(take(), lambda frame: b"")
    for wrong in ({"participant": "Ann"}, {"label": "a.b"}, {"session": ""}):
        with pytest.raises(RecordingError, match="is not usable"):
            record(link, dataclasses.replace(plan(tmp_path), **wrong))
    with pytest.raises(RecordingError, match="at least one take"):
        record(link, plan(tmp_path, seconds=0.0))


def test_a_session_of_another_scale_is_not_mixed(tmp_path: Path) -> None:
    made = take(samples=300)
    with faulty_link(made) as link:
        record(link, plan(tmp_path))
    other = dataclasses.replace(made, counts=made.counts.model_copy(update={"accel_lsb_per_g": 4096.0}))
    with faulty_link(other) as link, pytest.raises(RecordingError, match="record them as another session"):
        record(link, plan(tmp_path))
    assert len(list(tmp_path.glob("*.csv"))) == 1


def test_the_wrist_cannot_do_everything(tmp_path: Path) -> None:
    need("unicorn", "ziglang")
    with links.open("emu:") as link, pytest.raises(UsageError, match="does not know 'backflip'"):
        assert isinstance(link, VirtualLink)
        record(link, dataclasses.replace(plan(tmp_path), label="backflip"))
