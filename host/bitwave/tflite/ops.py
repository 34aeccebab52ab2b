"""One function per operator: takes its tensors and options from the graph, checks them, gives plain data.

The conditions are those of TensorFlow Lite Micro's own Prepare functions, and those that the arithmetic contract adds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..model.quantmodel import Activation, Conv, Dense, Lstm, Quantization, Softmax
from .graph import Graph, OperatorInfo, TensorInfo

MAX_STEPS = 4096
MAX_UNITS = 255  # the links carry a unit's count in one byte
MAX_INPUTS = 4 * MAX_UNITS  # of a dense layer, and under the kernel of a convolution
MAX_KERNEL = 64
MAX_STRIDE = 16
SOFTMAX_OUTPUT = Quantization(1.0 / 256.0, -128)
LSTM_INPUTS = 24
LSTM_STATES = (18, 19)  # hidden, cell
LSTM_ABSENT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, layer normalization
ACTIVATIONS: dict[int, Activation] = {0: "none", 1: "relu", 3: "relu6"}
TANH = 4
VALID = 1


def activation(tensor: TensorInfo, what: str) -> Quantization:
    """Quantization of an int8 activation; raises `ModelError` naming ``what``."""
    if tensor.kind != "int8":
        raise ModelError(
            f"{what} is {tensor.kind}; convert the model with inference_input_type and inference_output_type tf.int8"
        )
    return _affine(tensor, what)


def _affine(tensor: TensorInfo, what: str) -> Quantization:
    if len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
        raise ModelError(f"{what} has {len(tensor.scales)} scales; one for the whole tensor is needed")
    scale, zero_point = tensor.scales[0], tensor.zero_points[0]
    _check_scale(scale, what)
    if not -128 <= zero_point <= 127:
        raise ModelError(f"{what} has the zero point {zero_point}, outside int8")
    return Quantization(scale, zero_point)


def _check_scale(scale: float, what: str) -> None:
    # NaN fails the comparison too
    if not 2.0**-40 <= scale <= 2.0**40:
        raise ModelError(f"{what} has the scale {scale:g}; a positive number between 2**-40 and 2**40 is needed")


def needed(graph: Graph, operator: OperatorInfo, slot: int, what: str) -> TensorInfo:
    """An input tensor that must be there; raises `ModelError` naming ``what``."""
    if slot >= len(operator.inputs) or operator.inputs[slot] < 0:
        raise operator.fault(f"has no {what}")
    return graph.tensors[operator.inputs[slot]]


def _constant(tensor: TensorInfo, dtype: npt.DTypeLike, shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
    if tensor.shape != shape:
        raise ModelError(f"{what} has the shape {tensor.shape}; {shape} is needed")
    if any(tensor.zero_points):
        raise ModelError(f"{what} has a zero point; symmetric weights are needed")
    for scale in tensor.scales:
        _check_scale(scale, what)
    return tensor.values(dtype)


def read_lstm(graph: Graph, operator: OperatorInfo, steps: int) -> Lstm:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: int8 activations and weights, int32 bias, int16 cell of power-of-two scale."""
    if len(operator.inputs) != LSTM_INPUTS:
        raise operator.fault(f"has {len(operator.inputs)} inputs; the plain LSTM has {LSTM_INPUTS}")
    if any(operator.inputs[i] >= 0 for i in LSTM_ABSENT):
        raise operator.fault("has peepholes, a projection or layer normalization; only the plain LSTM fits")
    if operator.option(0, "b") != TANH:
        raise operator.fault("has another activation than tanh")
    if operator.option(3, "B") or operator.option(5, "B"):
        raise operator.fault("is time-major or has diagonal weights; convert the model with neither")
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    hidden_tensor = needed(graph, operator, LSTM_STATES[0], "hidden state")
    cell_tensor = needed(graph, operator, LSTM_STATES[1], "cell state")
    where = f"of operator {operator.index} ({operator.name})"
    if any(len(tensor.shape) != 3 or tensor.shape[:2] != (1, steps) for tensor in (source, output)):
        raise operator.fault(f"turns the shape {source.shape} into {output.shape}; (1, {steps}, units) is needed")
    inputs, hidden = source.shape[2], output.shape[2]
    if not 1 <= hidden <= MAX_UNITS:
        raise operator.fault(f"has {hidden} units; 1 to {MAX_UNITS} fit")
    for state, name in ((hidden_tensor, "hidden"), (cell_tensor, "cell")):
        if not state.variable or math.prod(state.shape) != hidden:
            raise operator.fault(f"has a {name} state that is no variable of {hidden} elements")
    hidden_state = activation(hidden_tensor, f"the hidden state {where}")
    if activation(output, f"the output {where}") != hidden_state:
        raise operator.fault("quantizes its output and its hidden state differently")
    exponent = _cell_exponent(cell_tensor, operator)
    kernels = [needed(graph, operator, i, f"tensor {i}") for i in range(1, 9)]
    if any(len(kernel.scales) != 1 for kernel in kernels):
        raise operator.fault("has weights without exactly one scale for the tensor")
    shapes = [(hidden, inputs)] * 4 + [(hidden, hidden)] * 4
    arrays = [
        _constant(k, np.int8, s, f"weights {i} {where}") for i, (k, s) in enumerate(zip(kernels, shapes, strict=True))
    ]
    biases = [needed(graph, operator, i, f"bias {i}") for i in range(12, 16)]
    scales = [kernel.scales[0] for kernel in kernels]
    return Lstm(
        input=activation(source, f"the input {where}"),
        hidden_state=hidden_state,
        cell_exponent=exponent,
        input_weights=np.stack(arrays[:4]),
        recurrent_weights=np.stack(arrays[4:]),
        bias=np.stack([_constant(b, np.int32, (hidden,), f"bias {i} {where}") for i, b in enumerate(biases)]),
        input_scales=(scales[0], scales[1], scales[2], scales[3]),
        recurrent_scales=(scales[4], scales[5], scales[6], scales[7]),
        cell_clip=_cell_clip(operator, exponent),
    )


