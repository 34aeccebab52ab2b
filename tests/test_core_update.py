"""Model updates over the app: order, permission, memory and links; power cuts are in test_core_slots.py."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitwave.core.app import Board
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel
from bitwave.wire import frames, requests
from bitwave.wire.frames import BUILT_IN, SlotState
from models import random_model
from updates import BLE, USB, Host, digest_of, noise, packed, wrong_answer

ARENA_SMALL, IMAGE_SIZE, IMAGE_CRC, IMAGE_CONTENT, SELF_TEST_FAILED, NO_MODEL, MISMATCH = 2, 3, 6, 7, 8, 9, 11
BAD_COMMAND, BAD_STATE, RATE_MISMATCH, NOT_ALLOWED, NO_SLOTS, BUSY, NOTHING_OLDER = 12, 13, 15, 16, 18, 19, 20
MINUTE_US = 60_000_000


@pytest.mark.parametrize("link", [USB, BLE])
def test_an_update_is_switched_to_and_survives_a_restart(link: int) -> None:
    host = Host(packed(1))
    assert (host.info().active, host.info().digest) == (BUILT_IN, digest_of(packed(1)))
    host.status(requests.AllowUpdate())
    assert host.deploy(packed(2), link) == 0
    for _ in range(2):
        info = host.info()
        assert (info.active, info.digest, info.labels[0]) == (0, digest_of(packed(2)), "label-0")
        assert info.slots == bytes([SlotState.VALID, SlotState.EMPTY])
        assert host.status(requests.SelfTest()) == 0
        host.restart()
    assert host.flash.state.breaches == 0


def test_updates_take_turns_and_roll_back_to_the_built_in_model() -> None:
    host = Host(packed(1))
    for seed, slot in ((2, 0), (3, 1), (4, 0)):
        assert host.deploy(packed(seed)) == 0
        assert (host.info().active, host.info().digest) == (slot, digest_of(packed(seed)))
    for slot, seed in ((1, 3), (BUILT_IN, 1)):
        assert host.status(requests.Rollback()) == 0
        for _ in range(2):
            assert (host.info().active, host.info().digest) == (slot, digest_of(packed(seed)))
            host.restart()
    assert host.info().slots == bytes([SlotState.REVOKED] * 2)
    assert host.status(requests.Rollback()) == NOTHING_OLDER
    assert host.deploy(packed(5)) == 0
    host.restart()
    assert host.info().digest == digest_of(packed(5))
    assert host.flash.state.breaches == 0


def test_both_links_hear_of_the_new_model_before_the_status() -> None:
    host = Host(packed(1))
    host.begin(packed(2))
    host.send_chunks(packed(2))
    host.listen(BLE)
    update, info, status = host.ask(requests.UpdateFinish())
    assert update == frames.Update(0, 0, 0, 0, bytes(8))
    assert isinstance(info, frames.Info) and info.digest == digest_of(packed(2))
    assert isinstance(status, frames.Status) and status.status == 0
    (other,) = host.listen(BLE)
    assert isinstance(other, frames.Info) and (other.digest, other.physical) == (info.digest, False)


def test_recognition_goes_on_with_the_old_model_until_the_switch() -> None:
    old, new = packed(1), packed(2)
    host = Host(old)
    host.ask(requests.Recognise(1))
    raw = noise(400)
    heard = []
    chunks = list(host.chunks(new, size=64))
    assert host.begin(new) == 0
    for at in range(0, 200):
        host.move(raw[at : at + 1])
        if at % 4 == 0 and chunks:
            host.command(chunks.pop(0))
        heard += [body.scores for body in host.listen() if isinstance(body, frames.Scores)]
    assert not chunks
    np.testing.assert_array_equal(heard, HostCore(old).events(raw[:200], 119.0).scores)
    assert host.status(requests.UpdateFinish()) == 0
    heard = []
    for at in range(200, 400):
        host.move(raw[at : at + 1])
        heard += [body.scores for body in host.listen() if isinstance(body, frames.Scores)]
    np.testing.assert_array_equal(heard, HostCore(new).events(raw[200:], 119.0).scores)


def test_an_update_goes_on_after_a_lost_link_and_over_another_one() -> None:
    host = Host(packed(1))
    new = packed(2)
    chunks = list(host.chunks(new, size=100 // 4 * 4))
    host.begin(new)
    for chunk in chunks[:3]:
        host.command(chunk)
    host.status(requests.AllowUpdate())
    assert host.begin(new, BLE) == 0
    assert host.update.received == 300 and host.update.size == len(new)
    for chunk in chunks[3:]:
        host.command(chunk, BLE)
    assert host.status(requests.UpdateFinish()) == BAD_STATE  # it is the other link's now
    assert host.status(requests.UpdateFinish(), BLE) == 0
    assert host.info().digest == digest_of(new)


def test_another_model_begins_afresh() -> None:
    host = Host(packed(1))
    host.begin(packed(2))
    host.send_chunks(packed(2)[:200])
    assert host.begin(packed(3)) == 0 and host.update.received == 0
    host.send_chunks(packed(3))
    assert host.status(requests.UpdateFinish()) == 0
    assert host.info().digest == digest_of(packed(3))


def test_a_lost_chunk_is_told_once_and_sent_again() -> None:
    host = Host(packed(1))
    new = packed(2)
    host.begin(new)
    chunks = list(host.chunks(new, size=48))
    host.command(chunks[0])
    for chunk in chunks[2:6]:
        host.command(chunk)
    assert host.listen() == [frames.Update(BAD_STATE, BUILT_IN, 48, len(new), digest_of(new))]
    for chunk in chunks[1:4]:
        host.command(chunk)
    assert host.listen() == []
    host.command(chunks[2])  # once more: passed over
    update, status = host.ask(requests.UpdateChunk(chunks[4].offset, chunks[4].data, 1))
    assert update == frames.Update(0, BUILT_IN, 5 * 48, len(new), digest_of(new))
    assert isinstance(status, frames.Status) and status.status == 0
    for chunk in chunks[4:]:  # overlapping what is known
        host.command(requests.UpdateChunk(chunk.offset - 8, new[chunk.offset - 8 : chunk.offset] + chunk.data))
    assert host.status(requests.UpdateFinish()) == 0
    assert host.flash.state.breaches == 0


def test_only_a_physical_link_may_update_without_being_allowed() -> None:
    host = Host(packed(1))
    commands = (
        requests.UpdateFinish(), requests.UpdateAbort(), requests.Rollback(), requests.AllowUpdate(),
        requests.Bootloader(),
    )  # fmt: skip
    for command in commands:
        assert host.status(command, BLE) == NOT_ALLOWED
    assert host.begin(packed(2), BLE) == NOT_ALLOWED
    assert host.flash.state.operations == 0
    assert host.status(requests.UpdateChunk(0, bytes(8), 1), BLE) == NOT_ALLOWED
    assert (host.info(BLE).physical, host.info(BLE).may_update) == (False, False)
    assert (host.info().physical, host.info().may_update) == (True, True)
    assert not host.app.wants_bootloader


@pytest.mark.parametrize("by_pose", [False, True])
def test_the_window_closes_after_60_seconds(by_pose: bool) -> None:
    host = Host(packed(1))
    new = packed(2)
    host.wait(2**32 - MINUTE_US // 2)  # the clock wraps inside the window
    if by_pose:
        host.app.allow_update()
    else:
        assert host.status(requests.AllowUpdate()) == 0
    assert host.info(BLE).may_update
    assert host.begin(new, BLE) == 0
    host.wait(MINUTE_US - 1)
    first, *rest = host.chunks(new)
    host.command(first, BLE)
    host.wait(1)
    assert not host.info(BLE).may_update
    for chunk in rest:
        host.command(chunk, BLE)
    assert host.status(requests.UpdateFinish(), BLE) == NOT_ALLOWED
    assert host.begin(new, BLE) == NOT_ALLOWED
    host.status(requests.AllowUpdate())
    assert host.begin(new, BLE) == 0 and host.update.received == len(first.data)
    host.send_chunks(new, BLE)
    assert host.status(requests.UpdateFinish(), BLE) == 0


def test_a_sample_taken_before_the_command_does_not_close_the_window() -> None:
    """It comes after the tick in which the command came, with the earlier time when the sensor took it."""
    host = Host(packed(1))
    host.app.tick(10_000_000)
    assert host.status(requests.AllowUpdate()) == 0
    assert host.begin(packed(2)) == 0
    host.app.sample(10_000_000 - 900, noise(1)[0])
    assert host.info(BLE).may_update
    assert host.begin(packed(3), BLE) == BUSY
    host.app.tick(9_999_500 + MINUTE_US)
    assert host.info(BLE).may_update
    host.app.tick(10_000_000 + MINUTE_US)
    assert not host.info(BLE).may_update


def test_another_link_waits_until_an_update_has_stalled() -> None:
    host = Host(packed(1))
    host.status(requests.AllowUpdate())
    host.begin(packed(2))
    host.send_chunks(packed(2)[:96])
    assert host.begin(packed(3), BLE) == BUSY
    assert host.status(requests.UpdateAbort(), BLE) == BUSY
    host.wait(5_000_000)
    assert host.begin(packed(3), BLE) == 0
    assert host.status(requests.UpdateChunk(96, bytes(4), 1)) == BAD_STATE  # no longer its sender
    assert host.status(requests.UpdateAbort()) == 0  # the cable has the last word
    assert host.status(requests.UpdateFinish(), BLE) == BAD_STATE


def with_header(data: bytes, **changes: bytes) -> bytes:
    """An image with bytes at an offset changed, its CRC mended."""
    changed = bytearray(data)
    for at, value in changes.items():
        changed[int(at[1:]) : int(at[1:]) + len(value)] = value
    return image.with_crc(bytes(changed))


def built(model: QuantModel) -> bytes:
    return image.build(model)


@pytest.mark.parametrize("bad,status", [
    (wrong_answer(), SELF_TEST_FAILED),
    (built(random_model(2, channels=5, metadata=True)), MISMATCH),
    (built(random_model(2, channels=6)), 10),
    (built(random_model(2, steps=32, channels=6, hidden=(40,), metadata=True, hop=1)), ARENA_SMALL),
    (with_header(packed(2), a40=(400_000).to_bytes(4, "little")), RATE_MISMATCH),
    (with_header(packed(2), a38=bytes([9])), IMAGE_CONTENT),
    (bytes(64), 4),
    (packed(2)[:-4], IMAGE_SIZE),
])  # fmt: skip
def test_what_must_not_run_is_refused_and_the_old_model_stays(bad: bytes, status: int) -> None:
    host = Host(packed(1))
    assert host.deploy(packed(7)) == 0
    assert host.deploy(bad) == status
    for _ in range(2):
        assert host.info().digest == digest_of(packed(7))
        assert host.info().slots == bytes([SlotState.VALID, SlotState.EMPTY])
        host.restart()
    assert host.status(requests.UpdateFinish()) == BAD_STATE  # a refused image is gone


def test_rolling_back_ends_an_update() -> None:
    """Or it would go on into the slot that has just become active."""
    host = Host(packed(1))
    for seed in (2, 3):
        host.deploy(packed(seed))
    host.begin(packed(4))
    assert host.status(requests.Rollback()) == 0
    host.send_chunks(packed(4))
    host.listen()
    assert host.status(requests.UpdateFinish()) == BAD_STATE
    assert host.info().digest == digest_of(packed(2))
    assert host.status(requests.SelfTest()) == 0


def test_a_wrong_crc_or_digest_is_refused() -> None:
    host = Host(packed(1))
    new = packed(2)
    for announced in (
        requests.UpdateBegin(len(new), zlib.crc32(new) ^ 1, digest_of(new)),
        requests.UpdateBegin(len(new), zlib.crc32(new), bytes(8)),
    ):
        assert host.status(announced) == 0
        host.send_chunks(new)
        assert host.status(requests.UpdateFinish()) == IMAGE_CRC
    assert host.info().active == BUILT_IN


@pytest.mark.parametrize("size", [0, 6, 4 * 4096 - 28, 2**32 - 4])
def test_sizes_that_no_slot_takes(size: int) -> None:
    host = Host(packed(1))
    assert host.status(requests.UpdateBegin(size, 0, bytes(8))) == IMAGE_SIZE
    assert host.info().slot_bytes == 4 * 4096 - 32


def test_malformed_update_commands() -> None:
    host = Host(packed(1))
    host.begin(packed(2))
    for kind, body in (
        (0x47, bytes(15)), (0x47, bytes(17)), (0x48, b""), (0x48, bytes(7)), (0x48, b"\2" + bytes(8)),
        (0x48, b"\0\1\0\0\0" + bytes(4)), (0x48, bytes(5 + 484)), (0x49, b"\0"), (0x4B, b"\0"), (0x4C, b"\0"),
    ):  # fmt: skip
        assert host.status(frames.Unknown(kind, body)) == BAD_COMMAND
    assert host.status(requests.UpdateChunk(2**32 - 4, bytes(480), 1)) == BAD_STATE
    assert host.status(requests.UpdateChunk(0, b"", 1)) == 0
    assert host.flash.state.operations == 0


def test_bytes_beyond_the_announced_size_are_refused() -> None:
    host = Host(packed(1))
    new = packed(2)
    host.begin(new)
    host.send_chunks(new)
    assert host.status(requests.UpdateChunk(len(new), bytes(4), 1)) == 1
    assert host.status(requests.UpdateFinish()) == 0


def test_abort_leaves_nothing_behind() -> None:
    host = Host(packed(1))
    assert host.status(requests.UpdateAbort()) == 0
    host.begin(packed(2))
    host.send_chunks(packed(2)[:100])
    assert host.info().slots[0] == SlotState.RECEIVING
    assert host.status(requests.UpdateAbort()) == 0
    assert host.info().slots == bytes(2)
    assert host.status(requests.UpdateFinish()) == BAD_STATE


def test_a_slot_of_another_board_or_damaged_is_passed_over() -> None:
    host = Host(packed(1))
    host.deploy(packed(2))
    host.deploy(packed(3))
    contents = host.flash.contents
    for at in (0, 4, 24, 40, 4 * 4096 + 5, 4 * 4096 + 400):
        damaged = bytearray(contents)
        damaged[at] ^= 0x10
        host.flash.contents = bytes(damaged)
        host.restart()
        assert host.info().digest == digest_of(packed(2 if at >= 4 * 4096 else 3))
        assert host.status(requests.SelfTest()) == 0
    host.flash.contents = contents
    host.restart(Board(1, (1, 2, 3), 6, 119_000, 4_096_000, 16_384, (1, 0)))
    assert host.info().active == BUILT_IN
    assert host.info().slots == bytes([SlotState.UNUSABLE] * 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_chunks_in_any_order_never_make_a_wrong_model(data: st.DataObject) -> None:
    host = Host(packed(1))
    models = {seed: packed(seed) for seed in (2, 3)}
    for _ in range(data.draw(st.integers(5, 40))):
        new = models[data.draw(st.sampled_from([2, 3]))]
        link = data.draw(st.sampled_from([USB, USB, BLE]))
        kind = data.draw(st.sampled_from(["begin", "all", "chunk", "chunk", "finish", "abort", "rollback", "allow"]))
        if kind == "begin":
            host.begin(new, link)
        elif kind == "all":
            host.send_chunks(new, link)
        elif kind == "chunk":
            at = 4 * data.draw(st.integers(0, len(new) // 4))
            host.command(requests.UpdateChunk(at, new[at : at + 4 * data.draw(st.integers(0, 120))]), link)
        else:
            command = {
                "finish": requests.UpdateFinish(), "abort": requests.UpdateAbort(), "rollback": requests.Rollback(),
                "allow": requests.AllowUpdate(),
            }[kind]  # fmt: skip
            host.status(command, link)
        assert host.info().digest in {digest_of(packed(seed)) for seed in (1, 2, 3)}
        assert host.status(requests.SelfTest()) == 0
    host.restart()
    assert host.status(requests.SelfTest()) == 0
    assert host.flash.state.breaches == 0


def test_time_of_a_6_kb_update_from_the_protocol() -> None:
    """Packets counted: one chunk of 224 bytes per packet at MTU 247, an answer every fourth; 30 ms per packet."""
    host = Host(packed(1))
    new = bytes(6144)
    assert host.begin(new) == 0
    up = down = 0
    for index, chunk in enumerate(host.chunks(new, size=224)):
        flags = 1 if index % 4 == 3 or chunk.offset + len(chunk.data) == len(new) else 0
        sent = host.command(requests.UpdateChunk(chunk.offset, chunk.data, flags))
        assert len(sent) <= 244, "one packet"
        up += 1
        down += flags
        assert bool(host.listen()) == bool(flags)
    assert up == 28 and down == 7
    assert (up + 2 * down + 2 * 3) * 0.030 < 2.0  # begin and finish too; ten seconds are allowed
    # full-speed USB: 64 bytes per millisecond at worst, and what the flash takes: pages 85 ms, words 41 us
    assert 7000 / 64e3 + 2 * 0.085 + 1550 * 41e-6 < 0.5
