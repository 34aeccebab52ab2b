"""QuantModel -> the bytes of a standard int8 .tflite file, through the FlatBuffers schema and without TensorFlow.

The graph is the one that the TensorFlow converter gives: UNIDIRECTIONAL_SEQUENCE_LSTM with 24 inputs and five
intermediates, a 1-D convolution as CONV_2D between RESHAPEs, attention as FULLY_CONNECTED, RESHAPE, SOFTMAX and
BATCH_MATMUL. Bytes are a pure function of the model. Importing this module needs the `tflite` package.
"""

from __future__ import annotations

import numpy as np
import tflite

from ..model.quantmodel import Attention, Branch, Conv, Dense, Lstm, Mean, Quantization, QuantModel, Softmax
from .layout import GraphBuilder, Operator, Tensor
from .reader import METADATA_NAME, SOFTMAX_OUTPUT, weights_digest

__all__ = ["ACTIVATIONS", "GraphBuilder", "Operator", "Tensor", "write"]

KEEPS_DIMENSIONS = 5  # version of FULLY_CONNECTED
ACTIVATIONS = {
    "none": tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
}


def write(model: QuantModel) -> bytes:
    """The .tflite file of a model; its metadata gets the digest of the weights. ``model.digest`` is not used."""
    graph = GraphBuilder()
    first = graph.activation("samples", (1, model.steps, model.channels), model.input)
    vectors = []
    for index, branch in enumerate(model.branches):
        prefix = "" if len(model.branches) == 1 else f"branch{index}/"
        vectors.append(_add_branch(graph, prefix, branch, first, model))
    current = vectors[0] if len(vectors) == 1 else _add_concatenation(graph, model.branches, vectors)
    for index, dense in enumerate(model.head):
        current = _add_dense(graph, f"dense{index}", dense, current)
    if model.softmax is not None:
        current = _add_softmax(graph, "scores", model.softmax, current, (1, model.classes))
    entries = {}
    if model.metadata is not None:
        signed = model.metadata.model_copy(update={"weights_digest": weights_digest(model)})
        entries[METADATA_NAME] = signed.to_json()
    return graph.finish([first], [current], entries)


def _add_branch(graph: GraphBuilder, prefix: str, branch: Branch, source: int, model: QuantModel) -> int:
    steps, current = branch.steps(model.steps), source
    if branch.channels != model.channels:
        last = branch.first_channel + branch.channels
        bounds = (0, 0, branch.first_channel), (0, 0, last)
        shape = (1, model.steps, branch.channels)
        current = _add_slice(graph, f"{prefix}channels", current, shape, model.input, bounds, shrink=False)
    if branch.conv is not None:
        current = _add_conv(graph, f"{prefix}conv", branch.conv, current, model.steps)
    for index, lstm in enumerate(branch.lstm):
        current = _add_lstm(graph, f"{prefix}lstm{index}", lstm, current, steps)
    vector, pool = (1, branch.outputs), branch.pool
    if isinstance(pool, Mean):
        return _add_mean(graph, f"{prefix}mean", pool, current, vector)
    if isinstance(pool, Attention):
        return _add_attention(graph, f"{prefix}attention", pool, current, steps)
    # sequence[:, -1, :]: axis 1 is one index and goes away
    bounds = (0, -1, 0), (0, 0, 0)
    return _add_slice(graph, f"{prefix}last_step", current, vector, branch.output, bounds, shrink=True)


def _add_slice(
    graph: GraphBuilder,
    name: str,
    source: int,
    shape: tuple[int, ...],
    quantization: Quantization,
    bounds: tuple[tuple[int, int, int], tuple[int, int, int]],
    *,
    shrink: bool,
) -> int:
    """STRIDED_SLICE of a sequence: one index of axis 1 (``shrink``), or a range of axis 2; the rest stays whole."""
    begin, end, strides = (
        graph.constant(f"{name}/{what}", np.array(values, np.int32))
        for what, values in (("begin", bounds[0]), ("end", bounds[1]), ("strides", (1, 1, 1)))
    )
    output = graph.activation(name, shape, quantization)
    whole, axis = (5, 2) if shrink else (3, 0)  # masks: bit per axis
    graph.operator(
        tflite.BuiltinOperator.STRIDED_SLICE,
        (source, begin, end, strides),
        (output,),
        "StridedSliceOptions",
        (("BeginMask", whole), ("EndMask", whole), ("ShrinkAxisMask", axis)),
    )
    return output


def _add_reshape(graph: GraphBuilder, name: str, source: int, shape: tuple[int, ...], like: Quantization) -> int:
    wanted = graph.constant(f"{name}/shape", np.array(shape, np.int32))
    output = graph.activation(name, shape, like)
    graph.operator(tflite.BuiltinOperator.RESHAPE, (source, wanted), (output,), "ReshapeOptions")
    return output


