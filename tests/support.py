"""What tests share: saying which package a test needs."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

# Program or module -> what to install. A test names the key; nobody has to guess the package.
_PROGRAMS = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi and libnewlib-arm-none-eabi",
    "dbus-daemon": "dbus",
    "clang": "clang and libclang-rt-dev",
    "arm-none-eabi-g++": "gcc-arm-none-eabi and libnewlib-arm-none-eabi",
    "gcc": "gcc and libc6-dev",
    "make": "make",
    "g++": "g++",
    "git": "git",
    "qemu-system-arm": "qemu-system-arm",
}
_MODULES = {
    "aeon": "aeon",
    "capstone": "capstone",
    "dbus_fast": "dbus-fast",
    "elftools": "pyelftools",
    "hatchling": "hatchling",
    "keras": "keras",
    "optuna": "optuna",
    "psycopg": "psycopg[binary]",
    "matplotlib": "matplotlib",
    "platformio": "platformio",
    "mypy": "mypy",
    "ruff": "ruff",
    "tensorflow": "tensorflow-cpu",
    "tf_keras": "tf-keras",
    "tflite_micro": "tflite-micro",
    "tflite_runtime": "tflite-runtime",
    "unicorn": "unicorn",
    "ziglang": "ziglang",
}


def need(*names: str) -> None:
    """Skips the test, naming what to install, if a program or a module is missing; in CI that is a failure."""
    for name in names:
        if name in _PROGRAMS:
            if shutil.which(name) is None:
                absent(f"needs {name}: install the Debian package {_PROGRAMS[name]}")
        elif importlib.util.find_spec(name) is None:
            absent(f"needs {name}: pip install {_MODULES[name]}")


def need_data(name: str) -> Path:
    """The folder of a real data set under BITWAVE_DATA (default ../shared/data beside the checkout), else a skip."""
    root = Path(os.environ.get("BITWAVE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (root / name).is_dir():
        absent(f"needs the data set {name} under {root}: set BITWAVE_DATA; the README names its source")
    return root / name


def absent(reason: str) -> NoReturn:
    """Skips with a reason; fails where CI must have everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI may not skip: {reason}", pytrace=False)
    pytest.skip(reason)
