"""Carried states: long streams against tflite-micro, whose states survive from invoke to invoke."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bitwave import simulator
from bitwave.core.host import HostCore
from bitwave.model import image
from bitwave.parity.comparison import compare
from bitwave.parity.engines import INFORMATIVE, NAMES
from bitwave.parity.engines.micro import TfliteMicro
from bitwave.parity.windows import HOPS, mixed_windows
from bitwave.tflite import build
from bitwave.tflite.reader import read_model
from models import Shape, random_model, stateful
from support import need

SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"hidden": (16,), "packable": True},
    "two-layers": {"hidden": (7, 5)},
    "conv": {"branches": (Shape(0, 6, (12,), "last", (10, 5, 2)),), "packable": True},
    "two-branches": {"branches": (Shape(0, 3, (6,), "last", (4, 3, 1)), Shape(3, 3, (5,), "last", (4, 4, 2)))},
}
HOP = 10


def file(shape: str) -> bytes:
    return build.write(stateful(random_model(5, channels=6, dense=(4,), metadata=True, **SHAPES[shape]), HOP))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_stream_is_that_of_tflite_micro(shape: str) -> None:
    """3,000 samples in 300 invokes without a reset: every hidden state and cell, and the last scores."""
    need("tflite_micro")
    data = file(shape)
    network = read_model(data)
    stream = np.random.default_rng(3).integers(-128, 128, (1, network.steps + 299 * HOP, 6)).astype(np.int8)
    report = compare(data, stream, ("tflite-micro", "simulator", "core-host"))
    assert report.reference == "tflite-micro" and len(report.engines) == 3 and not report.absent
    for entry in report.engines.values():
        assert entry.total.mismatches == 0
        assert entry.kinds["hidden"].compared == sum(
            units.hidden * steps
            for units, steps in zip(network.lstm, network.layer_steps(stream.shape[1]), strict=True)
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_every_hop_has_the_scores_of_an_invoke(shape: str) -> None:
    need("tflite_micro")
    data = file(shape)
    network = read_model(data)
    assert network.metadata is not None
    raw = np.random.default_rng(4).integers(-32768, 32768, (905, 6)).astype(np.int16)
    samples = simulator.front_end(network.metadata, network.input.zero_point, raw)
    oracle = TfliteMicro(data, network)
    starts = range(0, len(samples) - network.steps + 1, HOP)
    wanted = [oracle._invoke(samples[start : start + network.steps])[0].reshape(-1) for start in starts]
    got = HostCore(image.build(network)).events(raw)
    assert got.samples.tolist() == [start + network.steps - 1 for start in starts]
    np.testing.assert_array_equal(got.scores, np.stack(wanted))
    np.testing.assert_array_equal(simulator.run_stream(network, raw).scores, got.scores)


def test_parity_of_a_stateful_model_runs_many_hops() -> None:
    need("tflite_micro", "unicorn", "ziglang", "arm-none-eabi-gcc")
    data = file("conv")
    network = read_model(data)
    windows = mixed_windows(network, 4)
    assert windows.shape == (4, network.steps + (HOPS - 1) * HOP, 6)
    report = compare(data, windows, [name for name in NAMES if name not in INFORMATIVE])
    assert not report.absent and not report.failures
