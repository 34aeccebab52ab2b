"""The bytes of a .tflite file through the FlatBuffers schema: tensors, operators and metadata of one subgraph.

Importing this module needs the `tflite` package (the schema's generated classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import tflite

from ..model.quantmodel import Quantization
from .reader import DESCRIPTION, DESCRIPTION_WITH_METADATA

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
BUFFER_ALIGNMENT = 16  # the schema's force_align of Buffer.data
OP_VERSIONS = {
    tflite.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM: 1,
    tflite.BuiltinOperator.STRIDED_SLICE: 2,
    tflite.BuiltinOperator.FULLY_CONNECTED: 4,
    tflite.BuiltinOperator.SOFTMAX: 2,
    tflite.BuiltinOperator.CONV_2D: 3,
    tflite.BuiltinOperator.MEAN: 2,
    tflite.BuiltinOperator.BATCH_MATMUL: 2,
    tflite.BuiltinOperator.CONCATENATION: 2,
}
DTYPES = {
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.int16): tflite.TensorType.INT16,
    np.dtype(np.int32): tflite.TensorType.INT32,
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of the graph to be written; ``data`` None makes it an activation, which owns no bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: npt.NDArray[Any] | None = None
    variable: bool = False


@dataclass(frozen=True)
class Operator:
    """One operator: builtin code, tensors by index (-1 for one left out), and its options table."""

    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_table: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    intermediates: tuple[int, ...] = ()
    version: int = 0  # 0: as `OP_VERSIONS` says


class GraphBuilder:
    """Collects tensors and operators of one subgraph and lays them out as a .tflite file."""

    def __init__(self) -> None:
        """An empty graph."""
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []

    def tensor(self, *args: Any, **kwargs: Any) -> int:
        """Adds a `Tensor` with these fields; returns its index."""
        self.tensors.append(Tensor(*args, **kwargs))
        return len(self.tensors) - 1

    def activation(self, name: str, shape: tuple[int, ...], quantization: Quantization) -> int:
        """Adds an int8 tensor that is computed when the model runs."""
        return self.tensor(name, shape, np.int8, (quantization.scale,), (quantization.zero_point,))

    def constant(self, name: str, data: npt.NDArray[Any], scales: Sequence[float] = ()) -> int:
        """Adds a tensor with data; ``scales`` more than one are per entry of axis 0, zero points are 0."""
        return self.tensor(name, data.shape, data.dtype, tuple(scales), (0,) * len(scales), data=data)

    def operator(self, *args: Any, **kwargs: Any) -> None:
        """Adds an `Operator` with these fields."""
        self.operators.append(Operator(*args, **kwargs))

    def finish(self, inputs: Sequence[int], outputs: Sequence[int], metadata: dict[str, bytes] | None = None) -> bytes:
        """The bytes of the file."""
        return _Layout().model(self.tensors, self.operators, inputs, outputs, metadata or {})


class _Layout:
    """Turns the lists of a graph into a FlatBuffer; children are written before their parents."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def model(
        self,
        tensors: Sequence[Tensor],
        operators: Sequence[Operator],
        inputs: Sequence[int],
        outputs: Sequence[int],
        metadata: dict[str, bytes],
    ) -> bytes:
        builder = self._builder
        payloads = [b""]  # buffer 0 is the schema's empty buffer, for everything without data
        numbers = []
        for tensor in tensors:
            numbers.append(0 if tensor.data is None else len(payloads))
            if tensor.data is not None:
                payloads.append(tensor.data.astype(tensor.data.dtype.newbyteorder("<")).tobytes())
        entries = [(name, len(payloads) + i) for i, name in enumerate(metadata)]
        payloads += metadata.values()
        codes = sorted({operator.code for operator in operators})
        versions = {c: max(o.version or OP_VERSIONS.get(c, 1) for o in operators if o.code == c) for c in codes}

        buffers = self._offsets([self._buffer(payload) for payload in payloads])
        tensor_table = self._offsets([self._tensor(t, n) for t, n in zip(tensors, numbers, strict=True)])
        operator_table = self._offsets([self._operator(o, codes.index(o.code)) for o in operators])
        subgraph = self._table(
            "SubGraph",
            Tensors=tensor_table,
            Inputs=self._ints(inputs),
            Outputs=self._ints(outputs),
            Operators=operator_table,
            Name=builder.CreateString("main"),
        )
        code_table = self._offsets(
            [
                self._table("OperatorCode", DeprecatedBuiltinCode=min(c, 127), BuiltinCode=c, Version=versions[c])
                for c in codes
            ]
        )
        metadata_table = self._offsets(
            [self._table("Metadata", Name=builder.CreateString(name), Buffer=number) for name, number in entries]
        )
        root = self._table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=code_table,
            Subgraphs=self._offsets([subgraph]),
            Description=builder.CreateString(DESCRIPTION_WITH_METADATA if metadata else DESCRIPTION),
            Buffers=buffers,
            Metadata=metadata_table,
        )
        builder.Finish(root, IDENTIFIER)
        return bytes(builder.Output())

    def _table(self, name: str, **fields: Any) -> int:
        """One table; offsets among the fields must exist already."""
        getattr(tflite, f"{name}Start")(self._builder)
        for field, value in fields.items():
            getattr(tflite, f"{name}Add{field}")(self._builder, value)
        return int(getattr(tflite, f"{name}End")(self._builder))

    def _tensor(self, tensor: Tensor, buffer: int) -> int:
        fields = {}
        if tensor.scales:
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self._vector(np.asarray(tensor.scales, np.float32)),
                ZeroPoint=self._vector(np.asarray(tensor.zero_points, np.int64)),
                QuantizedDimension=tensor.axis,
            )
        return self._table(
            "Tensor",
            Shape=self._ints(tensor.shape),
            Type=DTYPES[np.dtype(tensor.dtype)],
            Buffer=buffer,
            Name=self._builder.CreateString(tensor.name),
            IsVariable=tensor.variable,
            HasRank=True,
            **fields,
        )

    def _operator(self, operator: Operator, code_index: int) -> int:
        fields: dict[str, Any] = {}
        if operator.intermediates:
            fields["Intermediates"] = self._ints(operator.intermediates)
        if operator.options_table:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, operator.options_table)
            fields["BuiltinOptions"] = self._table(operator.options_table, **dict(operator.options))
        return self._table(
            "Operator",
            OpcodeIndex=code_index,
            Inputs=self._ints(operator.inputs),
            Outputs=self._ints(operator.outputs),
            **fields,
        )

    def _buffer(self, payload: bytes) -> int:
        if not payload:
            return self._table("Buffer")
        data = self._vector(np.frombuffer(payload, np.uint8), BUFFER_ALIGNMENT)
        return self._table("Buffer", Data=data)

    def _ints(self, values: Sequence[int]) -> int:
        return self._vector(np.asarray(values, np.int32))

    def _vector(self, values: npt.NDArray[Any], alignment: int = 0) -> int:
        size = values.dtype.itemsize
        self._builder.StartVector(size, len(values), alignment or size)
        payload = values.astype(values.dtype.newbyteorder("<")).tobytes()
        self._builder.head -= len(payload)
        self._builder.Bytes[self._builder.head : self._builder.head + len(payload)] = payload
        return int(self._builder.EndVector())

    def _offsets(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())
