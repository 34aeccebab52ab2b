"""The wire format: round trips, and streams that are cut and corrupted at every byte."""

from __future__ import annotations

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitwave import wire
from bitwave.wire import frames, requests
from bitwave.wire.codec import Frame

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
I8, I16 = st.integers(-128, 127), st.integers(-32768, 32767)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


@st.composite
def samples(draw: st.DrawFn) -> frames.Samples:
    channels, count = draw(st.integers(1, 12)), draw(st.integers(1, 8))
    rows = draw(st.lists(st.lists(I16, min_size=channels, max_size=channels), min_size=count, max_size=count))
    steps = [0, *draw(st.lists(U16, min_size=count - 1, max_size=count - 1))]
    return frames.Samples(draw(U32), np.array(steps, np.uint16), np.array(rows, np.int16))


@st.composite
def traces(draw: st.DrawFn) -> frames.Trace:
    n = draw(st.integers(0, 64))
    hidden, cell = (draw(st.lists(v, min_size=n, max_size=n).map(tuple)) for v in (I8, I16))
    return frames.Trace(draw(U16), draw(U8), hidden, cell)


INFOS = st.builds(
    frames.Info,
    format=st.just(3), abi=U8, board=U8, firmware=st.binary(min_size=3, max_size=3), channels=U8, rate_mhz=U32,
    model_rate_mhz=U32, window=U16, hop=U16, accel_milli_lsb=U32, gyro_milli_lsb=U32,
    digest=st.binary(min_size=8, max_size=8), lost_samples=U32, dropped_frames=U32,
    active=U8, slots=st.binary(min_size=2, max_size=2), flags=U8, slot_bytes=U32, arena_bytes=U32, arena_used=U32,
    model_flags=U8, measured_rate_mhz=U32, taken_rate_mhz=U32,
    labels=st.lists(st.text("abcxyz-019", max_size=24), max_size=16).map(tuple),
)  # fmt: skip
BODIES = st.one_of(
    INFOS,
    samples(),
    st.builds(frames.Event, U32, U8, U8),
    st.builds(frames.Scores, U32, st.lists(I8, max_size=16).map(tuple)),
    st.builds(frames.Status, U8, U16, U8, TEXT),
    traces(),
    st.builds(frames.Counters, *[U32] * 10),
    st.builds(frames.Fault, U8, TEXT),
    st.builds(frames.Rate, U32, U32),
    st.builds(frames.Update, U8, U8, U32, U32, st.binary(min_size=8, max_size=8)),
    st.just(requests.GetInfo()),
    st.builds(requests.Stream, U8),
    st.builds(requests.Recognise, U8),
    st.just(requests.SelfTest()),
    st.builds(requests.Parity, U16, U8, U8, st.binary(max_size=400)),
    st.just(requests.GetCounters()),
    st.builds(requests.UpdateBegin, U32, U32, st.binary(min_size=8, max_size=8)),
    st.builds(requests.UpdateChunk, U32, st.binary(max_size=480), U8),
    st.sampled_from(
        [
            requests.UpdateFinish(),
            requests.UpdateAbort(),
            requests.Rollback(),
            requests.AllowUpdate(),
            requests.Bootloader(),
        ]
    ),
    st.builds(frames.Unknown, st.integers(0x70, 0xFF), st.binary(max_size=500)),
)
FRAMES = st.builds(Frame, BODIES, U16, U32)


def plain(frame: Frame) -> object:
    """A frame in a form that compares by value; arrays do not."""
    body = frame.body
    values = {f.name: getattr(body, f.name) for f in dataclasses.fields(body)}  # type: ignore[arg-type]
    told = {k: (v.tolist(), v.dtype.str) if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return type(body), told, frame.sequence, frame.time_us


def one_of_each() -> list[Frame]:
    """A short stream with zeros and long stretches without any."""
    rng = np.random.default_rng(1)
    return [
        Frame(frames.Info(labels=("wave", "idle"), rate_mhz=119_000), 7, 5),
        Frame(frames.Samples(3, np.array([0, 8403], np.uint16), rng.integers(-9, 9, (2, 6)).astype(np.int16)), 8, 9),
        Frame(requests.Parity(0, 64, 3, bytes([1] * 384)), 9),
        Frame(requests.GetInfo(), 65535),
        Frame(frames.Event(100, 1, 200), 0, 2**32 - 1),
    ]


@given(st.lists(FRAMES, max_size=5), st.binary(max_size=3))
def test_round_trip(sent: list[Frame], unfinished: bytes) -> None:
    tail = unfinished.replace(b"\0", b"\1")
    decoded = wire.decode(b"".join(map(wire.encode, sent)) + tail)
    assert [plain(f) for f in decoded.frames] == [plain(f) for f in sent]
    assert (decoded.rest, decoded.errors) == (tail, 0)


def test_known_bytes() -> None:
    # By hand: payload 42 34 12 00 00 00 00 01, CRC-16/CCITT-FALSE over it, then COBS.
    assert wire.crc16(b"123456789") == 0x29B1  # the check value of the CRC catalogue
    crc = wire.crc16(bytes.fromhex("4234120000000001"))
    expected = bytes([4, 0x42, 0x34, 0x12, 1, 1, 1, 4, 1, crc & 0xFF, crc >> 8, 0])
    assert crc & 0xFF and crc >> 8, "the example needs a CRC without a zero byte"
    assert wire.encode(Frame(requests.Stream(1), 0x1234)) == expected


def test_cut_anywhere_decodes_the_same() -> None:
    stream = b"".join(map(wire.encode, one_of_each()))
    wanted = [plain(f) for f in one_of_each()]
    for cut in range(len(stream) + 1):
        decoder = wire.Decoder()
        got = [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])]
        assert [plain(f) for f in got] == wanted, cut
        assert (decoder.errors, decoder.rest) == (0, b"")