def _cell_exponent(cell: TensorInfo, operator: OperatorInfo) -> int:
    if cell.kind != "int16":
        raise operator.fault(f"keeps its cell state as {cell.kind}; int16 is needed")
    quantization = _affine(cell, "the cell state")
    fraction, exponent = math.frexp(quantization.scale)
    if fraction != 0.5 or quantization.zero_point != 0:
        raise operator.fault(f"has the cell scale {quantization.scale:g}; a power of two with zero point 0 is needed")
    return exponent - 1


def _cell_clip(operator: OperatorInfo, exponent: int) -> int:
    """Clamp in counts; source: `CreateLstmCellStateInfo` of TensorFlow Lite Micro (division, clamp, truncation)."""
    clip = float(operator.option(1, "f", 0.0))
    if math.isnan(clip):
        raise operator.fault("has a cell clip that is not a number")
    if clip <= 0.0:
        return 0
    counts = int(min(clip / 2.0**exponent, 32767.0))
    if counts == 0:
        raise operator.fault(f"has the cell clip {clip:g}, below one count of the cell state")
    return counts


def read_dense(graph: Graph, operator: OperatorInfo, rows: int) -> Dense:
    """FULLY_CONNECTED over so many vectors: int8, symmetric weights with one scale or one per output.

    An absent bias is zero.
    """
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    kernel = needed(graph, operator, 1, "weights")
    if operator.option(1, "b"):
        raise operator.fault("has shuffled weights; convert the model without that")
    if not source.shape or math.prod(source.shape[:-1]) != rows or len(kernel.shape) != 2:
        raise operator.fault(f"takes the shape {source.shape}; ({rows}, units) is needed")
    outputs, inputs = kernel.shape
    if inputs != source.shape[-1] or math.prod(output.shape) != rows * outputs or output.shape[-1] != outputs:
        raise operator.fault(f"turns {source.shape} into {output.shape} by weights {kernel.shape}; that does not fit")
    dense = _weighted(graph, operator, kernel, int(operator.option(0, "b")))
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        _check_bias_scale(operator, source, kernel, graph.tensors[operator.inputs[2]], output)
    return dense


