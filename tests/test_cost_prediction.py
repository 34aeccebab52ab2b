"""Costs before training: what `bitwave tune` goes by, against trained-like models of the same shape on the emulator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bitwave.model.metadata import CountsScale
from support import need

PLAIN: dict[str, Any] = {"hidden": (8,), "conv_filters": 0}
CONV: dict[str, Any] = {"hidden": (8,), "conv_filters": 4, "conv_kernel": 3, "conv_stride": 2}
# Settings, window, hop; hops that a stride does not divide, so that lanes cannot share a convolution, among them.
GRID = [
    pytest.param({**PLAIN, "pool": "last"}, 20, 4, id="last"),
    pytest.param({**PLAIN, "pool": "mean"}, 20, 7, id="mean, three windows"),
    pytest.param({**PLAIN, "pool": "attention", "dense": (6,)}, 20, 4, id="attention, dense"),
    pytest.param({**PLAIN, "pool": "last", "hidden": (8, 6)}, 20, 5, id="two layers"),
    pytest.param({**PLAIN, "pool": "last", "fused": True}, 20, 4, id="fused"),
    pytest.param({**CONV, "pool": "last"}, 20, 4, id="convolution"),
    pytest.param({**CONV, "pool": "attention"}, 21, 5, id="convolution not shared, attention"),
    pytest.param({**CONV, "conv_stride": 4, "pool": "mean"}, 24, 8, id="stride 4, mean"),
    pytest.param({**CONV, "conv_stride": 3, "pool": "attention", "fused": True}, 24, 6, id="stride 3, fused"),
    pytest.param({**CONV, "conv_stride": 16, "pool": "mean", "hidden": (6, 5)}, 40, 16, id="stride 16, two layers"),
]


@pytest.mark.parametrize(("told", "window", "hop"), GRID)
def test_the_prediction_is_what_the_emulator_counts(told: dict[str, Any], window: int, hop: int) -> None:
    need("unicorn", "elftools", "ziglang")
    from bitwave.core.host import HostCore
    from bitwave.emulator.engine import EmulatedCore
    from bitwave.emulator.stream_cost import stream_cost
    from bitwave.model import image
    from bitwave_train.cost import predict, random_model
    from bitwave_train.quantize import quantize
    from bitwave_train.settings import RunConfig, Settings, Split
    from bitwave_train.tflite_writer import with_metadata

    config = RunConfig(
        dataset="none", dataset_digest="", labels=("a", "b", "c"),
        channels=("ax", "ay", "az", "gx", "gy", "gz"),
        rate_hz=50.0, counts=CountsScale(), window=window, hop=hop, split=Split(), settings=Settings(**told),
    )  # fmt: skip
    predicted = predict(config)
    # Other weights and other data, as training would bring them: larger, of another mean.
    rng = np.random.default_rng(7)
    source = random_model(config, seed=7)
    source = replace(source, mean=rng.normal(0, 900, 6), deviation=rng.uniform(700, 3000, 6))
    raw = rng.normal(500, 2500, (12, window, 6)).clip(-32768, 32767).astype(np.int16)
    model = with_metadata(quantize(source, raw), source, config)
    assert model.metadata is not None
    content = image.build(model)
    assert predicted.image_bytes == len(content)
    assert predicted.ram_bytes == HostCore(content).recognizer_bytes
    counted = stream_cost(EmulatedCore(content), model.metadata, every=True)  # each sample of a hop
    assert predicted.cycles_per_second / 50.0 == pytest.approx(counted.cycles, rel=0.01)  # divisions hang on values
    assert counted.dearest >= counted.cycles
