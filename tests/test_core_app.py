"""The app of the core: commands in, frames out, two links, bounded queues."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bitwave import wire
from bitwave.core.app import Board, HostApp
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.model.quantmodel import Int16Array, QuantModel
from bitwave.recognition.rate import STEPS
from bitwave.wire import frames, requests
from bitwave.wire.codec import Frame
from models import random_model, stateful, with_gate

BOARD = Board(2, (1, 2, 3), 6, 119_000, 8_192_000, 16_384, (1, 0))
RATE_HZ = 119.0
PERIOD_US = 8403
MODEL = random_model(11, steps=20, channels=6, hidden=(7,), dense=(4,), metadata=True, hop=5)
NO_MODEL, NETWORK_ONLY, MISMATCH, BAD_COMMAND, BAD_STATE, TOO_LARGE = 9, 10, 11, 12, 13, 14


class Session:
    """An app and the host's ends of its links."""

    def __init__(self, model: QuantModel | None = MODEL, board: Board = BOARD) -> None:
        self.core = HostCore(image.build(model)) if model else None
        self.app = HostApp(self.core, board)
        self.sequence = 0
        self.time_us = 0

    def ask(self, body: wire.Body, link: int = 0) -> list[wire.Body]:
        """Sends a command; all that waits on the link, of which the command's status is the last."""
        self.sequence += 1
        self.app.receive(wire.encode(Frame(body, self.sequence)), link)
        answers = self.listen(link)
        status = answers[-1]
        assert isinstance(status, frames.Status)
        assert (status.command, status.command_sequence) == (body.TYPE, self.sequence)
        return answers

    def status(self, body: wire.Body, link: int = 0) -> int:
        status = self.ask(body, link)[-1]
        assert isinstance(status, frames.Status)
        return status.status

    def listen(self, link: int = 0) -> list[wire.Body]:
        return [frame.body for frame in self.frames(link)]

    def frames(self, link: int = 0) -> list[Frame]:
        decoded = wire.decode(self.app.transmit(link=link))
        assert (decoded.errors, decoded.rest) == (0, b"")
        return decoded.frames

    def move(self, raw: Int16Array, period_us: int = PERIOD_US) -> None:
        for sample in raw:
            self.app.sample(self.time_us, sample)
            self.time_us += period_us


def random_stream(samples: int, seed: int = 0, channels: int = 6) -> Int16Array:
    return np.random.default_rng(seed).integers(-32768, 32768, (samples, channels)).astype(np.int16)


def only(kind: type[wire.Body], bodies: list[wire.Body]) -> list[wire.Body]:
    return [body for body in bodies if isinstance(body, kind)]


def test_info_with_a_model() -> None:
    session = Session()
    assert session.core is not None
    info, status = session.ask(requests.GetInfo())
    assert info == frames.Info(
        format=3, abi=image.ABI, board=2, firmware=bytes((1, 2, 3)), channels=6, rate_mhz=119_000,
        model_rate_mhz=100_000, window=20, hop=5, accel_milli_lsb=8_192_000, gyro_milli_lsb=16_384,
        digest=MODEL.digest[:8], active=frames.BUILT_IN, flags=1, arena_bytes=session.core.app_bytes,
        arena_used=session.core.app_bytes, labels=("label-0", "label-1", "label-2", "label-3"),
    )  # fmt: skip
    assert status == frames.Status(0x41, 1, 0, "")


@pytest.mark.parametrize("change", [
    lambda model: model, lambda model: with_gate(model, 24, 5, 900), lambda model: stateful(model, 10),
    lambda model: with_gate(stateful(model, 10), 24, 5, 900), lambda model: None,
])  # fmt: skip
def test_an_info_has_the_same_bytes_from_both_sides(change: Callable[[QuantModel], QuantModel | None]) -> None:
    model = change(MODEL)
    session = Session(model)
    session.ask(requests.GetInfo())
    if model:
        session.ask(requests.Recognise(1))
    session.move(random_stream(3 * STEPS, 1), 8000)
    session.frames()
    session.app.receive(wire.encode(Frame(requests.GetInfo(), 7)))
    raw = session.app.transmit()
    frame, _ = wire.decode(raw).frames
    info = frame.body
    assert isinstance(info, frames.Info) and raw.startswith(wire.encode(frame))
    metadata = model.metadata if model else None
    expected = (metadata.gate is not None, metadata.is_stateful) if metadata else (False, False)
    assert (info.gate, info.stateful) == expected
    assert (info.measured_rate_mhz, info.taken_rate_mhz) == (125_000, 125_000 if model else 0)


