"""Starts a command per event, without a shell: a label or a score can never be taken for one of its words."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping

from ..errors import UsageError

STDERR = 2


class EventRunner:
    """One command line, started anew with each event's facts in place of ``{label}`` and the like."""

    def __init__(self, line: str, notice: Callable[[str], None], quiet: bool = False) -> None:
        """Takes the line apart as a shell would, and looks for its program.

        Args:
            line: the command; words are split as by a POSIX shell, nothing else is.
            notice: gets a line for the person where a command fails.
            quiet: what the commands print goes to the standard error.

        Raises:
            UsageError: the line cannot be split, or names no program that there is.
        """
        try:
            self._words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"--run {line!r}: {error}") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise UsageError(f"--run {line!r}: there is no program {self._words[0] if self._words else ''!r}")
        self._notice = notice
        self._quiet = quiet
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, facts: Mapping[str, object]) -> None:
        """Starts the command for an event and goes on without it."""
        words = [self._filled(word, facts) for word in self._words]
        self._reap()
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=STDERR if self._quiet else None)
        except OSError as error:
            self._notice(f"{words[0]} does not start: {error.strerror}")
            return
        self._running.append(process)

    def finish(self) -> None:
        """Waits for the commands that still run."""
        for process in self._running:
            process.wait()
        self._reap()

    def _reap(self) -> None:
        for process in self._running:
            if process.poll():
                self._notice(f"{self._words[0]} ended with code {process.returncode}")
        self._running = [process for process in self._running if process.poll() is None]

    @staticmethod
    def _filled(word: str, facts: Mapping[str, object]) -> str:
        for name, value in facts.items():
            word = word.replace(f"{{{name}}}", str(value))
        return word
