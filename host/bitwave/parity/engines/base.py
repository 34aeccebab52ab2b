"""What an engine is: a name, and windows in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...model.quantmodel import Int8Array, Int16Array


@dataclass(frozen=True, eq=False)
class Outputs:
    """What one engine computed for a batch of windows.

    Attributes:
        scores: (windows, classes) int8.
        hidden: per LSTM layer (windows, steps, hidden) int8; empty where the engine does not show it.
        cell: per LSTM layer (windows, steps, hidden) int16; empty where the engine does not show it.
    """

    scores: Int8Array
    hidden: tuple[Int8Array, ...] = ()
    cell: tuple[Int16Array, ...] = ()


class Engine(Protocol):
    """Runs windows, each from a reset.

    Attributes:
        batch: windows that one call should get, so that progress shows and memory stays small.
    """

    batch: int

    def run(self, windows: Int8Array) -> Outputs:
        """Takes (windows, steps, channels) int8."""
        ...
