"""Branches, convolutions and pooling against TensorFlow Lite Micro's reference kernels: equality on all that shows."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import tflite as schema

import models
from bitwave.errors import ModelError
from bitwave.model.quantmodel import Attention, Conv, Dense, Int8Array, Mean, Quantization, QuantModel, Softmax
from bitwave.model.ranges import MAX_ATTENTION_STEPS
from bitwave.parity.windows import random_windows
from bitwave.simulator.fixed import clamp, requantize
from bitwave.simulator.network import Decider, attention, convolution, front_end, mean, run, stream_events
from bitwave.tflite import build as tflite_build
from bitwave.tflite.layout import GraphBuilder
from bitwave.tflite.reader import SOFTMAX_OUTPUT, read_model, weights_digest
from models import Shape, float32
from support import need

B = schema.BuiltinOperator
FUSED = (Shape(0, 3, (7,), "attention", (8, 5, 2)), Shape(3, 3, (5,), "attention", (6, 5, 2)))


def assert_equal_to_oracle(model: QuantModel, count: int) -> None:
    need("tflite_micro")
    from bitwave.parity.engines.micro import TfliteMicro

    data = tflite_build.write(model)
    found_model = read_model(data)
    assert weights_digest(found_model) == weights_digest(model)
    windows = random_windows(model, count)
    engine = TfliteMicro(data, found_model)
    wanted, found = engine.run(windows), run(found_model, windows)
    for layer in range(len(model.lstm)):
        assert np.array_equal(wanted.hidden[layer], found.hidden[layer])
        assert np.array_equal(wanted.cell[layer], found.cell[layer])
        assert np.array_equal(wanted.hidden[layer], engine.step_hidden[layer])
    assert np.array_equal(wanted.scores, found.scores)


@pytest.mark.parametrize("seed", range(60))
def test_random_models_of_all_shapes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, channels = int(rng.integers(2, 24)), int(rng.integers(1, 10))
    model = models.random_model(
        seed,
        steps=steps,
        channels=channels,
        branches=models.random_branches(rng, steps, channels, 1 + seed % 4),
        dense=tuple(int(n) for n in rng.integers(1, 9, 1 + seed % 3)),
        per_channel=seed % 3 == 0,
        activation=("none", "relu", "relu6")[seed % 3],
        drive=float(rng.choice([0.1, 1, 4, 30])),
        zero_points=(None, -128, 127, 0)[seed % 4],
    )
    assert_equal_to_oracle(model, 12)


@pytest.mark.parametrize("pool", ["last", "mean", "attention"])
def test_long_windows(pool: str) -> None:
    shape = Shape(0, 2, (4,), pool, None)  # type: ignore[arg-type]
    assert_equal_to_oracle(models.random_model(5, steps=MAX_ATTENTION_STEPS, channels=2, branches=(shape,)), 4)


def one_operator(graph: GraphBuilder, sources: list[int], output: int, *values: Int8Array) -> Int8Array:
    """What the oracle's kernel makes of the values in a file that has one operator."""
    need("tflite_micro")
    runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
    data = graph.finish(sources, [output])
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=(1 << 17) + 64 * sum(v.size for v in values))
    for index, value in enumerate(values):
        interpreter.set_input(value, index)
    interpreter.invoke()
    result: Int8Array = interpreter.get_output(0)
    return result


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7, 8, 9, 31, 32, 33, 100, 255, 256, 1000, 4095, 4096])
def test_mean_over_so_many_steps(steps: int) -> None:
    rng = np.random.default_rng(steps)
    for zero_in, zero_out in ((0, 0), (-128, 127), (127, -128), (5, -9)):
        for ratio in (1.0, 0.37, 2.9, 1e-6, 2.0**-31, 255.0):
            pool = Mean(Quantization(float32(0.004 * ratio), zero_in), Quantization(float32(0.004), zero_out))
            hidden = rng.integers(-128, 128, (1, steps, 64)).astype(np.int8)
            hidden[0, :, :8] = np.where(rng.integers(0, 2, (steps, 8)) == 0, -128, 127)
            hidden[0, :, 8], hidden[0, :, 9] = -128, 127
            graph = GraphBuilder()
            source = graph.activation("hidden", (1, steps, 64), pool.input)
            axis = graph.constant("axis", np.array([1], np.int32))
            output = graph.activation("mean", (1, 64), pool.output)
            graph.operator(B.MEAN, (source, axis), (output,), "ReducerOptions")
            assert np.array_equal(mean(pool, hidden), one_operator(graph, [source], output, hidden))