def _add_conv(graph: GraphBuilder, name: str, conv: Conv, source: int, steps: int) -> int:
    layer, found = conv.layer, conv.steps(steps)
    wide = _add_reshape(graph, f"{name}/samples", source, (1, 1, steps, conv.channels), layer.input)
    shape = (layer.outputs, 1, conv.kernel, conv.channels)
    weights = graph.constant(f"{name}/weights", layer.weights.reshape(shape), layer.weight_scales)
    bias = graph.constant(f"{name}/bias", layer.bias, [layer.input.scale * s for s in layer.weight_scales])
    output = graph.activation(f"{name}/output", (1, 1, found, layer.outputs), layer.output)
    graph.operator(
        tflite.BuiltinOperator.CONV_2D,
        (wide, weights, bias),
        (output,),
        "Conv2DOptions",
        (
            ("Padding", tflite.Padding.VALID),
            ("StrideW", conv.stride),
            ("StrideH", 1),
            ("FusedActivationFunction", ACTIVATIONS[layer.activation]),
            ("DilationWFactor", 1),
            ("DilationHFactor", 1),
        ),
    )
    return _add_reshape(graph, f"{name}/steps", output, (1, found, layer.outputs), layer.output)


def _add_mean(graph: GraphBuilder, name: str, pool: Mean, source: int, shape: tuple[int, ...]) -> int:
    axis = graph.constant(f"{name}/axis", np.array([1], np.int32))
    output = graph.activation(name, shape, pool.output)
    graph.operator(tflite.BuiltinOperator.MEAN, (source, axis), (output,), "ReducerOptions", (("KeepDims", False),))
    return output


def _add_attention(graph: GraphBuilder, name: str, pool: Attention, source: int, steps: int) -> int:
    score = pool.score
    each = _add_dense(graph, f"{name}/score", score, source, (1, steps, 1))
    row = _add_reshape(graph, f"{name}/scores", each, (1, 1, steps), score.output)
    weights = _add_softmax(graph, f"{name}/weights", pool.softmax, row, (1, 1, steps))
    total = graph.activation(f"{name}/sum", (1, 1, score.inputs), pool.output)
    graph.operator(tflite.BuiltinOperator.BATCH_MATMUL, (weights, source), (total,), "BatchMatMulOptions")
    return _add_reshape(graph, name, total, (1, score.inputs), pool.output)


def _add_concatenation(graph: GraphBuilder, branches: tuple[Branch, ...], sources: list[int]) -> int:
    output = graph.activation("branches", (1, sum(branch.outputs for branch in branches)), branches[0].output)
    options = (("Axis", 1), ("FusedActivationFunction", tflite.ActivationFunctionType.NONE))
    graph.operator(tflite.BuiltinOperator.CONCATENATION, tuple(sources), (output,), "ConcatenationOptions", options)
    return output


def _add_lstm(graph: GraphBuilder, name: str, lstm: Lstm, source: int, steps: int) -> int:
    gates = range(4)
    weights = [graph.constant(f"{name}/w{g}", lstm.input_weights[g], [lstm.input_scales[g]]) for g in gates]
    recurrent = [graph.constant(f"{name}/u{g}", lstm.recurrent_weights[g], [lstm.recurrent_scales[g]]) for g in gates]
    bias_scales = [lstm.input.scale * lstm.input_scales[g] for g in gates]
    bias = [graph.constant(f"{name}/b{g}", lstm.bias[g], [bias_scales[g]]) for g in gates]
    state = (lstm.hidden_state.scale,), (lstm.hidden_state.zero_point,)
    hidden = graph.tensor(f"{name}/hidden_state", (1, lstm.hidden), np.int8, *state, variable=True)
    cell_scale = 2.0**lstm.cell_exponent
    cell = graph.tensor(f"{name}/cell_state", (1, lstm.hidden), np.int16, (cell_scale,), (0,), variable=True)
    intermediates = [graph.tensor(f"{name}/intermediate{g}", (0,), np.float32) for g in gates]
    intermediates.append(graph.tensor(f"{name}/effective_hidden", (0,), np.int8, *state))
    output = graph.activation(f"{name}/output", (1, steps, lstm.hidden), lstm.hidden_state)
    none = (-1,)
    graph.operator(
        tflite.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
        (source, *weights, *recurrent, *none * 3, *bias, *none * 2, hidden, cell, *none * 4),
        (output,),
        "UnidirectionalSequenceLSTMOptions",
        (
            ("FusedActivationFunction", tflite.ActivationFunctionType.TANH),
            ("CellClip", lstm.cell_clip * cell_scale),
        ),
        tuple(intermediates),
    )
    return output


def _add_dense(graph: GraphBuilder, name: str, dense: Dense, source: int, shape: tuple[int, ...] | None = None) -> int:
    """FULLY_CONNECTED of one vector or, where the output's shape has three dimensions, of each step's."""
    weights = graph.constant(f"{name}/weights", dense.weights, dense.weight_scales)
    bias_scales = [dense.input.scale * s for s in dense.weight_scales]
    bias = graph.constant(f"{name}/bias", dense.bias, bias_scales)
    output = graph.activation(f"{name}/output", shape or (1, dense.outputs), dense.output)
    options: tuple[tuple[str, int], ...] = (("FusedActivationFunction", ACTIVATIONS[dense.activation]),)
    graph.operator(
        tflite.BuiltinOperator.FULLY_CONNECTED,
        (source, weights, bias),
        (output,),
        "FullyConnectedOptions",
        (*options, ("KeepNumDims", True)) if shape else options,
        version=KEEPS_DIMENSIONS if shape else 0,
    )
    return output


def _add_softmax(graph: GraphBuilder, name: str, softmax: Softmax, source: int, shape: tuple[int, ...]) -> int:
    output = graph.activation(name, shape, SOFTMAX_OUTPUT)
    graph.operator(tflite.BuiltinOperator.SOFTMAX, (source,), (output,), "SoftmaxOptions", (("Beta", softmax.beta),))
    return output
