"""Small edits of a .tflite file in place, so that interpreters show what they hide: more outputs, one step at a time.

Only vectors are touched; weights, quantization and options stay the bytes that they were.
"""

from __future__ import annotations

import struct

from .flat import Table
from .tflite_graph import IDENTIFIER, MAX_TENSORS, UNIDIRECTIONAL_SEQUENCE_LSTM, Graph, read_graph

TENSORS, OUTPUTS, OPERATORS, SHAPE = 0, 2, 3, 0
SHAPE_SIGNATURE = 7


def lstm_operators(graph: Graph) -> list[int]:
    """Indices of the LSTM operators; in every model that the reader takes they come first."""
    return [o.index for o in graph.operators if o.code == UNIDIRECTIONAL_SEQUENCE_LSTM]


def lstm_outputs(graph: Graph) -> list[int]:
    """Tensors that hold the hidden state after every step, per layer."""
    return [graph.operators[index].outputs[0] for index in lstm_operators(graph)]


def lstm_states(graph: Graph) -> list[int]:
    """The variable tensors that hold the hidden state, per layer."""
    return [graph.operators[index].inputs[18] for index in lstm_operators(graph)]


def lstm_cells(graph: Graph) -> list[int]:
    """The variable tensors that hold the cell state, per layer."""
    return [graph.operators[index].inputs[19] for index in lstm_operators(graph)]


def with_outputs(data: bytes, outputs: list[int]) -> bytes:
    """The same file with these tensors as the subgraph's outputs."""
    subgraph = Table.root(data, IDENTIFIER).tables(2, 1)[0]
    edited = bytearray(data) + bytes(-len(data) % 4)
    struct.pack_into("<I", edited, subgraph.place(OUTPUTS), len(edited) - subgraph.place(OUTPUTS))
    return bytes(edited + struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs))


def stepwise(data: bytes) -> bytes:
    """The LSTM layers of the file alone, one step per invoke; the outputs are the hidden states of the layers.

    The state survives between invokes, so T invokes from a reset are one window.
    """
    graph = read_graph(data)
    outputs = lstm_outputs(graph)
    edited = bytearray(with_outputs(data, outputs))
    subgraph = Table.root(data, IDENTIFIER).tables(2, 1)[0]
    operators = subgraph.vector(OPERATORS, 4)[0]
    struct.pack_into("<I", edited, operators - 4, len(lstm_operators(graph)))
    tensors = subgraph.tables(TENSORS, MAX_TENSORS)
    for index in (graph.inputs[0], *outputs):
        for slot in (SHAPE, SHAPE_SIGNATURE):
            start, length = tensors[index].vector(slot, 4)
            if length == 3:
                struct.pack_into("<i", edited, start + 4, 1)
    return bytes(edited)
