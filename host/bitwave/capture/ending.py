"""How a recording is told to end: Ctrl-C, a closed terminal, a shutdown. What came is kept and said."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# A closed console is SIGHUP, on Windows SIGBREAK.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
WORDS = {"SIGINT": "interrupted", "SIGTERM": "ended by SIGTERM", "SIGHUP": "the terminal is gone"}


class Ended(KeyboardInterrupt):
    """A signal asked for the end.

    Attributes:
        number: of the signal.
        kept: what became of the take that was running; empty where none was.
        whole: takes that were done before.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number
        self.kept = ""
        self.whole = 0

    @property
    def exit_code(self) -> int:
        """As shells report it."""
        return 128 + self.number

    def __str__(self) -> str:
        name = signal.Signals(self.number).name
        kept = self.kept or "no take was running"
        before = "" if not self.whole else f"; {self.whole} before it {'is' if self.whole == 1 else 'are'} whole"
        return f"{WORDS.get(name, f'ended by {name}')}: {kept}{before}"


class Ending:
    """Whether the end was asked for; signals raise `Ended` where they come, or, while deferred, at the next check."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Nothing is torn within, a file being written least of all."""
        self._deferred = True
        try:
            self.check()
            yield
        finally:
            self._deferred = False

    def check(self) -> None:
        """Raises `Ended` where the end was asked for."""
        if self._asked is not None:
            raise Ended(self._asked)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """A signal's handler. A closed terminal may send several; only Ctrl-C may have to be said twice."""
        again = self._asked is not None
        if not again:
            self._asked = number
        if not self._deferred and (number == signal.SIGINT or not again):
            raise Ended(number)


@contextmanager
def heeded() -> Iterator[Ending]:
    """Signals end what runs within in an orderly way; those that the caller ignores, as nohup does, stay ignored."""
    ending = Ending()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, ending.hear)
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
