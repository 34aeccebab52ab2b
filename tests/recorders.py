"""`bitwave record` as a process of its own at a terminal of its own, for tests that kill it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bitwave import cli
from support import absent
from takes import store, take

# The terminal becomes the controlling one, as a shell would have made it.
AT_A_TERMINAL = (
    "import fcntl, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "sys.argv.pop(1) == 'nohup' and signal.signal(signal.SIGHUP, signal.SIG_IGN);"
    "from bitwave.cli import main; main()"
)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE_S = 60.0
WAVE = ("--label", "wave", "--participant", "p01", "--count-in", "0.2", "--seconds", "160", "--realtime")


def stored(folder: Path) -> str:
    """The link that replays a take of nearly three minutes, written to a folder."""
    store(folder, take(samples=20_000))
    return f"replay:{folder}/wave.p01.s01.1.csv"


def run(arguments: list[str]) -> int:
    """The exit code of the verb in this process."""
    return cli.run(cli.build_app(), ["record", *arguments])


def hidden(folder: Path) -> list[str]:
    """Names of hidden files: journals and locks."""
    return sorted(path.name for path in folder.rglob(".*"))


class Recorder:
    """A recording that runs.

    Attributes:
        process: of it.
        shown: what it has written to its terminal so far, colours left out.
    """

    def __init__(self, arguments: list[str], nohup: bool) -> None:
        import pty

        self._master, slave = pty.openpty()
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = os.environ | {"PYTHONPATH": paths, "TERM": "xterm", "COLUMNS": "200"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, "nohup" if nohup else "", "record", *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.shown = ""
        self._raw = b""
        self._closed = False

    def until(self, pattern: str) -> str:
        """Waits until a pattern has been shown; returns the match."""
        while not (found := re.search(pattern, self.shown)):
            assert self._more(), f"{pattern!r} never came: {self.shown[-2000:]!r}"
        return found[0]

    def until_take(self, label: str, seconds: float) -> None:
        """Waits until so much of a take has been shown."""
        while not any(float(passed) >= seconds for passed in re.findall(rf"{label} NOW +([\d.]+)[/ ]", self.shown)):
            assert self._more(), f"the take never came: {self.shown[-2000:]!r}"

    def end(self) -> int:
        """Waits for its end; returns the exit code."""
        while self._more():
            pass
        return self.process.wait(PATIENCE_S)

    def close_terminal(self) -> None:
        """What closing the window does."""
        os.close(self._master)
        self._closed = True

    def _more(self) -> bool:
        if self._closed:
            return False
        assert select.select([self._master], [], [], PATIENCE_S)[0], f"nothing more comes: {self.shown[-2000:]!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the other side is gone
            data = b""
        self._raw += data
        self.shown = CONTROL.sub("", self._raw.decode("utf-8", "replace"))
        return bool(data)


@contextlib.contextmanager
def recorder(*arguments: str, nohup: bool = False) -> Iterator[Recorder]:
    """A recording that is killed in the end, if it still runs."""
    if sys.platform == "win32":
        absent("needs pseudo-terminals: run this test on Linux or macOS")
    running = Recorder(list(arguments), nohup)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        if not running._closed:
            running.close_terminal()
