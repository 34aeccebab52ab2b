"""The command line: collects the verbs, and is the one place where an error becomes a line and an exit code.

Verbs come from the entry-point group ``bitwave.commands`` (name = verb, value = a typer-style function), so this
package never imports ``bitwave_train`` and a plug-in adds a verb without a change here.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer

from . import __version__
from .errors import BitwaveError, MissingPackage, UsageError

GROUP = "bitwave.commands"
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
OS_ERROR = 11
# The way of the data first, then the rest by name.
ORDER = (
    "demo", "record", "segment", "import", "exchange", "dataset", "train", "quantize", "calibrate", "evaluate",
    "export", "parity", "replay", "live",
    "ports", "doctor", "flash", "deploy", "rollback",
)  # fmt: skip

# Optional packages by the name that is imported, and the extra that brings each.
EXTRAS = {
    **dict.fromkeys(("keras", "matplotlib", "tensorflow"), "train"),
    "aeon": "baselines",
    **dict.fromkeys(("capstone", "elftools", "tflite_micro", "unicorn"), "verify"),
}

EXIT_CODES = (
    "Exit codes: 0 done, 1 parity difference, 2 usage, 3 model file, 4 model image, 5 recordings, 6 link or board, "
    "7 file not written, 8 optional package missing, 9 leaking split, 10 native build, 11 other file trouble, "
    "12 over the budget, 13 storage of a study, 14 session is being recorded, 130 interrupted; a recording that ends "
    "because its terminal is gone 129, by SIGTERM 143."
)


def verbs(found: Iterable[EntryPoint] | None = None) -> list[EntryPoint]:
    """The verbs in the order in which help lists them."""
    points = entry_points(group=GROUP) if found is None else found
    rank = {name: index for index, name in enumerate(ORDER)}
    return sorted(points, key=lambda point: (rank.get(point.name, len(rank)), point.name))


def build_app(found: Iterable[EntryPoint] | None = None) -> typer.Typer:
    """One typer application with every verb that is installed."""
    app = typer.Typer(
        name="bitwave", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, epilog=EXIT_CODES
    )

    @app.callback()
    def bitwave(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True)
        ] = False,
    ) -> None:
        """Record gestures, train a compact LSTM, and prove that the board computes the PC's bits."""

    for point in verbs(found):
        app.command(point.name)(point.load())
    return app


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bitwave {__version__}")
        raise typer.Exit


def run(app: Callable[..., object], arguments: list[str] | None = None) -> int:
    """Runs the application; returns the exit code and prints at most one line of error."""
    try:
        result = app(args=arguments, standalone_mode=False)
    except BitwaveError as error:
        return _complain(str(error), error.exit_code)
    except typer.TyperException as error:
        describe = getattr(error, "format_message", error.__str__)  # names the option, which str() does not
        return _complain(f"{describe()} (see --help)", UsageError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", INTERRUPTED)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise  # a fault of ours
        line = f"this needs {package}, which is not installed: pip install 'bitwave[{EXTRAS[package]}]'"
        return _complain(line, MissingPackage.exit_code)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # rich's way to say the same
            return 0
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}", OS_ERROR)
    if result == INTERRUPTED:  # typer has turned the interrupt into an exit
        return _complain("interrupted", INTERRUPTED)
    return result if isinstance(result, int) else 0


def _complain(line: str, code: int) -> int:
    with contextlib.suppress(OSError):  # the terminal may be what is gone
        print(f"bitwave: {' '.join(line.split())}", file=sys.stderr)
    return code


def main() -> None:
    """Entry point of the `bitwave` script and of ``python -m bitwave``."""
    try:
        app = build_app()
    except KeyboardInterrupt:  # the verbs' modules take a moment to import
        sys.exit(_complain("interrupted", INTERRUPTED))
    sys.exit(run(app))
