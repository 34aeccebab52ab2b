"""The budget table of firmware/README.md is what is measured here.

``python tests/test_firmware_budget.py`` writes it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

import firmware_world
from bitwave import tflite
from bitwave.boards import deploy
from bitwave.emulator.engine import EmulatedCore
from bitwave.model import image
from bitwave.wire import requests
from ccode import CORE_SOURCES, ROOT
from firmware_world import SKETCH, Confirmed, SketchLink, board
from models import random_model
from support import need
from test_firmware_build import INCLUDE, MODEL, NANO

README = ROOT / "firmware/README.md"
CLOCK_HZ = 64e6
SIX_KB = random_model(5, steps=40, channels=6, hidden=(34,), dense=(5,), metadata=True, hop=8)
HEAD = "| what | measured | bound | how |\n| --- | ---: | ---: | --- |\n"
CLOSE = 0.1  # compilers and models of the processor differ a little


def sizes(sources: list[Path], folder: Path) -> tuple[int, int]:
    """Bytes of flash and of RAM, compiled as the Arduino core does."""
    objects = []
    for source in sources:
        compiler = ["arm-none-eabi-g++", "-std=gnu++14"] if source.suffix == ".cpp" else ["arm-none-eabi-gcc"]
        flags = [flag for flag in NANO if source.suffix == ".cpp" or flag not in ("-fno-rtti",)]
        objects.append(folder / f"{source.name}.o")
        command = [*compiler, *flags, *INCLUDE, "-c", str(source), "-o", str(objects[-1])]
        subprocess.run(command, check=True)
    listing = subprocess.run(["arm-none-eabi-size", "-t", *objects], capture_output=True, text=True, check=True)
    text, data, bss = (int(word) for word in listing.stdout.splitlines()[-1].split()[:3])
    return text + data, data + bss


def streaming(recognise: bool) -> float:
    """Bytes per second on the USB link."""
    with board(firmware_world.library()) as world:
        usb = world.run(2).usb.open()
        usb.ask(requests.Recognise(1) if recognise else requests.Stream(1))
        usb.raw()
        world.run(60)
        return len(usb.raw()) / 60


def bus_share(revision: int) -> float:
    """Part of the time, in percent, that the sampler waits for the sensor's bus."""
    with board(firmware_world.library(), revision) as world:
        before = world.run(3).facts.bus_us
        return (world.run(60).facts.bus_us - before) / 60e6 * 100


def update_time(folder: Path, mtu: int = 0, confirmed: Confirmed = Confirmed.LAST) -> float:
    """Seconds that `bitwave deploy` takes for a model of a little over 6 KB, over USB unless an MTU is given."""
    data = bytearray(image.build(SIX_KB))
    data[16:32] = b"another digest.."  # than the built-in model's
    (folder / "six.bwi").write_bytes(image.with_crc(bytes(data)))
    with board(firmware_world.library()) as world:
        usb = world.run(1).usb.open()
        usb.ask(requests.Recognise(1))
        usb.ask(requests.AllowUpdate())
        end = world.ble.connect(mtu=mtu, interval_ms=30, packets=1) if mtu else usb
        world.ble.confirmed = confirmed
        done = deploy.deploy(SketchLink(end), folder / "six.bwi")
        assert done.sent == done.size
        return done.seconds


def cycles_per_sample() -> float:
    """Of the demo model, five windows in flight, compiled by GCC."""
    core = EmulatedCore(image.build(tflite.read_model(MODEL / "model.tflite")), "gcc")
    assert core.shape.lanes == 5
    return core.step_cost(5).cycles


def stacks() -> int:
    return sum(int(size) for size in re.findall(r"_STACK = (\d+)", (SKETCH / "main.cpp").read_text()))


def rows(folder: Path) -> list[tuple[str, float, str, str, str]]:
    """Name, value, its unit, the bound that is asked for, and how it was got."""
    core = sizes(list(CORE_SOURCES), folder)
    sketch = sizes(sorted(SKETCH.glob("*.cpp")), folder)
    model = sizes([MODEL / "bitwave_model.c"], folder)
    cycles = cycles_per_sample()
    gcc = "`arm-none-eabi-gcc -Os`, whole objects"
    world = "simulated board, `bitwave deploy`"
    slow = ", 1 packet per 30 ms"
    return [
        ("flash: core", core[0] / 1024, "KB", "", gcc),
        ("flash: sketch", sketch[0] / 1024, "KB", "", gcc + ", without the Arduino core"),
        ("flash: demo model", model[0] / 1024, "KB", "", gcc),
        ("RAM: queues, app, arena of 32 KB", (core[1] + sketch[1] + model[1]) / 1024, "KB", "", gcc),
        ("RAM: stacks of two threads", stacks() / 1024, "KB", "", "main.cpp"),
        ("cycles per sample, 5 lanes of 24 units", cycles / 1000, "thousand", "", "emulated Cortex-M4, no wait states"),
        ("CPU at 119 Hz, 5 lanes", cycles * 119 / CLOCK_HZ * 100, "%", "10 %", "the same, 64 MHz"),
        ("CPU, waiting for the sensor, rev 1", bus_share(1), "%", "", "simulated board, I2C at 400 kHz"),
        ("CPU, waiting for the sensor, rev 2", bus_share(2), "%", "", "simulated board, I2C at 400 kHz"),
        ("link, streaming at 119 Hz", streaming(False), "B/s", "", "simulated board"),
        ("link, recognising, hop of 5", streaming(True), "B/s", "", "simulated board, 4 classes"),
        ("update of 6 KB, USB", update_time(folder), "s", "3 s", world),
        ("update of 6 KB, BLE, MTU 247", update_time(folder, 247), "s", "10 s", world + slow),
        ("the same, every piece confirmed", update_time(folder, 247, Confirmed.ALL), "s", "10 s", world + slow),
        ("update of 6 KB, BLE, MTU 23", update_time(folder, 23), "s", "", world + slow),
    ]  # fmt: skip


def table(folder: Path) -> str:
    lines = [f"| {name} | {value:.4g} {unit} | {bound} | {how} |\n" for name, value, unit, bound, how in rows(folder)]
    return HEAD + "".join(lines)


def stated() -> dict[str, float]:
    found = re.findall(r"^\| ([^|]+) \| ([\d.e+]+) [^|]*\|", README.read_text(), re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_the_table_is_what_is_measured(tmp_path: Path) -> None:
    need("arm-none-eabi-gcc", "unicorn", "elftools")
    numbers = stated()
    for name, value, *_ in rows(tmp_path):
        assert numbers.get(name) == pytest.approx(value, rel=CLOSE), f"{name}: run python {Path(__file__).name}"


def test_updates_keep_their_bounds(tmp_path: Path) -> None:
    assert 6000 < len(image.build(SIX_KB)) < 7000
    assert update_time(tmp_path) < 3
    assert all(update_time(tmp_path, 247, confirmed) < 10 for confirmed in Confirmed)


if __name__ == "__main__":
    rows_of_it = re.escape(HEAD) + r"(\|.*\n)*"
    with tempfile.TemporaryDirectory() as temporary:
        made = table(Path(temporary))
    README.write_text(re.sub(rows_of_it, lambda _: made, README.read_text()))
