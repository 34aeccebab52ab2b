"""The wheel: what it carries, and that it works in an environment of its own, without a compiler."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bitwave import native
from support import need

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("hatchling", "ziglang")
    folder: Path = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    return path


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and nothing of this checkout or of a compiler."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        # The environment's own programs only: no compiler is found by name.
        environment = {**os.environ, "PATH": str(self.bin), "PYTHONPATH": ""}
        environment.pop("CI", None)
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=self.folder,
        )

    def python(self, code: str) -> str:
        """Output of a script that finds no ziglang either."""
        done = self.run("python", "-c", "import sys; sys.modules['ziglang'] = None\n" + code)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder: Path = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    environment = Installed(folder)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(environment.bin / "python")]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # What bitwave depends on is taken from here; a path file's own path files are not followed, so the editable
    # install of this checkout stays invisible.
    packages = Path(environment.python("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return environment


def test_wheel_carries_builds_and_sources(wheel: Path) -> None:
    assert wheel.name.endswith(f"-py3-none-{native.host_target().wheel_tag}.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        contents = {name: archive.read(name) for name in names}
    assert {name for name in names if "/_native/" in name} == {
        f"bitwave/_native/{native.host_library().name}",
        f"bitwave/_native/{native.m4_elf('clang').name}",
    }
    firmware = native.firmware_root()
    for path in native._sources("host") | native._sources("emu"):
        assert contents[f"bitwave/_firmware/{path.relative_to(firmware).as_posix()}"] == path.read_bytes()
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]
    for path in (ROOT, Path.home(), Path(sys.prefix)):
        assert [name for name, content in contents.items() if str(path).encode() in content] == []


def test_every_verb_has_its_module_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    points = entry_points(group="bitwave.commands")
    assert {point.name for point in points} >= {"demo", "record", "import", "train", "quantize", "parity", "live"}
    for point in points:
        module = point.module.replace(".", "/")
        assert names & {f"{module}.py", f"{module}/__init__.py"}, point


def test_help_lists_the_verbs(installed: Installed) -> None:
    done = installed.run("bitwave", "--help")
    assert done.returncode == 0, done.stderr
    for point in entry_points(group="bitwave.commands"):
        assert point.name in done.stdout


def test_core_loads_without_a_compiler_and_without_tensorflow(installed: Installed) -> None:
    code = """
import bitwave, ctypes
from pathlib import Path
from bitwave import cli, core, native
assert Path(bitwave.__file__).is_relative_to(sys.prefix), bitwave.__file__
library = native.host_library()
assert library.is_relative_to(sys.prefix), library
assert ctypes.CDLL(str(library)).bw_crc32(0, b"123456789", ctypes.c_size_t(9)) & 0xFFFFFFFF == 0xCBF43926
cli.build_app()
print(sorted(name for name in ("tensorflow", "keras", "tflite_micro", "unicorn") if name in sys.modules))
"""
    assert installed.python(code) == "[]\n"


def test_emulated_board_runs_from_the_wheel(installed: Installed) -> None:
    need("unicorn", "elftools", "capstone")
    code = "from bitwave.emulator.board import EmulatedBoard\nprint(EmulatedBoard(None).transmit())"
    assert installed.python(code) == "b''\n"


def test_changed_sources_in_an_installed_package_are_refused(installed: Installed) -> None:
    code = """
from bitwave import native
from bitwave.errors import NativeBuildError
source = native.firmware_root() / "lib" / "bitwave_core" / "src" / "bw_crc.c"
whole = source.read_text()
source.write_text(whole + "/* changed */")
try:
    native.host_library()
except NativeBuildError as error:
    print(error)
finally:
    source.write_text(whole)
"""
    assert "the C sources have changed since the build at hand" in installed.python(code)


def test_platforms_without_a_wheel_ask_for_none(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist")]

    def wanted(extra: str, system: str, machine: str, python: str) -> set[str]:
        at = {"extra": extra, "sys_platform": system, "platform_machine": machine, "python_version": python}
        return {r.name for r in requirements if r.marker is None or r.marker.evaluate(at)}

    engines = {"tflite-micro", "tflite-runtime", "ai-edge-litert"}
    assert wanted("verify", "linux", "x86_64", "3.11") & engines == {"tflite-micro", "tflite-runtime"}
    assert wanted("verify", "linux", "x86_64", "3.13") & engines == {"tflite-micro", "ai-edge-litert"}
    assert wanted("verify", "win32", "AMD64", "3.11") & engines == set()
    assert wanted("verify", "darwin", "arm64", "3.12") & engines == {"ai-edge-litert"}
    assert "tensorflow-cpu" in wanted("train", "win32", "AMD64", "3.12")
    assert {"tensorflow"} == wanted("train", "darwin", "arm64", "3.12") & {"tensorflow", "tensorflow-cpu"}
    plain = wanted("", "linux", "x86_64", "3.11")
    assert plain == {
        *("bleak", "cbor2", "cobs", "numpy", "platformdirs", "pydantic", "pyserial", "rich", "tflite", "typer"),
    }
    assert metadata["License-Expression"] == "MIT"
