"""Our own implementations: the NumPy simulator, and the C core on the host and on an emulated Cortex-M4."""

from __future__ import annotations

from ...errors import MissingPackage
from ...model.quantmodel import Int8Array, QuantModel
from ...native import Compiler
from ...simulator.network import run
from .base import Outputs


class Simulator:
    """The readable specification."""

    batch = 32

    def __init__(self, model: QuantModel) -> None:
        """Takes what the reader made of the file."""
        self._model = model

    def run(self, windows: Int8Array) -> Outputs:
        """See `Engine`."""
        trace = run(self._model, windows)
        return Outputs(trace.scores, trace.hidden, trace.cell)


class HostCore:
    """The C core as this machine's code."""

    batch = 32

    def __init__(self, image: bytes) -> None:
        """Opens a model image."""
        from ...core.host import HostCore as Core

        self._core = Core(image)

    def run(self, windows: Int8Array) -> Outputs:
        """See `Engine`."""
        found = self._core.classify(windows)
        return Outputs(found.scores, found.hidden, found.cell)


class CortexM4:
    """The C core as Cortex-M4 machine code under emulation."""

    batch = 4

    def __init__(self, image: bytes, compiler: Compiler) -> None:
        """Opens a model image in code built by ``compiler``."""
        try:
            from ...emulator.engine import EmulatedCore
        except ImportError as error:
            raise MissingPackage(f"{error.name} is not installed: pip install 'bitwave[verify]'") from error
        self._core = EmulatedCore(image, compiler)

    def run(self, windows: Int8Array) -> Outputs:
        """See `Engine`."""
        found = self._core.classify(windows)
        return Outputs(found.scores, found.hidden, found.cell)
