"""`bitwave live` as programs use it: a line of JSON per event, a command per event; rates that drift, and sleep."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bitwave import links, tflite
from bitwave.commands import live as command
from bitwave.commands.event_runner import MOST, EventRunner
from bitwave.commands.live import live as verb
from bitwave.errors import LinkError, ModelError, UsageError, WriteError
from bitwave.recognition import live
from bitwave.recognition.live import Update
from bitwave.recordings.recording import Recording, write
from bitwave.synth.wrist import stream
from bitwave.tflite import build as tflite_build
from bitwave.wire.codec import Frame, decode, encode
from bitwave.wire.frames import Info
from boards import faulty_link
from models import with_gate
from support import need
from takes import facts, take
from test_live import model

RECORDS = "import sys; open(sys.argv[1], 'a').write(' '.join(sys.argv[2:]) + chr(10))"


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """A model with a gate that the virtual wrist's rest is below."""
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite_build.write(with_gate(model(), 24, 12, 4000)))
    return path


def test_events_are_lines_of_json_and_start_a_command(
    tmp_path: Path, model_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    need("unicorn", "ziglang")
    noted = tmp_path / "noted; $(rm -rf x)"  # no shell ever sees this
    command = f"'{sys.executable}' -c \"{RECORDS}\" '{noted}' {{label}} '{{score}} of {{sample}}'"
    verb(f"emu:?plan=wave,chop&model={model_file}", run=command, as_json=True)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line.pop("kind") for line in lines] == ["event"] * (len(lines) - 1) + ["summary"] and len(lines) > 2
    assert lines[:-1] == lines[-1]["events"]
    assert lines[-1]["cycles_per_step"] > 1000 and 0 < lines[-1]["asleep"] < 1
    wanted = [f"{event['label']} {event['score']} of {event['sample']}" for event in lines[:-1]]
    assert sorted(noted.read_text().splitlines()) == sorted(wanted)


def test_commands_that_cannot_be_or_fail_are_said() -> None:
    lines: list[str] = []
    for line, why in (("no-such-program-here x", "no program 'no-such"), ("", "no program"), ("'", "No closing")):
        with pytest.raises(UsageError, match=why):
            EventRunner(line, lines.append)
    runner = EventRunner(f"'{sys.executable}' -c 'raise SystemExit({{score}})'", lines.append)
    runner.start({"label": "wave", "score": 3})
    runner.finish()
    assert lines[-1] == f"{sys.executable} ended with code 3"


