"""TensorFlow Lite Micro's reference kernels, as the package `tflite-micro` runs them: the oracle."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ...errors import ModelError
from ...model.quantmodel import Int8Array, Int16Array, QuantModel
from ...tflite.edit import lstm_inputs, lstm_outputs, stepwise, with_outputs
from ...tflite.graph import read_graph
from .base import Outputs


class TfliteMicro:
    """Interpreters of one file: whole windows for hidden states and scores, single steps of each branch for the cell.

    The latter get what the oracle itself computed for the branch's first LSTM and invoke its layers once per step,
    where the cell state after that step can be read; their hidden states are an independent way to the same values
    (`step_hidden`). A stateful model's windows may be longer than the file's: they are invoked hop by hop, and the
    interpreter carries the states on.
    """

    batch = 8

    def __init__(self, data: bytes, model: QuantModel) -> None:
        """Takes the bytes of the .tflite file and what the reader made of them."""
        runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
        self._model = model
        self._layers: list[range] = []  # of the branches
        for branch in model.branches:
            first = self._layers[-1].stop if self._layers else 0
            self._layers.append(range(first, first + len(branch.lstm)))
        sources = lstm_inputs(data)
        shown = [read_graph(data).outputs[0], *lstm_outputs(data), *(sources[layers.start] for layers in self._layers)]
        files = [with_outputs(data, shown), *(stepwise(data, layers) for layers in self._layers)]
        # generous: the tensors that are alive at once, and the kernels' own tables
        units = sum(layer.hidden + layer.inputs for layer in model.lstm)
        arena = (1 << 17) + 4 * len(data) + 16 * model.steps * (2 * model.channels + 2 * units)
        try:
            self._whole, *self._single = (runtime.Interpreter.from_bytes(f, arena_size=arena) for f in files)
        except RuntimeError as error:
            raise ModelError(f"tflite-micro does not take the model: {error}") from error
        self.step_hidden: tuple[Int8Array, ...] = ()

    def run(self, windows: Int8Array) -> Outputs:
        """See `Engine`; `step_hidden` afterwards holds the hidden states of the single steps."""
        count = len(windows)
        steps = self._model.steps
        starts = [0]
        if self._model.metadata is not None and self._model.metadata.is_stateful:
            starts = list(range(0, windows.shape[1] - steps + 1, self._model.metadata.hop))
        units = [layer.hidden for layer in self._model.lstm]
        shapes = list(zip(self._model.layer_steps(windows.shape[1]), units, strict=True))
        scores = np.empty((count, self._model.classes), np.int8)
        hidden = tuple(np.empty((count, *shape), np.int8) for shape in shapes)
        self.step_hidden = tuple(np.empty_like(values) for values in hidden)
        cell = tuple(np.empty((count, *shape), np.int16) for shape in shapes)
        for index, window in enumerate(windows):
            self._whole.reset()
            shown = [self._invoke(window[start : start + steps]) for start in starts]
            scores[index] = shown[-1][0].reshape(-1)
            sequences = [np.concatenate(parts, axis=1) for parts in list(zip(*shown, strict=True))[1:]]
            for layer, values in enumerate(hidden):
                values[index] = sequences[layer][0]
            for branch, layers in enumerate(self._layers):
                sequence = sequences[len(hidden) + branch]
                parts = slice(layers.start, layers.stop)
                self._run_single(
                    self._single[branch], sequence, [h[index] for h in self.step_hidden[parts]],
                    [c[index] for c in cell[parts]],
                )  # fmt: skip
        return Outputs(scores, hidden, cell)

    def _invoke(self, window: Int8Array) -> list[Int8Array]:
        """All outputs for (steps, channels) int8 from the states that there are: scores, then (1, steps, units)."""
        self._whole.set_input(window[None], 0)
        self._whole.invoke()
        outputs = 1 + len(self._model.lstm) + len(self._layers)
        return [self._whole.get_output(index).copy() for index in range(outputs)]

    @staticmethod
    def _run_single(interpreter: Any, sequence: Int8Array, hidden: list[Int8Array], cell: list[Int16Array]) -> None:
        """One branch's layers over (1, steps, units) int8; fills (steps, hidden) per layer."""
        interpreter.reset()
        for step in range(sequence.shape[1]):
            interpreter.set_input(sequence[:, step : step + 1], 0)
            interpreter.invoke()
            for layer, (hiddens, cells) in enumerate(zip(hidden, cell, strict=True)):
                hiddens[step] = interpreter.get_output(layer)[0, 0]
                cells[step] = interpreter.get_output(len(hidden) + layer)[0]
