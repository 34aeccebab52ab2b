"""Reads a .tflite file into a `QuantModel`, or says in one line why it cannot.

Accepted: one int8 input (1, steps, channels); one or two UNIDIRECTIONAL_SEQUENCE_LSTM with int8 activations and
weights and int16 cell; the last step of the sequence, cut out by STRIDED_SLICE or SLICE (RESHAPE and SQUEEZE may
follow); one or more FULLY_CONNECTED; optionally SOFTMAX. `bitwave.tflite_graph` checks the container,
`bitwave.tflite_ops` the operators, `bitwave.ranges` that no accumulator can leave int32.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .errors import ModelError
from .metadata import Metadata
from .quantmodel import Dense, Lstm, Quantization, QuantModel, Softmax
from .ranges import check_ranges
from .tflite_graph import (
    FULLY_CONNECTED,
    RESHAPE,
    SLICE,
    SOFTMAX,
    SQUEEZE,
    STRIDED_SLICE,
    UNIDIRECTIONAL_SEQUENCE_LSTM,
    Graph,
    OperatorInfo,
    read_graph,
)
from .tflite_ops import (
    MAX_STEPS,
    MAX_UNITS,
    SOFTMAX_OUTPUT,
    activation,
    read_dense,
    read_last_step,
    read_lstm,
    read_softmax,
)

__all__ = ["METADATA_NAME", "SOFTMAX_OUTPUT", "read_bytes", "read_model", "weights_digest"]

METADATA_NAME = "bitwave"
DESCRIPTION = "bitwave"
DESCRIPTION_WITH_METADATA = "bitwave, with metadata"  # so that a damaged entry is not taken for a foreign file
MAX_LSTM_LAYERS = 2
MAX_DENSE_LAYERS = 4


def read_model(source: str | Path | bytes) -> QuantModel:
    """Reads and checks a model.

    Args:
        source: a path, or the bytes of the file.

    Returns:
        The model; ``digest`` is the SHA-256 of the bytes.

    Raises:
        ModelError: the file cannot be read, is truncated or corrupt, uses an operator or option that bitwave cannot
            take (the first one is named), or its metadata does not fit its graph.
    """
    if isinstance(source, bytes):
        return _read(source)
    data = read_bytes(source)
    try:
        return _read(data)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a model file; raises `ModelError` when there is none, or none that can be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}; name a .tflite file") from error


def _read(data: bytes) -> QuantModel:
    graph = read_graph(data)
    model = _Chain(graph).model(hashlib.sha256(data).digest())
    check_ranges(model)
    if model.metadata is not None:
        _check_metadata(model, model.metadata)
    return model


class _Chain:
    """Walks the operators in order; each must take what the one before gave."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._lstm: list[Lstm] = []
        self._head: list[Dense] = []
        self._softmax: Softmax | None = None
        self._last_step = False

    def model(self, digest: bytes) -> QuantModel:
        graph = self._graph
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise ModelError(f"the model has {len(graph.inputs)} inputs, {len(graph.outputs)} outputs; one each fits")
        first = current = graph.tensors[graph.inputs[0]]
        quantization = activation(first, "the model's input")
        if len(first.shape) != 3 or first.shape[0] != 1:
            raise ModelError(f"the model's input has the shape {first.shape}; (1, steps, channels) is needed")
        steps, channels = first.shape[1:]
        if not 1 <= steps <= MAX_STEPS or not 1 <= channels <= MAX_UNITS:
            raise ModelError(f"the model takes {steps} steps of {channels} channels; {MAX_STEPS} and {MAX_UNITS} fit")
        for operator in graph.operators:
            if not operator.inputs or operator.inputs[0] != current.index or len(operator.outputs) != 1:
                raise operator.fault("does not take the output of the operator before it; only a plain chain fits")
            self._take(operator)
            current = graph.tensors[operator.outputs[0]]
        if current.index != graph.outputs[0] or not self._head:
            raise ModelError("the model does not end in FULLY_CONNECTED or SOFTMAX over the last step of an LSTM")
        text = graph.metadata.get(METADATA_NAME)
        if text is None and graph.description == DESCRIPTION_WITH_METADATA:
            raise ModelError("the .tflite file has lost its bitwave metadata: it was damaged; quantize it again")
        return QuantModel(
            steps=steps,
            channels=channels,
            input=quantization,
            lstm=tuple(self._lstm),
            head=tuple(self._head),
            softmax=self._softmax,
            metadata=None if text is None else Metadata.from_json(text),
            digest=digest,
        )

    def _take(self, operator: OperatorInfo) -> None:
        graph, code = self._graph, operator.code
        if self._softmax is not None:
            raise operator.fault("comes after SOFTMAX; the model must end there")
        if code == UNIDIRECTIONAL_SEQUENCE_LSTM and not self._last_step and len(self._lstm) < MAX_LSTM_LAYERS:
            self._lstm.append(read_lstm(graph, operator))
        elif code in (STRIDED_SLICE, SLICE, RESHAPE, SQUEEZE) and self._lstm and not self._head:
            self._last_step = read_last_step(graph, operator, self._last_step)
        elif code == FULLY_CONNECTED and self._last_step and len(self._head) < MAX_DENSE_LAYERS:
            self._head.append(read_dense(graph, operator))
        elif code == SOFTMAX and self._head:
            self._softmax = read_softmax(graph, operator)
        else:
            raise operator.fault(
                "does not fit at this place; the order is: 1 to 2 UNIDIRECTIONAL_SEQUENCE_LSTM, STRIDED_SLICE of the "
                "last step, 1 to 4 FULLY_CONNECTED, SOFTMAX, all int8"
            )


