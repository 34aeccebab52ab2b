"""What the core needs of a Cortex-M4's memory, and of its time where a window ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .. import native
from ..emulator.counter import CycleCounter
from ..emulator.engine import EmulatedCore
from ..emulator.machine import RAM, Machine
from ..model import image
from ..model.metadata import Metadata
from ..model.quantmodel import LastStep, QuantModel

# of the footprint program, not of the core
_LIBRARY = frozenset({"memcpy", "memmove", "memset", "memcmp", "strlen", "bw_reset", "image"})
_LOUDNESS = (
    0,
    100,
    300,
    1000,
    3000,
    6000,
    12000,
    32767,
)  # largest raw counts of the inputs that the window's end is counted with


@dataclass(frozen=True)
class Footprint:
    """Bytes; code and constants of model, LSTM, head and recognizer, built for size and without wire and app.

    Attributes:
        code_bytes, constant_bytes: in flash, of what the model needs, without the kernel for two lanes.
        lanes_code_bytes: what that kernel and its callers add.
        whole_code_bytes: with that kernel and all that the model does not need.
        image_bytes: of the model.
        raw_bytes: int8 weights, int32 biases and labels of the model, before anything is packed.
        arena_bytes: of a recognizer with the model's lanes.
        stack_bytes: high-water of `bw_recognizer_push`.
        window_cycles: dearest sample that ends a window, head and decision included, with the model's lanes.
        window_cycles_one_lane: the same where windows do not overlap.
        asleep_cycles: a sample that a motion gate lets the network sleep through; 0 without a gate.
        waking_cycles: the sample that wakes it, with what was kept of its sleep.
    """

    code_bytes: int
    constant_bytes: int
    lanes_code_bytes: int
    whole_code_bytes: int
    image_bytes: int
    raw_bytes: int
    arena_bytes: int
    stack_bytes: int
    window_cycles: int
    window_cycles_one_lane: int
    asleep_cycles: int
    waking_cycles: int

    def to_json(self) -> dict[str, int]:
        """For `bitwave bench --json`."""
        return dict(vars(self))


def footprint(model: QuantModel, compiler: native.Compiler) -> Footprint | None:
    """Measures memory; None for a model without metadata, which no recognizer runs. Raises what `measure` raises."""
    if model.metadata is None:
        return None
    packed = image.build(model)
    unneeded = _unneeded(model)
    code, constants = _flash(compiler, (*unneeded, "BW_ONE_LANE"))
    awake = model.metadata.model_copy(update={"gate": None})
    window = _dearest_end_of_a_window(model, awake, compiler)
    alone = window  # the one lane of a stateful model
    if not awake.is_stateful:
        alone = _dearest_end_of_a_window(model, awake.model_copy(update={"hop": awake.window}), compiler)
    sleep = _Sleep(0, 0, 0) if model.metadata.gate is None else _sleep(EmulatedCore(packed, compiler), model.metadata)
    return Footprint(
        code_bytes=code,
        constant_bytes=constants,
        lanes_code_bytes=_flash(compiler, unneeded)[0] - code,
        whole_code_bytes=_flash(compiler, ())[0],
        image_bytes=len(packed),
        raw_bytes=_raw_bytes(model),
        arena_bytes=EmulatedCore(packed, compiler).shape.recognizer_bytes,
        stack_bytes=max(window.stack, alone.stack, sleep.stack),
        window_cycles=window.cycles,
        window_cycles_one_lane=alone.cycles,
        asleep_cycles=sleep.asleep,
        waking_cycles=sleep.waking,
    )


def _unneeded(model: QuantModel) -> tuple[str, ...]:
    """The parts of the core that a firmware for this model alone may be built without, as bitwave.h names them."""
    parts = {
        "BW_ONE_LSTM": len(model.lstm) == 1,
        "BW_NO_CONVOLUTION": all(branch.conv is None for branch in model.branches),
        "BW_NO_POOLING": all(isinstance(branch.pool, LastStep) for branch in model.branches),
        "BW_NO_GATE": model.metadata is None or model.metadata.gate is None,
        "BW_NO_STATEFUL": model.metadata is None or not model.metadata.is_stateful,
    }
    return tuple(name for name, unneeded in parts.items() if unneeded)


def _flash(compiler: native.Compiler, left_out: tuple[str, ...]) -> tuple[int, int]:
    """Bytes of code and of constants that the linker keeps of the core."""
    symbols = Machine(native.m4_footprint(compiler, left_out)).symbols.values()
    own = [symbol for symbol in symbols if symbol.name not in _LIBRARY and symbol.address < RAM[0]]
    code = sum(symbol.size for symbol in own if symbol.is_function and not symbol.name.startswith("__aeabi"))
    return code, sum(symbol.size for symbol in own if not symbol.is_function)


def _raw_bytes(model: QuantModel) -> int:
    arrays = [array for layer in model.lstm for array in (layer.input_weights, layer.recurrent_weights, layer.bias)]
    arrays += [array for layer in model.head for array in (layer.weights, layer.bias)]
    for branch in model.branches:
        arrays += [branch.conv.layer.weights, branch.conv.layer.bias] if branch.conv is not None else []
    labels = model.metadata.labels if model.metadata else ()
    return sum(array.nbytes for array in arrays) + sum(len(label) for label in labels)


class _Dearest(NamedTuple):
    cycles: int
    stack: int


class _Sleep(NamedTuple):
    asleep: int
    waking: int
    stack: int


def _sleep(core: EmulatedCore, metadata: Metadata) -> _Sleep:
    """Cycles of a sample that is slept through, and of the one that wakes; the ring is full then."""
    rest = metadata.gate.still + metadata.gate.preroll + 2 if metadata.gate else 0
    machine, counter = core.machine, CycleCounter(core.machine)
    arguments = tuple(machine.address(name) for name in ("recognizer", "bw_emu_input", "bw_emu_event"))
    core.start_recognizer()
    for value in (32767, *[0] * rest):
        machine.write("bw_emu_input", np.full(core.shape.channels, value, "<i2").tobytes())
        machine.call("bw_recognizer_push", *arguments)
    asleep = counter.price(counter.count("bw_recognizer_push", *arguments)).total_cycles
    machine.write("bw_emu_input", np.full(core.shape.channels, 32767, "<i2").tobytes())
    run = counter.count("bw_recognizer_push", *arguments)
    return _Sleep(asleep, counter.price(run).total_cycles, run.stack)


def _dearest_end_of_a_window(model: QuantModel, metadata: Metadata, compiler: native.Compiler) -> _Dearest:
    """Runs a recognizer over inputs of all kinds; counts the samples that end a window with all lanes in use."""
    core = EmulatedCore(image.build(replace(model, metadata=metadata)), compiler)
    machine, counter = core.machine, CycleCounter(core.machine)
    rng = np.random.default_rng(0)
    arguments = tuple(machine.address(name) for name in ("recognizer", "bw_emu_input", "bw_emu_event"))

    def feed(loudest: int) -> None:
        raw = rng.integers(-loudest, loudest, core.shape.channels, dtype=np.int16, endpoint=True)
        machine.write("bw_emu_input", raw.tobytes())

    core.start_recognizer()
    for _ in range(metadata.window + metadata.hop * (metadata.lanes - 1)):
        feed(_LOUDNESS[-1])
        machine.call("bw_recognizer_push", *arguments)
    cycles, stack = 0, 0
    for loudest in _LOUDNESS:
        for _ in range(metadata.hop - 1):
            feed(loudest)
            machine.call("bw_recognizer_push", *arguments)
        feed(loudest)
        run = counter.count("bw_recognizer_push", *arguments)
        cycles, stack = max(cycles, counter.price(run).total_cycles), max(stack, run.stack)
    return _Dearest(cycles, stack)