def test_slow_commands_are_not_waited_for_and_leave_no_zombies(tmp_path: Path) -> None:
    lines: list[str] = []
    processes: list[subprocess.Popen[bytes]] = []

    def note(line: str) -> None:
        lines.append(line)
        for process in processes if line.startswith("waiting") else ():
            process.kill()

    gate = tmp_path / "gate"
    os.mkfifo(gate)  # whoever reads it waits for a writer
    runner = EventRunner(f"'{sys.executable}' -c \"open('{gate}').read()\"", note)
    for _ in range(MOST):
        runner.start({"label": "wave"})
    processes += runner._running
    runner.look()
    assert lines == [] and len(processes) == MOST and all(process.returncode is None for process in processes)
    runner.start({"label": "wave"})
    assert lines == [f"{sys.executable} is not started: {MOST} of it are running still"]
    processes[0].kill()
    os.waitid(os.P_PID, processes[0].pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has taken leave of it
    runner.look()
    assert lines[1:] == [f"{sys.executable} ended by signal 9"]
    with pytest.raises(ChildProcessError):
        os.waitpid(processes[0].pid, os.WNOHANG)
    runner.finish()
    assert lines[2] == f"waiting for {MOST - 1} of {sys.executable}; Ctrl-C leaves them running"
    assert lines[3:] == [f"{sys.executable} ended by signal 9"] * (MOST - 1)


def test_what_an_event_says_is_never_taken_for_a_placeholder(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    lines: list[str] = []
    runner = EventRunner(f"'{sys.executable}' -c \"{RECORDS}\" '{noted}' {{label}} {{other}} {{score}}", lines.append)
    assert lines == ["--run: {other} is passed on as it is; what is filled in are {label}, {score}, {time_s}, {sample}"]
    runner.start({"label": "{score}; $(reboot)", "score": 7})
    runner.finish()
    assert noted.read_text() == "{score}; $(reboot) {other} 7\n"


def test_a_label_that_is_none_is_refused() -> None:
    def odd(frame: bytes) -> bytes:
        (found,) = decode(frame).frames
        if not isinstance(found.body, Info):
            return frame
        return encode(Frame(dataclasses.replace(found.body, labels=("wave", "\x1b[2J")), found.sequence))

    with faulty_link(take(), odd) as link, pytest.raises(LinkError, match="has the label"):
        live.run(link)


def test_an_event_is_printed_at_once(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a pipe, which Python buffers otherwise: each line is there when the next moment comes."""
    need("unicorn", "ziglang")
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    seen: list[int] = []

    class Shown(command._Display):
        def __call__(self, update: Update) -> None:
            if update.events:
                seen.append(len(os.read(reading, 1 << 16).splitlines()) - len(update.events))

    monkeypatch.setattr(command, "_Display", Shown)
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        verb(f"emu:?plan=wave,chop&model={model_file}", as_json=True)
    os.close(reading)
    assert len(seen) > 2 and set(seen) == {0}


def test_board_and_host_sleep_alike(model_file: Path) -> None:
    need("unicorn", "ziglang")
    reports = []
    for url in (f"emu:?plan=wave,idle&model={model_file}", "emu:?plan=wave,idle"):
        with links.open(url) as link:
            reports.append(live.run(link, model_file, seconds=6))
    board, host = reports
    assert board.windows == host.windows and board.events == host.events
    assert 0.05 < host.asleep < 0.95
    assert abs(board.asleep - host.asleep) < 0.1  # the board counts from its first to its last answer
    assert board.cycles_per_step > 1000 and host.cycles_per_step == 0
    assert [(each.gate, each.stateful, each.sleeps) for each in reports] == [(True, False, True)] * 2
    assert board.rates == host.rates == [(0, 119.0)]


def drifting(rate_hz: float, samples: int = 900) -> Recording:
    """Says 119 Hz; from 300 samples on, its clock tells another rate."""
    raw = stream(["wave", "chop", "wave"] * (samples // 900 + 1), seed=2).samples[:samples]
    steps = np.where(np.arange(samples) < 300, 1e6 / 119, 1e6 / rate_hz)
    return dataclasses.replace(take(samples=samples), samples=raw, time_us=np.rint(np.cumsum(steps)).astype(np.int64))


def test_a_rate_that_drifts_is_resampled_and_said(model_file: Path) -> None:
    recording = drifting(131.0)
    lines: list[str] = []
    silent: list[str] = []
    updates: list[Update] = []
    with faulty_link(recording) as link:
        link.notice = lines.append
        report = live.run(link, model_file, on_update=updates.append)
    assert len(lines) >= 1 and all(line.startswith("samples come at 1") for line in lines)
    assert lines[-1].endswith("resampled from there on") and "131.0 Hz" in lines[-1]
    assert [line for update in updates for line in update.events] == report.events
    with faulty_link(dataclasses.replace(recording, time_us=take(samples=900).time_us)) as link:
        link.notice = silent.append
        steady = live.run(link, model_file)
    assert silent == [] and steady.windows != report.windows
    assert steady.windows[:20] == report.windows[:20]


def test_board_and_host_follow_a_drift_alike(tmp_path: Path, model_file: Path) -> None:
    """And a replay of the same recording too."""
    need("unicorn", "ziglang")
    from bitwave.recognition import events

    recording = drifting(124.0, 1500)
    write(tmp_path, facts(), [recording])
    url = f"{tmp_path}/{recording.name}.csv"
    reports, said = [], []
    for link_url in (f"emu:?recording={url}&model={model_file}", f"replay:{url}"):
        lines: list[str] = []
        with links.open(link_url) as link:
            link.notice = lines.append
            reports.append(live.run(link, model_file))
        said.append(lines)
    board, host = reports
    assert [each.recogniser for each in reports] == ["board", "host"]
    assert said[0] == said[1] == ["samples come at 124.0 Hz, not at 119 Hz: resampled from there on"]
    assert board.rates == host.rates and board.windows == host.windows and board.events == host.events
    network = tflite.read_model(model_file)
    assert network.metadata is not None
    replayed = events.replay(events.opened("host", network), recording, network.metadata)
    assert [(e.sample, e.score) for e in board.events] == [(e.sample, e.score) for e in replayed.events]
    assert list(replayed.rates) == board.rates and len(board.events) > 5


def test_a_drift_that_no_model_can_follow_is_refused(model_file: Path) -> None:
    with faulty_link(drifting(300.0)) as link, pytest.raises(ModelError, match="cannot recognise samples of"):
        live.run(link, model_file)


def test_figures_are_told_though_the_picture_cannot_be_written(
    tmp_path: Path, model_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    need("unicorn", "ziglang", "matplotlib")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WriteError):
        verb(f"emu:?plan=wave&model={model_file}", as_json=True, picture=tmp_path / "file" / "x.png")
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["kind"] == "summary"
