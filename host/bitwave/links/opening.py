"""Links to a board, opened by URL: ``serial:``, ``ble:``, ``replay:``, ``emu:``. All speak the same frames.

- ``serial:/dev/ttyACM0``, ``serial:COM3``: a board on a serial port.
- ``ble:bitwave-1A2B``, ``ble:`` for the only one in reach: a board over Bluetooth Low Energy; see `bitwave.links.ble`.
- ``replay:wave.p01.s01.1.csv``: a recording, streamed as a board without a model would.
- ``emu:?model=model.tflite&wrist=0&participant=p01&plan=wave,idle``: the emulated board on the virtual wrist; see
  `bitwave.links.virtual` for its words.

``realtime=1`` slows a link on virtual time down to the clock on the wall.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from ..errors import UsageError
from .link import Link


def split_url(url: str) -> tuple[str, str, dict[str, str]]:
    """``scheme:rest?key=value&...`` in its parts; raises `UsageError`."""
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise UsageError(f"{url!r} is no link: serial:PORT, ble:NAME, replay:FILE.csv or emu:")
    place, mark, query = rest.rpartition("?")
    if not mark or "=" not in query:
        place, query = rest, ""
    return scheme, place, dict(parse_qsl(query, keep_blank_values=True))


def open(url: str, realtime: bool = False) -> Link:
    """Opens a link by its URL.

    Args:
        url: see the module.
        realtime: slow a link on virtual time down, as ``realtime=1`` in the URL does.

    Raises:
        UsageError: the URL makes no sense.
        LinkError: the port cannot be opened.
        RecordingError: the recording to replay cannot be read.
    """
    scheme, place, words = split_url(url)
    if realtime:
        words["realtime"] = "1"
    if scheme == "serial" and place:
        from .serial_link import SerialLink

        return SerialLink(url, place)
    if scheme == "ble":
        from .ble import BleLink

        return BleLink(url, place)
    if scheme == "replay" and place:
        from .virtual import replay_link

        return replay_link(url, place, words)
    if scheme == "emu":
        from .virtual import emulated_link

        return emulated_link(url, words)
    raise UsageError(f"{url!r} is no link: serial:PORT, ble:NAME, replay:FILE.csv or emu:")
