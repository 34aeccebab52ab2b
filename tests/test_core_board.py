"""The app as the board meets it: sensors that come and go, models that fail, memory, and the bootloader."""

from __future__ import annotations

import numpy as np
import pytest

from bitwave.core.app import Board, HostApp
from bitwave.core.host import HostCore
from bitwave.errors import ModelError
from bitwave.model import image
from bitwave.wire import frames, requests
from bitwave.wire.frames import NO_ACTIVE
from models import random_model
from updates import BLE, BOARD, Host, noise, packed, wrong_answer

ARENA_SMALL, SELF_TEST_FAILED, NO_MODEL, RATE_MISMATCH, NO_SLOTS = 2, 8, 9, 15, 18


def test_a_board_without_slots_or_model() -> None:
    host = Host(packed(1), slots=False)
    assert host.begin(packed(2)) == NO_SLOTS
    assert host.status(requests.Rollback()) == NO_SLOTS
    assert (host.info().slot_bytes, host.info().may_update) == (0, False)
    bare = Host(None)
    assert (bare.info().active, bare.info().arena_bytes) == (NO_ACTIVE, 4096)
    assert bare.status(requests.Recognise(1)) == NO_MODEL
    assert bare.deploy(packed(2)) == 0
    assert bare.status(requests.Recognise(1)) == 0
    assert bare.status(requests.Rollback()) == 0
    assert (bare.info().active, bare.info().labels) == (NO_ACTIVE, ())


def test_an_arena_that_holds_both_models_takes_the_largest() -> None:
    """R + N bytes, as the header says: the known answer is computed beside the old model's lanes."""
    large = image.build(random_model(8, steps=24, channels=6, hidden=(24,), dense=(5,), metadata=True, hop=6))
    core = HostCore(large)
    host = Host(large, arena_bytes=core.app_bytes)
    host.ask(requests.Recognise(1))
    assert host.deploy(packed(2)) == 0
    assert host.deploy(large) == 0
    tight = Host(packed(1), arena_bytes=HostCore(packed(1)).app_bytes)
    assert tight.deploy(large) == ARENA_SMALL


def test_the_bootloader_is_asked_for_over_the_cable() -> None:
    host = Host(packed(1))
    assert host.status(requests.Bootloader()) == 0
    assert host.app.wants_bootloader


def test_lost_samples_leave_their_indices_out_and_restart_recognition() -> None:
    host = Host(packed(1))
    host.ask(requests.Recognise(1))
    host.ask(requests.Stream(1))
    raw = noise(100)
    host.move(raw[:50])
    host.app.lost(7)
    host.move(raw[50:])
    heard = host.listen()
    batches = [body for body in heard if isinstance(body, frames.Samples)]
    indices = [index for batch in batches for index in range(batch.first, batch.first + len(batch.samples))]
    assert indices == [*range(50), *range(57, 57 + len(indices) - 50)]
    scores = [body for body in heard if isinstance(body, frames.Scores)]
    first, second = (HostCore(packed(1)).events(part, 119.0) for part in (raw[:50], raw[50:]))
    assert [body.sample for body in scores] == [*first.samples.tolist(), *(second.samples + 57).tolist()]
    np.testing.assert_array_equal([body.scores for body in scores], np.concatenate([first.scores, second.scores]))
    assert host.counters().lost == 7 and host.info().lost_samples == 7


def test_another_sensor_brings_another_rate() -> None:
    board = Board(255, (1, 2, 3), 6, 0, 8_192_000, 16_384, (1, 0))
    host = Host(packed(1), board=board)
    assert host.status(requests.Recognise(1)) == RATE_MISMATCH
    assert host.deploy(packed(2)) == 0  # the rate is not known yet
    board.rate_mhz, board.kind = 99_840, 2
    host.app.board_changed()
    assert host.status(requests.Recognise(1)) == 0
    raw = noise(150)
    host.move(raw)
    scores = [body.scores for body in host.listen() if isinstance(body, frames.Scores)]
    np.testing.assert_array_equal(scores, HostCore(packed(2)).events(raw, 99.84).scores[-len(scores) :])
    assert host.info().board == 2


def test_a_built_in_model_that_fails_its_known_answer_is_told_and_replaced() -> None:
    host = Host(wrong_answer())
    (fault,) = host.listen(BLE)
    assert isinstance(fault, frames.Fault) and fault.code == 3
    assert host.status(requests.Recognise(1)) == SELF_TEST_FAILED
    assert host.deploy(packed(1)) == 0
    assert host.status(requests.Recognise(1)) == 0
    assert host.status(requests.Rollback()) == 0
    assert host.status(requests.Recognise(1)) == SELF_TEST_FAILED


def test_memory_is_told() -> None:
    counters = Host(packed(1)).counters()
    assert (counters.arena_used, counters.arena_bytes) == (HostCore(packed(1)).app_bytes, 4096)


def test_an_arena_too_small_for_the_built_in_model_is_refused() -> None:
    core = HostCore(packed(1))
    with pytest.raises(ModelError, match="too small"):
        HostApp(core, BOARD, arena_bytes=core.app_bytes - 4)
