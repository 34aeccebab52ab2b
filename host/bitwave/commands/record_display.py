"""What a person sees while recording: what to do now, how the link is, and the live signal."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ..capture.continuous import LONGEST_S

if TYPE_CHECKING:
    from ..capture.cues import Progress

BARS = " ▁▂▃▄▅▆▇█"
REFRESH_HZ = 10
WIDTH = 60  # moments of the signal that are shown
FULL = (32768.0, 16384.0)  # counts of the highest bar: acceleration, angular rate


class _Screen:
    """Standard error whose loss ends no recording: a closed terminal, a pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def lasting_console() -> Console:
    """What a recording is shown on."""
    return Console(file=cast(IO[str], _Screen()), markup=False)  # names and paths may hold brackets


@contextmanager
def display(console: Console, keys: bool, continuous: bool = False) -> Iterator[Display]:
    """A few lines that are alive."""
    shown = Display(keys, continuous)
    with Live(Text("waiting for the board"), console=console, refresh_per_second=REFRESH_HZ, transient=True) as live:
        shown.live = live
        yield shown


class Display:
    """Shows moments; `keys` says whether a keyboard listens, `continuous` whether there is one take only."""

    def __init__(self, keys: bool = False, continuous: bool = False) -> None:
        self.keys = keys
        self.hint = END if continuous else HINT
        self.live: Live | None = None
        self.due = 0.0
        self.signal: deque[tuple[float, float]] = deque(maxlen=WIDTH)

    def __call__(self, moment: Progress) -> None:
        """Shows a moment."""
        if moment.faults and self.live is not None:
            again = "; r does it again" if self.keys else ""
            self.live.console.print(f"{moment.faults}{again}", style="red", highlight=False)
        self.signal.append((math.hypot(*moment.last[:3]), math.hypot(*moment.last[3:6])))
        now = time.monotonic()
        # Drawing takes longer than reading: no more often than the screen shows it, or a busy machine loses samples.
        if self.live is not None and (now >= self.due or moment.phase in ("saved", "redo")):
            self.due = now + 1 / REFRESH_HZ
            self.live.update(
                Group(line(moment), *self._signal(), *([Text(self.hint, style="dim")] if self.keys else []))
            )

    def _signal(self) -> list[Text]:
        accel, rate = zip(*self.signal, strict=True)
        return [
            Text(f"|a| {spark(accel, FULL[0])}", style="cyan"),
            Text(f"|w| {spark(rate, FULL[1])}", style="magenta"),
        ]


END = "q or Ctrl-C: end"
HINT = "r: do the last take again   q: stop after this one"


def spark(values: tuple[float, ...], full: float) -> str:
    """A line of bars, one a value; the highest stands for `full` and above."""
    return "".join(BARS[min(len(BARS) - 1, int(value * len(BARS) / full))] for value in values)


def line(moment: Progress) -> Text:
    """What to do now, and how the link is."""
    cue = moment.cue
    text = Text()
    if moment.phase == "count-in":
        left = max(0.0, cue.count_in_s - moment.elapsed_s)
        text.append(f"{cue.label} in {left:3.1f} s  ", style="yellow")
    elif moment.phase == "take":
        of = f"/{cue.seconds:g}" if cue.seconds < LONGEST_S else ""
        text.append(f"{cue.label} NOW {moment.elapsed_s:4.1f}{of} s  ", style="bold green")
    elif moment.phase == "over":
        text.append("all done; r does the last one again  ", style="green")
    else:
        text.append(f"{cue.label} {'moved aside' if moment.phase == 'redo' else 'saved'}  ", style="green")
    if cue.say and moment.phase in ("count-in", "take"):
        text.append(f"({cue.say})  ", style="italic")
    text.append(f"take {moment.take}/{moment.of}  {moment.rate_hz:6.1f} Hz  ")
    for word, number in (("lost", moment.lost), ("CRC", moment.crc_errors), ("clipped", moment.clipped)):
        text.append(f"{word} {number}  ", style="red" if number else "")
    return text
