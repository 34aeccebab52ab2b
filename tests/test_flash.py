"""Flashing: pseudo-terminals that feel the 1200-baud touch, and a bossac and a pio of the tests' own."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import models
from bitwave import native
from bitwave.boards import flash as flashing
from bitwave.boards import usb
from bitwave.cli import build_app, run
from bitwave.errors import LinkError, MissingPackage, UsageError
from boards import PtyBoard
from support import absent, need
from takes import take
from usb_world import UsbWorld, usb_world

__all__ = ["usb_world"]

QUICK = flashing.Waits(bootloader_s=0.3, application_s=5.0, poll_s=0.01)
FIRMWARE = struct.pack("<II", 0x20040000, 0x10101) + bytes(4096)
MODEL = models.random_model(11, steps=20, channels=6, hidden=(8,), dense=(5,), metadata=True, hop=8)

# Says what it was called with, and does what a file tells it.
TOOL = """#!{python}
import json, pathlib, shutil, sys
here = pathlib.Path({here!r})
(here / "called.json").write_text(json.dumps(sys.argv[1:]))
print("[====      ] 50% (1/2 pages)", end="\\r")
if (here / "fail").exists():
    print((here / "fail").read_text())
    sys.exit(1)
(here / "flashed").touch()
print("Done in 0.1 seconds")
"""


@dataclass
class Bench:
    """A board on a bench: which of its three states USB shows depends on what was done to it.

    Attributes:
        deaf: the sketch hangs: the touch does nothing.
        stuck: the new firmware never comes up.
        said: lines of the steps.
    """

    world: UsbWorld
    folder: Path
    image: bytes
    running: PtyBoard | None = None
    deaf: bool = False
    stuck: bool = False
    said: list[str] = field(default_factory=list)

    @property
    def bootloader_port(self) -> str:
        return str(self.folder / "ttyBOOT")

    def run_sketch(self) -> None:
        from bitwave.emulator.board import EmulatedBoard

        self.running = PtyBoard(take(samples=4000), board=EmulatedBoard(self.image))
        self.world.plug(self.running.port)

    def stop(self) -> None:
        if self.running is not None:
            self.world.unplug(self.running.port)
            self.running.unplug()
            self.running = None

    def enter_bootloader(self) -> None:
        self.stop()
        Path(self.bootloader_port).touch()
        self.world.plug(self.bootloader_port, usb.BOOTLOADER)

    def look(self) -> None:
        """What happened since somebody last looked at USB."""
        if self.running is not None and self.running.touched and not self.deaf:
            self.enter_bootloader()
        if (self.folder / "flashed").exists() and not self.stuck:
            (self.folder / "flashed").unlink()
            self.world.unplug(self.bootloader_port)
            self.stop()
            self.run_sketch()

    def tool(self, name: str) -> Path:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TOOL.format(python=sys.executable, here=str(self.folder)))
        path.chmod(0o755)
        return path

    def called(self) -> list[str]:
        return list(json.loads((self.folder / "called.json").read_text()))

    def firmware(self, content: bytes = FIRMWARE) -> Path:
        path = self.folder / "firmware.bin"
        path.write_bytes(content)
        return path


@pytest.fixture
def bench(usb_world: UsbWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    need("unicorn", "elftools")
    if os.name != "posix":
        absent("needs scripts that run by their first line: run this test on Linux or macOS")
    from bitwave.model import image

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("PLATFORMIO_CORE_DIR", raising=False)
    found = Bench(usb_world, tmp_path, image.build(MODEL))
    usb_world.on_look = found.look
    found.run_sketch()
    yield found
    found.stop()


def flash(bench: Bench, firmware: Path | None, port: str | None = None) -> flashing.Flashed:
    return flashing.flash(firmware, port, None, bench.said.append, QUICK)


def test_touch_upload_and_self_test(bench: Bench) -> None:
    bench.tool("bossac")
    firmware = bench.firmware()
    assert bench.running is not None
    before = bench.running.port
    done = flash(bench, firmware)
    assert done.self_test and done.port == bench.running.port
    assert MODEL.metadata is not None
    assert done.info.labels == MODEL.metadata.labels
    assert bench.called() == [
        "-d", f"--port={bench.bootloader_port}", "-U", "-i", "-e", "-w", str(firmware), "-R",
    ]  # fmt: skip
    assert bench.said == [
        f"{before}: into the bootloader",
        f"{bench.bootloader_port}: writing {firmware}",
        "  [====      ] 50% (1/2 pages)",
        "  Done in 0.1 seconds",
        f"{done.port}: self-test",
    ]


def test_the_verb_prints_one_json_document(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    tool = bench.tool("bossac-of-mine")
    assert run(build_app(), ["flash", str(bench.firmware()), "--bossac", str(tool), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["self_test"] is True
    assert bench.running is not None
    assert told["port"] == bench.running.port


def test_a_board_that_waits_in_its_bootloader_is_not_touched(bench: Bench) -> None:
    bench.tool("bossac")
    bench.enter_bootloader()
    flash(bench, bench.firmware())
    assert bench.said[0] == f"{bench.bootloader_port} is in its bootloader already"


def test_double_tap_is_advised_only_when_the_touch_fails(bench: Bench) -> None:
    bench.tool("bossac")
    bench.deaf = True
    with pytest.raises(LinkError, match="press its reset button twice quickly"):
        flash(bench, bench.firmware())
    assert not (bench.folder / "called.json").exists()


def test_the_other_board_stays_as_it_is(bench: Bench) -> None:
    bench.tool("bossac")
    other = bench.folder / "ttyOTHER"
    other.touch()
    bench.world.plug(str(other), usb.BOOTLOADER, location="1-3")
    assert bench.running is not None
    with pytest.raises(UsageError, match=f"several boards: name one with --port: .*{bench.running.port}"):
        flash(bench, bench.firmware())
    flash(bench, bench.firmware(), bench.running.port)
    assert f"--port={bench.bootloader_port}" in bench.called()


def test_bossac_that_fails(bench: Bench) -> None:
    bench.tool("bossac")
    (bench.folder / "fail").write_text("No device found on ttyBOOT\n\n")
    with pytest.raises(LinkError, match=r"bossac failed \(No device found on ttyBOOT\)"):
        flash(bench, bench.firmware())


def test_firmware_that_never_comes_up(bench: Bench) -> None:
    bench.tool("bossac")
    bench.stuck = True
    with pytest.raises(LinkError, match="did not come back: press its reset button once"):
        flashing.flash(bench.firmware(), None, None, bench.said.append, flashing.Waits(1.0, 0.2, 0.01))


def test_no_board(usb_world: UsbWorld) -> None:
    with pytest.raises(UsageError, match="no Nano 33 BLE on USB: bitwave doctor"):
        flashing.choose(None)
    with pytest.raises(UsageError, match="no Nano 33 BLE at COM7"):
        flashing.choose("COM7")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "0 bytes"),
        (b"\x7fELF" + bytes(4000), "not .hex or .elf"),
        (b":020000040001F9\r\n:10" + bytes(100), "not .hex or .elf"),
        (struct.pack("<II", 0x20040000, 0x10100) + bytes(4096), "no firmware"),
        (struct.pack("<II", 0x20040000, 0x101) + bytes(4096), "no firmware"),
        (FIRMWARE + bytes(0x100000), "bytes: no firmware"),
    ],
)
def test_a_file_that_is_no_firmware_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "firmware.bin"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=what):
        flashing.check_firmware(path)


def test_bossac_is_found_where_the_ides_put_it(bench: Bench) -> None:
    with pytest.raises(MissingPackage, match="bossac is not installed"):
        flash(bench, bench.firmware())
    made = bench.tool("bossac")
    assert flashing.find_bossac() == made
    places = (".arduino15/packages/arduino/tools/bossac/1.9.1-arduino2", ".platformio/packages/tool-bossac-nordicnrf52")
    for place in places:
        better = bench.folder / place / "bossac"
        better.parent.mkdir(parents=True)
        better.write_bytes(made.read_bytes())
        better.chmod(0o755)
        assert flashing.find_bossac() == better


def test_platformio_builds_and_uploads(bench: Bench) -> None:
    bench.tool("pio")
    assert bench.running is not None
    port = bench.running.port
    done = flash(bench, None)
    project = str(native.firmware_root().parent)
    assert bench.called() == ["run", "-d", project, "-e", "nano33ble", "-t", "upload", "--upload-port", port]
    assert done.self_test


def test_platformio_that_fails_or_is_not_there(bench: Bench) -> None:
    with pytest.raises(MissingPackage, match="pip install platformio, or give a firmware .bin"):
        flash(bench, None)
    bench.tool("pio")
    (bench.folder / "fail").write_text("*** [.pio/build/nano33ble/src/main.o] Error 1")
    with pytest.raises(LinkError, match=r"PlatformIO failed \(\*\*\* .*Error 1\); if it built .*twice quickly"):
        flash(bench, None)


def test_without_a_checkout(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "firmware_root", lambda: bench.folder / "firmware")
    with pytest.raises(UsageError, match="give a firmware .bin, or work in a checkout"):
        flash(bench, None)


def test_new_firmware_may_take_a_moment_to_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.tool("bossac")
    tries: list[str] = []
    opened: Callable[[str], object] = flashing.links.open

    def slow(url: str) -> object:
        tries.append(url)
        if len(tries) < 3:
            raise LinkError("not yet")
        return opened(url)

    monkeypatch.setattr(flashing.links, "open", slow)
    assert flash(bench, bench.firmware()).self_test
    assert len(tries) == 3
