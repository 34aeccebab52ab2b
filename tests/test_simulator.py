"""The NumPy simulator against TensorFlow Lite Micro's reference kernels: equality on everything that shows."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tflite as schema
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from bitwave.errors import ModelError
from bitwave.model.metadata import Decision
from bitwave.model.quantmodel import (
    Activation,
    Dense,
    Int8Array,
    Multiplier,
    Quantization,
    QuantModel,
    Softmax,
    quantize_multiplier,
)
from bitwave.parity.windows import random_windows
from bitwave.simulator.fixed import high_multiply, requantize, rounding_divide, sigmoid_table
from bitwave.simulator.network import Decider, Event, front_end, fully_connected, run, softmax, stream_events
from bitwave.tflite import build as tflite_build
from bitwave.tflite.reader import SOFTMAX_OUTPUT, read_model
from support import need


def oracle(data: bytes, windows: Int8Array) -> Any:
    need("tflite_micro")
    from bitwave.parity.engines.micro import TfliteMicro

    engine = TfliteMicro(data, read_model(data))
    return engine.run(windows), engine.step_hidden


def assert_equal_to_oracle(model: QuantModel, count: int = 40, windows: Int8Array | None = None) -> None:
    data = tflite_build.write(model)
    windows = random_windows(model, count) if windows is None else windows
    found = run(read_model(data), windows)
    wanted, steps = oracle(data, windows)
    for layer in range(len(model.lstm)):
        assert np.array_equal(wanted.hidden[layer], found.hidden[layer])
        assert np.array_equal(wanted.cell[layer], found.cell[layer])
        assert np.array_equal(wanted.hidden[layer], steps[layer])
    assert np.array_equal(wanted.scores, found.scores)


@pytest.mark.parametrize("seed", range(40))
def test_random_models_of_all_shapes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    activations: tuple[Activation, ...] = ("none", "relu", "relu6")
    model = models.random_model(
        seed,
        steps=int(rng.integers(1, 14)),
        channels=int(rng.integers(1, 9)),
        hidden=tuple(int(n) for n in rng.integers(1, 24, 1 + seed % 2)),
        dense=tuple(int(n) for n in rng.integers(1, 12, 1 + seed % 4)),
        per_channel=seed % 3 == 0,
        activation=activations[seed % 3],
        softmax=seed % 5 != 0,
        drive=float(rng.choice([0.1, 1, 4, 30])),
        cell_exponent=int(rng.integers(-20, 3)) if seed % 4 == 0 else None,
        cell_clip=int(rng.integers(1, 32768)) if seed % 7 == 0 else 0,
        zero_points=(None, -128, 127, 0)[seed % 4],
    )
    assert_equal_to_oracle(model)


@pytest.mark.parametrize("exponent", range(-24, 3))
def test_every_cell_scale(exponent: int) -> None:
    assert_equal_to_oracle(models.random_model(100 + exponent, hidden=(6,), cell_exponent=exponent, drive=3.0))


@pytest.mark.parametrize("path", models.CONVERTER_MODELS, ids=lambda path: path.stem)
def test_converter_models(path: Any) -> None:
    data = path.read_bytes()
    model = read_model(data)
    windows = random_windows(model, 60)
    found, (wanted, _) = run(model, windows), oracle(data, windows)
    for kind in ("hidden", "cell"):
        for one, other in zip(getattr(wanted, kind), getattr(found, kind), strict=True):
            assert np.array_equal(one, other)
    assert np.array_equal(wanted.scores, found.scores)


@pytest.mark.parametrize("gate", ["input", "cell"])
def test_every_gate_preactivation(gate: str) -> None:
    """65,536 pre-activations: 256 inputs times biases in steps of 256, through the cell state."""
    base = models.random_model(1, steps=1, channels=1, hidden=(64,), dense=(1,))
    lstm = base.lstm[0]
    swept = 0 if gate == "input" else 2
    weights = np.zeros_like(lstm.input_weights)
    weights[swept] = 1
    for part in range(4):
        bias = np.full_like(lstm.bias, 32767)  # the other gates saturate at one
        bias[swept] = -32768 + 128 + 256 * np.arange(64 * part, 64 * part + 64)
        exact = replace(
            lstm,
            input=Quantization(2.0**-6, 0),
            cell_exponent=-15,
            input_weights=weights,
            recurrent_weights=np.zeros_like(lstm.recurrent_weights),
            bias=bias,
            input_scales=(2.0**-6,) * 4,
        )
        model = models.with_lstm(replace(base, input=exact.input), exact)
        windows = np.arange(-128, 128, dtype=np.int8)[:, None, None]
        assert_equal_to_oracle(model, windows=windows)
        seen = run(model, windows).layers[0].preactivations[:, 0, swept]
        assert seen.min() == -32768 + 64 * 256 * part and len(np.unique(seen)) == 64 * 256


def one_operator(graph: tflite_build.GraphBuilder, source: int, output: int, values: Int8Array) -> Int8Array:
    """What the oracle's kernel makes of rows of values in a file that has one operator."""
    need("tflite_micro")
    runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
    data = graph.finish([source], [output])
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 16 | 4 * values.size * 64)
    interpreter.set_input(values, 0)
    interpreter.invoke()
    result: Int8Array = interpreter.get_output(0)
    return result


