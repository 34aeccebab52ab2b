"""Operators that cut, join or sum tensors: what their shapes, options and constants must be."""

from __future__ import annotations

import math

import numpy as np

from ..model.quantmodel import Quantization
from .graph import SLICE, Graph, OperatorInfo
from .ops import activation, needed

Range = tuple[int, int]  # first, one past the last


def sliced(graph: Graph, operator: OperatorInfo) -> tuple[tuple[int, ...], list[Range]]:
    """STRIDED_SLICE or SLICE without a stride: the shape that it cuts, and the range that it takes of each axis."""
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    if activation(output, "the slice") != activation(source, "what is sliced"):
        raise operator.fault("quantizes its output differently from its input")
    ranges = _slice_ranges(graph, operator) if operator.code == SLICE else _strided_ranges(graph, operator)
    if any(not 0 <= low < high <= size for (low, high), size in zip(ranges, source.shape, strict=True)):
        raise operator.fault(f"cuts {ranges} out of the shape {source.shape}")
    if math.prod(output.shape) != math.prod(high - low for low, high in ranges):
        raise operator.fault(f"cuts {ranges} out of the shape {source.shape}, which is not its output {output.shape}")
    return source.shape, ranges


def _slice_ranges(graph: Graph, operator: OperatorInfo) -> list[Range]:
    shape = graph.tensors[operator.inputs[0]].shape
    begin, size = (_small_vector(graph, operator, slot) for slot in (1, 2))
    return [(b, n if s == -1 else b + s) for b, s, n in zip(begin, size, shape, strict=True)]


def _strided_ranges(graph: Graph, operator: OperatorInfo) -> list[Range]:
    shape = graph.tensors[operator.inputs[0]].shape
    begin, end, strides = (_small_vector(graph, operator, slot) for slot in (1, 2, 3))
    begin_mask, end_mask, ellipsis, new_axis, shrink = (int(operator.option(slot, "i")) for slot in range(5))
    if ellipsis or new_axis or operator.option(5, "B") or any(stride != 1 for stride in strides):
        raise operator.fault("has a stride, an ellipsis, a new axis or an offset; [:, -1, :] or [:, :, a:b] is needed")
    ranges = []
    for axis, size in enumerate(shape):
        bit = 1 << axis
        low = 0 if begin_mask & bit else begin[axis] + size * (begin[axis] < 0)
        high = size if end_mask & bit else end[axis] + size * (end[axis] < 0)
        ranges.append((low, low + 1 if shrink & bit else min(high, size)))
    return ranges


def _small_vector(graph: Graph, operator: OperatorInfo, slot: int) -> list[int]:
    tensor = needed(graph, operator, slot, f"input {slot}")
    rank = len(graph.tensors[operator.inputs[0]].shape)
    if tensor.shape != (rank,):
        raise operator.fault(f"has an input {slot} of the shape {tensor.shape}; {(rank,)} is needed")
    return [int(v) for v in tensor.values(np.int32)]


def read_mean(graph: Graph, operator: OperatorInfo, shape: tuple[int, int, int]) -> tuple[Quantization, Quantization]:
    """MEAN over the steps of (1, steps, units): quantization of input and output."""
    source, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    axis = needed(graph, operator, 1, "axis")
    if source.shape != shape or math.prod(axis.shape) != 1 or int(axis.values(np.int32).item()) not in (1, -2):
        raise operator.fault(f"of the shape {source.shape} is not over axis 1, the steps of {shape}")
    if output.shape not in ((1, shape[2]), (1, 1, shape[2])):
        raise operator.fault(f"gives the shape {output.shape}; one vector of {shape[2]} units is needed")
    return activation(source, "the hidden states"), activation(output, "the mean")


def check_weighted_sum(graph: Graph, operator: OperatorInfo, steps: int, units: int, swapped: bool) -> Quantization:
    """BATCH_MATMUL of weights (1, steps) and hidden states (steps, units), or swapped and transposed.

    Returns:
        The quantization of the sum.
    """
    shapes = [graph.tensors[index].shape for index in operator.inputs]
    output = graph.tensors[operator.outputs[0]]
    matrices = []
    for shape, slot in zip(shapes, (0, 1), strict=True):
        if len(shape) < 2 or math.prod(shape[:-2]) != 1:
            raise operator.fault(f"takes the shape {shape}; one matrix is needed")
        matrices.append(shape[:-3:-1] if operator.option(slot, "B") else shape[-2:])
    wanted = [(units, steps), (steps, 1)] if swapped else [(1, steps), (steps, units)]
    if matrices != wanted or math.prod(output.shape) != units:
        raise operator.fault(f"multiplies {matrices[0]} by {matrices[1]}; {wanted[0]} by {wanted[1]} is needed")
    return activation(output, "the weighted sum")


def check_concatenation(graph: Graph, operator: OperatorInfo, units: list[int]) -> None:
    """CONCATENATION of vectors along their last axis; all share one quantization."""
    output = graph.tensors[operator.outputs[0]]
    rank = len(output.shape)
    axis = int(operator.option(0, "i"))
    if axis + rank * (axis < 0) != rank - 1 or operator.option(1, "b"):
        raise operator.fault("joins another axis than the last, or has a fused activation")
    for index, count in zip(operator.inputs, units, strict=True):
        part = graph.tensors[index]
        if len(part.shape) != rank or part.shape[-1] != count or math.prod(part.shape) != count:
            raise operator.fault(f"joins the shape {part.shape} as a vector of {count} units")
        if activation(part, "a branch's vector") != activation(output, "the joined vector"):
            raise operator.fault(
                "joins tensors of different quantization; all need the scale and zero point of the output"
            )
    if math.prod(output.shape) != sum(units) or output.shape[-1:] != (sum(units),):
        raise operator.fault(f"gives the shape {output.shape}; {sum(units)} units come in")
