"""``serial:PORT``: a board on a serial port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import LinkError
from .link import Link

if TYPE_CHECKING:
    import serial

T = TypeVar("T")


class SerialLink(Link):
    """A board on a serial port."""

    def __init__(self, url: str, port: str) -> None:
        """Opens the port; raises `LinkError`."""
        super().__init__(url)
        import serial

        self._port: serial.Serial | None = None
        try:
            # USB CDC ignores the baud rate; 1200 would reboot the board into its bootloader.
            self._port = serial.Serial(port, 115200, timeout=0.1, write_timeout=2.0, exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise LinkError(
                f"{port} cannot be opened: {_why(error)}; is the board plugged in, the port free?"
            ) from error
        # Ends what an earlier program may have left half sent.
        self._write(b"\0")

    def _write(self, data: bytes) -> None:
        self._guard(lambda port: port.write(data))

    def _read(self, timeout_s: float) -> bytes:
        def read(port: serial.Serial) -> bytes:
            port.timeout = timeout_s
            first = port.read(1)
            return bytes(first + port.read(port.in_waiting)) if first else b""

        return self._guard(read)

    def close(self) -> None:
        """Closes the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _guard(self, action: Callable[[serial.Serial], T]) -> T:
        if self._port is None:
            raise LinkError(f"{self.url} is closed")
        try:
            return action(self._port)
        except OSError as error:
            raise LinkError(f"{self.url} vanished: {_why(error)}; plug the board in again") from error


def _why(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())
