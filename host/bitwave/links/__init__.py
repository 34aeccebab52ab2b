"""Links to a board: over a serial port, Bluetooth Low Energy, from a recording, or to the emulated board."""

from .link import Link, LinkEnd
from .opening import open, split_url

__all__ = ["Link", "LinkEnd", "open", "split_url"]
