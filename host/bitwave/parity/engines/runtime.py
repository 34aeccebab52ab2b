"""Full TensorFlow Lite, in its own process; its LSTM uses other sigmoid and tanh arithmetic, so it is only reported."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import MissingPackage, ModelError
from ...model.quantmodel import Int8Array, QuantModel
from ...tflite.edit import lstm_outputs, lstm_states, with_outputs
from ...tflite.graph import read_graph
from . import runtime_worker
from .base import Outputs


class TfliteRuntime:
    """Hidden states and scores of `tflite-runtime` or, where that has no wheel, `ai-edge-litert`."""

    batch = 1 << 30  # each call starts a process

    def __init__(self, data: bytes, model: QuantModel) -> None:
        """Takes the bytes of the .tflite file and what the reader made of them."""
        if runtime_worker.installed_runtime() is None:
            raise MissingPackage("tflite-runtime is not installed: pip install 'bitwave[verify]'")
        self._request: dict[str, npt.NDArray[Any]] = {
            "model": np.frombuffer(with_outputs(data, [*read_graph(data).outputs, *lstm_outputs(data)]), np.uint8),
            "states": np.array(lstm_states(data), np.int64),
            "zero_points": np.array([lstm.hidden_state.zero_point for lstm in model.lstm], np.int64),
        }

    def run(self, windows: Int8Array) -> Outputs:
        """See `Engine`; raises `ModelError` where the runtime does not take the model."""
        packed = io.BytesIO()
        np.savez(packed, windows=windows, **self._request)
        command = [sys.executable, "-m", runtime_worker.__name__]
        done = subprocess.run(command, input=packed.getvalue(), capture_output=True, check=False)
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise ModelError(f"tflite-runtime does not take the model: {lines[-1] if lines else 'it crashed'}")
        with np.load(io.BytesIO(done.stdout)) as answer:
            results = [answer[f"output{i}"] for i in range(len(answer.files))]
        return Outputs(results[0], tuple(results[1:]))
