"""The same image boots on QEMU's mps2-an386, replays windows and prints the simulator's bits."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bitwave import native, simulator
from bitwave.model import image
from models import random_model
from support import need

BOOT_SECONDS = 60  # QEMU needs well under one; the rest is for a loaded machine


def boot(compiler: str, folder: Path, data: bytes, windows: np.ndarray, output_size: int) -> tuple[int, str]:
    """Exit code and output of one boot with the loader's files in place."""
    from bitwave.emulator.machine import Machine

    elf = native.m4_elf(compiler)
    machine = Machine(elf)
    parts = {
        "bw_emu_image": data,
        "bw_emu_input": windows.tobytes(),
        "bw_emu_asked": struct.pack("<4I", len(data), windows.shape[0], windows.shape[1], output_size),
    }
    command = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    for symbol, content in parts.items():
        (folder / symbol).write_bytes(content)
        command += ["-device", f"loader,file={folder / symbol},addr={machine.address(symbol):#x},force-raw=on"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=BOOT_SECONDS, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("compiler", ["clang", "gcc"])
def test_prints_the_simulators_bits(compiler: str, tmp_path: Path) -> None:
    need("qemu-system-arm", "unicorn", "elftools", "capstone", *(["arm-none-eabi-gcc"] if compiler == "gcc" else []))
    from bitwave.emulator.engine import Shape, parse_values

    model = random_model(11, channels=6, hidden=(11, 7), dense=(5,), steps=20)
    windows = np.random.default_rng(1).integers(-128, 128, (6, 20, 6), dtype=np.int8)
    shape = Shape(6, 5, (11, 7), 20, 0, 0)
    size = 6 * (3 * 20 * 18 + 5)
    code, text = boot(compiler, tmp_path, image.build(model), windows, size)
    assert code == 0, text
    got, want = parse_values(bytes.fromhex(text), shape, 6, 20), simulator.run(model, windows)
    for layer in range(2):
        np.testing.assert_array_equal(got.hidden[layer], want.hidden[layer])
        np.testing.assert_array_equal(got.cell[layer], want.cell[layer])
    np.testing.assert_array_equal(got.scores, want.scores)


def test_refused_image_is_said(tmp_path: Path) -> None:
    need("qemu-system-arm", "unicorn", "elftools")
    data = bytearray(image.build(random_model(1)))
    data[-1] ^= 0x80
    code, text = boot("clang", tmp_path, bytes(data), np.zeros((1, 1, 1), np.int8), 0)
    assert (code, text) == (1, "open: the image is corrupt\n")