def test_without_a_model_the_board_still_streams() -> None:
    session = Session(None)
    info = session.ask(requests.GetInfo())[0]
    assert isinstance(info, frames.Info) and (info.labels, info.window, info.digest) == ((), 0, bytes(8))
    for body in (requests.Recognise(1), requests.SelfTest(), requests.Parity(0, 0, 1, b"")):
        assert session.status(body) == NO_MODEL
    assert session.status(requests.Stream(1)) == 0
    session.move(random_stream(8))
    assert len(only(frames.Samples, session.listen())) > 0


def test_status_carries_words() -> None:
    status = Session(None).ask(requests.Recognise(1))[-1]
    assert status == frames.Status(0x43, 1, NO_MODEL, "there is no model")


@pytest.mark.parametrize("board", [
    Board(0, (0, 0, 0), 3, 119_000, 8_192_000, 16_384),
    Board(0, (0, 0, 0), 6, 119_000, 4_096_000, 16_384),
    Board(0, (0, 0, 0), 6, 119_000, 8_192_000, 16_000),
])  # fmt: skip
def test_a_model_of_other_channels_or_scale_does_not_recognise(board: Board) -> None:
    session = Session(board=board)
    assert session.status(requests.Recognise(1)) == MISMATCH
    assert session.status(requests.SelfTest()) == 0


def test_a_network_only_model_answers_parity_but_does_not_recognise() -> None:
    session = Session(random_model(2, channels=6))
    assert session.status(requests.Recognise(1)) == NETWORK_ONLY
    assert session.status(requests.Parity(0, 1, 1, bytes(6))) == 0


def test_samples_come_whole_and_in_order() -> None:
    session = Session()
    raw = random_stream(100, 1)
    session.move(raw[:13])
    session.ask(requests.Stream(1))
    session.move(raw[13:80])
    *batches, status = session.ask(requests.Stream(0))
    session.move(raw[80:])
    assert session.listen() == []
    got = only(frames.Samples, batches)
    assert len(got) == len(batches)
    np.testing.assert_array_equal(np.concatenate([b.samples for b in got if isinstance(b, frames.Samples)]), raw[13:80])
    expected = 13
    for batch in got:
        assert isinstance(batch, frames.Samples)
        assert batch.first == expected
        assert batch.steps_us.tolist() == [0] + [PERIOD_US] * (len(batch.samples) - 1)
        expected += len(batch.samples)


def test_batches_are_bounded_in_number_and_age() -> None:
    for period, count in ((1000, 8), (8403, 7), (20_000, 4), (60_000, 2), (70_000, 1)):
        session = Session()
        session.ask(requests.Stream(1))
        session.move(random_stream(17), period)
        sent = [f for f in session.frames() if isinstance(f.body, frames.Samples)]
        assert {len(f.body.samples) for f in sent if isinstance(f.body, frames.Samples)} == {count}
        assert sent[0].time_us == 0


def test_a_waiting_batch_goes_with_time() -> None:
    session = Session()
    session.ask(requests.Stream(1))
    session.move(random_stream(2))
    session.app.tick(49_999)
    assert session.listen() == []
    session.app.tick(50_000)
    assert len(session.listen()) == 1


