"""A stateful model trained on continuous recordings: what it hears from reset to reset, and all verbs behind that."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitwave import cli, synth, tflite
from bitwave.errors import LeakingSplit, UsageError
from bitwave.recognition.events import opened, replay
from bitwave.recordings.recording import Recording, even_times, write
from bitwave.recordings.segments import corrections, write_segments
from bitwave.recordings.session import Gap
from bitwave.recordings.streams import Stream, load_streams, training_takes
from bitwave.simulator.stream import asleep
from bitwave.simulator.stream import stretches as awakenings
from bitwave.synth.wrist import Interval
from bitwave_train import streaming_study as study
from bitwave_train.chains import Stretch
from bitwave_train.gate import GateDefaults
from bitwave_train.options import read_options
from bitwave_train.passages import Passage, boundaries, cut, long_windows, mark, passages, settled
from bitwave_train.runs import open_run
from bitwave_train.settings import Augmentation, RunConfig
from bitwave_train.stream_lessons import StreamLessons, change
from bitwave_train.stream_plan import of_streams, prepared
from support import need

RATE = 40.0
LABELS = ("chop", "wave", "idle", "unknown")
TOLD: dict[str, Any] = {
    "streaming": "stateful", "streams": True, "hidden": [4], "conv_filters": 5, "conv_kernel": 5, "conv_stride": 2,
    "unroll": 21, "validation": 0.0,
}  # fmt: skip
VERBS = {
    "calibrate": "calibrate_command:calibrate",
    "evaluate": "commands:evaluate",
    "quantize": "commands:quantize",
    "train": "commands:train",
}


def worn(who: str, seed: int, movements: int = 12, gaps: tuple[Gap, ...] = ()) -> Stream:
    made = synth.stream(synth.random_plan(movements, LABELS, seed), who, seed=seed, rate_hz=RATE)
    times = even_times(len(made.samples), RATE)
    return Stream(Recording("stream", who, "s01", 1, times, made.samples, RATE, gaps=gaps), made.intervals)


def streams(people: int = 3) -> list[Stream]:
    return [worn(f"p{seed + 1:02d}", seed) for seed in range(people)]


def config(heard: list[Stream], **told: Any) -> RunConfig:
    return of_streams(heard, Path("data"), read_options(None, {**TOLD, **told}))[1]


def still(segments: list[Interval], length: int = 400) -> Stream:
    samples = np.zeros((length, 6), np.int16)
    return Stream(Recording("stream", "p01", "s01", 1, even_times(length, RATE), samples, RATE), tuple(segments))


def test_a_gesture_counts_from_its_middle_on_and_background_once_it_settled() -> None:
    plan = config(streams())
    chop, wave, idle, unknown = range(4)
    assert plan.labels == LABELS
    targets, weights = mark(still([Interval("chop", 100, 140), Interval("unknown", 300, 320)]), plan)
    assert set(targets[:100]) == {idle} and set(targets[100:160]) == {chop} and set(targets[160:300]) == {idle}
    assert set(targets[300:320]) == {unknown}
    assert set(weights[:100]) == {1.0} and not weights[100:121].any()
    np.testing.assert_allclose(weights[121:131], np.arange(1, 11) / 10)
    assert set(weights[130:160]) == {1.0} and not weights[160:170].any() and set(weights[170:]) == {1.0}
    # The next movement begins before the first one's half second is over.
    targets, weights = mark(still([Interval("chop", 100, 140), Interval("wave", 145, 165)]), plan)
    assert set(targets[100:145]) == {chop} and set(targets[145:185]) == {wave}
    assert weights[144] == 1 and not weights[145:156].any() and weights[165] == 1
    targets, weights = mark(still([Interval("nod", 100, 140), Interval("idle", 200, 220)]), plan)
    assert not weights[100:170].any() and set(weights[170:]) == {1.0} and set(targets[200:220]) == {idle}


def test_passages_begin_behind_gaps_and_where_the_gate_wakes() -> None:
    stream = worn("p01", 1, gaps=(Gap(after=2, lost=1), Gap(after=299, lost=7)))
    samples = stream.recording.samples
    plan = config(streams())
    first, second = passages(stream, plan)  # three rows are too few for a step
    assert np.array_equal(first.samples, samples[3:300]) and np.array_equal(second.samples, samples[300:])
    assert np.array_equal(first.targets, mark(stream, plan)[0][3:300]) and not second.is_woken
    assert [len(p.samples) for p in passages(stream, plan, 100, 310)] == [200, 10]

    gated = config(streams(), gate=0.5)
    gate = GateDefaults(0.5).gate(gated)
    assert gate.preroll > 0
    woken = [
        (base + part.first, base + part.end)
        for base, rows in ((3, samples[3:300]), (300, samples[300:]))
        for part in awakenings(gate, asleep(gate, rows))
    ]
    found = passages(stream, gated)
    assert len(found) > 4 and sum(p.is_woken for p in found) == len(found) - 2
    assert [len(p.samples) for p in found] == [end - start for start, end in woken]
    for passage, (start, end) in zip(found, woken, strict=True):
        assert np.array_equal(passage.samples, samples[start:end])


def test_a_reset_that_no_board_makes_is_forgiven() -> None:
    plan = config(streams())
    (passage,) = passages(still([Interval("chop", 100, 140)]), plan)
    assert np.array_equal(settled(passage, 0, plan), passage.weights)
    assert np.flatnonzero(settled(passage, 20, plan))[0] == 10
    assert not settled(passage, 135, plan)[:35].any() and settled(passage, 135, plan)[35] == 1


def rows_of(parts: list[Stretch], unroll: int) -> list[list[tuple[np.ndarray, ...]]]:
    """By row, what each reset begins: samples without what stretches share, targets and weights."""
    found = []
    for row in range(len(parts[0].fresh)):
        starts = [index for index, part in enumerate(parts) if part.fresh[row]]
        assert starts[0] == 0
        pieces = []
        for start, end in zip(starts, [*starts[1:], len(parts)], strict=True):
            heard = [parts[index] for index in range(start, end)]
            for before, after in zip(heard, heard[1:], strict=False):
                assert np.array_equal(before.samples[row, unroll:], after.samples[row, : -unroll or None])
            samples = np.concatenate([heard[0].samples[row], *(part.samples[row, -unroll:] for part in heard[1:])])
            pieces.append((samples, *(np.concatenate([part[at][row] for part in heard]) for at in (1, 2))))
        found.append(pieces)
    return found


def places(every: list[Passage], samples: np.ndarray) -> list[tuple[int, int]]:
    """Passage and row from which on it holds just these samples; behind its end the last one is repeated."""
    found = []
    for index, passage in enumerate(every):
        for start in np.flatnonzero((passage.samples == samples[0]).all(axis=1)).tolist():
            part = passage.samples[start : start + len(samples)]
            if np.array_equal(np.pad(part, ((0, len(samples) - len(part)), (0, 0)), mode="edge"), samples):
                found.append((index, start))
    return found


@pytest.mark.parametrize("gate", [0.0, 0.5])
def test_rows_are_passages_in_their_order(gate: float) -> None:
    heard = streams()
    plan = config(heard, gate=gate)
    every = [passage for stream in heard for passage in passages(stream, plan)]
    lessons = StreamLessons(every, plan)
    assert lessons.rows > 1
    parts = list(lessons.stretches(np.random.default_rng(1), Augmentation.none()))
    overlap, stride, unroll = 3, 2, 22
    asked = 0.0
    covered = {index: np.zeros(len(passage.samples), int) for index, passage in enumerate(every)}
    for samples, targets, weights in (piece for row in rows_of(parts, unroll) for piece in row):
        asked += weights.sum()
        if not weights.any():
            continue
        (index, start), *_ = places(every, samples)
        passage = every[index]
        length = min(len(samples), len(passage.samples) - start)
        newest = start + overlap + stride - 1 + stride * np.arange(len(targets))
        inside = newest < start + length
        assert np.array_equal(targets[inside], passage.targets[newest[inside]])
        assert not weights[~inside].any()
        wanted = settled(passage, start, plan)[newest[inside] - start] * lessons.class_weights[targets[inside]]
        np.testing.assert_allclose(weights[inside], wanted, rtol=1e-6)
        covered[index][start : start + length] += 1
    # Whatever is left out asks for nothing.
    for index, passage in enumerate(every):
        assert not passage.weights[(covered[index] == 0)].any()
    everything = sum(len(passage.samples) for passage in every)
    assert 0.85 < asked * stride / everything < 1.1


def test_an_epoch_begins_elsewhere_but_where_a_gate_wakes() -> None:
    heard = streams()
    for gate, moves in ((0.0, True), (0.5, False)):
        plan = config(heard, gate=gate)
        every = [passage for passage in passages(heard[0], plan) if passage.is_woken or not gate]
        lessons = StreamLessons(every, plan)
        random = np.random.default_rng(3)
        seen = [
            sorted(
                tuple(samples[0].tolist())
                for row in rows_of(list(lessons.stretches(random, Augmentation(noise=0.0, rotation=0, amplitude=0,
                                                                               speed=0, dropped=1e-12))), 22)
                for samples, _, weights in row
                if weights.any()
            )
            for _ in range(2)
        ]  # fmt: skip
        assert (seen[0] != seen[1]) == moves


def test_a_piece_is_changed_as_a_whole() -> None:
    heard = streams()
    plan = config(heard)
    samples = heard[0].recording.samples
    none = Augmentation.none()
    same, where = change(samples, plan, none, np.random.default_rng(0))
    assert np.array_equal(same, samples) and np.array_equal(where, np.arange(len(samples)))
    louder, _ = change(samples, plan, none.model_copy(update={"amplitude": 0.3}), np.random.default_rng(0))
    inside = (samples != 0) & (np.abs(samples.astype(int)) < 20000)  # far from where a sensor clips
    ratio = louder[inside] / samples[inside]
    assert np.ptp(ratio) < 1e-5 and abs(ratio[0] - 1) > 0.01
    turned, _ = change(samples, plan, none.model_copy(update={"rotation": 40.0}), np.random.default_rng(0))
    inside = (np.abs(samples.astype(int)) < 15000).all(axis=1)
    turn = np.linalg.lstsq(samples[inside, :3].astype(float), turned[inside, :3], rcond=None)[0]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(samples[inside, 3:] @ turn, turned[inside, 3:], atol=1.0)
    lengths = set()
    for seed in range(6):
        options = none.model_copy(update={"speed": 0.3, "warp": 0.1})
        moved, where = change(samples, plan, options, np.random.default_rng(seed))
        assert len(moved) == len(where) and (np.diff(where) >= 0).all() and where[0] == 0
        assert len(samples) - 4 < where[-1] < len(samples)
        lengths.add(len(moved))
    assert min(lengths) < 0.95 * len(samples) and max(lengths) > 1.05 * len(samples)


def test_what_validates_lies_behind_what_trains_or_is_somebody_else() -> None:
    few, many = streams(), streams(7)
    plan = config(few, validation=0.3)
    rows = boundaries(few, plan)
    for row, stream in zip(rows, few, strict=True):
        length = len(stream.recording.samples)
        assert 0.5 * length < row <= 0.7 * length
        assert not any(segment.start < row < segment.end for segment in stream.segments)
    dataset = training_takes(few, plan.view, plan.hop)
    takes = [take for take in dataset.recordings if take.participant != "p02"]
    parts = cut(dataset, takes, plan)
    lengths = [len(few[index].recording.samples) for index in (0, 2)]
    assert [len(p.samples) for p in parts.passages] == [rows[0], rows[2]]
    assert [len(p.samples) for p in parts.validation] == [
        n - row for n, row in zip(lengths, (rows[0], rows[2]), strict=True)
    ]
    assert parts.takes and parts.validation_takes and len(parts.takes) + len(parts.validation_takes) == len(takes)
    chosen = boundaries(many, config(many, validation=0.3))
    lengths = [len(stream.recording.samples) for stream in many]
    assert sorted(row / n for row, n in zip(chosen, lengths, strict=True)) == [0.0] * 2 + [1.0] * 5
    # One gesture is made once: it cannot be on both sides.
    short = [dataclasses.replace(stream, segments=stream.segments[:3]) for stream in few]
    assert boundaries(short, plan) == [len(stream.recording.samples) for stream in short]
    assert boundaries(few, config(few)) == [len(stream.recording.samples) for stream in few]


def test_ranges_are_observed_for_half_a_minute() -> None:
    heard = streams(1)
    plan = config(streams())
    found = long_windows(heard, plan)
    samples = heard[0].recording.samples
    assert found.shape == (1, 30 * plan.view, 6) or len(samples) > 30 * plan.view
    assert np.array_equal(found.reshape(-1, 6)[: len(samples)], samples)
    assert (found.reshape(-1, 6)[len(samples) :] == samples[-1]).all()


def test_rows_that_begin_anew_forget_alone() -> None:
    need("tensorflow")
    import keras

    from bitwave_train.blocklstm import CarryingLstm

    source = np.random.default_rng(2).normal(size=(3, 10, 4)).astype(np.float32)
    carrying = CarryingLstm(5, return_sequences=True)
    network = keras.Model(inputs := keras.Input(batch_shape=(3, 10, 4)), carrying(inputs))
    carrying.forget()
    fresh = network(source).numpy()
    carrying.forget(np.array([True, False, True]))
    again = network(source).numpy()
    assert np.array_equal(again[[0, 2]], fresh[[0, 2]]) and not np.array_equal(again[1], fresh[1])


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeakingSplit, match="record another session, or another participant"):
        config(streams(1), folds=3)
    with pytest.raises(UsageError, match="lanes forget of themselves"):
        read_options(None, {"gate": 1.0})
    with pytest.raises(UsageError, match="give it to bitwave quantize"):
        prepared(tmp_path, read_options(None, {**TOLD, "streams": False, "gate": 1.0}))
    with pytest.raises(UsageError, match="leave --window out"):
        config(streams(), window=33)


def command(*arguments: str) -> int:
    points = [EntryPoint(verb, f"bitwave_train.{where}", cli.GROUP) for verb, where in VERBS.items()]
    return cli.run(cli.build_app(points), list(arguments))


@pytest.mark.parametrize("gate", [(), ("--gate", "0.6")])
def test_from_training_to_events_on_every_engine(
    gate: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("tensorflow", "unicorn", "ziglang")
    data = tmp_path / "data"
    for seed, who in enumerate(("p01", "p02", "p03")):
        stream = worn(who, seed, 12 if seed else 20, (Gap(after=4, lost=2), Gap(after=333, lost=9)) if seed else ())
        short = dataclasses.replace(
            stream.recording, number=2, samples=stream.recording.samples[:7], time_us=stream.recording.time_us[:7],
            gaps=(),
        )  # fmt: skip
        recordings = [stream.recording, short]
        write(data / "streams", synth.session_facts(who, rate_hz=RATE), recordings)
        for recording, segments in zip(recordings, (stream.segments, ()), strict=True):
            write_segments(corrections(data / "streams" / f"{recording.name}.csv"), segments)
    run = str(tmp_path / "run")
    words = "--streams --streaming stateful --folds 3 --hidden 4 --conv-filters 4 --epochs 2 --unroll 40".split()
    assert command("train", str(data), "--run", run, *words, *gate) == 0
    assert command("quantize", run) == 0
    for part in open_run(Path(run)).tested:
        history = part.history()
        people = [{name.split(".")[1] for name in names} for names in (history.train, history.test)]
        assert not people[0] & people[1] and people[0] | people[1] == {"p01", "p02", "p03"}
        assert len(history.epochs) == 2
    assert command("calibrate", run, "--false-activations-per-hour", "900") == 0
    capsys.readouterr()
    assert command("evaluate", run, "--events", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)["participants"]) == ["p01", "p02", "p03"]
    assert command("evaluate", run, "--json") == 0

    model = tflite.read_model(Path(run) / "model.tflite")
    metadata = model.metadata
    assert metadata is not None and metadata.is_stateful and metadata.lanes == 1
    assert (metadata.gate is not None) == bool(gate)
    lavish = {"thresholds": (0,) * 4, "fires": (True,) * 4, "margin": 0, "hold": 1, "refractory": 9}
    decision = metadata.decision.model_copy(update=lavish)
    ready = dataclasses.replace(model, metadata=metadata.model_copy(update={"decision": decision}))
    recording = load_streams(data)[2].recording
    assert len(recording.gaps) == 2
    first, *others = [
        replay(opened(engine, ready), recording, metadata) for engine in ("host", "simulator", "m4-clang")
    ]
    assert first.events and (first.slept > 0) == bool(gate)
    for other in others:
        assert other.events == first.events and other.slept == first.slept


def test_the_study_measures_a_variant_and_writes_its_lines(tmp_path: Path) -> None:
    need("tensorflow", "unicorn", "ziglang")
    learn, choose, report = (study.worn((people, 10, 4)) for people in (range(1, 3), range(21, 23), range(41, 42)))
    row = study.measure("stateful, convolution", {**study.CARRIED, "epochs": 1}, learn, choose, report, tmp_path)
    gestures = sum(s.label not in ("idle", "unknown") for one in report for s in one.segments)
    assert row.lanes == 1 and row.cycles > 1000 and 0 < row.asleep < 1 and row.arena_bytes > 100
    assert row.usual.total.gestures == row.chosen.total.gestures == row.gated.total.gestures == gestures
    lines = study.table([row]).splitlines()
    assert len(lines) == 5 and lines[2].startswith("| stateful, convolution | as quantized | ")
    assert len({line.count("|") for line in lines}) == 1
