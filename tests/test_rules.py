"""The project's rules about itself: style, types, no unseen skip, and CI that installs what tests name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import support
from support import need

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("tool", ["ruff check", "ruff format --check", "mypy"])
def test_style_and_types(tool: str) -> None:
    need(tool.split()[0])
    command = [sys.executable, "-m", *tool.split(), *([] if tool == "mypy" else ["."])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


SKIPS = """
import pytest
from support import need

def test_needs(): need("{program}")
def test_skips(): pytest.skip("no reason")
@pytest.mark.xfail
def test_expected(): assert False
def test_passes(): pass
"""


@pytest.mark.parametrize("ci", ["true", ""])
def test_ci_fails_on_every_skip(ci: str, tmp_path: Path) -> None:
    (tmp_path / "test_skips.py").write_text(SKIPS.format(program="qemu-system-arm"))
    (tmp_path / "test_module_skips.py").write_text("import pytest\npytest.skip('all', allow_module_level=True)\n")
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    environment = {**os.environ, "CI": ci, "PATH": "", "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    options = ["--continue-on-collection-errors", str(tmp_path)]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    summary = done.stdout.splitlines()[-1]
    if ci:
        assert (done.returncode, summary.split(" in ")[0]) == (1, "3 failed, 1 passed, 1 error")
    else:
        assert (done.returncode, summary.split(" in ")[0]) == (0, "1 passed, 3 skipped, 1 xfailed")


def test_ci_installs_every_program_that_tests_name() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (packages,) = [line.split('"')[1].split() for line in script.splitlines() if line.startswith("packages=")]
    named = {name for text in support._PROGRAMS.values() for name in text.split(" and ")}
    assert named - {"make", "git"} <= set(packages)
