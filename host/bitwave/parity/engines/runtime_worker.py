"""Runs full TensorFlow Lite in a process of its own, where nothing else has loaded TensorFlow: `python -m` this.

Beside TensorFlow in one process tflite-runtime 2.14 fails with `vector::reserve`. One request is a .npz on standard
input (`model` uint8 bytes, `windows` int8, `states` and `zero_points` of the hidden state tensors), the answer a .npz
on standard output: `output0`, `output1`, ... in the order of the file's outputs, first axis the windows.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from typing import Any

import numpy as np

RUNTIMES = ("tflite_runtime.interpreter", "ai_edge_litert.interpreter")


def installed_runtime() -> str | None:
    """Module of the first runtime that is installed; found, not imported."""
    for name in RUNTIMES:
        try:
            if importlib.util.find_spec(name) is not None:
                return name
        except ModuleNotFoundError:
            continue
    return None


def _answer(request: Any) -> dict[str, np.ndarray[Any, Any]]:
    module = importlib.import_module(installed_runtime() or RUNTIMES[0])
    interpreter = module.Interpreter(model_content=request["model"].tobytes(), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    places = [detail["index"] for detail in interpreter.get_output_details()]
    results: list[list[np.ndarray[Any, Any]]] = [[] for _ in places]
    for window in request["windows"]:
        # its own reset fills variables with 0, the contract's with the zero point
        interpreter.reset_all_variables()
        for state, zero_point in zip(request["states"], request["zero_points"], strict=True):
            interpreter.set_tensor(int(state), np.full_like(interpreter.get_tensor(int(state)), zero_point))
        interpreter.set_tensor(source, window[None])
        interpreter.invoke()
        for result, place in zip(results, places, strict=True):
            result.append(interpreter.get_tensor(place)[0])
    return {f"output{i}": np.stack(result) for i, result in enumerate(results)}


def main() -> None:
    """One request, one answer."""
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as request:
        answer = _answer(request)
    packed = io.BytesIO()
    np.savez(packed, **answer)
    sys.stdout.buffer.write(packed.getvalue())


if __name__ == "__main__":
    main()
