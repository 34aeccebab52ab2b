"""The C core on an emulated Cortex-M4: classifies windows, recognises streams, and says what a step costs."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from .. import native
from ..errors import BitwaveError, ImageError, UsageError
from ..model.quantmodel import Int8Array, Int16Array
from .counter import CycleCounter
from .machine import Machine

_MAX_LAYERS = 8  # BW_MAX_LAYERS
_SHAPE = struct.Struct(f"<{3 + 3 * _MAX_LAYERS + 3}I")  # bw_emu_sizes
_RESULT = np.dtype(
    [("sample", "<u4"), ("kind", "u1"), ("label", "u1"), ("score", "u1"), ("reserved", "u1"), ("scores", "i1", 16)]
)  # bw_emu_result
_GESTURE = 2  # BW_EVENT_GESTURE
_OK = 0  # bw_status
_WARM_UP_STEPS = 2  # before counting: lanes leave their reset state


@dataclass(frozen=True)
class Shape:
    """What the core says about the model that it opened; sizes in bytes."""

    channels: int
    classes: int
    hidden: tuple[int, ...]  # per layer
    window: int  # steps
    lanes: int  # windows in flight; 0 for a model that is network only
    recognizer_bytes: int
    taps: tuple[tuple[int, int], ...] = ()  # per layer samples under a step, and between two; none: every sample

    def layer_steps(self, samples: int) -> tuple[int, ...]:
        """Per layer its steps for a window of ``samples``."""
        if not self.taps:
            return (samples,) * len(self.hidden)
        return tuple(max(0, (samples - kernel) // stride + 1) for kernel, stride in self.taps)

    def result_bytes(self, samples: int) -> int:
        """What `bw_emu_classify` says about a window: cells, hidden states, scores."""
        return 3 * sum(s * h for s, h in zip(self.layer_steps(samples), self.hidden, strict=True)) + self.classes


@dataclass(frozen=True, eq=False)
class Classified:
    """States after every step, and the scores, as the machine code computed them.

    Attributes:
        hidden: per layer (windows, steps, hidden) int8.
        cell: per layer (windows, steps, hidden) int16.
        scores: (windows, classes) int8.
    """

    hidden: tuple[Int8Array, ...]
    cell: tuple[Int16Array, ...]
    scores: Int8Array


@dataclass(frozen=True)
class WindowResult:
    """One window that ended in a stream, with the smoothed score 0..255 of its leading class."""

    sample: int
    label: int
    score: int
    is_gesture: bool
    scores: tuple[int, ...]  # int8 per class


@dataclass(frozen=True)
class StepCost:
    """What one sample costs, mean over the counted steps, for all lanes together; stack in bytes."""

    lanes: int
    instructions: float
    cycles: float
    stack: int


class EmulatedCore:
    """One emulated processor with one open model."""

    def __init__(self, image: bytes, compiler: native.Compiler = "clang", kernels: native.Kernels = "dsp") -> None:
        """Opens a model image.

        Raises:
            ImageError: the core refuses the image.
            MissingPackage: GCC was asked for and is not installed.
            NativeBuildError: the machine code cannot be built.
        """
        self.machine = Machine(native.m4_elf(compiler, kernels))
        if len(image) > self.machine.symbols["bw_emu_image"].size:
            raise ImageError(f"the image has {len(image)} bytes, more than the emulated flash holds")
        self.machine.write("bw_emu_image", image)
        self._check(self.machine.call("bw_emu_open", len(image)), ImageError)
        channels, classes, layers, *rest, window, lanes, size = _SHAPE.unpack(self.machine.read("bw_emu_shape"))
        hidden, widths, strides = (tuple(rest[first : first + layers]) for first in range(0, len(rest), _MAX_LAYERS))
        taps = tuple(zip(widths, strides, strict=True))
        self.shape = Shape(channels, classes, hidden, window, lanes, size, taps)

    def _check(self, status: int, kind: type[BitwaveError]) -> None:
        if status != _OK:
            raise kind(f"the core answers: {status_text(self.machine, status)}")

    def self_test(self) -> None:
        """Computes the image's known answer; raises ImageError if it comes out otherwise."""
        self._check(self.machine.call("bw_emu_self_test"), ImageError)

    def classify(self, windows: Int8Array) -> Classified:
        """Runs windows of any number of steps, each from a reset.

        Args:
            windows: (windows, steps, channels) int8.
        """
        shape, steps = self.shape, windows.shape[1]
        if windows.ndim != 3 or windows.shape[2] != shape.channels or not steps:
            raise UsageError(f"windows of {windows.shape[1:]}, the model takes (steps, {shape.channels})")
        symbols = self.machine.symbols
        batch = min(
            symbols["bw_emu_input"].size // (steps * shape.channels),
            symbols["bw_emu_output"].size // shape.result_bytes(steps),
        )
        if batch == 0:
            raise UsageError(f"windows of {steps} steps do not fit into the emulated memory")
        parts = [self._classify(windows[first : first + batch]) for first in range(0, len(windows), batch)]
        return Classified(
            hidden=tuple(np.concatenate([part.hidden[layer] for part in parts]) for layer in range(len(shape.hidden))),
            cell=tuple(np.concatenate([part.cell[layer] for part in parts]) for layer in range(len(shape.hidden))),
            scores=np.concatenate([part.scores for part in parts]),
        )

    def _classify(self, windows: Int8Array) -> Classified:
        shape, (count, steps, _) = self.shape, windows.shape
        self.machine.write("bw_emu_input", windows.tobytes())
        self._check(self.machine.call("bw_emu_classify", count, steps), UsageError)
        size = count * shape.result_bytes(steps)
        return parse_values(self.machine.read("bw_emu_output", size), shape, count, steps)

    def recognise(self, raw: Int16Array, rate_hz: float | None = None) -> list[WindowResult]:
        """Feeds a stream to a recognizer that was just reset; one result per window that ends.

        Args:
            raw: (samples, channels) int16 counts.
            rate_hz: of the samples; the model's where None.

        Raises:
            ImageError: the model cannot recognise, or not samples of this rate.
        """
        rate_mhz = 0 if rate_hz is None else round(rate_hz * 1000)
        self._check(self.machine.call("bw_emu_recognizer_start", rate_mhz), ImageError)
        batch = self.machine.symbols["bw_emu_output"].size // _RESULT.itemsize  # at most one result per sample
        batch = min(batch, self.machine.symbols["bw_emu_input"].size // (2 * self.shape.channels))
        found: list[WindowResult] = []
        for first in range(0, len(raw), batch):
            part = np.ascontiguousarray(raw[first : first + batch], dtype="<i2")
            self.machine.write("bw_emu_input", part.tobytes())
            count = self.machine.call("bw_emu_recognize", len(part))
            results = np.frombuffer(self.machine.read("bw_emu_output", count * _RESULT.itemsize), _RESULT)
            found += [self._result(result) for result in results]
        return found

    @property
    def slept(self) -> int:
        """How many samples of the stream that was recognised last found the network asleep."""
        return self.machine.call("bw_emu_slept")

    def _result(self, result: np.void) -> WindowResult:
        return WindowResult(
            sample=int(result["sample"]),
            label=int(result["label"]),
            score=int(result["score"]),
            is_gesture=int(result["kind"]) == _GESTURE,
            scores=tuple(int(score) for score in result["scores"][: self.shape.classes]),
        )

    def start_network(self, lanes: int) -> None:
        """Makes `bw_emu_network` a network of that many lanes, all reset."""
        self._check(self.machine.call("bw_emu_network_start", lanes), UsageError)

    def start_recognizer(self) -> None:
        """Makes `recognizer` a recognizer that was just reset, fed at the model's rate."""
        self._check(self.machine.call("bw_emu_recognizer_start", 0), ImageError)

    def step_cost(self, lanes: int = 1, steps: int = 8, seed: int = 0) -> StepCost:
        """Counts what a sample costs, head and decision not included.

        Args:
            lanes: windows in flight that all take the sample.
            steps: counted steps of random int8 samples, and more where strides take longer to repeat; the cost hardly
                depends on the values.
            seed: of the samples.
        """
        machine, counter = self.machine, CycleCounter(self.machine)
        self.start_network(lanes)
        network, sample = machine.address("bw_emu_network"), machine.address("bw_emu_input")
        rng = np.random.default_rng(seed)
        instructions = cycles = stack = 0
        period = math.lcm(*(stride for _, stride in self.shape.taps))  # 1 without strides
        steps = -(-steps // period) * period
        warm_up = max(_WARM_UP_STEPS, *(kernel for kernel, _ in self.shape.taps or ((1, 1),)))
        for step in range(warm_up + steps):
            machine.write("bw_emu_input", rng.integers(-128, 128, self.shape.channels, dtype=np.int8).tobytes())
            if step < warm_up:
                machine.call("bw_network_step", network, sample, (1 << lanes) - 1)
                continue
            run = counter.count("bw_network_step", network, sample, (1 << lanes) - 1)
            cost = counter.price(run)
            instructions += cost.total_instructions
            cycles += cost.total_cycles
            stack = max(stack, run.stack)
        return StepCost(lanes, instructions / steps, cycles / steps, stack)


def parse_values(data: bytes, shape: Shape, windows: int, steps: int) -> Classified:
    """Takes the output of `bw_emu_classify` apart: cells of each layer, hidden states of each layer, scores."""
    shapes = [(windows, *layer) for layer in zip(shape.layer_steps(steps), shape.hidden, strict=True)]
    sizes = [math.prod(layer) for layer in shapes]
    total, bounds = sum(sizes), np.cumsum(sizes)[:-1]
    cells = np.frombuffer(data, np.dtype("<i2"), total)
    hidden = np.frombuffer(data, np.int8, total, 2 * total)
    scores = np.frombuffer(data, np.int8, windows * shape.classes, 3 * total)
    return Classified(
        hidden=tuple(part.reshape(layer) for part, layer in zip(np.split(hidden, bounds), shapes, strict=True)),
        cell=tuple(part.reshape(layer) for part, layer in zip(np.split(cells, bounds), shapes, strict=True)),
        scores=scores.reshape(windows, shape.classes),
    )


def status_text(machine: Machine, status: int) -> str:
    """The core's own line for one of its statuses."""
    text = machine.read(machine.call("bw_status_text", status), 128)
    return text.split(b"\0")[0].decode("ascii")
