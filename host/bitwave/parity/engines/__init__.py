"""The implementations that must agree; each takes int8 windows and shows what it can of its inside."""

from __future__ import annotations

from ...errors import MissingPackage, UsageError
from ...model.quantmodel import QuantModel
from .base import Engine, Outputs

__all__ = ["INFORMATIVE", "NAMES", "Engine", "Outputs", "open_engine"]

NAMES = ("tflite-micro", "simulator", "core-host", "m4-clang", "m4-gcc", "tflite-runtime")
INFORMATIVE = frozenset({"tflite-runtime"})  # other arithmetic: differences are counted, not failed


def open_engine(name: str, data: bytes, model: QuantModel) -> Engine:
    """Makes an engine ready for one model.

    Args:
        name: one of `NAMES`.
        data: bytes of the .tflite file.
        model: what the reader made of them.

    Raises:
        MissingPackage: what the engine needs is not installed; the engine is absent, which is no difference.
        BitwaveError: the engine is there and does not take the model.
    """
    try:
        if name == "tflite-micro":
            from .micro import TfliteMicro

            return TfliteMicro(data, model)
        if name == "tflite-runtime":
            from .runtime import TfliteRuntime

            return TfliteRuntime(data, model)
        from . import ours

        if name == "simulator":
            return ours.Simulator(model)
        from ...model.image import build

        if name == "core-host":
            return ours.HostCore(build(model))
        if name == "m4-clang":
            return ours.CortexM4(build(model), "clang")
        if name == "m4-gcc":
            return ours.CortexM4(build(model), "gcc")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("bitwave"):
            raise
        raise MissingPackage(f"{error.name} is not installed: pip install 'bitwave[verify]'") from error
    raise UsageError(f"there is no engine {name}; there are {', '.join(NAMES)}")
