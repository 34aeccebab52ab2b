"""Nothing recorded is lost: signals, kills, closed terminals, journals, and two recordings of one session."""

from __future__ import annotations

import json
import os
import queue
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from bitwave import cli
from bitwave.capture import journal
from bitwave.capture.cues import CaptureReport
from bitwave.capture.ending import Ended, heeded
from bitwave.capture.keeping import free_number
from bitwave.capture.takes import Cue, Progress, record_cues
from bitwave.errors import RecordingError, SessionBusy
from bitwave.recordings import dataset
from bitwave.recordings.recording import csv_text, read
from bitwave.recordings.session import read_session
from boards import faulty_link, pty_board
from recorders import WAVE, hidden, recorder, run, stored
from takes import facts, store, take

HALF_A_SECOND = 54  # samples, at the least, where the display says 0.5: it rounds
HEADER = "t_us,ax,ay,az,gx,gy,gz\n"


@pytest.fixture
def replayed(tmp_path: Path) -> str:
    return stored(tmp_path / "source")


# A process that is killed


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_keeps_the_take_that_is_running(tmp_path: Path, replayed: str, name: str) -> None:
    number = getattr(signal, name)
    out = tmp_path / "data"
    with recorder(replayed, "--out", str(out), *WAVE) as process:
        process.until_take("wave", 0.5)
        process.process.send_signal(number)
        assert process.end() == 128 + number
        said = process.until(r"bitwave: [^\r\n]*")
    kept = read(out / "wave.p01.s01.1.csv")
    assert f"{len(kept.samples)} of 19040 samples are kept in wave.p01.s01.1.csv, marked as incomplete" in said
    assert HALF_A_SECOND <= len(kept.samples) < 19040 and not kept.complete
    first = int(np.flatnonzero((take(samples=20_000).samples == kept.samples[0]).all(axis=1))[0])
    assert np.array_equal(kept.samples, take(samples=20_000).samples[first : first + len(kept.samples)])
    assert hidden(out) == []


def test_a_closed_terminal_keeps_the_take_that_is_running(tmp_path: Path, replayed: str) -> None:
    out = tmp_path / "data"
    with recorder(replayed, "--out", str(out), *WAVE) as process:
        process.until_take("wave", 0.5)
        process.close_terminal()
        assert process.end() == 129
    kept = read(out / "wave.p01.s01.1.csv")
    assert len(kept.samples) >= HALF_A_SECOND and not kept.complete and hidden(out) == []


def test_nohup_outlives_the_terminal(tmp_path: Path, replayed: str) -> None:
    out = tmp_path / "data"
    words = ("--continuous", "--participant", "p01", "--seconds", "1.5", "--realtime")
    with recorder(replayed, "--out", str(out), *words, nohup=True) as process:
        process.until_take("stream", 0.1)
        process.close_terminal()
        assert process.end() == 0
    kept = read(out / "streams" / "stream.p01.s01.1.csv")
    assert (len(kept.samples), kept.complete, kept.gaps) == (178, True, ())


