"""The bitwave GATT service. The twin of firmware/nano33ble/bitwave_uuids.h; a test holds both equal."""

from __future__ import annotations

SERVICE = "baa40001-daa7-44f1-8012-f9cc0bcd4bbf"
COMMAND = "baa40002-daa7-44f1-8012-f9cc0bcd4bbf"
FRAMES = "baa40003-daa7-44f1-8012-f9cc0bcd4bbf"
INFO = "baa40004-daa7-44f1-8012-f9cc0bcd4bbf"
LAST_EVENT = "baa40005-daa7-44f1-8012-f9cc0bcd4bbf"
NAME_PREFIX = "bitwave-"
