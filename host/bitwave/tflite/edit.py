"""Small edits of a .tflite file in place, so that interpreters show what they hide: more outputs, one step at a time.

Only vectors are touched; weights, quantization and options stay the bytes that they were.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .flat import Table
from .graph import IDENTIFIER, MAX_OPERATORS, MAX_TENSORS, OperatorInfo, read_graph
from .ops import LSTM_STATES
from .reader import lstm_operators

TENSORS, INPUTS, OUTPUTS, OPERATORS, SHAPE = 0, 1, 2, 3, 0
SHAPE_SIGNATURE = 7


def _lstm_operators(data: bytes) -> list[OperatorInfo]:
    operators = read_graph(data).operators
    return [operators[index] for index in lstm_operators(data)]


def lstm_outputs(data: bytes) -> list[int]:
    """Tensors that hold the hidden state after every step, per layer in the order of `QuantModel.lstm`."""
    return [operator.outputs[0] for operator in _lstm_operators(data)]


def lstm_inputs(data: bytes) -> list[int]:
    """Tensors that the layers take."""
    return [operator.inputs[0] for operator in _lstm_operators(data)]


def lstm_states(data: bytes) -> list[int]:
    """The variable tensors that hold the hidden state, per layer."""
    return [operator.inputs[LSTM_STATES[0]] for operator in _lstm_operators(data)]


def lstm_cells(data: bytes) -> list[int]:
    """The variable tensors that hold the cell state, per layer."""
    return [operator.inputs[LSTM_STATES[1]] for operator in _lstm_operators(data)]


def with_outputs(data: bytes, outputs: Sequence[int]) -> bytes:
    """The same file with these tensors as the subgraph's outputs."""
    return _with_indices(data, OUTPUTS, outputs)


def _with_indices(data: bytes, slot: int, indices: Sequence[int]) -> bytes:
    """The subgraph's inputs or outputs as a new vector at the file's end."""
    subgraph = Table.root(data, IDENTIFIER).tables(2, 1)[0]
    edited = bytearray(data) + bytes(-len(data) % 4)
    struct.pack_into("<I", edited, subgraph.place(slot), len(edited) - subgraph.place(slot))
    return bytes(edited + struct.pack(f"<I{len(indices)}i", len(indices), *indices))


def stepwise(data: bytes, layers: range) -> bytes:
    """Some successive LSTM layers of the file alone, one step per invoke, from the first one's input on.

    The outputs are the layers' hidden states, then their cell states. The state survives between invokes, so that T
    invokes from a reset are one sequence.

    Args:
        data: the bytes of the file.
        layers: by their place in `QuantModel.lstm`; of one branch.
    """
    sources, outputs, cells = (f(data)[layers.start : layers.stop] for f in (lstm_inputs, lstm_outputs, lstm_cells))
    edited = bytearray(_with_indices(with_outputs(data, [*outputs, *cells]), INPUTS, sources[:1]))
    subgraph = Table.root(data, IDENTIFIER).tables(2, 1)[0]
    start, _ = subgraph.vector(OPERATORS, 4)
    operators = subgraph.tables(OPERATORS, MAX_OPERATORS)
    for place, index in enumerate(lstm_operators(data)[layers.start : layers.stop]):
        struct.pack_into("<I", edited, start + 4 * place, operators[index].position - start - 4 * place)
    struct.pack_into("<I", edited, start - 4, len(layers))
    tensors = subgraph.tables(TENSORS, MAX_TENSORS)
    for tensor in {sources[0], *outputs}:
        for slot in (SHAPE, SHAPE_SIGNATURE):
            at, length = tensors[tensor].vector(slot, 4)
            if length == 3:
                struct.pack_into("<i", edited, at + 4, 1)
    return bytes(edited)
