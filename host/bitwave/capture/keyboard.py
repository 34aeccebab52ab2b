"""Single keys from the terminal while something else runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


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
        import select
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        if _in_background(descriptor):  # to touch the terminal would stop the process
            yield None
            return
        before = termios.tcgetattr(descriptor)
        listening = True

        def pressed() -> str:
            nonlocal listening
            if not listening or not select.select([descriptor], [], [], 0)[0]:
                return ""
            try:
                typed = os.read(descriptor, 64)
            except OSError:  # the terminal is gone, and what is recorded is not
                typed = b""
            listening = bool(typed)
            return typed.decode("ascii", "ignore")

        try:
            tty.setcbreak(descriptor)  # no line editing, no echo; Ctrl-C still interrupts
            yield pressed
        finally:
            with suppress(termios.error):  # gone
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _in_background(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:  # not the terminal that this process belongs to
        return False
