"""Starts a command per event, without a shell: a label or a score can never be taken for one of its words."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping

from ..errors import UsageError

STDERR = 2
FACTS = ("label", "score", "time_s", "sample")
MOST = 32  # at a time: a command that hangs must not fill the machine


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
        unknown = [name for name in re.findall(r"\{(\w+)\}", " ".join(self._words)) if name not in FACTS]
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in FACTS)
            notice(f"--run: {{{unknown[0]}}} is passed on as it is; what is filled in are {known}")
        self._notice = notice
        self._quiet = quiet
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, facts: Mapping[str, object]) -> None:
        """Starts the command for an event and goes on without it."""
        words = [self._filled(word, facts) for word in self._words]
        self.look()
        if len(self._running) >= MOST:
            self._notice(f"{words[0]} is not started: {MOST} of it are running still")
            return
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=STDERR if self._quiet else None)
        except OSError as error:
            self._notice(f"{words[0]} does not start: {error.strerror}")
            return
        self._running.append(process)

    def look(self) -> None:
        """Takes leave of the commands that have ended, and says which failed; to be called often."""
        ended = [process for process in self._running if process.poll() is not None]
        for process in ended:
            self._running.remove(process)
            if process.returncode:
                how = (
                    f"with code {process.returncode}" if process.returncode > 0 else f"by signal {-process.returncode}"
                )
                self._notice(f"{self._words[0]} ended {how}")

    def finish(self) -> None:
        """Waits for the commands that still run; Ctrl-C leaves them to themselves."""
        self.look()
        if self._running:
            self._notice(f"waiting for {len(self._running)} of {self._words[0]}; Ctrl-C leaves them running")
        try:
            for process in self._running:
                process.wait()
        except KeyboardInterrupt:
            return
        self.look()

    @staticmethod
    def _filled(word: str, facts: Mapping[str, object]) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: str(facts.get(found[1], found[0])), word)
