"""Sensors of another rate than the model's: the same bits in the simulator, the core here and on the Cortex-M4."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitwave import native, simulator
from bitwave.core.host import HostCore
from bitwave.emulator.engine import EmulatedCore
from bitwave.errors import ImageError, ModelError
from bitwave.model import image
from bitwave.model.metadata import Metadata
from bitwave.model.quantmodel import Int16Array, QuantModel
from models import random_model
from support import need


def model_at(rate_hz: float, hop: int = 4, seed: int = 6) -> QuantModel:
    """A small model that fires on noise, for samples of a rate."""
    model = random_model(seed, steps=11, channels=2, hidden=(4,), dense=(3,), metadata=True, hop=hop)
    assert model.metadata is not None
    return replace(model, metadata=model.metadata.model_copy(update={"rate_hz": rate_hz}))


def metadata_at(rate_hz: float, hop: int = 4) -> Metadata:
    metadata = model_at(rate_hz, hop).metadata
    assert metadata is not None
    return metadata


def extremes(samples: int, seed: int, channels: int = 2) -> Int16Array:
    """Noise of full range, full swings among it."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(-32768, 32768, (samples, channels)).astype(np.int16)
    raw[::7], raw[1::7] = 32767, -32768
    return raw


def by_definition(raw: Int16Array, sensor: int, model: int) -> list[tuple[int, list[int]]]:
    """The formula one sample at a time, in Python's own integers: (index of the newer sample, counts)."""
    out = []
    k = 0
    for n in range(len(raw)):
        while n * model - k * sensor >= 0:
            weight = ((n * model - k * sensor) << 15) // model
            new, old = raw[n].tolist(), raw[max(n - 1, 0)].tolist()
            row = [x + (((before - x) * weight + 2**14) >> 15) for x, before in zip(new, old, strict=True)]
            out.append((n, row))
            k += 1
    return out


RATES = st.tuples(st.integers(1, 10**7), st.fractions(Fraction(1, 2), Fraction(3, 2))).map(
    lambda pair: (max(1, int(pair[0] * pair[1])), pair[0])
)


def suits(sensor: int, model: int) -> bool:
    return abs(sensor - model) * 2 <= model


@settings(max_examples=200, deadline=None)
@example((99_840, 119_000), 0)
@example((119_000, 99_840), 0)
@example((1, 2), 0)
@example((3, 2), 0)
@given(RATES, st.integers(0, 9))
def test_the_simulator_follows_the_formula(rates: tuple[int, int], seed: int) -> None:
    sensor, model = rates
    if not suits(sensor, model):
        return
    raw = extremes(40, seed)
    got, sources = simulator.resample(metadata_at(model / 1000), raw, sensor / 1000)
    if abs(sensor - model) * 1000 <= model:
        np.testing.assert_array_equal(got, raw)
        return
    assert list(zip(sources.tolist(), got.tolist(), strict=True)) == by_definition(raw, sensor, model)


@settings(max_examples=80, deadline=None)
@example((99_840, 119_000), 4, 1)
@example((119_000, 99_840), 1, 1)
@example((500, 1000), 2, 1)
@example((1500, 1000), 2, 1)
@given(RATES, st.integers(2, 6), st.integers(0, 99))
def test_core_and_simulator_recognise_the_same(rates: tuple[int, int], hop: int, seed: int) -> None:
    sensor, rate = rates
    if not suits(sensor, rate):
        return
    model = model_at(rate / 1000, hop, seed)
    raw = extremes(150, seed)
    wanted = simulator.stream_events(model, raw, sensor / 1000)
    core = HostCore(image.build(model))
    got = core.events(raw, sensor / 1000)
    assert got.events == wanted
    resampled, sources = simulator.resample(metadata_at(rate / 1000, hop), raw, sensor / 1000)
    ends = range(model.steps - 1, len(resampled), hop)
    assert got.samples.tolist() == [int(sources[end]) for end in ends]
    assert model.metadata is not None
    quantized = simulator.front_end(model.metadata, model.input.zero_point, resampled)
    windows = np.stack([quantized[end + 1 - model.steps : end + 1] for end in ends]) if len(ends) else None
    if windows is not None:
        np.testing.assert_array_equal(got.scores, simulator.run(model, windows).scores)
    stream = core.stream(sensor / 1000)
    parts = [stream.push(raw[at : at + 13]) for at in range(0, len(raw), 13)]
    assert [event for part in parts for event in part.events] == wanted


@pytest.mark.parametrize("compiler", ["clang", "gcc"])
@pytest.mark.parametrize("sensor,rate", [(99.84, 119.0), (119.0, 99.84), (60.0, 119.0), (178.0, 119.0), (118.9, 119.0)])
def test_the_cortex_m4_recognises_the_same(compiler: native.Compiler, sensor: float, rate: float) -> None:
    need("unicorn", "ziglang" if compiler == "clang" else "arm-none-eabi-gcc")
    model = random_model(6, channels=6, hidden=(8,), dense=(4,), steps=12, metadata=True, hop=5)
    assert model.metadata is not None
    model = replace(model, metadata=model.metadata.model_copy(update={"rate_hz": rate}))
    raw = extremes(300, 3, 6)
    results = EmulatedCore(image.build(model), compiler).recognise(raw, sensor)
    host = HostCore(image.build(model)).events(raw, sensor)
    assert [result.sample for result in results] == host.samples.tolist()
    assert [result.scores for result in results] == [tuple(row) for row in host.scores.tolist()]
    wanted = simulator.stream_events(model, raw, sensor)
    assert [(r.sample, r.label, r.score) for r in results if r.is_gesture] == [
        (event.sample, event.label, event.score) for event in wanted
    ]
    assert wanted


@pytest.mark.parametrize("sensor", [118.881, 119.119])
def test_a_rate_within_a_thousandth_passes_through(sensor: float) -> None:
    model = model_at(119.0)
    raw = extremes(200, 1)
    assert HostCore(image.build(model)).events(raw, sensor).events == simulator.stream_events(model, raw)


@pytest.mark.parametrize("sensor,hop", [(59.499, 4), (178.501, 4), (0.0, 4), (99.84, 1), (118.88, 1)])
def test_rates_that_do_not_suit_are_refused_by_all(sensor: float, hop: int) -> None:
    model = model_at(119.0, hop)
    packed = image.build(model)
    need("unicorn", "ziglang")
    with pytest.raises(ModelError, match=f"{sensor:g} Hz"):
        simulator.stream_events(model, extremes(50, 1), sensor)
    if sensor == 0:
        return  # the core's own 0 means the model's rate
    with pytest.raises(ModelError, match=f"{sensor:g} Hz"):
        HostCore(packed).stream(sensor)
    with pytest.raises(ImageError, match="rate"):
        EmulatedCore(packed).recognise(extremes(50, 1), sensor)


def test_a_slow_wave_survives() -> None:
    """A 2 Hz movement sampled at 99.84 Hz and resampled to 119 Hz is within a few counts of the movement itself."""
    sensor, rate = 99.84, 119.0

    def wave(hz: float, count: int) -> np.ndarray:
        return 8000 * np.sin(2 * np.pi * 2.0 * np.arange(count) / hz)

    raw = np.stack([np.rint(wave(sensor, 500))] * 2, axis=1).astype(np.int16)
    got, _ = simulator.resample(metadata_at(rate), raw, sensor)
    assert abs(len(got) - 500 * rate / sensor) < 2
    assert np.max(np.abs(got[:, 0] - wave(rate, len(got)))) < 20
