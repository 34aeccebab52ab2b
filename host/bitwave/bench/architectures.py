"""What each kind of network costs as a recognizer: convolution, pooling, two layers, a branch for each sensor.

Weights are random, since a cost hardly depends on them; windows last about a second and a new one starts every fifth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .. import native
from ..emulator.engine import EmulatedCore
from ..emulator.stream_cost import StreamCost, stream_cost
from ..model import image
from ..model.quantmodel import (
    Attention,
    Branch,
    Conv,
    Dense,
    LastStep,
    Lstm,
    Mean,
    Pool,
    Quantization,
    QuantModel,
    Softmax,
)
from .grid import GRID_RATE_HZ, grid_model
from .steps import CLOCK_HZ

WINDOW, HOP = 120, 24
CHANNELS = 6
HIDDEN_STATE = Quantization(float(np.float32(2 / 255)), 1)


@dataclass(frozen=True)
class Architecture:
    """Sizes of every branch; a convolution is filters, kernel, stride."""

    hidden: tuple[int, ...]
    pool: Literal["last", "mean", "attention"] = "last"
    conv: tuple[int, int, int] | None = None
    branches: int = 1

    @property
    def words(self) -> str:
        """Like "2 branches of: convolution 16 x 5 by 2, LSTM 24, attention"."""
        parts = [f"convolution {self.conv[0]} x {self.conv[1]} by {self.conv[2]}"] if self.conv else []
        parts += [f"LSTM {units}" for units in self.hidden]
        parts.append({"last": "last step"}.get(self.pool, self.pool))
        return (f"{self.branches} branches of: " if self.branches > 1 else "") + ", ".join(parts)


ARCHITECTURES = (
    Architecture((32,)),
    Architecture((32,), "mean"),
    Architecture((32,), "attention"),
    Architecture((24, 24)),
    Architecture((16,), branches=2),
    Architecture((32,), "last", (16, 5, 2)),
    Architecture((32,), "mean", (16, 5, 2)),
    Architecture((32,), "attention", (16, 5, 2)),
    Architecture((32,), "attention", (16, 5, 4)),
    Architecture((48,), "attention", (32, 5, 2)),
    Architecture((24,), "attention", (16, 5, 2), branches=2),
)


@dataclass(frozen=True)
class ArchitectureCost:
    """One architecture: bytes of image and arena, cycles per sample, and the share of the board's processor."""

    architecture: Architecture
    image_bytes: int
    arena_bytes: int
    cost: StreamCost

    @property
    def load(self) -> float:
        """Of 64 MHz, with samples of an Arduino's rate."""
        return self.cost.cycles * GRID_RATE_HZ / CLOCK_HZ

    def to_json(self) -> dict[str, object]:
        """For `bitwave bench --json`."""
        return {
            "architecture": self.architecture.words,
            "image_bytes": self.image_bytes,
            "arena_bytes": self.arena_bytes,
            "cycles_per_sample": round(self.cost.cycles),
            "dearest_sample_cycles": self.cost.dearest,
            "load": round(self.load, 5),
        }


def measure_architectures(
    compiler: native.Compiler, architectures: tuple[Architecture, ...] = ARCHITECTURES
) -> Iterator[ArchitectureCost]:
    """Counts a recognizer of each on the emulated processor; raises what `steps.measure` does."""
    for architecture in architectures:
        model = architecture_model(architecture)
        assert model.metadata is not None
        packed = image.build(model)
        core = EmulatedCore(packed, compiler)
        cost = stream_cost(core, model.metadata)
        yield ArchitectureCost(architecture, len(packed), core.shape.recognizer_bytes, cost)


def architecture_model(architecture: Architecture) -> QuantModel:
    """A model of the shape with random weights, five labels and windows of `WINDOW` samples."""
    width = CHANNELS // architecture.branches
    plain = grid_model(CHANNELS, architecture.hidden[0])
    assert plain.metadata is not None
    rng = np.random.default_rng(0)
    branches = tuple(
        _branch(architecture, plain.input, index * width, width, rng) for index in range(architecture.branches)
    )
    inputs = sum(branch.outputs for branch in branches)
    logits = Quantization(float(np.float32(0.05)), 0)
    return replace(
        plain,
        steps=WINDOW,
        branches=branches,
        head=(_dense(HIDDEN_STATE, inputs, len(plain.metadata.labels), logits, rng),),
        softmax=Softmax(logits),
        metadata=plain.metadata.model_copy(update={"window": WINDOW, "hop": HOP}),
    )


def _branch(
    architecture: Architecture, source: Quantization, first: int, width: int, rng: np.random.Generator
) -> Branch:
    conv, inputs = None, width
    if architecture.conv is not None:
        filters, kernel, stride = architecture.conv
        taps = _dense(source, kernel * width, filters, Quantization(float(np.float32(8 / 255)), -128), rng)
        conv, source, inputs = Conv(taps, kernel, stride), taps.output, filters
    layers: list[Lstm] = []
    for units in architecture.hidden:
        layers.append(replace(grid_model(inputs, units).lstm[0], input=source, hidden_state=HIDDEN_STATE))
        source, inputs = HIDDEN_STATE, units
    pool: Pool = LastStep()
    if architecture.pool == "mean":
        pool = Mean(HIDDEN_STATE, HIDDEN_STATE)
    elif architecture.pool == "attention":
        score = _dense(HIDDEN_STATE, inputs, 1, Quantization(float(np.float32(0.05)), 0), rng)
        pool = Attention(score, Softmax(score.output), HIDDEN_STATE)
    return Branch(first, width, tuple(layers), pool, conv)


def _dense(source: Quantization, inputs: int, outputs: int, target: Quantization, rng: np.random.Generator) -> Dense:
    weights = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    scale = float(np.float32(target.scale / (source.scale * 60 * np.sqrt(inputs))))
    return Dense(source, target, weights, np.zeros(outputs, np.int32), (scale,))