def test_recognition_gives_the_streams_scores_and_events() -> None:
    session = Session()
    raw = random_stream(700, 5)
    session.move(raw[:31])
    session.ask(requests.Recognise(1))
    heard: list[Frame] = []
    for at in range(31, 700, 10):
        session.move(raw[at : at + 10])
        heard += session.frames()
    assert session.core is not None
    wanted = session.core.events(raw[31:], RATE_HZ)
    scores = [f.body for f in heard if isinstance(f.body, frames.Scores)]
    assert [s.sample for s in scores] == [int(sample) + 31 for sample in wanted.samples]
    assert [s.scores for s in scores] == [tuple(row.tolist()) for row in wanted.scores]
    events = [f for f in heard if isinstance(f.body, frames.Event)]
    assert len(events) > 3
    assert [f.body for f in events] == [frames.Event(e.sample + 31, e.label, e.score) for e in wanted.events]
    assert [f.time_us for f in events] == [(e.sample + 31) * PERIOD_US for e in wanted.events]


def test_recognition_starts_afresh_after_a_pause() -> None:
    session = Session()
    raw = random_stream(60, 2)
    results = []
    for _ in range(2):
        session.ask(requests.Recognise(1))
        session.move(raw)
        results.append([b.scores for b in session.listen() if isinstance(b, frames.Scores)])
        session.ask(requests.Recognise(0))
        session.move(raw[:7])
    assert len(results[0]) > 3 and results[0] == results[1]


def test_links_are_independent() -> None:
    session = Session()
    raw = random_stream(120, 3)
    session.ask(requests.Recognise(1), link=0)
    session.move(raw[:33])
    session.ask(requests.Stream(1), link=1)
    session.ask(requests.Recognise(1), link=1)  # joins: does not restart what link 0 sees
    session.move(raw[33:])
    first, second = session.frames(0), session.frames(1)
    assert session.core is not None
    wanted = [int(sample) for sample in session.core.events(raw, RATE_HZ).samples]
    heard_first = [f.body.sample for f in first if isinstance(f.body, frames.Scores)]
    heard_second = [f.body.sample for f in second if isinstance(f.body, frames.Scores)]
    assert heard_first == wanted
    assert heard_second == [s for s in wanted if s >= 33]
    assert not any(isinstance(f.body, frames.Samples) for f in first)
    for heard in (first, second):
        numbers = [f.sequence for f in heard]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_full_queue_drops_the_oldest_and_counts() -> None:
    session = Session()
    session.ask(requests.Stream(1))
    raw = random_stream(1000, 4)
    session.move(raw)
    heard = session.frames()
    samples = [f.body for f in heard if isinstance(f.body, frames.Samples)]
    kept = np.concatenate([s.samples for s in samples])
    assert 100 < len(kept) < 200
    end = samples[-1].first + len(samples[-1].samples)
    np.testing.assert_array_equal(kept, raw[end - len(kept) : end])
    dropped = heard[0].sequence - 1  # one STATUS went before
    counters = session.ask(requests.GetCounters())[0]
    assert isinstance(counters, frames.Counters)
    assert (counters.dropped_frames, counters.samples) == (dropped, 1000)
    other = session.ask(requests.GetCounters(), link=1)[0]
    assert isinstance(other, frames.Counters) and other.dropped_frames == 0


def test_a_frame_half_sent_is_never_dropped() -> None:
    session = Session()
    session.ask(requests.Stream(1))
    raw = random_stream(2000, 4)
    stream = b""
    for at in range(0, 2000, 100):
        session.move(raw[at : at + 100])
        stream += session.app.transmit(20)
    stream += session.app.transmit()
    decoded = wire.decode(stream)
    assert decoded.errors == 0
    numbers = [f.sequence for f in decoded.frames]
    assert numbers == sorted(numbers) and numbers[-1] - numbers[0] > len(numbers)


def parity(session: Session, window: np.ndarray, portion: int, link: int = 0) -> list[wire.Body]:
    """A window through the link, some steps at a time."""
    bodies: list[wire.Body] = []
    steps = len(window)
    for at in range(0, steps, portion):
        part = window[at : at + portion]
        flags = (1 if at == 0 else 0) | (2 if at + portion >= steps else 0)
        answers = session.ask(requests.Parity(at, len(part), flags, part.tobytes()), link)
        assert answers[-1] == frames.Status(0x45, session.sequence, 0, "")
        bodies += answers[:-1]
    return bodies


