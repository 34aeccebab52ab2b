"""Follows the data through a graph's operators: what each tensor is, from the samples to the class scores.

Each operator turns what its inputs are into what its output is. RESHAPE, SQUEEZE and EXPAND_DIMS change no value: the
tensors' elements keep their order, and every operator that cares checks the shape that it gets.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import ModelError
from ..model.quantmodel import Attention, Branch, Conv, Dense, LastStep, Lstm, Mean, Pool, Quantization, Softmax
from .graph import (
    BATCH_MATMUL,
    CONCATENATION,
    CONV_2D,
    EXPAND_DIMS,
    FULLY_CONNECTED,
    MEAN,
    RESHAPE,
    SLICE,
    SOFTMAX,
    SQUEEZE,
    STRIDED_SLICE,
    UNIDIRECTIONAL_SEQUENCE_LSTM,
    Graph,
    OperatorInfo,
)
from .ops import (
    LSTM_STATES,
    MAX_INPUTS,
    MAX_STEPS,
    MAX_UNITS,
    activation,
    read_conv,
    read_dense,
    read_lstm,
    read_softmax,
)
from .shapes import check_concatenation, check_weighted_sum, read_mean, sliced

MAX_BRANCHES = 4
MAX_LSTM_LAYERS = 2  # of a branch
MAX_DENSE_LAYERS = 4


@dataclass(frozen=True, eq=False)
class Steps:
    """Values step after step: samples, what a convolution made of them, or hidden states; (steps, units)."""

    steps: int
    units: int
    first_channel: int
    channels: int
    conv: Conv | None = None
    lstm: tuple[Lstm, ...] = ()
    operators: tuple[int, ...] = ()  # of the LSTM layers

    def pooled(self, pool: Pool) -> Vector:
        """One vector of what the steps hold."""
        return Vector((Branch(self.first_channel, self.channels, self.lstm, pool, self.conv),), self.operators)


@dataclass(frozen=True, eq=False)
class StepScores:
    """Attention: one score per step, and its softmax once that came."""

    of: Steps
    score: Dense
    softmax: Softmax | None = None


@dataclass(frozen=True, eq=False)
class Vector:
    """The branches' vectors, and what the head has made of them so far."""

    branches: tuple[Branch, ...]
    operators: tuple[int, ...]  # of the LSTM layers, in the order of the branches
    head: tuple[Dense, ...] = ()
    softmax: Softmax | None = None


Value = Steps | StepScores | Vector


@dataclass(frozen=True, eq=False)
class Network:
    """What a graph computes; see `bitwave.model.quantmodel.QuantModel`."""

    steps: int
    channels: int
    input: Quantization
    result: Vector