def oracle_softmax(parameters: Softmax, logits: Int8Array) -> Int8Array:
    graph = tflite_build.GraphBuilder()
    source = graph.activation("logits", logits.shape, parameters.input)
    output = graph.activation("scores", logits.shape, SOFTMAX_OUTPUT)
    options = (("Beta", parameters.beta),)
    graph.operator(schema.BuiltinOperator.SOFTMAX, (source,), (output,), "SoftmaxOptions", options)
    return one_operator(graph, source, output, logits)


SOFTMAX_SCALES = [1e-7, 1e-4, 0.003, 0.0117, 1 / 16, 0.1, 0.124, 0.5, 1.0, 2.0, 7.7, 16.0, 31.0, 32.0, 1000.0]


@pytest.mark.parametrize("scale", SOFTMAX_SCALES)
def test_softmax_over_every_pair_of_logits(scale: float) -> None:
    parameters = Softmax(Quantization(models.float32(scale), 3))
    values = np.arange(-128, 128, dtype=np.int8)
    logits = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    assert np.array_equal(softmax(parameters, logits), oracle_softmax(parameters, logits))


@pytest.mark.parametrize("classes", [1, 3, 5, 16, 100, 255])
@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_softmax_of_many_classes(classes: int, beta: float) -> None:
    rng = np.random.default_rng(classes)
    for scale in (0.004, 0.02, 0.11, 0.9):
        parameters = Softmax(Quantization(models.float32(scale), -7), beta)
        logits = rng.integers(-128, 128, (400, classes)).astype(np.int8)
        logits[:50] = rng.integers(-128, 128, (50, 1))  # all equal: the largest sums
        assert np.array_equal(softmax(parameters, logits), oracle_softmax(parameters, logits))


def oracle_dense(dense: Dense, values: Int8Array) -> Int8Array:
    graph = tflite_build.GraphBuilder()
    source = graph.activation("values", values.shape, dense.input)
    weights = graph.constant("weights", dense.weights, dense.weight_scales)
    bias = graph.constant("bias", dense.bias, [dense.input.scale * s for s in dense.weight_scales])
    output = graph.activation("output", (len(values), dense.outputs), dense.output)
    options = (("FusedActivationFunction", tflite_build.ACTIVATIONS[dense.activation]),)
    code = schema.BuiltinOperator.FULLY_CONNECTED
    graph.operator(code, (source, weights, bias), (output,), "FullyConnectedOptions", options)
    return one_operator(graph, source, output, values)


