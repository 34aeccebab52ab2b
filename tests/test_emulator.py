"""The core and its app as Cortex-M4 machine code: bits against the simulator, the app over the real wire format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitwave import simulator, wire
from bitwave.errors import ImageError, UsageError
from bitwave.model import image
from bitwave.wire import frames as told
from bitwave.wire import requests
from models import random_model
from support import need

need("unicorn", "elftools", "capstone")

from bitwave.emulator.board import BLE, USB, EmulatedBoard  # noqa: E402  # after the skip that names the packages
from bitwave.emulator.engine import EmulatedCore  # noqa: E402

COMPILERS = ("clang", "gcc")
SIZES = {
    "small": {"seed": 1},
    "odd": {"seed": 2, "channels": 5, "hidden": (13, 17), "dense": (7, 3), "steps": 31},
    "usual": {"seed": 3, "channels": 6, "hidden": (24,), "dense": (5,), "steps": 50},
    "saturated": {"seed": 4, "channels": 6, "hidden": (9,), "drive": 30.0},
    "logits": {"seed": 5, "hidden": (1,), "channels": 1, "dense": (2,), "softmax": False},
}


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest) -> str:
    if request.param == "gcc":
        need("arm-none-eabi-gcc")
    return request.param


@pytest.mark.parametrize("size", SIZES)
def test_bits_equal_the_simulator(compiler: str, size: str) -> None:
    model = random_model(**SIZES[size])
    core = EmulatedCore(image.build(model), compiler)
    core.self_test()
    rng = np.random.default_rng(7)
    windows = rng.integers(-128, 128, (12, model.steps, model.channels), dtype=np.int8)
    windows[0], windows[1] = -128, 127
    got, want = core.classify(windows), simulator.run(model, windows)
    for layer, (hidden, cell) in enumerate(zip(got.hidden, got.cell, strict=True)):
        np.testing.assert_array_equal(hidden, want.hidden[layer])
        np.testing.assert_array_equal(cell, want.cell[layer])
    np.testing.assert_array_equal(got.scores, want.scores)
    assert core.shape.hidden == tuple(lstm.hidden for lstm in model.lstm)


def test_more_windows_than_the_memory_holds() -> None:
    model = random_model(**SIZES["usual"])
    core = EmulatedCore(image.build(model))
    output = core.machine.symbols["bw_emu_output"]
    core.machine.symbols["bw_emu_output"] = replace(output, size=3 * (3 * model.steps * 24 + 5))
    windows = np.random.default_rng(8).integers(-128, 128, (7, model.steps, model.channels), dtype=np.int8)
    got, want = core.classify(windows), simulator.run(model, windows)
    np.testing.assert_array_equal(got.hidden[0], want.hidden[0])
    np.testing.assert_array_equal(got.cell[0], want.cell[0])
    np.testing.assert_array_equal(got.scores, want.scores)


def test_windows_of_the_wrong_shape_are_refused() -> None:
    core = EmulatedCore(image.build(random_model(1)))
    with pytest.raises(UsageError, match="the model takes"):
        core.classify(np.zeros((1, 9, 4), np.int8))


def test_stream_gives_the_simulators_events(compiler: str) -> None:
    model = random_model(6, channels=6, hidden=(8,), dense=(4,), steps=12, metadata=True, hop=5)
    raw = np.random.default_rng(9).integers(-20000, 20000, (400, 6), dtype=np.int16)
    core = EmulatedCore(image.build(model), compiler)
    results = core.recognise(raw)
    assert [result.sample for result in results] == list(range(11, 400, 5))
    events = simulator.stream_events(model, raw)
    assert events
    assert [(r.sample, r.label, r.score) for r in results if r.is_gesture] == [
        (event.sample, event.label, event.score) for event in events
    ]
    assert core.recognise(raw) == results  # from a reset again


def test_image_that_the_core_refuses() -> None:
    data = bytearray(image.build(random_model(1)))
    data[len(data) // 2] ^= 1
    with pytest.raises(ImageError, match="corrupt"):
        EmulatedCore(bytes(data))


def test_step_cost_grows_with_the_lanes() -> None:
    core = EmulatedCore(image.build(random_model(**SIZES["usual"])))
    one, three = core.step_cost(lanes=1), core.step_cost(lanes=3)
    assert one.cycles > one.instructions > 2 * 4 * 24 * (6 + 24) / 4  # more than a multiply per two weights
    assert one.cycles < three.cycles < 3 * one.cycles  # the input projection is shared
    assert 0 < one.stack < 1024
    with pytest.raises(UsageError, match="out of range"):
        core.step_cost(lanes=0)


def frames(board: EmulatedBoard, link: int = USB) -> list[wire.Frame]:
    decoded = wire.decode(board.transmit(link))
    assert (decoded.rest, decoded.errors) == (b"", 0)
    return decoded.frames


def send(board: EmulatedBoard, body: wire.Body, link: int = USB, sequence: int = 0) -> None:
    board.receive(wire.encode(wire.Frame(body, sequence)), link)


def test_board_without_a_model_streams(compiler: str) -> None:
    board = EmulatedBoard(None, compiler, rate_hz=99.84)
    send(board, requests.GetInfo())
    info, status = (frame.body for frame in frames(board))
    assert isinstance(info, told.Info)
    assert (info.rate_mhz, info.labels, info.board) == (99840, (), 0)
    assert isinstance(status, told.Status)
    assert status.status == 0
    send(board, requests.Recognise(True))
    assert frames(board)[0].body.text == "there is no model"
    send(board, requests.Stream(True))
    assert frames(board)[0].body.status == 0
    want = np.arange(6 * 8, dtype=np.int16).reshape(8, 6) - 20
    for index, sample in enumerate(want):
        board.sample(1000 * index, sample)
    (batch,) = frames(board)
    np.testing.assert_array_equal(batch.body.samples, want)
    assert frames(board, BLE) == []


def test_board_recognises_what_the_simulator_does(compiler: str) -> None:
    model = random_model(6, channels=6, hidden=(8,), dense=(4,), steps=12, metadata=True, hop=5)
    board = EmulatedBoard(image.build(model), compiler)
    raw = np.random.default_rng(9).integers(-20000, 20000, (200, 6), dtype=np.int16)
    send(board, requests.Recognise(True), BLE)
    got = []
    for index, sample in enumerate(raw):
        board.sample(8403 * index, sample)
        got += [frame.body for frame in frames(board, BLE) if isinstance(frame.body, told.Event)]
    want = simulator.stream_events(model, raw, 119.0)
    assert [(event.sample, event.label, event.score) for event in got] == [
        (event.sample, event.label, event.score) for event in want
    ]


def test_time_alone_sends_a_waiting_batch() -> None:
    board = EmulatedBoard(None)
    send(board, requests.Stream(True))
    board.transmit()
    board.sample(0, [1, 2, 3, 4, 5, 6])
    assert frames(board) == []
    board.tick(60_000)
    (batch,) = frames(board)
    assert len(batch.body.samples) == 1


def test_board_counters() -> None:
    board = EmulatedBoard(None)
    board.set_counters(lost_samples=3, cycles_per_step=7000, longest_loop_us=450)
    send(board, requests.GetCounters())
    counters = frames(board)[0].body
    assert isinstance(counters, told.Counters)
    assert replace(counters, samples=0) == replace(
        counters, samples=0, lost=3, cycles_per_step=7000, longest_loop_us=450
    )


def test_a_sample_has_six_counts() -> None:
    with pytest.raises(ValueError, match="6 counts"):
        EmulatedBoard(None).sample(0, [1, 2, 3])
