"""The project's rules about itself: style, types, no unseen skip, and CI that installs what tests name."""

from __future__ import annotations

import importlib.metadata
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


def test_no_line_is_longer_than_120() -> None:
    """What ruff does not look at: C, assembly, prose. A table of Markdown and README's first sentence cannot be cut."""
    need("git")
    kinds = ["*.c", "*.h", "*.cpp", "*.ino", "*.S", "*.ld", "*.md", "*.ini", "Makefile", ".ci/run"]
    listed = subprocess.run(["git", "ls-files", *kinds], cwd=ROOT, capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    assert "README.md" in names and "firmware/lib/bitwave_core/src/bw_app.c" in names
    long = [
        f"{name}:{number}"
        for name in names
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120 and not line.startswith(("| ", "**bitwave turns"))
    ]
    assert not long, long


def test_readme_names_every_verb() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = {entry.name for entry in importlib.metadata.entry_points(group="bitwave.commands")}
    assert len(verbs) > 20
    assert not {verb for verb in verbs if f"`{verb}`" not in readme}


def test_ci_installs_every_program_that_tests_name() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (packages,) = [line.split('"')[1].split() for line in script.splitlines() if line.startswith("packages=")]
    named = {name for text in support._PROGRAMS.values() for name in text.split(" and ")}
    assert named - {"make", "git"} <= set(packages)