def test_a_kill_loses_nothing_and_two_recordings_of_a_session_keep_apart(
    tmp_path: Path, replayed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    quick = [replayed, "--out", str(out), "--label", "wave", "--participant", "p01", "--count-in", "0"]
    once = [*quick, "--count", "1", "--seconds", "0.5", "--json"]
    with recorder(replayed, "--out", str(out), *WAVE) as process:
        process.until_take("wave", 1.0)
        # A second one of the same session: told what to do, and the first one's journal is its own.
        assert run(once) == SessionBusy.exit_code
        said = capsys.readouterr()
        assert said.err.startswith("bitwave: p01 s01 is being recorded into") and "another --session" in said.err
        assert run([*once, "--session", "s02"]) == 0
        assert json.loads(capsys.readouterr().out)["recovered"] == []
        process.process.kill()
        process.end()
    assert hidden(out) == [".p01.s01.lock", ".wave.p01.s01.1.csv.part"]
    assert cli.run(cli.build_app(), ["dataset", str(out), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["unfinished"] == [".wave.p01.s01.1.csv.part"]
    assert "a crash cut it off, and the next bitwave record" in " ".join(said.err.split())
    rows = (out / ".wave.p01.s01.1.csv.part").read_text().count("\n") - 1
    assert rows >= 119
    assert free_number(out, "wave", "p01", "s01") == 2
    # The dead process blocks nobody. Whoever records next, in whatever session, keeps what it left.
    assert run([*once, "--session", "s03"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["recovered"] == ["wave.p01.s01.1"]
    assert f"{rows} samples recorded when an earlier run was cut off" in " ".join(told.err.split())
    kept = read(out / "wave.p01.s01.1.csv")
    assert len(kept.samples) == rows and not kept.complete and not kept.gaps
    assert hidden(out) == []
    with pytest.raises(RecordingError, match=r"wave\.p01\.s01\.1\.csv: recording stopped early"):
        dataset.load(out)
    assert run(once) == 0
    assert json.loads(capsys.readouterr().out)["takes"][0]["file"] == "wave.p01.s01.2.csv"


def test_an_unplugged_board_ends_the_take_that_is_running(tmp_path: Path) -> None:
    out = tmp_path / "data"
    words = ("--label", "wave", "--participant", "p01", "--count-in", "0", "--seconds", "3600")
    with (
        pty_board(take(samples=400_000)) as board,
        recorder(f"serial:{board.port}", "--out", str(out), *words) as process,
    ):
        process.until_take("wave", 0.5)
        board.unplug()
        assert process.end() == 6
        said = process.until(r"bitwave: serial:\S+ vanished: .*marked as incomplete")
    kept = read(out / "wave.p01.s01.1.csv")
    assert f"{len(kept.samples)} of 428400 samples are kept in wave.p01.s01.1.csv" in said
    assert len(kept.samples) >= HALF_A_SECOND and not kept.complete and not kept.gaps and hidden(out) == []


def test_a_killed_continuous_recording_is_kept(tmp_path: Path, replayed: str) -> None:
    out = tmp_path / "data"
    words = ("--continuous", "--participant", "p01", "--realtime")
    with recorder(replayed, "--out", str(out), *words) as process:
        process.until_take("stream", 0.8)
        process.process.kill()
        process.end()
    with recorder(replayed, "--out", str(out), *words) as process:
        process.until(r"streams/stream\.p01\.s01\.1: \d+ samples recorded when an earlier run was cut off")
        process.until_take("stream", 0.5)
        process.process.terminate()
        assert process.end() == 143
        process.until(r"bitwave: ended by SIGTERM: \d+ samples are kept in streams/stream\.p01\.s01\.2\.csv")
    first, second = (read(out / "streams" / f"stream.p01.s01.{n}.csv") for n in (1, 2))
    assert (first.complete, second.complete) == (False, True) and min(
        len(first.samples), len(second.samples)
    ) >= HALF_A_SECOND
    assert hidden(out) == []


# Signals, in this process


def cues(out: Path, see: Callable[[Progress], None], count: int = 3) -> CaptureReport:
    with heeded() as ending, faulty_link(take(samples=3000)) as link:
        return record_cues(link, out, "p01", "s01", [Cue("wave", 1.0, 0.5)] * count, see, lambda: "", ending)


def test_a_signal_in_a_count_in_says_that_nothing_was_running(tmp_path: Path) -> None:
    def stop(moment: Progress) -> None:
        if moment.phase == "count-in" and moment.take == 3:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)  # a shutdown may send more than one

    with pytest.raises(Ended) as caught:
        cues(tmp_path, stop)
    assert str(caught.value) == "ended by SIGTERM: no take was running; 2 before it are whole"
    assert caught.value.exit_code == 143
    assert [r.complete for r in dataset.load(tmp_path).recordings] == [True, True] and hidden(tmp_path) == []


def test_a_signal_while_a_take_is_written_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = journal.write_whole

    def signalled(path: Path, content: bytes) -> None:
        signal.raise_signal(signal.SIGINT)
        real(path, content)

    def see(moment: Progress) -> None:
        if moment.phase == "take" and moment.elapsed_s > 0.9:
            monkeypatch.setattr(journal, "write_whole", signalled)

    with pytest.raises(Ended, match="interrupted: no take was running; 1 before it is whole"):
        cues(tmp_path, see)
    assert [(r.name, r.complete) for r in dataset.load(tmp_path).recordings] == [("wave.p01.s01.1", True)]


def test_a_signal_when_all_is_done_is_the_end(tmp_path: Path) -> None:
    def stop(moment: Progress) -> None:
        if moment.phase == "over":
            signal.raise_signal(signal.SIGINT)

    assert len(cues(tmp_path, stop).recordings) == 3


def test_signals_are_the_callers_again_afterwards(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    cues(tmp_path, lambda moment: None, count=1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    with heeded(), pytest.raises(Ended, match="interrupted: no take was running"):
        signal.raise_signal(signal.SIGINT)  # while the board is looked for, say


# Journals


def test_a_journal_without_a_sound_row_is_no_take(tmp_path: Path) -> None:
    store(tmp_path, take())
    (tmp_path / ".wave.p01.s01.2.csv.part").write_text(f"{HEADER}12,1")
    (tmp_path / ".wave.p01.s01.3.csv.part").write_bytes(bytes(4096))
    (tmp_path / ".notes.csv.part").write_text("none of ours")
    assert journal.recover(tmp_path) == []
    assert hidden(tmp_path) == [".notes.csv.part"] and len(list(tmp_path.glob("*.csv"))) == 1


@pytest.mark.parametrize("tail", ["", "123456789,12,3", "1,2,3,4,5,6,", "\0\0\0\0", "a,b\n1,2,3,4,5,6,7\n"])
def test_what_is_sound_of_a_journal_is_kept(tmp_path: Path, tail: str) -> None:
    made = take(number=4)
    store(tmp_path, take())
    (tmp_path / ".wave.p01.s01.4.csv.part").write_text(csv_text(made) + tail)
    (found,) = journal.recover(tmp_path)
    assert (found.name, found.samples, found.trouble) == ("wave.p01.s01.4", 50, "")
    kept = read(tmp_path / "wave.p01.s01.4.csv")
    assert np.array_equal(kept.samples, made.samples) and not kept.complete


def test_recovery_may_be_cut_off_and_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, take(), take(number=2))
    (tmp_path / ".wave.p01.s01.2.csv.part").write_text(csv_text(take(number=5)) + "12,")
    before = (tmp_path / "wave.p01.s01.2.csv").read_bytes()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "rename", lambda *names: signal.raise_signal(signal.SIGINT))
        journal.recover(tmp_path)
    assert [str(found.name) for found in journal.recover(tmp_path)] == ["wave.p01.s01.3"]
    assert (tmp_path / "wave.p01.s01.2.csv").read_bytes() == before
    assert np.array_equal(read(tmp_path / "wave.p01.s01.3.csv").samples, take(number=5).samples)
    listed = {entry.number: entry.complete for entry in read_session(tmp_path / "p01.s01.json").takes}
    assert listed == {1: True, 2: True, 3: False} and journal.recover(tmp_path) == []


def test_a_take_that_had_been_listed_is_whole(tmp_path: Path) -> None:
    store(tmp_path, take(), take(number=2))
    (tmp_path / "wave.p01.s01.2.csv").rename(tmp_path / ".wave.p01.s01.2.csv.part")
    assert [found.name for found in journal.recover(tmp_path)] == ["wave.p01.s01.2"]
    assert read(tmp_path / "wave.p01.s01.2.csv").complete


def test_a_journal_that_cannot_be_read_stays_and_is_said(tmp_path: Path) -> None:
    content = csv_text(take(participant="p02"))
    (tmp_path / ".wave.p02.s01.1.csv.part").write_text(content)
    (found,) = journal.recover(tmp_path)
    assert "p02.s01.json is missing" in found.trouble and "stays as it is" in str(found)
    assert (tmp_path / ".wave.p02.s01.1.csv.part").read_text() == content


def test_what_a_session_said_of_a_deleted_take_is_not_said_of_its_successor(tmp_path: Path) -> None:
    with pytest.raises(Ended):
        cues(tmp_path, lambda moment: moment.elapsed_s < 0.6 or signal.raise_signal(signal.SIGTERM))
    assert not read(tmp_path / "wave.p01.s01.1.csv").complete
    (tmp_path / "wave.p01.s01.1.csv").unlink()
    cues(tmp_path, lambda moment: None, count=1)
    assert read(tmp_path / "wave.p01.s01.1.csv").complete
    (listed,) = read_session(tmp_path / "p01.s01.json").takes
    assert (listed.samples, listed.complete) == (119, True)


def test_what_came_is_in_the_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SYNC_S", 3600.0)
    rows: list[int] = []

    def see(moment: Progress) -> None:
        if moment.phase == "take" and moment.elapsed_s > 0.9:
            wanted = round(min(moment.elapsed_s, 1.0) * 119)
            deadline = time.monotonic() + 60
            while (found := _rows(tmp_path)) < wanted and time.monotonic() < deadline:
                time.sleep(0.001)  # the journal's thread has the processor
            rows.append(wanted - found)

    cues(tmp_path, see, count=1)
    assert rows and not any(rows)


def _rows(folder: Path) -> int:
    """Rows of the journals, which begin a moment after their take."""
    return sum(path.read_text().count("\n") - 1 for path in folder.glob(".*.part"))


def test_what_came_is_synchronised_though_nothing_more_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = journal._sync
    sizes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def counted(file: BinaryIO) -> None:
        real(file)
        sizes.put(os.fstat(file.fileno()).st_size)

    monkeypatch.setattr(journal, "_sync", counted)
    monkeypatch.setattr(journal, "SYNC_S", 0.2)
    made = take()
    kept = journal.Journal(tmp_path, facts(), made.name)
    assert sizes.get(timeout=60) == len(HEADER)
    for part in (slice(0, 20), slice(20, 50)):  # the first at once, the second when its time has come
        kept.append(made.time_us[part], made.samples[part])
        until = len("".join(csv_text(made).splitlines(keepends=True)[: part.stop + 1]))
        assert sizes.get(timeout=60) == until
    kept.finish(made)
    assert np.array_equal(read(tmp_path / f"{made.name}.csv").samples, made.samples)
