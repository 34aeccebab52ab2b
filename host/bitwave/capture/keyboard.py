"""Single keys from the terminal while something else runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def keys() -> Iterator[Callable[[], str] | None]:
    """Gives a function that returns what was typed since its last call, or None where no terminal listens."""
    if not sys.stdin.isatty():
        yield None
    elif sys.platform == "win32":
        import msvcrt

        def typed() -> str:
            return "".join(msvcrt.getwch() for _ in iter(msvcrt.kbhit, False))

        yield typed
    else:
        import os
        import select
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)

        def pressed() -> str:
            ready, _, _ = select.select([descriptor], [], [], 0)
            return os.read(descriptor, 64).decode("ascii", "ignore") if ready else ""

        try:
            tty.setcbreak(descriptor)  # no line editing, no echo; Ctrl-C still interrupts
            yield pressed
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