def test_mean_of_every_sum() -> None:
    """Every sum that three steps can have, each tie among them."""
    sums = np.arange(-384, 382)
    first = np.clip(sums, -128, 127)
    second = np.clip(sums - first, -128, 127)
    hidden = np.stack([first, second, sums - first - second])[None].astype(np.int8)
    for scale in (0.001, 0.0015, 0.002, 0.003, 0.006, 1.0):
        pool = Mean(Quantization(float32(0.003), -1), Quantization(float32(scale), 2))
        graph = GraphBuilder()
        source = graph.activation("hidden", hidden.shape, pool.input)
        axis = graph.constant("axis", np.array([-2], np.int32))
        output = graph.activation("mean", (1, hidden.shape[2]), pool.output)
        graph.operator(B.MEAN, (source, axis), (output,), "ReducerOptions")
        assert np.array_equal(mean(pool, hidden), one_operator(graph, [source], output, hidden))


def oracle_weighted_sum(pool: Attention, weights: Int8Array, hidden: Int8Array) -> Int8Array:
    graph = GraphBuilder()
    left = graph.activation("weights", weights.shape, SOFTMAX_OUTPUT)
    right = graph.activation("hidden", hidden.shape, pool.score.input)
    output = graph.activation("sum", (1, 1, hidden.shape[2]), pool.output)
    graph.operator(B.BATCH_MATMUL, (left, right), (output,), "BatchMatMulOptions")
    return one_operator(graph, [left, right], output, weights, hidden)


def oracle_softmax(parameters: Softmax, logits: Int8Array) -> Int8Array:
    graph = GraphBuilder()
    source = graph.activation("logits", logits.shape, parameters.input)
    output = graph.activation("weights", logits.shape, SOFTMAX_OUTPUT)
    graph.operator(B.SOFTMAX, (source,), (output,), "SoftmaxOptions", (("Beta", parameters.beta),))
    return one_operator(graph, [source], output, logits)


def oracle_scores(score: Dense, hidden: Int8Array) -> Int8Array:
    graph = GraphBuilder()
    source = graph.activation("hidden", hidden.shape, score.input)
    weights = graph.constant("weights", score.weights, score.weight_scales)
    bias = graph.constant("bias", score.bias, [score.input.scale * s for s in score.weight_scales])
    output = graph.activation("scores", (*hidden.shape[:2], 1), score.output)
    options = (("KeepNumDims", True),)
    graph.operator(B.FULLY_CONNECTED, (source, weights, bias), (output,), "FullyConnectedOptions", options, version=5)
    return one_operator(graph, [source], output, hidden)


@pytest.mark.parametrize("steps", [2, 3, 16, 64, 255, 256, 257, 510, 511])
def test_attention_operator_by_operator(steps: int) -> None:
    rng = np.random.default_rng(steps)
    for zero_in, zero_out in ((0, 0), (-128, 127), (127, -128)):
        for out_scale in (0.0001, 0.004, 0.013, 3.0):
            for logit_scale, beta in ((0.003, 1.0), (0.05, 0.3), (0.4, 1.0), (5.0, 7.0)):
                state = Quantization(float32(0.0061), zero_in)
                logits = Quantization(float32(logit_scale), int(rng.integers(-128, 128)))
                row = rng.integers(-127, 128, (1, 20)).astype(np.int8)
                scale = float32(logits.scale / state.scale / rng.uniform(10, 100))
                bias = rng.integers(-3000, 3000, 1).astype(np.int32)
                score = Dense(state, logits, row, bias, (scale,))
                pool = Attention(score, Softmax(logits, float32(beta)), Quantization(float32(out_scale), zero_out))
                hidden = rng.integers(-128, 128, (1, steps, 20)).astype(np.int8)
                if out_scale == 3.0:
                    hidden[:] = hidden[:, :1]  # all steps alike: the largest sum of exponentials
                scores = oracle_scores(score, hidden).reshape(1, 1, steps)
                weights = oracle_softmax(pool.softmax, scores)
                assert np.array_equal(attention(pool, hidden), oracle_weighted_sum(pool, weights, hidden)[0])


