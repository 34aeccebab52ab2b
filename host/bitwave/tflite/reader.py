"""Reads a .tflite file into a `QuantModel`, or says in one line why it cannot.

Accepted: one int8 input (1, steps, channels); one to four branches, each some channels of it (STRIDED_SLICE or SLICE),
optionally a convolution over time (CONV_2D), one or two UNIDIRECTIONAL_SEQUENCE_LSTM with int8 activations and weights
and int16 cell, and the last step (STRIDED_SLICE or SLICE), the mean (MEAN) or attention (FULLY_CONNECTED, SOFTMAX,
BATCH_MATMUL) over the hidden states; CONCATENATION of more than one; one or more FULLY_CONNECTED; optionally SOFTMAX.
`bitwave.tflite.graph` checks the container, `bitwave.tflite.flow` what goes where, `bitwave.tflite.ops` and
`bitwave.tflite.shapes` the operators, `bitwave.model.ranges` that no accumulator can leave int32.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..errors import ModelError
from ..model.metadata import Metadata
from ..model.quantmodel import Attention, Dense, LastStep, Mean, Quantization, QuantModel, Softmax
from ..model.ranges import check_ranges
from .flow import follow
from .graph import read_graph
from .ops import SOFTMAX_OUTPUT

__all__ = ["METADATA_NAME", "SOFTMAX_OUTPUT", "lstm_operators", "read_bytes", "read_model", "weights_digest"]

METADATA_NAME = "bitwave"
DESCRIPTION = "bitwave"
DESCRIPTION_WITH_METADATA = "bitwave, with metadata"  # so that a damaged entry is not taken for a foreign file


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


def lstm_operators(data: bytes) -> tuple[int, ...]:
    """Indices of the file's LSTM operators in the order of `QuantModel.lstm`; raises `ModelError` like `read_model`."""
    return follow(read_graph(data)).result.operators


def _read(data: bytes) -> QuantModel:
    graph = read_graph(data)
    network = follow(graph)
    text = graph.metadata.get(METADATA_NAME)
    if text is None and graph.description == DESCRIPTION_WITH_METADATA:
        raise ModelError("the .tflite file has lost its bitwave metadata: it was damaged; quantize it again")
    model = QuantModel(
        steps=network.steps,
        channels=network.channels,
        input=network.input,
        branches=network.result.branches,
        head=network.result.head,
        softmax=network.result.softmax,
        metadata=None if text is None else Metadata.from_json(text),
        digest=hashlib.sha256(data).digest(),
    )
    check_ranges(model)
    if model.metadata is not None:
        _check_metadata(model, model.metadata)
    return model


def _check_metadata(model: QuantModel, metadata: Metadata) -> None:
    for what, says, has in (
        ("window", metadata.window, model.steps),
        ("channels", len(metadata.channels), model.channels),
        ("labels", len(metadata.labels), model.classes),
    ):
        if says != has:
            raise ModelError(f"the bitwave metadata says {says} {what}, the network has {has}; quantize it again")
    if metadata.is_stateful:
        _check_stateful(model, metadata)
    if metadata.weights_digest and metadata.weights_digest != weights_digest(model):
        raise ModelError("weights and metadata do not match their digest: the file was damaged; quantize it again")


def _check_stateful(model: QuantModel, metadata: Metadata) -> None:
    """Raises `ModelError` where states cannot be carried on as `bitwave.model.metadata` says."""
    for branch in model.branches:
        kernel, stride = (branch.conv.kernel, branch.conv.stride) if branch.conv else (1, 1)
        if not isinstance(branch.pool, LastStep):
            kind = type(branch.pool).__name__.lower()
            raise ModelError(f"a stateful model has no window to pool over: {kind} must give way to the last step")
        if metadata.hop % stride or model.steps != metadata.hop + kernel - stride:
            raise ModelError(
                f"a stateful model with a kernel of {kernel} and a stride of {stride} takes a hop that is a multiple "
                f"of the stride, and a window of hop + {kernel - stride}, not {metadata.hop} and {model.steps}"
            )


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

    def dense(layer: Dense) -> None:
        quantization(layer.input)
        quantization(layer.output)
        integers(layer.activation_min, layer.activation_max, len(layer.weight_scales))
        reals(*layer.weight_scales)
        array(layer.weights)
        array(layer.bias)

    def softmax(parameters: Softmax) -> None:
        quantization(parameters.input)
        reals(parameters.beta)

    integers(model.steps, model.channels, len(model.lstm), len(model.head))
    quantization(model.input)
    for lstm in model.lstm:
        quantization(lstm.input)
        quantization(lstm.hidden_state)
        integers(lstm.cell_exponent, lstm.cell_clip)
        reals(*lstm.input_scales, *lstm.recurrent_scales)
        for weights in (lstm.input_weights, lstm.recurrent_weights, lstm.bias):
            array(weights)
    for layer in model.head:
        dense(layer)
    if model.softmax is not None:
        softmax(model.softmax)
    for branch in model.branches if not model.is_plain else ():  # a plain model has the digest that it always had
        pool = branch.pool
        integers(branch.first_channel, branch.channels, len(branch.lstm))
        digest.update(type(pool).__name__.encode())
        if branch.conv is not None:
            integers(branch.conv.kernel, branch.conv.stride)
            dense(branch.conv.layer)
        if isinstance(pool, Mean):
            quantization(pool.input)
            quantization(pool.output)
        elif isinstance(pool, Attention):
            dense(pool.score)
            softmax(pool.softmax)
            quantization(pool.output)
    if model.metadata is not None:
        digest.update(model.metadata.model_copy(update={"weights_digest": ""}).to_json())
    return digest.hexdigest()