def test_a_cut_end_is_kept_for_later() -> None:
    stream = b"".join(map(wire.encode, one_of_each()))
    ends = [i for i, byte in enumerate(stream) if byte == 0]
    for cut in range(len(stream)):
        decoded = wire.decode(stream[:cut])
        assert len(decoded.frames) == sum(end < cut for end in ends)
        assert decoded.errors == 0
        assert stream[:cut].endswith(decoded.rest)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_corruption_at_every_byte_costs_only_its_own_frame(flip: int) -> None:
    sent = one_of_each()
    parts = [wire.encode(frame) for frame in sent]
    stream = b"".join(parts)
    owner = [index for index, part in enumerate(parts) for _ in part]
    wanted = [plain(f) for f in sent]
    for at in range(len(stream)):
        hurt = stream[:at] + bytes([stream[at] ^ flip]) + stream[at + 1 :]
        decoded = wire.decode(hurt + b"\0")
        # A damaged delimiter joins two frames, so the next one may be lost as well.
        lost = {owner[at], owner[at] + 1} if stream[at] == 0 else {owner[at]}
        assert [plain(f) for f in decoded.frames] == [w for i, w in enumerate(wanted) if i not in lost], at
        assert decoded.errors >= 1


def test_a_byte_lost_or_doubled_costs_only_its_own_frame() -> None:
    parts = [wire.encode(frame) for frame in one_of_each()]
    wanted = [plain(f) for f in one_of_each()]
    for index, part in enumerate(parts):
        for at in range(len(part) - 1):
            for hurt in (part[:at] + part[at + 1 :], part[:at] + part[at : at + 1] + part[at:]):
                if hurt == part:
                    continue
                decoded = wire.decode(b"".join((*parts[:index], hurt, *parts[index + 1 :])))
                assert [plain(f) for f in decoded.frames] == wanted[:index] + wanted[index + 1 :], (index, at)
                assert decoded.errors == 1


@given(st.binary(max_size=2000))
def test_garbage_never_raises_and_stays_bounded(garbage: bytes) -> None:
    decoded = wire.decode(garbage)
    assert len(decoded.rest) <= wire.MAX_FRAME + 1
    assert decoded.errors + len(decoded.frames) <= garbage.count(b"\0")


def test_endless_garbage_is_one_error_and_bounded() -> None:
    decoder = wire.Decoder()
    for _ in range(100):
        assert list(decoder.feed(b"\x55" * 97)) == []
        assert len(decoder.rest) <= wire.MAX_FRAME + 1
    (frame,) = decoder.feed(b"\0" + wire.encode(Frame(requests.GetInfo(), 3)))
    assert (frame.sequence, decoder.errors) == (3, 1)


def test_sound_frames_with_malformed_bodies_are_errors() -> None:
    bodies = {
        0x01: b"\x01" + bytes(10), 0x02: bytes(6), 0x03: bytes(5), 0x04: bytes([0, 0, 0, 0, 3, 1]), 0x05: bytes(3),
        0x06: bytes([0, 0, 0, 4, 1]), 0x07: bytes(23), 0x08: bytes([1, 2, 65]), 0x41: b"x", 0x42: b"", 0x45: b"1",
    }  # fmt: skip
    for kind, body in bodies.items():
        decoded = wire.decode(wire.encode(Frame(frames.Unknown(kind, body))))
        assert decoded == ([], b"", 1), hex(kind)


def test_an_info_of_a_newer_format_tells_its_format() -> None:
    newer = wire.encode(Frame(frames.Unknown(0x01, b"\x04whatever comes")))
    assert wire.decode(newer).frames == [Frame(frames.Info(format=4))]


@pytest.mark.parametrize("number, missing", [(1, 25), (2, 9)])
def test_an_info_of_an_older_format_is_read(number: int, missing: int) -> None:
    old = frames.Info(format=number, labels=("wave", "idle"), rate_mhz=119_000, active=frames.BUILT_IN)
    assert len(old.pack()) == len(frames.Info(labels=old.labels).pack()) - missing
    assert wire.decode(wire.encode(Frame(old))).frames == [Frame(old)]
    assert (old.gate, old.stateful) == (None, None) and frames.Info().gate is False


@pytest.mark.parametrize("size", [24, 28, 40, 48, 52, 60])
def test_counters_of_older_and_newer_boards_are_read(size: int) -> None:
    body = b"".join(struct.pack("<I", n + 1) for n in range(size // 4))
    read = wire.decode(wire.encode(Frame(frames.Unknown(0x07, body)))).frames[0].body
    known = [n + 1 if n < size // 4 else 0 for n in range(12)]
    assert read == frames.Counters(*known)


def test_payload_limit() -> None:
    fits = Frame(frames.Unknown(0x77, bytes(range(256)) * 2)).body.pack()[: wire.MAX_PAYLOAD - 7]
    assert wire.decode(wire.encode(Frame(frames.Unknown(0x77, fits)))).frames == [Frame(frames.Unknown(0x77, fits))]
    with pytest.raises(ValueError, match="512 fit"):
        wire.encode(Frame(frames.Unknown(0x77, fits + b"x")))


def test_sample_times_run_on_across_the_wrap() -> None:
    body = frames.Samples(0, np.array([0, 10, 10], np.uint16), np.zeros((3, 6), np.int16))
    assert body.times_us(2**32 - 5).tolist() == [2**32 - 5, 2**32 + 5, 2**32 + 15]
