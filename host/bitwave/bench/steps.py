"""What the core costs on a Cortex-M4: instructions and cycles per step.

Cycles are those of `bitwave.emulator.cost`: exact instruction counts, priced by the processor's manual for memory
without wait states, good to about 7 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .. import native
from ..emulator.counter import CycleCounter, Run
from ..emulator.engine import EmulatedCore
from ..model import image
from ..model.quantmodel import QuantModel
from .grid import GRID_RATE_HZ

CLOCK_HZ = 64_000_000  # of the Nano 33 BLE
UNCERTAINTY = 0.07
LANES = (1, 2, 3, 5)
_STEPS = 2  # counted per row, or as many as the strides take to repeat; a step's cost hardly depends on its values
_LANES_TOLD = {"dsp": LANES, "portable": (1,)}


@dataclass(frozen=True)
class Row:
    """One model, build and number of lanes; instructions and cycles are per step and lane, milliseconds per sample.

    Attributes:
        share: functions that take most of it, with their fraction.
        milliseconds: for all lanes together, at 64 MHz.
        load: fraction of the processor at the model's rate.
    """

    inputs: int
    hidden: tuple[int, ...]
    lanes: int
    compiler: native.Compiler
    kernels: native.Kernels
    instructions_per_step: int
    cycles_per_step: int
    share: tuple[tuple[str, float], ...]
    milliseconds: float
    load: float

    def to_json(self) -> dict[str, object]:
        """For `bitwave bench --json`."""
        return {
            "inputs": self.inputs,
            "hidden": self.hidden[0] if len(self.hidden) == 1 else list(self.hidden),
            "lanes": self.lanes,
            "compiler": self.compiler,
            "kernels": self.kernels,
            "instructions_per_step": self.instructions_per_step,
            "cycles_per_step": self.cycles_per_step,
            "share": dict(self.share),
            "milliseconds": round(self.milliseconds, 4),
            "load": round(self.load, 5),
        }


@dataclass(frozen=True)
class Bench:
    """Everything that `bitwave bench` tells of one model.

    Attributes:
        why_plain: per LSTM layer, why the fast kernels cannot run it; None where they can.
    """

    rows: tuple[Row, ...]
    why_plain: tuple[str | None, ...]


def measure(model: QuantModel, compilers: Iterable[native.Compiler], kernels: Iterable[native.Kernels]) -> Bench:
    """Counts the steps of one model with every build asked for.

    Raises:
        MissingPackage: GCC was asked for and is not installed.
        ModelError: the model cannot be exported.
        NativeBuildError: the core cannot be built.
    """
    packed = image.build(model)
    chosen = tuple(compilers)
    rows = tuple(row for compiler in chosen for kind in kernels for row in _rows(model, packed, compiler, kind))
    return Bench(rows, tuple(image.why_plain(layer) for layer in model.lstm))


def _rows(model: QuantModel, packed: bytes, compiler: native.Compiler, kernels: native.Kernels) -> Iterator[Row]:
    core = EmulatedCore(packed, compiler, kernels)
    counter = CycleCounter(core.machine)
    rate = model.metadata.rate_hz if model.metadata else GRID_RATE_HZ
    for lanes in _LANES_TOLD[kernels]:
        runs = _count_steps(core, counter, lanes)
        costs = [counter.price(run) for run in runs]
        cycles = sum(cost.total_cycles for cost in costs) / len(costs)
        shares = counter.by_function(costs[-1])[:5]
        yield Row(
            inputs=model.channels,
            hidden=tuple(layer.hidden for layer in model.lstm),
            lanes=lanes,
            compiler=compiler,
            kernels=kernels,
            instructions_per_step=round(sum(cost.total_instructions for cost in costs) / len(costs) / lanes),
            cycles_per_step=round(cycles / lanes),
            share=tuple((share.function, round(share.cycles / costs[-1].total_cycles, 3)) for share in shares),
            milliseconds=1000 * cycles / CLOCK_HZ,
            load=cycles * rate / CLOCK_HZ,
        )


def _count_steps(core: EmulatedCore, counter: CycleCounter, lanes: int) -> list[Run]:
    machine = core.machine
    core.start_network(lanes)
    arguments = (machine.address("bw_emu_network"), machine.address("bw_emu_input"), (1 << lanes) - 1)
    rng = np.random.default_rng(lanes)
    runs = []
    taps = core.shape.taps or ((1, 1),)
    for _ in range(max(kernel for kernel, _ in taps) - 1):  # until each lane's convolution has its samples
        machine.call("bw_network_step", *arguments)
    for _ in range(max(_STEPS, math.lcm(*(stride for _, stride in taps)))):
        machine.write("bw_emu_input", rng.integers(-128, 128, core.shape.channels, dtype=np.int8).tobytes())
        runs.append(counter.count("bw_network_step", *arguments))
    return runs