def read_conv(graph: Graph, operator: OperatorInfo, steps: int) -> Conv:
    """CONV_2D over (1, 1, steps, channels) or (1, steps, 1, channels), as converters write a 1-D convolution.

    Not padded, not dilated, one group; symmetric weights with one scale or one per output channel.
    """
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    kernel = needed(graph, operator, 1, "weights")
    shape = source.shape
    if len(shape) != 4 or len(kernel.shape) != 4 or shape[0] != 1 or 1 not in shape[1:3] or steps not in shape[1:3]:
        raise operator.fault(f"takes the shape {shape}; (1, 1, {steps}, channels) is needed")
    axis = 2 if shape[2] == steps else 1
    outputs, length, channels = kernel.shape[0], kernel.shape[axis], kernel.shape[3]
    if kernel.shape[3 - axis] != 1 or channels != shape[3] or not 1 <= length <= MAX_KERNEL:
        raise operator.fault(f"has weights {kernel.shape} for {shape}; one group of at most {MAX_KERNEL} steps fits")
    stride = int(operator.option(1 if axis == 2 else 2, "i"))
    if not 1 <= stride <= MAX_STRIDE:
        raise operator.fault(f"has a stride of {stride}; 1 to {MAX_STRIDE} fit")
    dilation = (operator.option(4, "i", 1), operator.option(5, "i", 1))
    if dilation != (1, 1):
        raise operator.fault(f"is dilated by {max(dilation)}; a kernel without gaps is needed")
    found = max(0, (steps - length) // stride + 1)
    padding = 0 if operator.option(0, "b") == VALID else max(0, (-(-steps // stride) - 1) * stride + length - steps)
    if padding or found < 1:
        raise operator.fault(f"pads {steps} steps for a kernel of {length}; convert the model with padding valid")
    if output.shape != (1, *((1, found) if axis == 2 else (found, 1)), outputs):
        raise operator.fault(f"turns the shape {shape} into {output.shape}; that does not fit")
    return Conv(_weighted(graph, operator, kernel, int(operator.option(3, "b"))), length, stride)


def _weighted(graph: Graph, operator: OperatorInfo, kernel: TensorInfo, code: int) -> Dense:
    """Weights, flattened to (outputs, inputs), bias, scales and fused activation of either operator."""
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    where = f"of operator {operator.index} ({operator.name})"
    outputs, inputs = kernel.shape[0], math.prod(kernel.shape[1:])
    if code not in ACTIVATIONS:
        raise operator.fault(f"has the fused activation {code}; none, ReLU and ReLU6 fit")
    if not 1 <= outputs <= MAX_UNITS or not 1 <= inputs <= MAX_INPUTS:
        raise operator.fault(f"has {inputs} inputs and {outputs} outputs; {MAX_INPUTS} and {MAX_UNITS} fit")
    if len(kernel.scales) != 1 and (len(kernel.scales) != outputs or kernel.axis != 0):
        raise operator.fault(f"has {len(kernel.scales)} weight scales for {outputs} outputs")
    bias = np.zeros(outputs, np.int32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = _constant(graph.tensors[operator.inputs[2]], np.int32, (outputs,), f"bias {where}")
    return Dense(
        input=activation(source, f"the input {where}"),
        output=activation(output, f"the output {where}"),
        weights=_constant(kernel, np.int8, kernel.shape, f"weights {where}").reshape(outputs, inputs),
        bias=bias,
        weight_scales=kernel.scales,
        activation=ACTIVATIONS[code],
    )


def _check_bias_scale(
    operator: OperatorInfo, source: TensorInfo, kernel: TensorInfo, bias: TensorInfo, output: TensorInfo
) -> None:
    """The condition of `GetQuantizedConvolutionMultipler` of TensorFlow Lite, for one scale per tensor."""
    if len(kernel.scales) != 1:
        return
    if len(bias.scales) != 1 or not source.scales or not output.scales:
        raise operator.fault("has a bias without a scale")
    if not abs(source.scales[0] * kernel.scales[0] - bias.scales[0]) / output.scales[0] <= 0.02:
        raise operator.fault("has a bias scale that is not input scale times weight scale")


def read_softmax(graph: Graph, operator: OperatorInfo) -> Softmax:
    """SOFTMAX: int8 to int8 of scale 1/256 and zero point -128."""
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    if activation(output, "the scores") != SOFTMAX_OUTPUT or output.shape != source.shape:
        raise operator.fault("does not give scores of scale 1/256 and zero point -128")
    beta = float(operator.option(0, "f", 0.0))
    if not 0.0 < beta <= 2.0**20:
        raise operator.fault(f"has the beta {beta:g}; a positive number is needed")
    return Softmax(activation(source, "the logits"), beta)