@pytest.mark.parametrize("seed", range(24))
def test_dense_layers(seed: int) -> None:
    activation: tuple[Activation, ...] = ("none", "relu", "relu6")
    model = models.random_model(
        seed, hidden=(3 + seed,), dense=(1 + seed, 2), activation=activation[seed % 3], per_channel=seed % 2 == 0
    )
    dense = model.head[0]
    values = np.random.default_rng(seed).integers(-128, 128, (300, dense.inputs)).astype(np.int8)
    assert np.array_equal(fully_connected(dense, values), oracle_dense(dense, values))


@pytest.mark.parametrize("per_channel", [False, True])
def test_dense_multiplier_is_a_product_of_doubles(per_channel: bool) -> None:
    """Biases between the ties of sx * sw as double and as float32: rounded early, these outputs would differ."""
    rng = np.random.default_rng(0)
    tried = 0
    while tried < 100:
        scale_in, scale_w, scale_out = (models.float32(rng.uniform(*r)) for r in ((0.001, 0.1), (1e-6, 1e-5), (1, 3)))
        exact, early = scale_in * scale_w, float(np.float32(scale_in) * np.float32(scale_w))
        tie = (int(rng.integers(60, 120)) + 0.5) * scale_out
        low, high = sorted((tie / exact, tie / early))
        bias = int((low + high) / 2)
        if high - low < 4 or bias > 2**31 - 300:
            continue
        tried += 1
        dense = Dense(
            Quantization(scale_in, 0),
            Quantization(scale_out, 0),
            np.zeros((2, 1), np.int8),
            np.array([bias, -bias], np.int32),
            (scale_w, scale_w) if per_channel else (scale_w,),
        )
        values = np.zeros((1, 1), np.int8)
        assert np.array_equal(fully_connected(dense, values), oracle_dense(dense, values))


def test_sigmoid_table_does_not_hang_on_a_rounding_error() -> None:
    """No entry is so near a tie that another platform's exp could give another integer."""
    s = 65536.0 / (1.0 + np.exp(-np.arange(-1, 257) / 24.0))
    exact = s[1:-1] - (s[2:] + s[:-2] - 2.0 * s[1:-1]) / 16.0 + 0.5
    assert np.abs(exact[:255] - np.round(exact[:255])).min() > 1e-6
    table = sigmoid_table()
    assert (table[0], table[24], table[255]) == (32768, 47911, 65535) and np.all(np.diff(table) >= 0)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(2**30, 2**31 - 1), st.integers(0, 31))
def test_rounding_rules_by_exact_fractions(value: int, mantissa: int, right: int) -> None:
    from fractions import Fraction
    from math import floor

    high = floor(Fraction(value * mantissa, 2**31) + Fraction(1, 2))
    assert int(high_multiply(np.asarray(value, np.int64), mantissa)) == high
    half_up = floor(Fraction(abs(high), 2**right) + Fraction(1, 2))
    away = half_up if high >= 0 else -half_up
    assert int(rounding_divide(np.asarray(high, np.int64), right)) == away
    assert int(requantize(np.asarray(value, np.int64), Multiplier(mantissa, -right))) == away


def test_multipliers() -> None:
    assert quantize_multiplier(1.0) == Multiplier(2**30, 1)
    assert quantize_multiplier(2.0**-15) == Multiplier(2**30, -14)
    assert quantize_multiplier(1.0 - 2.0**-40) == Multiplier(2**30, 1)
    assert quantize_multiplier(2.0**-32) == Multiplier(2**30, -31)
    assert quantize_multiplier(2.0**-33) == Multiplier(0, 0)
    assert quantize_multiplier(0.0) == Multiplier(0, 0)


def test_windows_of_another_shape_are_refused() -> None:
    model = models.random_model(1, channels=3)
    for wrong in (np.zeros((1, 9, 2), np.int8), np.zeros((1, 0, 3), np.int8), np.zeros((1, 9, 3), np.int16)):
        with pytest.raises(ModelError, match="do not fit"):
            run(model, wrong)  # type: ignore[arg-type]


