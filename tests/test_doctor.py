"""The doctor and the list of ports: on pseudo-terminals that pass for USB ports, and on the emulated board."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import firmware_world
import models
from bitwave.boards import doctor, usb
from bitwave.capture import takes
from bitwave.capture.cues import Cue
from bitwave.cli import build_app, run
from bitwave.errors import LinkError
from bitwave.links.link import Link
from bitwave.recognition import live
from bitwave.recordings.recording import Recording
from bitwave.tflite import build as tflite_build
from bitwave.wire.codec import Frame, decode, encode
from bitwave.wire.frames import Fault, Info, Samples
from boards import PtyBoard, faulty_link, only_samples
from support import need
from takes import take
from usb_world import UsbWorld, usb_world

__all__ = ["usb_world"]

LONG = take(samples=40_000)


@pytest.fixture(autouse=True)
def _short_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LISTEN_S", 0.25)


@pytest.fixture
def board(usb_world: UsbWorld) -> Iterator[PtyBoard]:
    need("unicorn", "elftools")
    from bitwave.emulator.board import EmulatedBoard

    found = PtyBoard(LONG, board=EmulatedBoard(None))
    usb_world.plug(found.port)
    yield found
    found.unplug()


def states(found: doctor.Examination) -> dict[str, str]:
    return {finding.check: finding.state for finding in found.findings}


def the(found: doctor.Examination, check: str) -> doctor.Finding:
    return next(finding for finding in found.findings if finding.check == check)


def test_ports_lists_boards_first(usb_world: UsbWorld, capsys: pytest.CaptureFixture[str]) -> None:
    usb_world.plug("/dev/ttyUSB0", 0x7523, 0x1A86)
    usb_world.plug("/dev/ttyACM1", usb.BOOTLOADER)
    usb_world.plug("/dev/ttyACM0")
    usb_world.plug("/dev/ttyACM2", 0x025A)
    assert run(build_app(), ["ports"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        f"serial:/dev/{name}" for name in ("ttyACM0", "ttyACM1", "ttyACM2", "ttyUSB0")
    ]
    assert "bootloader: it waits for bitwave flash" in lines[1]
    assert run(build_app(), ["ports", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in found["usb"]] == ["application", "bootloader", "other"]
    assert found["usb"][0]["link"] == "serial:/dev/ttyACM0"
    assert found["other_ports"] == ["/dev/ttyUSB0"]


def test_ports_without_a_board_says_what_to_do(usb_world: UsbWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["ports"]) == 0
    assert "use a cable that carries data" in capsys.readouterr().err


def test_ports_shows_boards_nearby(usb_world: UsbWorld, capsys: pytest.CaptureFixture[str]) -> None:
    need("dbus-daemon", "dbus_fast")
    from bitwave.links.ble_uuids import SERVICE
    from fakebluez import FakeBlueZ

    with FakeBlueZ() as bluez:
        bluez.add_device("AA:BB:CC:DD:EE:FF", "bitwave-EEFF", [SERVICE])
        assert run(build_app(), ["ports", "--ble", "0.3"]) == 0
    assert "ble:bitwave-EEFF" in capsys.readouterr().out


def test_no_board(usb_world: UsbWorld, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["doctor"]) == 6
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("  BAD  usb        no Nano 33 BLE; other serial ports: none; next: plug it in with a cable")


def test_a_board_that_streams_and_has_no_model(board: PtyBoard, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build_app(), ["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (one,) = told["boards"]
    assert told["healthy"] and one["healthy"]
    assert one["link"] == f"serial:{board.port}"
    found = {finding["check"]: finding for finding in one["findings"]}
    assert found["permission"]["state"] == found["rate"]["state"] == "ok"
    assert found["rate"]["found"].startswith("119.0")
    assert found["model"]["next"] == "bitwave deploy MODEL.tflite LINK"


def test_a_board_with_a_model(tmp_path: Path) -> None:
    need("unicorn", "elftools")
    path = tmp_path / "model.tflite"
    model = models.random_model(11, steps=40, channels=6, hidden=(8,), dense=(5,), metadata=True, hop=8)
    path.write_bytes(tflite_build.write(model))
    found = doctor.examine_link(f"emu:?model={path}")
    assert states(found) == {"firmware": "ok", "model": "ok", "self-test": "ok", "rate": "ok", "counters": "ok"}
    assert model.metadata is not None
    assert the(found, "model").found.endswith(", ".join(model.metadata.labels))
    assert "0 lost" in the(found, "counters").found
    assert "cycles per step unmeasured" in the(found, "counters").found


def test_a_board_in_its_bootloader(usb_world: UsbWorld, tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    usb_world.plug(str(port), usb.BOOTLOADER)
    (found,) = doctor.examine_usb()
    assert not found.healthy
    assert the(found, "firmware").next.startswith(f"bitwave flash --port {port}")


def test_a_port_that_the_user_may_not_open(
    usb_world: UsbWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    usb_world.plug(str(port))
    monkeypatch.setattr(os, "access", lambda *_: False)
    (found,) = doctor.examine_usb()
    finding = the(found, "permission")
    assert finding.state == "bad"
    assert finding.next.startswith(f"sudo usermod -aG {usb.group_of(str(port))} $USER")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells who holds a port")
def test_a_port_that_a_program_holds(board: PtyBoard) -> None:
    code = f"f = open({board.port!r}, 'rb', 0); print('ready', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        (found,) = doctor.examine_usb()
        holder.communicate(b"\n")
    finding = the(found, "holder")
    assert f"(process {holder.pid}) has the port open" in finding.found
    assert finding.next == "close that program"


def test_a_port_without_our_firmware(usb_world: UsbWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from bitwave.links import link as links

    monkeypatch.setattr(links, "ANSWER_S", 0.05)
    monkeypatch.setattr(links.Link.ask, "__defaults__", (None, 0.05))
    silent = PtyBoard(LONG, mangle=lambda frame: b"hello\r\n")
    try:
        found = doctor.examine_link(f"serial:{silent.port}")
    finally:
        silent.unplug()
    assert the(found, "link").next == "bitwave flash puts the bitwave firmware on it"


def test_a_named_port_is_examined_like_one_that_is_found(
    usb_world: UsbWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    usb_world.plug(str(port), usb.BOOTLOADER)
    assert run(build_app(), ["doctor", f"serial:{port}"]) == 6
    assert f"next: bitwave flash --port {port}" in capsys.readouterr().out


def test_a_port_that_is_not_there(usb_world: UsbWorld, tmp_path: Path) -> None:
    assert the(doctor.examine(f"serial:{tmp_path / 'ttyACM9'}"), "link").next == "bitwave ports lists what is there"


def examine(recording: Recording, **mangle: object) -> doctor.Examination:
    return doctor.examine_link("replay:test", lambda url: faulty_link(recording, **mangle))  # type: ignore[arg-type]


def test_lost_frames_are_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LISTEN_S", 5.0)
    found = examine(LONG, mangle=only_samples(lambda at, frame: b"" if at == 20 else frame))
    assert the(found, "rate").state == "bad"
    assert " 8 lost, " in the(found, "rate").found
    assert the(found, "rate").next == "use another cable or port, or come nearer"


def test_a_rate_that_is_not_what_the_board_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LISTEN_S", 5.0)

    def boast(frame: bytes) -> bytes:
        (found,) = decode(frame).frames
        if not isinstance(found.body, Info):
            return frame
        return encode(Frame(Info(channels=6, rate_mhz=104_000), found.sequence, found.time_us))

    assert the(examine(LONG, mangle=boast), "rate").found.startswith("119.0")
    finding = the(examine(LONG, mangle=boast), "rate")
    assert "instead of 104 Hz, which recognition follows" in finding.found and finding.state == "note"


@pytest.mark.parametrize("info, next_step", [
    (Info(channels=6, rate_mhz=70_000), "press reset; if it stays, the sensor is broken"),
    (Info(format=2, channels=6, rate_mhz=104_000), "press reset; bitwave flash"),
])  # fmt: skip
def test_a_rate_that_no_board_follows(monkeypatch: pytest.MonkeyPatch, info: Info, next_step: str) -> None:
    monkeypatch.setattr(doctor, "LISTEN_S", 5.0)

    def boast(frame: bytes) -> bytes:
        (found,) = decode(frame).frames
        return encode(Frame(info, found.sequence)) if isinstance(found.body, Info) else frame

    finding = the(examine(LONG, mangle=boast), "rate")
    assert (finding.state, finding.next) == ("bad", next_step)


def test_a_fault_of_the_board_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LISTEN_S", 5.0)

    def failing(frame: bytes) -> bytes:
        (found,) = decode(frame).frames
        if not isinstance(found.body, Samples):
            return frame
        return encode(Frame(Fault(2, "the sensor stopped answering"))) if found.body.first else frame

    found = examine(LONG, mangle=failing)
    assert the(found, "fault").found == "the sensor stopped answering"
    assert "press reset" in the(found, "fault").next
    assert the(found, "rate").state == "bad"


@pytest.fixture
def without_sensor(tmp_path: Path) -> Iterator[Link]:
    """The sketch on a board that has no sensor, on its own time."""
    with firmware_world.board(firmware_world.library(), 0) as world:
        usb = world.run(4).usb.open()
        yield firmware_world.SketchLink(usb)


def test_a_board_without_a_sensor_is_not_told_to_update(without_sensor: Link, tmp_path: Path) -> None:
    found = doctor.examine_link("test:", lambda url: without_sensor).findings
    sensor = next(finding for finding in found if finding.check == "sensor")
    assert (sensor.state, sensor.found) == ("bad", "the board has found no motion sensor")
    assert "only the Sense has one" in sensor.next
    for use in (
        lambda: live.run(without_sensor),
        lambda: takes.record_cues(without_sensor, tmp_path, "p01", "s01", [Cue("wave")]),
    ):
        with pytest.raises(LinkError, match="has found no motion sensor: only the Sense"):
            use()


def test_firmware_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def newer(frame: bytes) -> bytes:
        (found,) = decode(frame).frames
        return encode(Frame(Info(abi=99, rate_mhz=119_000))) if isinstance(found.body, Info) else frame

    finding = the(examine(LONG, mangle=newer), "firmware")
    assert finding.next == "update bitwave on this computer"


def test_imports_without_posix_modules() -> None:
    code = """
import sys, sysconfig  # Python 3.10's own sysconfig needs pwd where it runs here
for name in ("pty", "tty", "termios", "fcntl", "grp", "pwd", "resource", "serial", "bleak", "tensorflow", "unicorn"):
    sys.modules[name] = None
import bitwave.boards.usb, bitwave.boards.doctor, bitwave.boards.flash, bitwave.boards.deploy
import bitwave.commands.ports, bitwave.commands.doctor, bitwave.commands.flash, bitwave.commands.deploy
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(p for p in sys.path if p)})


def test_measured_rate_is_the_boards() -> None:
    assert np.isclose(1e6 / np.diff(LONG.time_us).mean(), 119.0, rtol=1e-4)
