"""The wire format: bytes in, typed frames out, and back. No I/O in this package."""

from .bodies import Body, MalformedBody
from .codec import MAX_FRAME, MAX_PAYLOAD, Decoded, Decoder, Frame, crc16, decode, encode

__all__ = [
    "Body",
    "MalformedBody",
    "Decoded",
    "Decoder",
    "Frame",
    "MAX_FRAME",
    "MAX_PAYLOAD",
    "crc16",
    "decode",
    "encode",
]