def test_weighted_sums_of_all_extremes() -> None:
    pool = Attention(
        Dense(Quantization(float32(0.0078125), -128), Quantization(0.1, 0), np.ones((1, 4), np.int8),
              np.zeros(1, np.int32), (0.1,)),
        Softmax(Quantization(0.1, 0)),
        Quantization(float32(0.0078125), 127),
    )  # fmt: skip
    for low, high in ((-128, -128), (127, 127), (-128, 127)):
        hidden = np.full((1, 511, 4), low, np.int8)
        hidden[:, ::2] = high
        weights = np.full((1, 1, 511), -126, np.int8)  # what the softmax gives for 511 equal scores: 1/256 too much
        total = (weights[0].astype(int) + 128) @ (hidden[0].astype(int) + 128)
        found = clamp(requantize(total, pool.multiplier) + 127, (-128, 127)).astype(np.int8)
        assert np.array_equal(found, oracle_weighted_sum(pool, weights, hidden)[0])


def oracle_convolution(conv: Conv, samples: Int8Array, upright: bool) -> Int8Array:
    """CONV_2D along the width or, ``upright``, along the height."""
    layer, (_, steps, channels) = conv.layer, samples.shape
    along = (steps, 1) if upright else (1, steps)
    graph = GraphBuilder()
    source = graph.activation("samples", (1, *along, channels), layer.input)
    kernel = (conv.kernel, 1) if upright else (1, conv.kernel)
    shape = (layer.outputs, *kernel, channels)
    weights = graph.constant("weights", layer.weights.reshape(shape), layer.weight_scales)
    bias = graph.constant("bias", layer.bias, [layer.input.scale * s for s in layer.weight_scales])
    found = conv.steps(steps)
    output = graph.activation("output", (1, *((found, 1) if upright else (1, found)), layer.outputs), layer.output)
    options = (
        ("Padding", schema.Padding.VALID),
        ("StrideH" if upright else "StrideW", conv.stride),
        ("StrideW" if upright else "StrideH", 1),
        ("FusedActivationFunction", tflite_build.ACTIVATIONS[layer.activation]),
        ("DilationWFactor", 1),
        ("DilationHFactor", 1),
    )
    graph.operator(B.CONV_2D, (source, weights, bias), (output,), "Conv2DOptions", options)
    return one_operator(graph, [source], output, samples.reshape(1, *along, channels)).reshape(1, found, layer.outputs)


@pytest.mark.parametrize("seed", range(40))
def test_convolutions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, channels = int(rng.integers(1, 40)), int(rng.integers(1, 12))
    kernel, stride = int(rng.integers(1, min(steps, 16) + 1)), int(rng.integers(1, 17))
    shape = Shape(0, channels, (1,), "last", (int(rng.integers(1, 30)), kernel, stride))
    model = models.random_model(
        seed, steps=steps, channels=channels, branches=(shape,), activation=("none", "relu", "relu6")[seed % 3],
        zero_points=(None, -128, 127)[seed % 3],
    )  # fmt: skip
    conv = model.branches[0].conv
    assert conv is not None
    for samples in random_windows(model, 8):
        found = convolution(conv, samples[None])
        assert np.array_equal(found, oracle_convolution(conv, samples[None], upright=seed % 2 == 0))


