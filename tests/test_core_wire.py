"""The wire format in C and in Python: the same bytes out, the same frames and errors in."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwave import wire
from bitwave.core import host
from bitwave.core.app import Board, HostApp
from bitwave.wire import frames, requests
from bitwave.wire.codec import Frame

# Bodies without zeros, of zeros only, and around COBS's blocks of 254 bytes, beside random ones.
BODIES = st.one_of(
    st.binary(max_size=505),
    st.integers(0, 505).map(lambda size: b"\x01" * size),
    st.integers(0, 505).map(bytes),
    st.tuples(st.integers(235, 260), st.binary(max_size=200)).map(lambda pair: b"\x07" * pair[0] + pair[1]),
)
BOARD = Board(0, (1, 2, 3), 6, 119_000, 8_192_000, 16_384)


@settings(max_examples=300, deadline=None)
@given(st.integers(0x70, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), BODIES)
def test_both_encode_the_same(kind: int, sequence: int, time_us: int, body: bytes) -> None:
    payload = struct.pack("<BHI", kind, sequence, time_us) + body
    assert host.encode_frame(payload) == wire.encode(Frame(frames.Unknown(kind, body), sequence, time_us))


@pytest.mark.parametrize("size", range(7, 513))
def test_both_encode_every_length(size: int) -> None:
    for byte in (b"\x00", b"\x01", b"\xff"):
        payload = b"\x99" + byte * (size - 1)
        body = frames.Unknown(0x99, payload[7:])
        fields = struct.unpack_from("<HI", payload, 1)
        encoded = host.encode_frame(payload)
        assert encoded == wire.encode(Frame(body, *fields))
        assert encoded.count(b"\0") == 1 and len(encoded) <= host.MAX_FRAME


def test_sizes_out_of_range_are_not_encoded() -> None:
    assert host.encode_frame(bytes(6)) == b""
    assert host.encode_frame(bytes(513)) == b""


class Listener:
    """Feeds bytes to the C decoder, inside an app without a model, and reads what it thought of them."""

    def __init__(self) -> None:
        self.app = HostApp(None, BOARD)

    def hear(self, stream: bytes) -> tuple[list[tuple[int, int]], int]:
        """(type, sequence) of every sound frame, and the number of stretches that were none."""
        self.app.receive(stream + b"\0")
        heard = []
        for frame in wire.decode(self.app.transmit()).frames:
            if isinstance(frame.body, frames.Status):
                heard.append((frame.body.command, frame.body.command_sequence))
        self.app.receive(wire.encode(Frame(requests.GetCounters())))
        counters = [f.body for f in wire.decode(self.app.transmit()).frames if isinstance(f.body, frames.Counters)]
        return heard, counters[0].crc_errors


def python_hears(stream: bytes) -> tuple[list[tuple[int, int]], int]:
    decoded = wire.decode(stream + b"\0")
    heard: list[Any] = [
        (f.body.type if isinstance(f.body, frames.Unknown) else f.body.TYPE, f.sequence) for f in decoded.frames
    ]
    return heard, decoded.errors


def damaged(frame: bytes, seed: int) -> bytes:
    """A frame with one byte changed, lost or doubled, or whole."""
    rng = random.Random(seed)
    at = rng.randrange(len(frame))
    return rng.choice((
        frame,
        frame[:at] + bytes([rng.randrange(256)]) + frame[at + 1 :],
        frame[:at] + frame[at + 1 :],
        frame[: at + 1] + frame[at:],
        frame[:at],
        frame[at:],
    ))  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF), BODIES, st.integers(0, 2**32)), max_size=6))
def test_both_decode_damaged_streams_the_same(parts: list[tuple[int, bytes, int]]) -> None:
    # Types that no command has: each sound frame is answered by one STATUS, nothing else happens.
    sent = [(wire.encode(Frame(frames.Unknown(0x90, body), sequence)), seed) for sequence, body, seed in parts]
    stream = b"".join(damaged(frame, seed) for frame, seed in sent)
    assert Listener().hear(stream) == python_hears(stream)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=700), st.binary(min_size=500, max_size=540).map(lambda b: b.replace(b"\0", b"\1"))))
def test_both_refuse_noise_the_same(noise: bytes) -> None:
    assert Listener().hear(noise) == python_hears(noise)


@pytest.mark.parametrize("size", range(505, 520))
def test_frames_around_the_limit(size: int) -> None:
    """Sound CRC, sound COBS, but perhaps too long."""
    from cobs import cobs

    for filler in (b"\x00", b"\x05"):
        payload = struct.pack("<BHI", 0x90, 77, 0) + filler * (size - 7)
        stream = bytes(cobs.encode(payload + struct.pack("<H", wire.crc16(payload))))
        heard, errors = Listener().hear(stream)
        assert (heard, errors) == (([(0x90, 77)], 0) if size <= 512 else ([], 1))
        assert (heard, errors) == python_hears(stream)


def test_byte_by_byte_is_the_same() -> None:
    stream = b"".join(wire.encode(Frame(requests.GetInfo(), n)) for n in range(5))
    whole, single = HostApp(None, BOARD), HostApp(None, BOARD)
    whole.receive(stream)
    for byte in stream:
        single.receive(bytes([byte]))
    assert whole.transmit() == b"".join(single.transmit(1) for _ in range(4096))


def test_crc_of_both() -> None:
    rng = np.random.default_rng(0)
    for size in (7, 8, 100, 512):
        payload = rng.integers(0, 256, size).astype(np.uint8).tobytes()
        frame = wire.decode(host.encode_frame(b"\x90" + payload[1:]))
        assert frame.errors == 0 and len(frame.frames) == 1
