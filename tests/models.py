"""Random models for the tests: any shape, any quantization that the contract allows, in memory or as .tflite bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from bitwave.model.metadata import ChannelScaling, Decision, Gate, Metadata
from bitwave.model.quantmodel import (
    Activation,
    Attention,
    Branch,
    Conv,
    Dense,
    Int8Array,
    LastStep,
    Lstm,
    Mean,
    Pool,
    Quantization,
    QuantModel,
    Softmax,
    plain,
)

CONVERTER = Path(__file__).parent / "converter"
CONVERTER_MODELS = tuple(sorted(CONVERTER.glob("*.tflite")))  # made by make_models.py there
ONE_LAYER, TWO_BRANCHES, TWO_LAYERS = CONVERTER_MODELS


class Shape(NamedTuple):
    """What a branch of a random model looks like; ``conv`` is outputs, kernel, stride."""

    first_channel: int
    channels: int
    hidden: tuple[int, ...] = (5,)
    pool: Literal["last", "mean", "attention"] = "last"
    conv: tuple[int, int, int] | None = None


def float32(value: float) -> float:
    """The nearest float32, as a Python float."""
    return float(np.float32(value))


def random_model(
    seed: int,
    *,
    steps: int = 9,
    channels: int = 3,
    hidden: tuple[int, ...] = (5,),
    dense: tuple[int, ...] = (4,),
    branches: tuple[Shape, ...] = (),
    softmax: bool = True,
    activation: Activation = "relu",
    per_channel: bool = False,
    drive: float = 1.0,
    cell_exponent: int | None = None,
    cell_clip: int = 0,
    zero_points: int | None = None,
    metadata: bool = False,
    hop: int = 4,
    packable: bool = False,
) -> QuantModel:
    """A checked-in-form random model.

    Args:
        seed: of everything random.
        steps: length of a window.
        channels: inputs of a step.
        hidden: units per LSTM layer.
        dense: outputs per dense layer; all but the last have ``activation``.
        branches: instead of ``hidden``, for more than a plain model.
        softmax: whether the model ends in one.
        activation: of the convolutions and of the dense layers but the last.
        per_channel: one weight scale per dense output.
        drive: factor on the gates' pre-activations: 1 is ordinary, 30 saturates nearly everything.
        cell_exponent: log2 of the cell's scale; random in -15..-9 otherwise.
        cell_clip: clamp of the cell in counts.
        zero_points: of all activations; random otherwise.
        metadata: whether the model carries labels, scaling and decision.
        hop: of the metadata.
        packable: no LSTM weight is -128, so that the fast kernels take the layer; otherwise one is, in every matrix.
    """
    rng = np.random.default_rng(seed)

    def quantization(low: float, high: float) -> Quantization:
        zero_point = int(rng.integers(-128, 128)) if zero_points is None else zero_points
        return Quantization(float32(rng.uniform(low, high)), zero_point)

    def weights(*shape: int) -> Int8Array:
        values = rng.integers(-128, 128, shape)
        values.flat[0] = -128
        return values.astype(np.int8)

    def gates(*shape: int) -> Int8Array:
        return np.maximum(weights(*shape), -127 if packable else -128)

    def weighted(
        source: Quantization,
        inputs: int,
        outputs: int,
        kind: Activation,
        per_channel: bool,
        target: Quantization | None,
    ) -> Dense:
        count = outputs if per_channel else 1
        weight_scales = tuple(float32(rng.uniform(0.001, 0.03)) for _ in range(count))
        spread = source.scale * 74.0 * max(weight_scales) * 74.0 * np.sqrt(inputs)
        if target is None:
            target = Quantization(float32(spread / rng.uniform(20, 120)), quantization(1, 2).zero_point)
        return Dense(
            input=source,
            output=target,
            weights=weights(outputs, inputs),
            bias=rng.normal(0, spread / (source.scale * max(weight_scales)), outputs).astype(np.int32),
            weight_scales=weight_scales,
            activation=kind,
        )

    def recurrent(source: Quantization, inputs: int, units: tuple[int, ...], last: Quantization | None) -> list[Lstm]:
        layers: list[Lstm] = []
        for index, count in enumerate(units):
            state = quantization(0.002, 0.009) if last is None or index < len(units) - 1 else last
            layers.append(layer(source, inputs, count, state))
            source, inputs = state, count
        return layers

    def layer(source: Quantization, inputs: int, units: int, state: Quantization) -> Lstm:
        wanted = 2.0 * drive / np.sqrt(inputs)  # standard deviation of a gate's pre-activation, roughly
        scales = [float32(rng.uniform(0.5, 1.5) * wanted / (source.scale * 74.0 * 74.0)) for _ in range(4)]
        back = [float32(rng.uniform(0.5, 1.5) * drive / np.sqrt(units) / (state.scale * 74.0**2)) for _ in range(4)]
        return Lstm(
            input=source,
            hidden_state=state,
            cell_exponent=int(rng.integers(-15, -8)) if cell_exponent is None else cell_exponent,
            input_weights=gates(4, units, inputs),
            recurrent_weights=gates(4, units, units),
            bias=np.stack([rng.normal(0, drive / (source.scale * s), units) for s in scales]).astype(np.int32),
            input_scales=(scales[0], scales[1], scales[2], scales[3]),
            recurrent_scales=(back[0], back[1], back[2], back[3]),
            cell_clip=cell_clip,
        )

    def pooling(kind: str, state: Quantization, units: int, target: Quantization) -> Pool:
        if kind == "mean":
            return Mean(state, target)
        if kind == "last":
            return LastStep()
        score = weighted(state, units, 1, "none", False, None)
        return Attention(score, Softmax(score.output, float32(rng.uniform(0.5, 4))), target)

    def branch(shape: Shape, joined: Quantization) -> Branch:
        source, inputs, conv = first, shape.channels, None
        if shape.conv is not None:
            outputs, kernel, stride = shape.conv
            taps = weighted(source, kernel * inputs, outputs, activation, bool(rng.integers(2)), None)
            conv = Conv(taps, kernel, stride)
            source, inputs = taps.output, outputs
        layers = recurrent(source, inputs, shape.hidden, joined if shape.pool == "last" else None)
        pool = pooling(shape.pool, layers[-1].hidden_state, shape.hidden[-1], joined)
        return Branch(shape.first_channel, shape.channels, tuple(layers), pool, conv)

    first = quantization(0.005, 0.06)
    if branches:
        joined = quantization(0.001, 0.009)
        ways = tuple(branch(shape, joined) for shape in branches)
    else:
        ways = plain(channels, *recurrent(first, channels, hidden, None))
    source, inputs = ways[0].output, sum(way.outputs for way in ways)
    head = []
    for index, outputs in enumerate(dense):
        kind: Activation = activation if index < len(dense) - 1 else "none"
        head.append(weighted(source, inputs, outputs, kind, per_channel, None))
        source, inputs = head[-1].output, outputs
    return QuantModel(
        steps=steps,
        channels=channels,
        input=first,
        branches=ways,
        head=tuple(head),
        softmax=Softmax(source) if softmax else None,
        metadata=random_metadata(rng, steps, channels, dense[-1], hop) if metadata else None,
    )


def random_branches(rng: np.random.Generator, steps: int, channels: int, count: int) -> tuple[Shape, ...]:
    """Shapes of that many branches over these channels, every kind of convolution and pooling among them."""
    shapes = []
    for _ in range(count):
        first = int(rng.integers(0, channels))
        seen = int(rng.integers(1, channels - first + 1))
        kernel = int(rng.integers(1, min(steps, 7) + 1))
        conv = (int(rng.integers(1, 10)), kernel, int(rng.integers(1, 5))) if rng.integers(3) else None
        hidden = tuple(int(n) for n in rng.integers(1, 12, 1 + rng.integers(2)))
        pool: Literal["last", "mean", "attention"] = ("last", "mean", "attention")[int(rng.integers(3))]
        if pool == "attention" and steps - kernel < (conv[2] if conv else 1):
            pool = "mean"  # attention over one step reads as a dense layer
        shapes.append(Shape(first, seen, hidden, pool, conv))
    return tuple(shapes)


def with_lstm(model: QuantModel, lstm: Lstm) -> QuantModel:
    """A plain model of one layer with another layer."""
    return replace(model, branches=plain(model.channels, lstm))


def random_metadata(rng: np.random.Generator, steps: int, channels: int, classes: int, hop: int = 4) -> Metadata:
    """Metadata that fits a network of these sizes; thresholds low enough that random input fires."""
    return Metadata(
        tool="tests",
        labels=tuple(f"label-{i}" for i in range(classes)),
        rate_hz=100.0,
        window=steps,
        hop=min(hop, steps),
        channels=tuple(f"c{i}" for i in range(channels)),
        scaling=tuple(
            ChannelScaling(
                offset=int(rng.integers(-500, 500)),
                multiplier=int(rng.integers(1 << 12, (1 << 14) + 1)),
                shift=int(rng.integers(18, 22)),
            )
            for _ in range(channels)
        ),
        decision=Decision(
            smoothing=int(rng.integers(0, 3)),
            thresholds=tuple(int(t) for t in rng.integers(60, 110, classes)),
            margin=int(rng.integers(0, 20)),
            hold=int(rng.integers(1, 3)),
            refractory=int(rng.integers(0, 20)),
            fires=tuple(i != classes - 1 for i in range(classes)),
        ),
        dataset_digest="0" * 64,
    )


def logits_model(scale: float, classes: int) -> QuantModel:
    """A model whose logits can be set at will: its dense weights are zero, so that the bias is the logits."""
    base = random_model(1, hidden=(1,), dense=(classes,), steps=1, channels=1)
    dense = base.head[0]
    target = Quantization(float32(scale), 0)
    unit = float32(float32(scale) / float32(dense.input.scale))
    flat = Dense(dense.input, target, np.zeros((classes, 1), np.int8), np.zeros(classes, np.int32), (unit,))
    return QuantModel(1, 1, base.input, base.branches, (flat,), Softmax(target))


def with_gate(model: QuantModel, still: int, preroll: int = 0, thresholds: int | tuple[int, ...] = 100) -> QuantModel:
    """The model with a motion gate; one threshold for all channels, or one for each."""
    assert model.metadata is not None
    each = (thresholds,) * model.channels if isinstance(thresholds, int) else thresholds
    gate = Gate(thresholds=each, still=still, preroll=preroll)
    return replace(model, metadata=Metadata.model_validate(model.metadata.model_dump() | {"gate": gate}))


def stateful(model: QuantModel, hop: int) -> QuantModel:
    """The model with its states carried on, and the window that this takes."""
    assert model.metadata is not None
    conv = model.branches[0].conv
    window = hop + (conv.kernel - conv.stride if conv else 0)
    changes = {"streaming": "stateful", "hop": hop, "window": window}
    return replace(model, steps=window, metadata=Metadata.model_validate(model.metadata.model_dump() | changes))