def follow(graph: Graph) -> Network:
    """Reads the whole graph; raises `ModelError` naming the first operator or option that bitwave cannot take."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(f"the model has {len(graph.inputs)} inputs, {len(graph.outputs)} outputs; one each fits")
    first = graph.tensors[graph.inputs[0]]
    quantization = activation(first, "the model's input")
    if len(first.shape) != 3 or first.shape[0] != 1:
        raise ModelError(f"the model's input has the shape {first.shape}; (1, steps, channels) is needed")
    steps, channels = first.shape[1:]
    if not 1 <= steps <= MAX_STEPS or not 1 <= channels <= MAX_UNITS:
        raise ModelError(f"the model takes {steps} steps of {channels} channels; {MAX_STEPS} and {MAX_UNITS} fit")
    flow = _Flow(graph, Steps(steps, channels, 0, channels))
    for operator in graph.operators:
        flow.take(operator)
    return Network(steps, channels, quantization, flow.result())


class _Flow:
    """What each computed tensor is, so far."""

    def __init__(self, graph: Graph, samples: Steps) -> None:
        self._graph = graph
        self._values: dict[int, Value] = {graph.inputs[0]: samples}
        self._used: set[int] = set()
        self._states: set[int] = set()
        self._takers: dict[int, Callable[[OperatorInfo, Value], Value]] = {
            UNIDIRECTIONAL_SEQUENCE_LSTM: self._lstm,
            CONV_2D: self._conv,
            STRIDED_SLICE: self._slice,
            SLICE: self._slice,
            RESHAPE: self._reshape,
            SQUEEZE: self._reshape,
            EXPAND_DIMS: self._reshape,
            MEAN: self._mean,
            FULLY_CONNECTED: self._dense,
            SOFTMAX: self._softmax,
            BATCH_MATMUL: self._weighted_sum,
            CONCATENATION: self._concatenation,
        }

    def take(self, operator: OperatorInfo) -> None:
        if operator.code not in self._takers:
            raise operator.fault("is not one that bitwave can take; there are " + KNOWN)
        if len(operator.outputs) != 1 or operator.outputs[0] in self._values or operator.outputs[0] < 0:
            raise operator.fault("does not give one tensor of its own")
        self._values[operator.outputs[0]] = self._takers[operator.code](operator, self._input(operator, 0))

    def result(self) -> Vector:
        result = self._values.get(self._graph.outputs[0])
        if not isinstance(result, Vector) or not result.head:
            raise ModelError("the model does not end in FULLY_CONNECTED or SOFTMAX over what its LSTM layers give")
        for operator in self._graph.operators:
            if operator.outputs[0] not in self._used | {self._graph.outputs[0]}:
                raise operator.fault("gives what nothing uses")
        return result

    def _input(self, operator: OperatorInfo, slot: int) -> Value:
        index = operator.inputs[slot] if slot < len(operator.inputs) else -1
        if index not in self._values:
            raise operator.fault(f"takes as input {slot} what no operator before it gives")
        self._used.add(index)
        return self._values[index]

    def _lstm(self, operator: OperatorInfo, value: Value) -> Steps:
        if not isinstance(value, Steps) or len(value.lstm) >= MAX_LSTM_LAYERS:
            raise operator.fault(f"{MISPLACED}: samples, convolution or the first of {MAX_LSTM_LAYERS} layers")
        layer = read_lstm(self._graph, operator, value.steps)
        states = {operator.inputs[slot] for slot in LSTM_STATES}
        if states & self._states:
            raise operator.fault("shares its state with another layer")
        self._states |= states
        return replace(
            value, units=layer.hidden, lstm=(*value.lstm, layer), operators=(*value.operators, operator.index)
        )

    def _conv(self, operator: OperatorInfo, value: Value) -> Steps:
        if not isinstance(value, Steps) or value.lstm or value.conv is not None:
            raise operator.fault(f"{MISPLACED}: samples")
        conv = read_conv(self._graph, operator, value.steps)
        return replace(value, conv=conv, steps=conv.steps(value.steps), units=conv.layer.outputs)

    def _slice(self, operator: OperatorInfo, value: Value) -> Value:
        shape, ranges = sliced(self._graph, operator)
        if ranges == [(0, size) for size in shape]:
            return value
        if isinstance(value, Steps) and shape == (1, value.steps, value.units):
            _, over_steps, (low, high) = ranges
            if value.lstm and over_steps == (value.steps - 1, value.steps) and (low, high) == (0, value.units):
                return value.pooled(LastStep())
            if not value.lstm and value.conv is None and over_steps == (0, value.steps) and low < high:
                return replace(value, first_channel=value.first_channel + low, channels=high - low, units=high - low)
        raise operator.fault("cuts something else than channels of the samples or the last step of a sequence")

    def _reshape(self, operator: OperatorInfo, value: Value) -> Value:
        source, output = (self._graph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
        if activation(output, "the output") != activation(source, "the input"):
            raise operator.fault("quantizes its output differently from its input")
        if math.prod(output.shape) != math.prod(source.shape):
            raise operator.fault(f"turns the shape {source.shape} into {output.shape}")
        return value

    def _mean(self, operator: OperatorInfo, value: Value) -> Vector:
        if not isinstance(value, Steps) or not value.lstm:
            raise operator.fault(f"{MISPLACED}: hidden states")
        return value.pooled(Mean(*read_mean(self._graph, operator, (1, value.steps, value.units))))

    def _dense(self, operator: OperatorInfo, value: Value) -> Value:
        if isinstance(value, Steps) and value.lstm and value.steps > 1:
            dense = read_dense(self._graph, operator, value.steps)
            if dense.outputs != 1 or dense.activation != "none":
                raise operator.fault("over all steps is no attention score: it has more outputs, or an activation")
            return StepScores(value, dense)
        vector = self._vector(value)
        if vector is None or vector.softmax is not None or len(vector.head) >= MAX_DENSE_LAYERS:
            raise operator.fault(f"{MISPLACED}: one vector, or the hidden states of all steps")
        dense = read_dense(self._graph, operator, 1)
        return replace(vector, head=(*vector.head, dense))

    @staticmethod
    def _vector(value: Value) -> Vector | None:
        """A vector as it is; a sequence of one step is one too, and needs no slice."""
        if isinstance(value, Steps) and value.lstm and value.steps == 1:
            return value.pooled(LastStep())
        return value if isinstance(value, Vector) else None

    def _softmax(self, operator: OperatorInfo, value: Value) -> Value:
        last = self._graph.tensors[operator.inputs[0]].shape[-1:]
        if isinstance(value, StepScores) and value.softmax is None:
            if last != (value.of.steps,):
                raise operator.fault(f"is over {last} values; the attention's is over all {value.of.steps} steps")
            return replace(value, softmax=read_softmax(self._graph, operator))
        if not isinstance(value, Vector) or not value.head or value.softmax is not None:
            raise operator.fault(f"{MISPLACED}: attention scores, or the output of the last FULLY_CONNECTED")
        if last != (value.head[-1].outputs,):
            raise operator.fault(f"is over {last} values; it is needed over all {value.head[-1].outputs} classes")
        return replace(value, softmax=read_softmax(self._graph, operator))

    def _weighted_sum(self, operator: OperatorInfo, value: Value) -> Vector:
        other = self._input(operator, 1)
        weights, hidden, swapped = (value, other, False) if isinstance(value, StepScores) else (other, value, True)
        if not isinstance(weights, StepScores) or weights.softmax is None or weights.of is not hidden:
            raise operator.fault("does not sum hidden states weighted by the softmax of their own scores")
        output = check_weighted_sum(self._graph, operator, weights.of.steps, weights.of.units, swapped)
        return weights.of.pooled(Attention(weights.score, weights.softmax, output))

    def _concatenation(self, operator: OperatorInfo, value: Value) -> Vector:
        parts = [self._vector(self._input(operator, slot)) for slot in range(len(operator.inputs))]
        vectors = [part for part in parts if part is not None and not part.head]
        if len(vectors) != len(parts):
            raise operator.fault(f"{MISPLACED}: the vectors of branches")
        branches = tuple(branch for vector in vectors for branch in vector.branches)
        operators = tuple(index for vector in vectors for index in vector.operators)
        if len(branches) > MAX_BRANCHES or sum(branch.outputs for branch in branches) > MAX_INPUTS:
            raise operator.fault(f"joins {len(branches)} branches; {MAX_BRANCHES} and {MAX_INPUTS} units fit")
        if len(set(operators)) != len(operators):
            raise operator.fault("joins two vectors of one LSTM; each branch needs an LSTM of its own")
        check_concatenation(self._graph, operator, [sum(b.outputs for b in v.branches) for v in vectors])
        return Vector(branches, operators)


MISPLACED = "does not fit at this place; it takes"
KNOWN = (
    "CONV_2D, UNIDIRECTIONAL_SEQUENCE_LSTM, STRIDED_SLICE, MEAN, SOFTMAX, BATCH_MATMUL, CONCATENATION, FULLY_CONNECTED "
    "and the ways to write a reshape"
)
