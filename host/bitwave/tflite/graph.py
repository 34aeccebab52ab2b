"""What a .tflite file says, as plain data: tensors, operators, metadata; every offset and length checked.

Slots are field numbers of the TensorFlow Lite schema (schema.fbs, version 3).
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from .flat import Table

IDENTIFIER = b"TFL3"
MAX_FILE_BYTES = 64 << 20
MAX_TENSORS = 2048
MAX_OPERATORS = 512
MAX_ENTRIES = 64
MAX_RANK = 8
MAX_SCALES = 4096
MAX_METADATA_BYTES = 1 << 20

TENSOR_TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
CONCATENATION, CONV_2D, FULLY_CONNECTED, RESHAPE, SOFTMAX, MEAN, SQUEEZE = 2, 3, 9, 22, 25, 40, 43
UNIDIRECTIONAL_SEQUENCE_LSTM, STRIDED_SLICE, SLICE, EXPAND_DIMS, BATCH_MATMUL = 44, 45, 65, 70, 126
CUSTOM = 32
PLACEHOLDER_FOR_GREATER_OP_CODES = 127  # a code above it stands in the newer int32 field


@dataclass(frozen=True, eq=False)
class TensorInfo:
    """One tensor; ``data`` is empty for an activation.

    Attributes:
        kind: element type, a value of `TENSOR_TYPES` or "type N".
        scales: float32 values, exact; more than one are per entry of ``axis``.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    kind: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    variable: bool
    data: npt.NDArray[np.uint8]

    def values(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """The constant's elements in its shape, an own copy.

        Raises:
            ModelError: the type is another, or the data does not fill the shape.
        """
        if self.kind != np.dtype(dtype).name:
            raise ModelError(f"tensor {self.index} ({self.name}) is {self.kind} where {np.dtype(dtype).name} is needed")
        kind = np.dtype(dtype).newbyteorder("<")
        if self.data.size != math.prod(self.shape) * kind.itemsize:
            raise ModelError(f"tensor {self.index} ({self.name}) has {self.data.size} bytes for the shape {self.shape}")
        return np.frombuffer(self.data.tobytes(), kind).reshape(self.shape).astype(dtype)


@dataclass(frozen=True, eq=False)
class OperatorInfo:
    """One operator; ``options`` is its builtin options table, absent when the file has none."""

    index: int
    code: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def option(self, slot: int, code: str, default: Any = 0) -> Any:
        """A scalar of the options table, or the schema's default."""
        return default if self.options is None else self.options.scalar(slot, code, default)

    def fault(self, what: str) -> ModelError:
        """An error that names this operator."""
        return ModelError(f"operator {self.index} ({self.name}) {what}")


@dataclass(frozen=True, eq=False)
class Graph:
    """The only subgraph of a file, and the file's description and metadata entries by name."""

    tensors: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str
    metadata: dict[str, bytes]


def read_graph(data: bytes) -> Graph:
    """Reads a file's bytes; raises `ModelError` on anything truncated, corrupt or beyond the limits above."""
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"the .tflite file has {len(data)} bytes; bitwave takes at most {MAX_FILE_BYTES}")
    model = Table.root(data, IDENTIFIER)
    subgraphs = model.tables(2, MAX_OPERATORS)
    if len(subgraphs) != 1:
        raise ModelError(f"the .tflite file has {len(subgraphs)} subgraphs; convert the model with exactly one")
    buffers = model.tables(4, 2 * MAX_TENSORS)
    codes = [_operator_code(table) for table in model.tables(1, MAX_OPERATORS)]
    subgraph = subgraphs[0]
    tensors = [_tensor(i, t, buffers) for i, t in enumerate(subgraph.tables(0, MAX_TENSORS))]
    operators = [_operator(i, t, codes, len(tensors)) for i, t in enumerate(subgraph.tables(3, MAX_OPERATORS))]
    metadata = {t.string(0): _metadata(buffers, int(t.scalar(1, "I"))) for t in model.tables(6, MAX_ENTRIES)}
    inputs, outputs = (_indices(subgraph, slot, len(tensors), "the subgraph") for slot in (1, 2))
    return Graph(tuple(tensors), tuple(operators), inputs, outputs, model.string(3), metadata)