@pytest.mark.parametrize("per_channel", [False, True])
def test_convolution_multiplier_is_a_product_of_doubles(per_channel: bool) -> None:
    """Biases between the ties of sx * sw as double and as float32: rounded early, these outputs would differ."""
    rng = np.random.default_rng(0)
    tried = 0
    while tried < 60:
        scale_in, scale_w, scale_out = (float32(rng.uniform(*r)) for r in ((0.001, 0.1), (1e-6, 1e-5), (1, 3)))
        exact, early = scale_in * scale_w, float(np.float32(scale_in) * np.float32(scale_w))
        tie = (int(rng.integers(60, 120)) + 0.5) * scale_out
        low, high = sorted((tie / exact, tie / early))
        bias = int((low + high) / 2)
        if high - low < 4 or bias > 2**31 - 300:
            continue
        tried += 1
        layer = Dense(
            Quantization(scale_in, 0), Quantization(scale_out, 0), np.zeros((2, 1), np.int8),
            np.array([bias, -bias], np.int32), (scale_w, scale_w) if per_channel else (scale_w,),
        )  # fmt: skip
        conv, samples = Conv(layer, 1, 1), np.zeros((1, 1, 1), np.int8)
        assert np.array_equal(convolution(conv, samples), oracle_convolution(conv, samples, upright=False))


def test_stream_covers_windows_by_hop() -> None:
    model = models.random_model(3, steps=15, channels=6, branches=FUSED, dense=(3,), metadata=True, hop=4)
    assert model.metadata is not None
    raw = np.random.default_rng(0).integers(-9000, 9000, (121, 6)).astype(np.int16)
    decider = Decider(model.metadata.decision, 4)
    wanted = []
    for start in range(0, 121 - 15 + 1, 4):
        window = front_end(model.metadata, model.input.zero_point, raw[start : start + 15])
        event = decider.push(start + 14, run(model, window[None]).scores[0])
        wanted += [event] if event else []
    assert stream_events(model, raw) == wanted and len(wanted) > 1


def test_windows_shorter_than_the_kernel_are_refused() -> None:
    model = models.random_model(3, steps=15, channels=6, branches=FUSED)
    assert model.least_steps == 5 and model.layer_steps(15) == (6, 6)
    with pytest.raises(ModelError, match="needs 5"):
        run(model, np.zeros((1, 4, 6), np.int8))


def test_attention_over_too_many_steps_is_refused() -> None:
    model = models.random_model(1, steps=512, channels=2, branches=(Shape(0, 2, (2,), "attention"),))
    with pytest.raises(ModelError, match="512 steps; 511 fit"):
        read_model(tflite_build.write(model))


def test_sums_that_could_overflow_are_refused() -> None:
    model = models.random_model(1, steps=9, channels=2, branches=(Shape(0, 2, (2,), "mean"),))
    branch = model.branches[0]
    assert isinstance(branch.pool, Mean)
    tiny = replace(branch.pool, output=Quantization(float32(branch.pool.input.scale * 2.0**-22), 0))
    head = replace(model.head[0], input=tiny.output, bias=model.head[0].bias * 0)
    wrong = replace(model, branches=(replace(branch, pool=tiny),), head=(head,))
    with pytest.raises(ModelError, match="the mean of branch 1 could overflow"):
        read_model(tflite_build.write(wrong))


def test_every_part_counts_in_the_digest() -> None:
    model = models.random_model(2, steps=15, channels=6, branches=FUSED)
    first, second = model.branches
    assert isinstance(first.pool, Attention) and first.conv is not None
    others = [
        replace(model, branches=(second, first)),
        replace(model, branches=(replace(first, first_channel=1), second)),
        replace(model, branches=(replace(first, conv=replace(first.conv, stride=3)), second)),
        replace(
            model,
            branches=(replace(first, pool=replace(first.pool, softmax=Softmax(first.pool.score.output, 9))), second),
        ),
    ]
    assert len({weights_digest(m) for m in [model, *others]}) == 5