def _check_metadata(model: QuantModel, metadata: Metadata) -> None:
    for what, says, has in (
        ("window", metadata.window, model.steps),
        ("channels", len(metadata.channels), model.channels),
        ("labels", len(metadata.labels), model.classes),
    ):
        if says != has:
            raise ModelError(f"the bitwave metadata says {says} {what}, the network has {has}; quantize it again")
    if metadata.weights_digest and metadata.weights_digest != weights_digest(model):
        raise ModelError("weights and metadata do not match their digest: the file was damaged; quantize it again")


def weights_digest(model: QuantModel) -> str:
    """SHA-256, in hex, over all that the file means: shapes, quantization, weights, options, and the metadata's JSON.

    Numbers are little-endian: integers i64, real values f64, each array preceded by its shape. The metadata enters
    with an empty digest of its own.
    """
    digest = hashlib.sha256(b"bitwave weights 1")

    def integers(*values: int) -> None:
        digest.update(struct.pack(f"<{len(values)}q", *values))

    def reals(*values: float) -> None:
        digest.update(struct.pack(f"<{len(values)}d", *values))

    def quantization(value: Quantization) -> None:
        reals(value.scale)
        integers(value.zero_point)

    def array(values: npt.NDArray[Any]) -> None:
        integers(*values.shape)
        digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())

    integers(model.steps, model.channels, len(model.lstm), len(model.head))
    quantization(model.input)
    for lstm in model.lstm:
        quantization(lstm.input)
        quantization(lstm.hidden_state)
        integers(lstm.cell_exponent, lstm.cell_clip)
        reals(*lstm.input_scales, *lstm.recurrent_scales)
        for weights in (lstm.input_weights, lstm.recurrent_weights, lstm.bias):
            array(weights)
    for dense in model.head:
        quantization(dense.input)
        quantization(dense.output)
        integers(dense.activation_min, dense.activation_max, len(dense.weight_scales))
        reals(*dense.weight_scales)
        array(dense.weights)
        array(dense.bias)
    if model.softmax is not None:
        quantization(model.softmax.input)
        reals(model.softmax.beta)
    if model.metadata is not None:
        digest.update(model.metadata.model_copy(update={"weights_digest": ""}).to_json())
    return digest.hexdigest()
