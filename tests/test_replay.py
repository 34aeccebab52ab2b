"""Recordings replayed: host, simulator and emulated Cortex-M4 give the same events at the same rows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bitwave import synth, tflite
from bitwave.commands.replay import replay as verb
from bitwave.core.host import HostCore
from bitwave.errors import MissingPackage, ModelError, ParityMismatch, RecordingError, UsageError
from bitwave.model.image import build
from bitwave.model.quantmodel import Int16Array, QuantModel
from bitwave.recognition import events
from bitwave.recognition.events import Heard, Replayed, compare, opened, replay
from bitwave.recognition.rate import STEPS
from bitwave.recordings.recording import Recording, even_times, write
from bitwave.recordings.session import Gap
from bitwave.simulator.stream import Event
from bitwave.tflite import build as tflite_build
from models import random_model, with_gate
from support import need

ROOT = Path(__file__).parents[1]
ALL = [name for name in events.ENGINES if name != "host"]


def model(rate_hz: float = 119.0, hidden: int = 7, hop: int = 5, once: bool = False) -> QuantModel:
    """A random model that fires now and then on the virtual wrist."""
    made = random_model(3, steps=20, channels=6, hidden=(hidden,), dense=(4,), metadata=True, hop=hop, drive=6.0)
    assert made.metadata is not None
    changes = {"thresholds": (0, 0, 0, 0), "margin": 0, "hold": 2, "once": once}
    decision = made.metadata.decision.model_copy(update=changes)
    metadata = made.metadata.model_copy(update={"rate_hz": rate_hz, "decision": decision})
    return dataclasses.replace(made, metadata=metadata)


def recorded(movements: int, participant: str = "p01", rate_hz: float = 119.0, number: int = 1) -> Recording:
    """A continuous recording of the virtual wrist."""
    made = synth.stream(synth.random_plan(movements, seed=number), participant, seed=number, rate_hz=rate_hz)
    times = even_times(len(made.samples), rate_hz)
    return Recording("stream", participant, "s01", number, times, made.samples, rate_hz)


def events_of(engine: str, network: QuantModel, recording: Recording) -> Replayed:
    assert network.metadata is not None
    return replay(opened(engine, network), recording, network.metadata)


@pytest.mark.parametrize("engine", ALL)
def test_an_hour_of_recordings_gives_the_same_events_everywhere(engine: str) -> None:
    need("unicorn", "ziglang", *(["arm-none-eabi-gcc"] if engine == "m4-gcc" else []))
    rate = 33.0  # that of a phone's recordings; the same hour at a board's rate is a soak test
    small = [with_gate(model(rate, hidden=4, hop=10, once=once), 40, 12, 4000) for once in (False, True)]
    hour = [(small[number % 2], recorded(100, f"p{number:02d}", rate, number)) for number in range(1, 14)]
    assert sum(recording.duration_s for _, recording in hour) >= 3600
    host = [events_of("host", network, recording) for network, recording in hour]
    assert sum(one.slept for one in host) > 5000
    assert sum(len(one.events) for one in host) > 500
    assert compare(engine, host, [events_of(engine, network, recording) for network, recording in hour]) is None


@pytest.mark.parametrize("engine", ALL)
def test_the_demo_model_at_both_boards_rates(engine: str) -> None:
    need("unicorn", "ziglang", *(["arm-none-eabi-gcc"] if engine == "m4-gcc" else []))
    demo = tflite.read_model(ROOT / "firmware" / "lib" / "bitwave_model" / "model.tflite")
    for rate in (119.0, 99.84):
        recording = recorded(8, "p07", rate)
        host = events_of("host", demo, recording)
        assert len(host.events) > 2
        assert events_of(engine, demo, recording).events == host.events


def test_behind_a_gap_everything_starts_afresh() -> None:
    network = model()
    whole = recorded(6)
    rows = np.r_[0:300, 310:700, 705 : len(whole.samples)]
    gaps = (Gap(after=299, lost=10), Gap(after=689, lost=5), Gap(after=len(rows) - 1, lost=3))
    gappy = dataclasses.replace(whole, samples=whole.samples[rows], time_us=whole.time_us[rows], gaps=gaps)
    core = HostCore(build(network))
    expected = [
        (event.sample + first, event.label, event.score)
        for first, last in ((0, 300), (300, 690), (690, len(rows)))
        for event in core.events(gappy.samples[first:last]).events
    ]
    found = events_of("host", network, gappy).events
    assert [(event.sample, event.label, event.score) for event in found] == expected and len(expected) > 5
    assert events_of("simulator", network, gappy).events == found


def test_the_first_difference_is_shown() -> None:
    recording = recorded(1)
    one, two, three = Event(10, 0, 200), Event(20, 1, 200), Event(20, 2, 200)

    def told(*found: Event) -> list[Replayed]:
        return [Replayed(recording, (), 0.0), Replayed(recording, found, 0.0)]

    assert compare("x", told(one, two), told(one, two)) is None
    assert str(compare("x", told(one, two), told(one, three))) == (
        "stream.p01.s01.1: host says class 1 with 200 at row 20, x says class 2 with 200 at row 20"
    )
    assert str(compare("x", told(one, two), told(one))).endswith("x has no event more")
    assert "host has no event more" in str(compare("x", told(one), told(one, two)))
    awake, slept = told(one), [dataclasses.replace(each, slept=7) for each in told(one)]
    assert str(compare("x", slept, awake)).endswith("host sleeps through 7 samples, x through 0")


def test_a_clock_that_runs_otherwise_is_believed_and_the_samples_resampled() -> None:
    network, recording = model(), recorded(4)
    core = HostCore(build(network))
    rows = 2 * STEPS  # two measurements
    for rate_hz, believed in ((119.5, None), (121.3, None), (121.6, 121.6), (125.0, 125.0), (110.0, 110.0)):
        drifted = dataclasses.replace(recording, time_us=even_times(len(recording.samples), rate_hz))
        found = events_of("host", network, drifted)
        assert found.rates == ((0, 119.0), *(((rows, believed),) if believed else ()))
        parts = [(0, recording.samples, 119.0)]
        if believed:
            parts = [(0, recording.samples[:rows], 119.0), (rows, recording.samples[rows:], believed)]
        expected = [
            (e.sample + at, e.label, e.score) for at, part, rate in parts for e in core.events(part, rate).events
        ]
        assert [(e.sample, e.label, e.score) for e in found.events] == expected and len(expected) > 5
    for rate_hz in (59.0, 179.0):
        far = dataclasses.replace(recording, time_us=even_times(len(recording.samples), rate_hz), rate_hz=rate_hz)
        with pytest.raises(ModelError, match=f"has {rate_hz:g} samples per second, the model was trained with 119"):
            events_of("host", network, far)


def test_recordings_that_do_not_fit_are_refused() -> None:
    network, recording = model(), recorded(1)
    scale = recording.counts.model_copy(update={"accel_lsb_per_g": 4096.0})
    with pytest.raises(RecordingError, match="has 4096 counts per g, the model was trained with 8192"):
        events_of("host", network, dataclasses.replace(recording, counts=scale))
    with pytest.raises(RecordingError, match="has the channels ax, the model takes c0"):
        events_of("host", network, dataclasses.replace(recording, channels=("ax",)))
    assert network.metadata is not None
    turned = network.metadata.model_copy(update={"channels": ("gx", "gy", "gz", "ax", "ay", "az")})
    with pytest.raises(RecordingError, match="the model takes gx, gy, gz, ax"):
        events_of("host", dataclasses.replace(network, metadata=turned), recording)
    times = even_times(len(recording.samples), 1000.0)
    with pytest.raises(ModelError, match="no resampling brings back"):
        events_of("host", network, dataclasses.replace(recording, time_us=times))
    with pytest.raises(ModelError, match="no bitwave metadata"):
        opened("host", dataclasses.replace(network, metadata=None))
    with pytest.raises(UsageError, match="there is no engine abacus"):
        opened("abacus", network)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2):
        write(tmp_path / "data", synth.session_facts("p01"), [recorded(4, number=number)])
    (tmp_path / "model.tflite").write_bytes(tflite_build.write(model()))
    return tmp_path


def test_the_command_prints_events_and_proves_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need("unicorn", "ziglang")
    model_file, data = folder / "model.tflite", folder / "data"
    verb([data / "stream.p01.s01.1.csv"], model_file, engine=["simulator", "m4-clang"], as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["differences"] == {"simulator": None, "m4-clang": None} and told["absent"] == {}
    (one,) = told["recordings"]
    expected = events_of("host", model(), recorded(4)).events
    assert [(event["row"], event["score"]) for event in one["events"]] == [(e.sample, e.score) for e in expected]
    assert [event["t_us"] for event in one["events"]] == [int(recorded(4).time_us[e.sample]) for e in expected]
    verb([data], model_file, engine=["simulator"])
    shown = capsys.readouterr().out
    assert "2 recordings" in shown and "times real time" in shown and "simulator: the same events" in shown
    with pytest.raises(RecordingError, match="holds no recording"):
        verb([folder], model_file)


def test_an_absent_engine_is_named_and_no_difference(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = events.opened

    def without_emulator(engine: str, network: QuantModel) -> events.Recogniser:
        if engine.startswith("m4"):
            raise MissingPackage("unicorn is not installed: pip install 'bitwave[verify]'")
        return real(engine, network)

    monkeypatch.setattr(events, "opened", without_emulator)
    verb([folder / "data"], folder / "model.tflite", prove=True)
    shown = capsys.readouterr().out
    assert "m4-gcc: absent: unicorn is not installed" in shown and "simulator: the same" in shown
    with pytest.raises(MissingPackage):
        verb([folder / "data"], folder / "model.tflite", engine=["m4-clang"])


def nothing(raw: Int16Array, rate_hz: float) -> Heard:
    """A recogniser that hears nothing."""
    return Heard([], 0)


def test_a_difference_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = events.opened
    monkeypatch.setattr(
        events, "opened", lambda engine, network: real("host", network) if engine == "host" else nothing
    )
    with pytest.raises(ParityMismatch, match="simulator has no event more"):
        verb([folder / "data"], folder / "model.tflite", engine=["simulator"])


def test_a_clock_that_drifts_is_followed_part_by_part() -> None:
    network, recording = model(), recorded(20)
    assert network.metadata is not None
    steps = 1e6 / np.linspace(119.0, 100.0, len(recording.samples))
    drifted = dataclasses.replace(recording, time_us=np.rint(np.cumsum(steps)).astype(np.int64))
    parts = list(events.stretches(drifted))
    assert [part.first for part in parts] == [0, *np.cumsum([len(part.samples) for part in parts])[:-1]]
    assert sum(len(part.samples) for part in parts) == len(recording.samples) and len(parts) > 5
    for part in parts:
        local = 1e6 / steps[part.first : part.first + len(part.samples)]
        assert max(abs(local / part.rate_hz - 1)) < 0.05
    found = events_of("host", network, drifted)
    assert found.rates == tuple((part.first, part.rate_hz) for part in parts)
    core = HostCore(build(network))
    assert [event.sample for event in found.events] == [
        event.sample + part.first for part in parts for event in core.events(part.samples, part.rate_hz).events
    ]
    assert events_of("simulator", network, drifted).events == found.events
    faster = np.where(np.arange(len(steps)) < len(steps) * 9 // 10, 1e6 / 119.0, 1e6 / 200.0)
    broken = dataclasses.replace(recording, time_us=np.rint(np.cumsum(faster)).astype(np.int64))
    with pytest.raises(ModelError, match="has 200 samples per second"):
        events_of("host", network, broken)


def test_a_replay_lasts_as_long_as_the_clock_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take = recorded(4, number=3)
    slower = dataclasses.replace(take, time_us=even_times(len(take.samples), 100.0))
    write(folder / "slow", synth.session_facts("p01"), [slower])
    verb([folder / "slow"], folder / "model.tflite", as_json=True)
    captured = capsys.readouterr()
    (one,) = json.loads(captured.out)["recordings"]
    assert one["seconds"] == pytest.approx(len(take.samples) / 100.0, abs=1e-3)
    assert "samples of 100 Hz are resampled to the model's 119 Hz" in captured.err
