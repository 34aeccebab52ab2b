"""The models of the benchmark's grid."""

from __future__ import annotations

import numpy as np

from ..model.metadata import ChannelScaling, Decision, Metadata
from ..model.quantmodel import Dense, Int8Array, Lstm, Quantization, QuantModel, Softmax, plain

GRID_INPUTS = (3, 6, 9)
GRID_HIDDEN = (16, 24, 32, 64)
GRID_RATE_HZ = 119.0


def grid_model(inputs: int, hidden: int) -> QuantModel:
    """A model of the grid: random weights with the scales that a trained one has; the same for the same sizes."""
    rng = np.random.default_rng(1000 * inputs + hidden)

    def quantized(shape: tuple[int, ...], spread: float) -> tuple[Int8Array, float]:
        values = rng.normal(0, spread, shape)
        scale = float(np.float32(np.abs(values).max() / 127))
        return np.clip(np.round(values / scale), -127, 127).astype(np.int8), scale

    source, state = Quantization(float(np.float32(8 / 255)), -3), Quantization(float(np.float32(2 / 255)), 1)
    into = [quantized((hidden, inputs), 0.5) for _ in range(4)]
    back = [quantized((hidden, hidden), 1.5 / np.sqrt(hidden)) for _ in range(4)]
    layer = Lstm(
        input=source,
        hidden_state=state,
        cell_exponent=-12,
        input_weights=np.stack([weights for weights, _ in into]),
        recurrent_weights=np.stack([weights for weights, _ in back]),
        bias=np.stack([np.round(rng.normal(0, 0.5, hidden) / (source.scale * s)) for _, s in into]).astype(np.int32),
        input_scales=(into[0][1], into[1][1], into[2][1], into[3][1]),
        recurrent_scales=(back[0][1], back[1][1], back[2][1], back[3][1]),
    )
    head, scale = quantized((5, hidden), 0.5)
    logits = Quantization(float(np.float32(0.05)), 0)
    names = ("idle", "unknown", "wave", "punch", "circle")
    return QuantModel(
        steps=50,
        channels=inputs,
        input=source,
        branches=plain(inputs, layer),
        head=(Dense(state, logits, head, np.zeros(5, np.int32), (scale,)),),
        softmax=Softmax(logits),
        metadata=Metadata(
            tool="bench",
            labels=names,
            rate_hz=GRID_RATE_HZ,
            window=50,
            hop=10,
            channels=tuple(f"c{index}" for index in range(inputs)),
            scaling=(ChannelScaling(offset=0, multiplier=1 << 13, shift=20),) * inputs,
            decision=Decision(
                smoothing=1, thresholds=(128,) * 5, margin=10, refractory=20, fires=(False, False, True, True, True)
            ),
            dataset_digest="",
        ),
    )
