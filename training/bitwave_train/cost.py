"""What a model of some settings costs on the board, before it is trained: bytes and cycles hardly see weights.

A model with random weights of the same shape goes through the quantizer, the image builder, the C core on this machine
(RAM) and the recognizer on an emulated Cortex-M4 (cycles).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitwave.core.host import HostCore
from bitwave.emulator.engine import EmulatedCore
from bitwave.emulator.stream_cost import stream_cost
from bitwave.errors import ModelError
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel

from .floatmodel import FloatArray, FloatBranch, FloatConv, FloatDense, FloatLstm, FloatModel
from .quantize import quantize
from .settings import RunConfig
from .shapes import branch_channels
from .tflite_writer import with_metadata

CALIBRATION_WINDOWS = 8
CLOCK_HZ = 64_000_000  # of the Nano 33 BLE


@dataclass(frozen=True)
class Cost:
    """On the board.

    Attributes:
        image_bytes: of the model image.
        ram_bytes: of the recognizer's arena.
        cycles_per_second: of a Cortex-M4 at the recordings' rate, all lanes busy, front end to decision.
    """

    image_bytes: int
    ram_bytes: int
    cycles_per_second: float


@dataclass(frozen=True)
class Budget:
    """The most that a model may cost; None allows anything."""

    image_bytes: int | None = None
    ram_bytes: int | None = None
    cycles_per_second: float | None = None

    def excess(self, cost: Cost) -> str:
        """What is beyond the budget, in words; empty where nothing is."""
        for name in ("image_bytes", "ram_bytes", "cycles_per_second"):
            most, found = getattr(self, name), getattr(cost, name)
            if most is not None and found > most:
                return f"{name.replace('_', ' ')} {found:,.0f} of {most:,.0f}"
        return ""


def predict(config: RunConfig) -> Cost:
    """Cost of a model of this configuration; raises `ImageError` or `ModelError` where the board cannot take it."""
    source = random_model(config)
    random = np.random.default_rng(0)
    shape = (CALIBRATION_WINDOWS, config.window, len(config.channels))
    raw = random.normal(0, 2000, shape).clip(-32768, 32767).astype(np.int16)
    return measure(with_metadata(quantize(source, raw), source, config))


def measure(model: QuantModel) -> Cost:
    """Cost of a model; raises `ImageError` where the board cannot take it, `ModelError` where it has no metadata."""
    if model.metadata is None:
        raise ModelError("the .tflite file has no bitwave metadata: window, hop and rate are unknown")
    content = image.build(model)
    cycles = stream_cost(EmulatedCore(content, "clang"), model.metadata).cycles
    return Cost(len(content), HostCore(content).recognizer_bytes, cycles * model.metadata.rate_hz)


def random_model(config: RunConfig, seed: int = 0) -> FloatModel:
    """A float model of the configuration's shape with random weights."""
    random = np.random.default_rng(seed)
    settings = config.settings

    def dense(outputs: int, inputs: int, relu: bool = False) -> FloatDense:
        return FloatDense(weights(outputs, inputs), weights(outputs), relu)

    def weights(*shape: int) -> FloatArray:
        return random.normal(0, 1 / np.sqrt(shape[-1]), shape).astype(np.float32)

    branches = []
    for _, first, channels in branch_channels(config.channels, settings):
        conv, inputs = None, channels
        if settings.conv_filters:
            taps = dense(settings.conv_filters, settings.conv_kernel * channels, relu=True)
            conv, inputs = FloatConv(taps, settings.conv_kernel, settings.conv_stride), settings.conv_filters
        lstm = []
        for units in settings.hidden:
            lstm.append(FloatLstm(weights(4, units, inputs), weights(4, units, units), weights(4, units)))
            inputs = units
        pool = dense(1, inputs) if settings.pool == "attention" else settings.pool
        branches.append(FloatBranch(first, channels, tuple(lstm), pool, conv))
    inputs, head = len(branches) * settings.hidden[-1], []
    for units in settings.dense:
        head.append(dense(units, inputs, relu=True))
        inputs = units
    head.append(dense(len(config.labels), inputs))
    count = len(config.channels)
    return FloatModel(np.zeros(count), np.full(count, 2000.0), tuple(branches), tuple(head))