@pytest.mark.parametrize("hidden", [(7,), (5, 9), (64, 32)])
@pytest.mark.parametrize("portion", [1, 3, 6])
def test_parity_over_the_link_is_what_the_core_computes(hidden: tuple[int, ...], portion: int) -> None:
    session = Session(random_model(3, steps=20, channels=6, hidden=hidden, dense=(4,), metadata=True, hop=5))
    window = np.random.default_rng(1).integers(-128, 128, (20, 6)).astype(np.int8)
    session.ask(requests.Recognise(1))
    session.move(random_stream(13))  # recognition runs beside and is not disturbed
    session.listen()
    answers = parity(session, window, portion)
    assert session.core is not None
    wanted = session.core.classify(window[None])
    traces = [a for a in answers if isinstance(a, frames.Trace)]
    assert [(t.step, t.layer) for t in traces] == [(s, layer) for s in range(20) for layer in range(len(hidden))]
    for trace in traces:
        assert trace.hidden == tuple(wanted.hidden[trace.layer][0, trace.step].tolist())
        assert trace.cell == tuple(wanted.cell[trace.layer][0, trace.step].tolist())
    assert answers[-1] == frames.Scores(20, tuple(wanted.scores[0].tolist()))


def test_parity_out_of_order_is_refused() -> None:
    session = Session()
    step = bytes(6)
    assert session.status(requests.Parity(0, 1, 0, step)) == BAD_STATE  # never reset
    assert session.status(requests.Parity(0, 1, 1, step)) == 0
    assert session.status(requests.Parity(2, 1, 0, step)) == BAD_STATE  # a step is missing
    assert session.status(requests.Parity(1, 1, 0, step), link=1) == BAD_STATE  # of another link
    assert session.status(requests.Parity(1, 1, 0, step)) == 0
    assert session.status(requests.SelfTest()) == 0  # borrows the states
    assert session.status(requests.Parity(2, 1, 0, step)) == BAD_STATE
    assert session.status(requests.Parity(0, 60, 1, step * 60)) == TOO_LARGE
    assert session.status(requests.Parity(0, 2, 1, step)) == BAD_COMMAND
    assert session.status(requests.Parity(0, 1, 4, step)) == BAD_COMMAND


def test_layers_too_wide_for_a_frame_are_refused() -> None:
    session = Session(random_model(3, steps=2, channels=6, hidden=(170,), dense=(4,)))
    assert session.status(requests.Parity(0, 1, 1, bytes(6))) == TOO_LARGE


@pytest.mark.parametrize("kind,body", [
    (0x41, b"\0"), (0x42, b""), (0x42, b"\2"), (0x43, b"\1\1"), (0x44, b"\0"), (0x45, b"\0\0\0"), (0x46, b"\0"),
    (0x40, b""), (0x47, b""), (0x48, bytes(4)), (0x49, b"\0"), (0x4D, b"\0"), (0x4E, b""),
    (0x01, b""), (0x05, bytes(20)), (0xFF, bytes(300)),
])  # fmt: skip
def test_malformed_and_unknown_commands_are_answered(kind: int, body: bytes) -> None:
    session = Session()
    session.app.receive(wire.encode(Frame(frames.Unknown(kind, body), 9)))
    assert session.listen() == [frames.Status(kind, 9, BAD_COMMAND, "unknown or malformed command")]


def test_garbage_is_skipped_and_counted() -> None:
    session = Session()
    session.app.receive(b"\x11\x22\x33" * 400 + b"\0" + b"\xff\0")
    counters = session.ask(requests.GetCounters())[0]
    assert isinstance(counters, frames.Counters) and counters.crc_errors == 2


def test_faults_reach_both_links() -> None:
    session = Session()
    session.app.fault(3, "the sensor is silent " * 9)
    for link in (0, 1):
        assert session.listen(link) == [frames.Fault(3, ("the sensor is silent " * 9)[:64])]


def test_an_unknown_link_is_ignored() -> None:
    session = Session()
    session.app.receive(wire.encode(Frame(requests.GetInfo())), link=2)
    assert session.app.transmit(link=2) == b""
