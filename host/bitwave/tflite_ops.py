"""One function per operator: takes its tensors and options from the graph, checks them, gives plain data.

The conditions are those of TensorFlow Lite Micro's own Prepare functions, and those that the arithmetic contract adds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ModelError
from .quantmodel import Activation, Dense, Lstm, Quantization, Softmax
from .tflite_graph import RESHAPE, SLICE, SQUEEZE, Graph, OperatorInfo, TensorInfo

MAX_STEPS = 4096
MAX_UNITS = 255  # the links carry a unit's count in one byte; SOFTMAX's sum of exponentials has eight integer bits
SOFTMAX_OUTPUT = Quantization(1.0 / 256.0, -128)
LSTM_INPUTS = 24
LSTM_ABSENT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, layer normalization
ACTIVATIONS: dict[int, Activation] = {0: "none", 1: "relu", 3: "relu6"}
TANH = 4


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


def _tensor(graph: Graph, operator: OperatorInfo, slot: int, what: str) -> TensorInfo:
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


def read_lstm(graph: Graph, operator: OperatorInfo) -> Lstm:
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
    hidden_tensor = _tensor(graph, operator, 18, "hidden state")
    cell_tensor = _tensor(graph, operator, 19, "cell state")
    where = f"of operator {operator.index} ({operator.name})"
    if len(source.shape) != 3 or len(output.shape) != 3 or output.shape[:2] != source.shape[:2]:
        raise operator.fault(f"turns the shape {source.shape} into {output.shape}; (1, steps, units) is needed")
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
    kernels = [_tensor(graph, operator, i, f"tensor {i}") for i in range(1, 9)]
    if any(len(kernel.scales) != 1 for kernel in kernels):
        raise operator.fault("has weights without exactly one scale for the tensor")
    shapes = [(hidden, inputs)] * 4 + [(hidden, hidden)] * 4
    arrays = [
        _constant(k, np.int8, s, f"weights {i} {where}") for i, (k, s) in enumerate(zip(kernels, shapes, strict=True))
    ]
    biases = [_tensor(graph, operator, i, f"bias {i}") for i in range(12, 16)]
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


def read_last_step(graph: Graph, operator: OperatorInfo, cut: bool) -> bool:
    """STRIDED_SLICE or SLICE that takes the last step, or RESHAPE/SQUEEZE around it; gives whether one step is left.

    Args:
        graph: the file's graph.
        operator: the operator.
        cut: whether the sequence was cut to its last step already.
    """
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    if activation(output, "the last step") != activation(source, "the sequence"):
        raise operator.fault("quantizes its output differently from its input")
    if operator.code in (RESHAPE, SQUEEZE):
        if math.prod(output.shape) != math.prod(source.shape):
            raise operator.fault(f"turns the shape {source.shape} into {output.shape}")
        if not cut and source.shape[1] != 1:
            raise operator.fault("reshapes the whole sequence; only its last step may go into the head")
        return True
    if cut or len(source.shape) != 3:
        raise operator.fault("cuts something else than the last step of the sequence")
    ranges = _slice_ranges(graph, operator) if operator.code == SLICE else _strided_ranges(graph, operator)
    steps, units = source.shape[1:]
    if ranges != [(0, 1), (steps - 1, steps), (0, units)]:
        raise operator.fault("cuts something else than the last step of the sequence")
    if math.prod(output.shape) != units:
        raise operator.fault(f"gives the shape {output.shape}; one step of {units} units is needed")
    return True


def _slice_ranges(graph: Graph, operator: OperatorInfo) -> list[tuple[int, int]]:
    shape = graph.tensors[operator.inputs[0]].shape
    begin, size = (_small_vector(graph, operator, slot) for slot in (1, 2))
    return [(b, n if s == -1 else b + s) for b, s, n in zip(begin, size, shape, strict=True)]


def _strided_ranges(graph: Graph, operator: OperatorInfo) -> list[tuple[int, int]]:
    shape = graph.tensors[operator.inputs[0]].shape
    begin, end, strides = (_small_vector(graph, operator, slot) for slot in (1, 2, 3))
    begin_mask, end_mask, ellipsis, new_axis, shrink = (int(operator.option(slot, "i")) for slot in range(5))
    if ellipsis or new_axis or operator.option(5, "B") or strides != [1, 1, 1]:
        raise operator.fault("has a stride, an ellipsis, a new axis or an offset; [:, -1, :] is needed")
    ranges = []
    for axis, size in enumerate(shape):
        bit = 1 << axis
        low = 0 if begin_mask & bit else begin[axis] + size * (begin[axis] < 0)
        high = size if end_mask & bit else end[axis] + size * (end[axis] < 0)
        ranges.append((low, low + 1 if shrink & bit else min(high, size)))
    return ranges


def _small_vector(graph: Graph, operator: OperatorInfo, slot: int) -> list[int]:
    tensor = _tensor(graph, operator, slot, f"input {slot}")
    if tensor.shape != (3,):
        raise operator.fault(f"has an input {slot} of the shape {tensor.shape}; (3,) is needed")
    return [int(v) for v in tensor.values(np.int32)]


def read_dense(graph: Graph, operator: OperatorInfo) -> Dense:
    """FULLY_CONNECTED: int8, symmetric weights with one scale or one per output; an absent bias is zero."""
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    where = f"of operator {operator.index} ({operator.name})"
    kernel = _tensor(graph, operator, 1, "weights")
    code = int(operator.option(0, "b"))
    if code not in ACTIVATIONS:
        raise operator.fault(f"has the fused activation {code}; none, ReLU and ReLU6 fit")
    if operator.option(1, "b"):
        raise operator.fault("has shuffled weights; convert the model without that")
    if len(source.shape) != 2 or source.shape[0] != 1 or len(kernel.shape) != 2:
        raise operator.fault(f"takes the shape {source.shape}; (1, units) is needed")
    outputs, inputs = kernel.shape
    if not 1 <= outputs <= MAX_UNITS or output.shape != (1, outputs) or inputs != source.shape[1]:
        raise operator.fault(f"turns {source.shape} into {output.shape} by weights {kernel.shape}; that does not fit")
    if len(kernel.scales) != 1 and (len(kernel.scales) != outputs or kernel.axis != 0):
        raise operator.fault(f"has {len(kernel.scales)} weight scales for {outputs} outputs")
    bias = np.zeros(outputs, np.int32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        tensor = graph.tensors[operator.inputs[2]]
        bias = _constant(tensor, np.int32, (outputs,), f"bias {where}")
        _check_bias_scale(operator, source, kernel, tensor, output)
    return Dense(
        input=activation(source, f"the input {where}"),
        output=activation(output, f"the output {where}"),
        weights=_constant(kernel, np.int8, (outputs, inputs), f"weights {where}"),
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
