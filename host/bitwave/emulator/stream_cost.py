"""What a recognizer costs per sample of a stream, all windows in flight: front end, layers, head and decision.

The work of a sample depends on where it lies between two windows' starts and on which windows take a step of a strided
convolution with it. That repeats with every window, so each kind of sample of one hop is counted once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..model.metadata import Metadata
from .counter import CycleCounter
from .engine import EmulatedCore

LOUDEST = 9000  # counts of the random samples


@dataclass(frozen=True)
class StreamCost:
    """Cycles and instructions of a sample.

    Attributes:
        cycles: mean over a hop.
        instructions: likewise.
        dearest: cycles of the sample that costs most, as a rule the one that ends a window.
        stack: bytes, at most.
    """

    cycles: float
    instructions: float
    dearest: int
    stack: int


def stream_cost(core: EmulatedCore, metadata: Metadata, every: bool = False) -> StreamCost:
    """Counts one hop of a stream of random samples after all lanes were in use.

    Args:
        core: with the model.
        metadata: of the model.
        every: count every sample of the hop, not one of each kind.
    """
    core.start_recognizer()
    machine, counter = core.machine, CycleCounter(core.machine)
    rng = np.random.default_rng(0)
    arguments = tuple(machine.address(name) for name in ("recognizer", "bw_emu_input", "bw_emu_event"))

    def feed() -> None:
        samples = rng.integers(-LOUDEST, LOUDEST, core.shape.channels, dtype=np.int16)
        machine.write("bw_emu_input", samples.tobytes())

    for _ in range(metadata.hop * metadata.lanes):
        feed()
        machine.call("bw_recognizer_push", *arguments)
    kind = _kinds(core, metadata)
    found: dict[object, tuple[int, int, int]] = {}
    for place in range(metadata.hop):
        feed()
        what = place if every else kind(place)
        if what in found:
            machine.call("bw_recognizer_push", *arguments)
            continue
        run = counter.count("bw_recognizer_push", *arguments)
        cost = counter.price(run)
        found[what] = (cost.total_cycles, cost.total_instructions, run.stack)
    costs = [found[place if every else kind(place)] for place in range(metadata.hop)]
    cycles, instructions, stack = zip(*costs, strict=True)
    return StreamCost(float(np.mean(cycles)), float(np.mean(instructions)), max(cycles), max(stack))


def _kinds(core: EmulatedCore, metadata: Metadata) -> Callable[[int], object]:
    """What tells the samples of a hop apart, as a function of the samples since a window's first one."""
    taps = sorted(set(core.shape.taps)) or [(1, 1)]

    def kind(place: int) -> object:
        ages = [age for age in range(place, metadata.window, metadata.hop)]
        steps = tuple(
            sum(age >= kernel - 1 and (age - kernel + 1) % stride == 0 for age in ages) for kernel, stride in taps
        )
        return place == 0, metadata.window - 1 in ages, len(ages), steps

    return kind
