"""What other libraries take for the same, to compare with; cycles by the same cost model, gcc 12.2."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """Another library's cycles per step, measured with the same cost model; gcc 12.2."""

    name: str
    cycles: dict[tuple[int, int], int]  # by inputs and hidden units


PEERS = (
    Peer(
        "CMSIS-NN arm_lstm_unidirectional_s8, -O2",
        {(6, 24): 27_804, (6, 16): 17_502, (6, 32): 37_545, (6, 64): 92_668, (3, 24): 25_961, (9, 24): 27_598},
    ),
    Peer(
        "CMSIS-NN, best build found",
        {(6, 24): 24_476, (6, 16): 15_221, (6, 32): 33_141, (6, 64): 84_039, (3, 24): 22_673, (9, 24): 24_267},
    ),
    Peer("NNoM lstm_cell_q7_q15, -O3", {(6, 24): 32_785}),
)
PEERS_NOTE = (
    "TFLM with CMSIS-NN, whole interpreter, 6 inputs, 24 hidden, 50 steps, 5 classes: 48.2 KB of flash at its "
    "smallest, 72.9 KB at its fastest, arena 4.5 KB, stack 1.4 KB, 1.23 million cycles after a window's last sample."
)