def _payload(buffers: list[Table], number: int) -> npt.NDArray[np.uint8]:
    if number >= len(buffers):
        raise ModelError(f"the .tflite file is corrupt: buffer {number} of {len(buffers)}")
    if buffers[number].scalar(1, "Q") > 1:
        raise ModelError("the .tflite file keeps its weights outside the FlatBuffer; convert it without that option")
    return buffers[number].array(0, np.uint8)


def _metadata(buffers: list[Table], number: int) -> bytes:
    return _payload(buffers, number)[:MAX_METADATA_BYTES].tobytes()


def _tensor(index: int, table: Table, buffers: list[Table]) -> TensorInfo:
    shape = tuple(int(n) for n in table.array(0, np.int32)[: MAX_RANK + 1])
    if len(shape) > MAX_RANK or any(n < 0 for n in shape):
        raise ModelError(f"tensor {index} has an impossible shape; the .tflite file is corrupt")
    kind = int(table.scalar(1, "b"))
    quantization = table.table(4)
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis = 0
    if quantization is not None:
        per_axis = quantization.array(2, np.float32), quantization.array(3, np.int64)
        if max(values.size for values in per_axis) > MAX_SCALES:
            raise ModelError(f"tensor {index} has {per_axis[0].size} scales; bitwave takes at most {MAX_SCALES}")
        scales = tuple(float(v) for v in per_axis[0])
        zero_points = tuple(int(v) for v in per_axis[1])
        axis = int(quantization.scalar(6, "i"))
    if table.table(6) is not None:
        raise ModelError(f"tensor {index} ({table.string(3)}) is sparse; convert the model without sparsity")
    return TensorInfo(
        index=index,
        name=table.string(3),
        shape=shape,
        kind=TENSOR_TYPES.get(kind, f"type {kind}"),
        scales=scales,
        zero_points=zero_points,
        axis=axis,
        variable=bool(table.scalar(5, "B")),
        data=_payload(buffers, int(table.scalar(2, "I"))),
    )


def _indices(table: Table, slot: int, tensors: int, owner: str, lowest: int = 0) -> tuple[int, ...]:
    values = table.array(slot, np.int32)
    if values.size > MAX_TENSORS or any(not lowest <= int(v) < tensors for v in values):
        raise ModelError(f"{owner} refers to a tensor that is not there; the .tflite file is corrupt")
    return tuple(int(v) for v in values)


def _operator(index: int, table: Table, codes: list[tuple[int, str]], tensors: int) -> OperatorInfo:
    code_index = int(table.scalar(0, "I"))
    if code_index >= len(codes):
        raise ModelError(f"operator {index} has no operator code; the .tflite file is corrupt")
    code, name = codes[code_index]
    inputs, outputs = (_indices(table, slot, tensors, f"operator {index} ({name})", -1) for slot in (1, 2))
    return OperatorInfo(index, code, name, inputs, outputs, table.table(4))


def _operator_code(table: Table) -> tuple[int, str]:
    code = int(table.scalar(0, "b"))
    if code == PLACEHOLDER_FOR_GREATER_OP_CODES or code == 0:
        code = max(code, int(table.scalar(3, "i")))
    return code, f"CUSTOM {table.string(1)}" if code == CUSTOM else operator_name(code)


@lru_cache(maxsize=256)
def operator_name(code: int) -> str:
    """The schema's name of a builtin operator."""
    names = vars(importlib.import_module("tflite.BuiltinOperator").BuiltinOperator)
    return next((name for name, value in names.items() if value == code and name.isupper()), f"builtin {code}")
