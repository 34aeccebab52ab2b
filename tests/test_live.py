"""Live recognition: board and host give the same events; losses, ends and mismatches."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bitwave import links, tflite
from bitwave.core.host import HostCore
from bitwave.errors import LinkError, ModelError
from bitwave.links.samples import Block
from bitwave.model.image import build
from bitwave.model.quantmodel import QuantModel
from bitwave.recognition import live
from bitwave.recognition.live import LiveReport, Update
from bitwave.recognition.picture import draw_stream
from bitwave.recognition.recognisers import EMPTY, BoardRecogniser, HostRecogniser
from bitwave.recordings.recording import write
from bitwave.synth.wrist import stream
from bitwave.tflite import build as tflite_build
from bitwave.wire.codec import Frame
from bitwave.wire.frames import Event, Fault
from boards import faulty_link, only_samples
from models import random_model
from support import need
from takes import facts, store, take

PNG = b"\x89PNG\r\n\x1a\n"


def model(rate_hz: float = 119.0, seed: int = 3) -> QuantModel:
    """A random model that fires now and then on the virtual wrist."""
    made = random_model(seed, steps=20, channels=6, hidden=(7,), dense=(4,), metadata=True, hop=5, drive=6.0)
    assert made.metadata is not None
    decision = made.metadata.decision.model_copy(update={"thresholds": (0, 0, 0, 0), "margin": 0, "hold": 1})
    metadata = made.metadata.model_copy(update={"rate_hz": rate_hz, "decision": decision})
    return dataclasses.replace(made, metadata=metadata)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite_build.write(model()))
    return path


def told(report: LiveReport) -> list[tuple[int, str, int]]:
    return [(event.sample, event.label, event.score) for event in report.events]


def test_host_and_board_recognise_the_same(model_file: Path) -> None:
    need("unicorn", "ziglang")
    plan = "participant=p03&plan=wave,unknown,chop"
    with links.open(f"emu:?{plan}&model={model_file}") as link:
        board = live.run(link, model_file, keep_samples=True)
    with links.open(f"emu:?{plan}") as link:
        host = live.run(link, model_file, keep_samples=True)
    assert (board.recogniser, host.recogniser) == ("board", "host")
    assert len(board.events) > 3
    assert told(board) == told(host)
    assert board.windows == host.windows and len(host.windows) > 100
    assert np.array_equal(board.samples, host.samples)
    assert board.seconds == host.seconds == len(host.samples) / 119.0
    quantized = tflite.read_model(model_file)
    found = HostCore(build(quantized)).events(host.samples)
    assert [(e.sample, e.score) for e in found.events] == [(e.sample, e.score) for e in host.events]


def test_replay_is_recognised_here(tmp_path: Path, model_file: Path) -> None:
    made = dataclasses.replace(take(samples=595), samples=stream(["wave", "chop"], seed=2).samples[:595])
    store(tmp_path, made)
    updates: list[Update] = []
    with links.open(f"replay:{tmp_path}/wave.p01.s01.1.csv") as link:
        report = live.run(link, model_file, on_update=updates.append)
    expected = HostCore(build(tflite.read_model(model_file))).events(made.samples)
    assert [e.sample for e in report.events] == [e.sample for e in expected.events]
    assert [sample for sample, _ in report.windows] == expected.samples.tolist()
    assert report.received == 595 and not report.samples.size
    assert [event for update in updates for event in update.events] == report.events
    assert updates[-1].labels == report.labels and len(updates[-1].scores) == 4
    summary = json.loads(json.dumps(report.summary()))
    assert summary["seconds"] == 5.0 and len(summary["events"]) == len(report.events)


def test_after_a_gap_the_host_starts_afresh(model_file: Path) -> None:
    samples = stream(["wave", "chop"], seed=2).samples[:600]
    image = build(tflite.read_model(model_file))
    whole = HostRecogniser(image, 119.0)
    indices = np.arange(600) + np.where(np.arange(600) >= 210, 7, 0)
    events, windows = [], []
    for at in range(0, 600, 40):  # the gap lies inside a block
        more = whole.push(Block(indices[at : at + 40], indices[at : at + 40] * 8403, samples[at : at + 40]))
        events += more[0]
        windows += more[1]
    core = HostCore(image)
    parts = [(0, core.events(samples[:210])), (217, core.events(samples[210:]))]
    assert events == [(e.sample + start, e.label, e.score) for start, part in parts for e in part.events]
    assert [sample for sample, _ in windows] == [int(s) + start for start, part in parts for s in part.samples]


def test_losses_and_errors_are_counted(tmp_path: Path, model_file: Path) -> None:
    def hurt(index: int, frame: bytes) -> bytes:
        return b"" if index in (10, 20) else b"junk\0" + frame if index == 30 else frame

    with faulty_link(take(samples=480), only_samples(hurt)) as link:
        report = live.run(link, model_file)
    assert (report.received, report.lost, report.crc_errors) == (464, 16, 1)


def test_a_time_limit_and_ctrl_c_end_with_a_report(model_file: Path) -> None:
    with faulty_link(take(samples=4000)) as link:
        report = live.run(link, model_file, seconds=2.0)
        assert 2.0 <= report.seconds < 2.1

    def stop(update: Update) -> None:
        if update.elapsed_s > 1.0:
            raise KeyboardInterrupt

    with faulty_link(take(samples=4000)) as link:
        report = live.run(link, model_file, on_update=stop)
    assert 1.0 < report.seconds < 1.1


def test_a_board_that_vanishes_is_an_error(model_file: Path) -> None:
    with faulty_link(take(samples=4000), only_samples(lambda i, frame: b"" if i > 9 else frame)) as link:
        with pytest.raises(LinkError, match="has sent no samples for 2 s"):
            live.run(link, model_file)


def test_nobody_can_recognise() -> None:
    with faulty_link(take()) as link, pytest.raises(LinkError, match="give one with --model"):
        live.run(link)


def test_a_sensor_of_another_rate_is_resampled_and_said(tmp_path: Path) -> None:
    """A recording of the other board revision: replayed here, and as the sensor of the emulated board."""
    need("unicorn", "ziglang")
    samples = stream(["wave", "chop"], seed=2).samples[:600]
    times = np.rint(np.arange(600) * (1e6 / 99.84)).astype(np.int64)
    slow = dataclasses.replace(take(samples=600), samples=samples, time_us=times, rate_hz=99.84)
    write(tmp_path, facts(rate_hz=99.84), [slow])
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite_build.write(model()))
    expected = HostCore(build(tflite.read_model(path))).events(slow.samples, 99.84)
    recording = f"{tmp_path}/wave.p01.s01.1.csv"
    reports = []
    for url in (f"replay:{recording}", f"emu:?recording={recording}&model={path}"):
        lines: list[str] = []
        with links.open(url) as link:
            link.notice = lines.append
            reports.append(live.run(link, path))
        assert lines == ["samples of 99.84 Hz are resampled to the model's 119 Hz"]
    for report in reports:
        assert [(e.sample, e.score) for e in report.events] == [(e.sample, e.score) for e in expected.events]
        assert [sample for sample, _ in report.windows] == expected.samples.tolist()
        assert (report.summary()["rate_hz"], report.summary()["model_rate_hz"]) == (99.84, 119.0)
    assert [report.recogniser for report in reports] == ["host", "board"] and len(expected.events) > 3


def test_a_rate_that_does_not_suit_the_model(model_file: Path) -> None:
    with faulty_link(dataclasses.replace(take(), rate_hz=50.0)) as link, pytest.raises(ModelError, match="50 Hz"):
        live.run(link, model_file)


@pytest.mark.parametrize(
    "change, line",
    [
        ({"samples": np.zeros((50, 3), np.int16), "channels": ("ax", "ay", "az")}, "has 3 channels, the model takes 6"),
        ({"counts": take().counts.model_copy(update={"accel_lsb_per_g": 4096.0})}, "another scale"),
    ],
)
def test_a_model_that_does_not_fit_the_stream(model_file: Path, change: dict[str, object], line: str) -> None:
    with faulty_link(dataclasses.replace(take(), **change)) as link, pytest.raises(LinkError, match=line):
        live.run(link, model_file)


def test_a_model_without_labels_cannot_recognise(tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(tflite_build.write(dataclasses.replace(model(), metadata=None)))
    with faulty_link(take()) as link, pytest.raises(LinkError, match="has no labels"):
        live.run(link, path)


def test_a_board_with_another_model_is_not_mistaken(tmp_path: Path, model_file: Path) -> None:
    need("unicorn", "ziglang")
    other = tmp_path / "other.tflite"
    other.write_bytes(tflite_build.write(model(seed=4)))
    with links.open(f"emu:?plan=wave&model={model_file}") as link, pytest.raises(LinkError, match="runs another model"):
        live.run(link, other)


def test_a_fault_of_the_board_is_said() -> None:
    board = BoardRecogniser()
    board.frame(Frame(Event(9, 1, 200)))
    assert board.push(EMPTY) == ([(9, 1, 200)], [])
    with pytest.raises(LinkError, match="the board reports a fault: sensor lost"):
        board.frame(Frame(Fault(3, "sensor lost")))


def test_a_picture_of_the_stream(tmp_path: Path) -> None:
    need("matplotlib")
    made = stream(["wave", "unknown", "idle"], seed=1)
    events = [live.LiveEvent(200, 200 / 119, "wave", 250)]
    path = tmp_path / "stream.png"
    windows = [(i, (i % 256, 0)) for i in range(118, len(made.samples), 24)]
    draw_stream(
        path, made.samples, 119.0, events, ("wave", "idle"), truth=made.intervals, windows=windows, title="a stream"
    )
    assert path.read_bytes().startswith(PNG)
    draw_stream(path, made.samples[:0], 119.0, [], ("wave", "idle"))
    assert path.read_bytes().startswith(PNG)
