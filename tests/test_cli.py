"""The command line turns every error into one line and its own exit code."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer

from bitwave import __version__, cli, errors


def _raise(kind: str) -> None:
    """A verb that fails as told."""
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "exit":
        raise typer.Exit(1)
    if kind == "os":
        raise FileNotFoundError(2, "No such file or directory", "there.csv")
    if kind.startswith("without "):
        raise ModuleNotFoundError("No module", name=kind.removeprefix("without "))
    if kind != "nothing":
        raise getattr(errors, kind)("first\nsecond")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[typer.Typer]:
    """An application with the one verb ``fail``."""
    module = types.ModuleType("bitwave_test_verb")
    module.fail = _raise  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield cli.build_app([EntryPoint("fail", "bitwave_test_verb:fail", cli.GROUP)])


ALL_ERRORS = sorted(
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.BitwaveError) and value is not errors.BitwaveError
)


@pytest.mark.parametrize("name", ALL_ERRORS)
def test_every_error_is_one_line_and_its_exit_code(
    app: typer.Typer, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(app, ["fail", name]) == getattr(errors, name).exit_code
    captured = capsys.readouterr()
    assert captured.err == "bitwave: first second\n"
    assert captured.out == ""


def test_exit_codes_are_distinct_except_where_they_mean_the_same() -> None:
    codes = [getattr(errors, name).exit_code for name in ALL_ERRORS]
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert f"{code} " in cli.EXIT_CODES


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fail", "nothing"], 0, ""),
        (["fail", "exit"], 1, ""),
        (["fail", "interrupt"], 130, "bitwave: interrupted\n"),
        (["fail", "os"], 11, "bitwave: there.csv: No such file or directory\n"),
        (
            ["fail", "without unicorn"],
            8,
            "bitwave: this needs unicorn, which is not installed: pip install 'bitwave[verify]'\n",
        ),
        (
            ["fail", "without tensorflow.lite"],
            8,
            "bitwave: this needs tensorflow, which is not installed: pip install 'bitwave[train]'\n",
        ),
    ],
)
def test_other_ends(
    app: typer.Typer, arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(app, arguments) == code
    assert capsys.readouterr().err == said


def test_unknown_verbs_and_missing_arguments_are_usage_errors(
    app: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(app, ["dance"]) == 2
    assert "No such command 'dance'" in capsys.readouterr().err
    assert cli.run(app, ["fail"]) == 2


def test_a_missing_module_that_is_no_optional_package_is_a_fault_of_ours(app: typer.Typer) -> None:
    with pytest.raises(ModuleNotFoundError):
        cli.run(app, ["fail", "without bitwave.nothing"])


def test_version(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(app, ["--version"]) == 0
    assert capsys.readouterr().out == f"bitwave {__version__}\n"


def test_help_lists_verbs_in_the_order_of_the_way_of_the_data() -> None:
    names = ["live", "zebra", "parity", "train", "record"]
    points = [EntryPoint(name, "x:y", cli.GROUP) for name in names]
    assert [point.name for point in cli.verbs(points)] == ["record", "train", "parity", "live", "zebra"]


WITHOUT_EXTRAS = (
    "import sys; sys.modules.update(dict.fromkeys(('unicorn', 'capstone', 'elftools', 'tensorflow', 'keras')));"
    "from bitwave.cli import main; main()"
)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["live", "emu:?plan=wave"], "verify"),
        (["record", "emu:", "--label", "wave", "--participant", "p01", "--out", "data"], "verify"),
        (["train", "recordings", "--run", "run", "--epochs", "1"], "train"),
        (["demo"], "train"),
    ],
)
def test_a_plain_install_names_the_extra_that_a_verb_needs(arguments: list[str], extra: str, tmp_path: Path) -> None:
    (tmp_path / "recordings").symlink_to(Path(__file__).parents[1] / "datasets" / "demo")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == errors.MissingPackage.exit_code, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.strip()]  # a progress bar may leave an empty one
    assert f"[{extra}]" in said


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    script = tmp_path / "show.py"
    script.write_text(
        "import sys\n"
        "from rich.console import Console\n"
        "from bitwave import cli\n"
        "def show(args, standalone_mode):\n"
        "    for _ in range(20000):\n"
        "        Console().print('x' * 70)\n"
        "sys.exit(cli.run(show))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (0, b"")
