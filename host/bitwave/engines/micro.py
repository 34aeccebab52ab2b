"""TensorFlow Lite Micro's reference kernels, as the package `tflite-micro` runs them: the oracle."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..errors import ModelError
from ..quantmodel import Int8Array, QuantModel
from ..tflite_edit import lstm_cells, lstm_outputs, stepwise, with_outputs
from ..tflite_graph import read_graph
from .base import Outputs


class TfliteMicro:
    """Two interpreters of one file: whole windows for hidden states and scores, single steps for the cell.

    The second one invokes the LSTM layers once per step, where the cell state after that step can be read; its
    hidden states are an independent way to the same values (`step_hidden`).
    """

    batch = 8

    def __init__(self, data: bytes, model: QuantModel) -> None:
        """Takes the bytes of the .tflite file and what the reader made of them."""
        runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
        graph = read_graph(data)
        self._model = model
        # generous: the tensors that are alive at once, and the kernels' own tables
        arena = (1 << 17) + 4 * len(data) + 16 * model.steps * (model.channels + sum(x.hidden for x in model.lstm))
        whole = with_outputs(data, [graph.outputs[0], *lstm_outputs(graph)])
        single = with_outputs(stepwise(data), [*lstm_outputs(graph), *lstm_cells(graph)])
        try:
            self._whole: Any = runtime.Interpreter.from_bytes(whole, arena_size=arena)
            self._single: Any = runtime.Interpreter.from_bytes(single, arena_size=arena)
        except RuntimeError as error:
            raise ModelError(f"tflite-micro does not take the model: {error}") from error
        self.step_hidden: tuple[Int8Array, ...] = ()

    def run(self, windows: Int8Array) -> Outputs:
        """See `Engine`; `step_hidden` afterwards holds the hidden states of the single steps."""
        count, steps, _ = windows.shape
        layers = self._model.lstm
        scores = np.empty((count, self._model.classes), np.int8)
        hidden = tuple(np.empty((count, steps, lstm.hidden), np.int8) for lstm in layers)
        self.step_hidden = tuple(np.empty_like(values) for values in hidden)
        cell = tuple(np.empty((count, steps, lstm.hidden), np.int16) for lstm in layers)
        for index, window in enumerate(windows):
            self._whole.reset()
            self._whole.set_input(window[None], 0)
            self._whole.invoke()
            scores[index] = self._whole.get_output(0)[0]
            for layer, values in enumerate(hidden):
                values[index] = self._whole.get_output(1 + layer)[0]
            self._single.reset()
            for step in range(steps):
                self._single.set_input(window[None, step : step + 1], 0)
                self._single.invoke()
                for layer in range(len(layers)):
                    self.step_hidden[layer][index, step] = self._single.get_output(layer)[0, 0]
                    cell[layer][index, step] = self._single.get_output(len(layers) + layer)[0]
        return Outputs(scores, hidden, cell)
