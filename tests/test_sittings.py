"""Two recordings of one session, sessions of other boards and other days, and a participant who is forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bitwave.capture.continuous import record_continuous
from bitwave.capture.keeping import rested_s
from bitwave.capture.takes import Cue, Progress, record_cues
from bitwave.errors import RecordingError, SessionBusy
from bitwave.recordings.forgetting import forget
from bitwave.recordings.holding import hold
from boards import faulty_link
from recorders import WAVE, hidden, recorder, run, stored
from takes import facts, store, take


@pytest.fixture
def replayed(tmp_path: Path) -> str:
    return stored(tmp_path / "source")


def test_a_session_is_held_once_and_its_file_goes(tmp_path: Path) -> None:
    out = tmp_path / "new"
    with hold(out, "p01", "s01"), hold(out, "p01", "s01"), hold(out, "p01", "s02"):
        assert hidden(out) == [".p01.s01.lock", ".p01.s02.lock"]
    assert not out.exists()  # nothing came
    with pytest.raises(RecordingError, match="participant '../p01' is not usable"), hold(out, "../p01", "s01"):
        pass


HOLDERS = """
import os, sys
from pathlib import Path
from bitwave.recordings.holding import hold
out = Path(sys.argv[1])
for _ in range(300):
    with hold(out, "p01", "s01", wait_s=60):
        os.close(os.open(out / "inside", os.O_CREAT | os.O_EXCL))
        os.unlink(out / "inside")
"""


def test_never_two_hold_a_session(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", HOLDERS, str(tmp_path)]
    holders = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [holder.wait(120) for holder in holders] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_participant_who_is_being_recorded_is_not_forgotten(tmp_path: Path, replayed: str) -> None:
    out = tmp_path / "data"
    store(out, take())
    with recorder(replayed, "--out", str(out), *WAVE) as process:
        process.until_take("wave", 0.1)
        with pytest.raises(SessionBusy, match="p01 s01 is being recorded"):
            forget(out, "p01")
        process.process.kill()
        process.end()
    assert (out / "wave.p01.s01.1.csv").exists()
    forget(out, "p01")
    assert list(out.iterdir()) == []


def test_a_session_of_another_board_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    before = facts(board="nano33ble-rev2", rate_hz=99.84)
    (tmp_path / "p01.s01.json").write_bytes(before.to_json())
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "p01.s01.json").write_bytes(before.to_json())
    seen: list[Progress] = []
    with pytest.raises(RecordingError, match=r"has rate_hz 99\.84, the new takes 119\.0: record them as another"):
        with faulty_link(take(samples=300)) as link:
            record_cues(link, tmp_path, "p01", "s01", [Cue("wave", 1.0)], seen.append)
    with faulty_link(take(samples=300)) as link, pytest.raises(RecordingError, match="record them as another session"):
        record_continuous(link, tmp_path, Cue("stream", 1.0), "p01", on_progress=seen.append)
    assert seen == [] and list(tmp_path.rglob("*.csv")) == []


def test_a_session_of_another_day_is_said(tmp_path: Path, replayed: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    store(out, take())
    words = [replayed, "--out", str(out), "--label", "wave", "--participant", "p01", "--count-in", "0"]
    assert rested_s(out, "p01", "s02") is None
    assert run([*words, "--count", "1", "--seconds", "0.5"]) == 0
    assert "hours ago" not in capsys.readouterr().err
    for path in out.glob("*.csv"):
        os.utime(path, times=(time.time() - 26 * 3600,) * 2)
    assert run([*words, "--count", "1", "--seconds", "0.5"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "p01 s01 was last recorded 26 hours ago and goes on: where this is another sitting, stop" in said