def test_saturation_is_counted() -> None:
    model = models.random_model(3, hidden=(4,), drive=200.0)
    layer = run(model, random_windows(model, 20)).layers[0]
    limits = np.isin(layer.preactivations, (-32768, 32767)).sum(axis=(0, 1, 3))
    assert np.all(layer.saturated_preactivations >= limits * 0.9) and layer.saturated_preactivations.sum() > 0
    assert layer.saturated_hidden == np.isin(layer.hidden, (-128, 127)).sum()


@settings(max_examples=60)
@given(st.integers(0, 2**31))
def test_front_end_by_the_written_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    metadata = models.random_metadata(rng, 5, 3, 2)
    zero_point = int(rng.integers(-128, 128))
    raw = rng.integers(-32768, 32768, (20, 3)).astype(np.int16)
    found = front_end(metadata, zero_point, raw)
    for row, got in zip(raw, found, strict=True):
        for value, scaling, q in zip(row, metadata.scaling, got, strict=True):
            product = (int(value) - scaling.offset) * scaling.multiplier + (1 << (scaling.shift - 1))
            assert q == max(-128, min(127, (product >> scaling.shift) + zero_point))


def pushed(decision: Decision, hop: int, *rows: tuple[int, ...]) -> list[Event | None]:
    decider = Decider(decision, hop)
    return [decider.push(i, np.array([s - 128 for s in row], np.int8)) for i, row in enumerate(rows)]


def test_decision_fires_once_per_hold_and_refractory_time() -> None:
    decision = Decision(thresholds=(100, 100), fires=(True, False), hold=2, refractory=10)
    high, idle = (200, 50), (50, 200)
    found = pushed(decision, 4, high, high, high, high, high, high, idle, high, high)
    assert [e is not None for e in found] == [False, True, False, False, True, False, False, False, True]
    assert found[1] == Event(1, 0, 200)


def test_a_run_fires_once_where_asked() -> None:
    decision = Decision(thresholds=(100, 100), fires=(True, True), hold=2, once=True)
    a, b, neither = (200, 50), (50, 200), (90, 90)
    found = pushed(decision, 1, a, a, a, a, b, a, a, a, neither, a, a, b, b, b)
    assert [e.sample for e in found if e] == [1, 6, 10, 12]
    late = pushed(decision.model_copy(update={"refractory": 6}), 1, a, a, b, b, b, b, b, b, b, b)
    assert [e.sample for e in late if e] == [1, 7]  # the second run has to wait, and still has its event


def test_decision_margin_threshold_and_smoothing() -> None:
    fires = (True, True)
    assert pushed(Decision(thresholds=(150, 150), fires=fires), 1, (149, 0), (150, 0)) == [None, Event(1, 0, 150)]
    margin = Decision(thresholds=(0, 0), fires=fires, margin=20)
    assert pushed(margin, 1, (100, 81), (101, 81)) == [None, Event(1, 0, 101)]
    tie = pushed(Decision(thresholds=(0, 0), fires=fires), 1, (90, 90))
    assert tie == [Event(0, 0, 90)]  # the lowest index wins
    smooth = Decision(thresholds=(0, 0), fires=fires, smoothing=1)
    assert [e and e.score for e in pushed(smooth, 1, (100, 0), (201, 0), (0, 255))] == [100, 150, 127]


def test_stream_covers_windows_by_hop() -> None:
    model = models.random_model(11, steps=6, channels=2, hidden=(4,), dense=(3,), metadata=True, hop=2)
    assert model.metadata is not None
    raw = np.random.default_rng(0).integers(-9000, 9000, (61, 2)).astype(np.int16)
    decider = Decider(model.metadata.decision, 2)
    wanted = []
    for start in range(0, 61 - 6 + 1, 2):
        window = front_end(model.metadata, model.input.zero_point, raw[start : start + 6])
        event = decider.push(start + 5, run(model, window[None]).scores[0])
        wanted += [event] if event else []
    assert stream_events(model, raw) == wanted and len(wanted) > 1
    assert stream_events(model, raw[:5]) == []
    with pytest.raises(ModelError, match="metadata"):
        stream_events(replace(model, metadata=None), raw)
