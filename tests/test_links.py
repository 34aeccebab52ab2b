"""Links: serial over a pseudo-terminal with garbage, half frames and unplugging; replayed and emulated boards."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bitwave import links, wire
from bitwave.errors import LinkError, ModelError, RecordingError, UsageError
from bitwave.links.link import Link, LinkEnd
from bitwave.links.virtual import VirtualLink
from bitwave.recordings.session import Gap
from bitwave.synth.wrist import Wrist
from bitwave.wire.frames import Counters, Info, Samples, Status, Unknown
from bitwave.wire.requests import GetCounters, GetInfo, Recognise, SelfTest, Stream
from boards import faulty_link, only_samples, pty_board
from support import need
from takes import store, take


def sample_frames(link: Link, count: int) -> np.ndarray:
    """The first `count` samples of a link that streams."""
    got: list[np.ndarray] = []
    deadline = time.monotonic() + 20
    while sum(map(len, got)) < count:
        assert time.monotonic() < deadline, "the link is stuck"
        got.extend(frame.body.samples for frame in link.receive(0.2) if isinstance(frame.body, Samples))
    return np.concatenate(got)[:count]


@pytest.mark.parametrize(
    "url", ["", "ttyACM0", "usb:1", "serial:", "replay:", "/dev/ttyACM0", "emu:?moon=1", "emu:?wrist=x"]
)
def test_urls_that_make_no_sense(url: str) -> None:
    with pytest.raises(UsageError):
        links.open(url)


def test_split_url_keeps_question_marks_in_file_names() -> None:
    assert links.split_url("replay:why?.csv") == ("replay", "why?.csv", {})
    assert links.split_url("replay:why?.csv?realtime=1") == ("replay", "why?.csv", {"realtime": "1"})
    assert links.split_url("serial:COM3") == ("serial", "COM3", {})


def test_a_port_that_is_not_there() -> None:
    with pytest.raises(LinkError, match="/dev/nowhere cannot be opened"):
        links.open("serial:/dev/nowhere")


@pytest.mark.parametrize("byte_by_byte", [False, True])
def test_serial_streams_what_the_board_sends(byte_by_byte: bool) -> None:
    made = take(samples=400)
    with pty_board(made, byte_by_byte=byte_by_byte) as board, links.open(f"serial:{board.port}") as link:
        assert link.info().rate_mhz == 119_000
        link.ask(Stream(1))
        assert np.array_equal(sample_frames(link, 400), made.samples)
        assert link.errors == 0


def test_serial_survives_garbage_and_half_frames() -> None:
    def hurt(index: int, frame: bytes) -> bytes:
        if index == 3:
            return frame[: len(frame) // 2] + b"\0"
        return b"\xffgarbage\0" + frame if index % 5 == 0 else frame

    made = take(samples=400)
    with pty_board(made, only_samples(hurt)) as board, links.open(f"serial:{board.port}") as link:
        link.ask(Stream(1))
        got = sample_frames(link, 392)
        assert np.array_equal(got, np.delete(made.samples, np.s_[24:32], axis=0)[:392])
        assert link.errors >= 10


def test_a_board_that_is_unplugged() -> None:
    with pty_board(take(samples=4000)) as board, links.open(f"serial:{board.port}") as link:
        link.ask(Stream(1))
        sample_frames(link, 16)
        board.unplug()
        with pytest.raises(LinkError, match=r"vanished: .*; plug the board in again"):
            for _ in range(1000):
                link.receive(0.01)
        with pytest.raises(LinkError, match="vanished"):
            link.send(GetInfo())


def test_a_port_without_a_board_is_said() -> None:
    def silent(frame: bytes) -> bytes:
        return b""

    with pty_board(take(), silent) as board, links.open(f"serial:{board.port}") as link:
        with pytest.raises(LinkError, match="does not answer: is the bitwave firmware on it"):
            link.ask(GetInfo(), Info, timeout_s=0.05)


def test_a_lost_answer_is_asked_for_again() -> None:
    lost = 0

    def lose_two(frame: bytes) -> bytes:
        nonlocal lost
        status = wire.decode(frame).frames[0].body
        if isinstance(status, Status) and lost < 2:
            lost += 1
            return b""
        return frame

    with faulty_link(take(samples=2000), lose_two) as link:
        assert link.info().channels == 6
        assert lost == 2


def test_frames_that_are_no_answer_are_kept() -> None:
    made = take(samples=400)
    with faulty_link(made) as link:
        link.ask(Stream(1))
        first = sample_frames(link, 16)
        link.info()
        assert np.array_equal(np.concatenate([first, sample_frames(link, 384)]), made.samples)


def test_refusals_carry_the_boards_words() -> None:
    with faulty_link(take()) as link:
        with pytest.raises(LinkError, match="the board refuses: a recording has no model"):
            link.ask(Recognise(1))
        with pytest.raises(LinkError, match="the board refuses: a recording only streams"):
            link.ask(SelfTest())


def test_a_board_of_another_format_says_what_to_do() -> None:
    def newer(frame: bytes) -> bytes:
        found = wire.decode(frame).frames[0]
        return wire.encode(wire.Frame(Unknown(0x01, b"\x63new"))) if isinstance(found.body, Info) else frame

    with faulty_link(take(), newer) as link, pytest.raises(LinkError, match="speaks format 99.*update the older"):
        link.info()


def test_replay_streams_a_recording(tmp_path: Path) -> None:
    made = dataclasses.replace(take(samples=100), time_us=take(samples=100).time_us + 2**32 - 90_000)
    store(tmp_path, made)
    with links.open(f"replay:{tmp_path}/wave.p01.s01.1.csv") as link:
        assert not link.realtime
        info = link.info()
        assert (info.rate_mhz, info.accel_milli_lsb, info.gyro_milli_lsb) == (119_000, 8_192_000, 16_384)
        link.ask(Stream(1))
        bodies = [(frame.time_us, frame.body) for frame in link.frames() if isinstance(frame.body, Samples)]
        assert np.array_equal(np.concatenate([body.samples for _, body in bodies]), made.samples)
        times = np.concatenate([body.times_us(start) for start, body in bodies])
        assert np.array_equal(times % 2**32, made.time_us % 2**32)
        with pytest.raises(LinkEnd):
            link.receive()


def test_replay_does_not_hide_gaps(tmp_path: Path) -> None:
    made = take(samples=60)
    made = dataclasses.replace(
        made, time_us=made.time_us + np.where(np.arange(60) > 20, 3 * 8403, 0), gaps=(Gap(after=20, lost=3),)
    )
    store(tmp_path, made)
    with links.open(f"replay:{tmp_path}/wave.p01.s01.1.csv") as link:
        link.ask(Stream(1))
        bodies = [frame.body for frame in link.frames() if isinstance(frame.body, Samples)]
    indices = np.concatenate([body.first + np.arange(len(body.samples)) for body in bodies])
    assert indices.tolist() == [*range(21), *range(24, 63)]


def test_replay_refuses() -> None:
    with pytest.raises(RecordingError):
        links.open("replay:/nowhere/wave.p01.s01.1.csv")
    with pytest.raises(UsageError, match="'model' is not among realtime"):
        links.open("replay:wave.p01.s01.1.csv?model=x.tflite")


def test_a_model_that_is_not_there_or_none_is_named(tmp_path: Path) -> None:
    need("unicorn", "elftools")
    with pytest.raises(ModelError, match=r"none\.tflite cannot be read"):
        links.open(f"emu:?model={tmp_path}/none.tflite")
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(ModelError, match=r"text\.tflite: this is not a \.tflite file"):
        links.open(f"emu:?model={tmp_path}/text.tflite")


def test_realtime_takes_its_time(tmp_path: Path) -> None:
    store(tmp_path, take(samples=50))
    took = []
    for realtime in (False, True):
        start = time.monotonic()
        with links.open(f"replay:{tmp_path}/wave.p01.s01.1.csv", realtime) as link:
            link.ask(Stream(1))
            list(link.frames())
        took.append(time.monotonic() - start)
    assert took[0] < took[1]
    assert took[1] >= 50 / 119


def test_the_emulated_board_streams_the_virtual_wrist() -> None:
    need("unicorn", "ziglang")
    with links.open("emu:?wrist=4&participant=p02&session=s03&plan=wave,idle") as link:
        assert isinstance(link, VirtualLink)
        info = link.info()
        assert (info.board, info.channels, info.rate_mhz, info.labels) == (0, 6, 119_000, ())
        link.ask(Stream(1))
        got = np.concatenate([frame.body.samples for frame in link.frames() if isinstance(frame.body, Samples)])
        with pytest.raises(LinkError, match="no model"):
            link.ask(Recognise(1))
        counters = link.ask(GetCounters(), Counters)[0]
        assert isinstance(counters, Counters) and counters.samples == len(got)
        truth = link.truth
    wrist = Wrist("p02", "s03", seed=4)
    pauses = np.random.default_rng(0)
    assert [wrist.perform(label, delay=float(pauses.uniform(1.0, 2.0))) for label in ("wave", "idle")] == truth
    assert len(got) > truth[-1].end + 119
    assert np.array_equal(got, wrist.read(len(got)))


def test_the_emulated_board_streams_a_recording(tmp_path: Path) -> None:
    need("unicorn", "ziglang")
    made = take(samples=61)
    store(tmp_path, made)
    with links.open(f"emu:?recording={tmp_path}/wave.p01.s01.1.csv") as link:
        link.ask(Stream(1))
        got = np.concatenate([frame.body.samples for frame in link.frames() if isinstance(frame.body, Samples)])
    assert np.array_equal(got, made.samples)


def test_a_random_plan_goes_on() -> None:
    need("unicorn", "ziglang")
    with links.open("emu:?plan=random") as link:
        assert isinstance(link, VirtualLink)
        link.ask(Stream(1))
        sample_frames(link, 119 * 40)
        assert len(link.truth) > 8


def test_links_import_without_posix_modules() -> None:
    code = """
import sys
for name in ("pty", "tty", "termios", "fcntl", "resource", "tensorflow", "matplotlib", "unicorn", "serial"):
    sys.modules[name] = None
import bitwave.links.virtual, bitwave.capture.takes, bitwave.recognition.live, bitwave.exchange.importer
import bitwave.recognition.picture
import bitwave.commands.record, bitwave.commands.live, bitwave.commands.import_
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(p for p in sys.path if p)})
