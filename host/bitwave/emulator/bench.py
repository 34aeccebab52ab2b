"""What the core costs on a Cortex-M4: cycles per step, flash and RAM, beside what other libraries take for the same.

Cycles are those of `bitwave.emulator.cost`: exact instruction counts, priced by the processor's manual for memory
without wait states, good to about 7 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .. import native
from ..model import image
from ..model.metadata import ChannelScaling, Decision, Metadata
from ..model.quantmodel import Dense, Int8Array, Lstm, Quantization, QuantModel, Softmax, plain
from .counter import CycleCounter, Run
from .engine import EmulatedCore
from .machine import RAM, Machine

CLOCK_HZ = 64_000_000  # of the Nano 33 BLE
UNCERTAINTY = 0.07
LANES = (1, 2, 3, 5)
GRID_INPUTS = (3, 6, 9)
GRID_HIDDEN = (16, 24, 32, 64)
GRID_RATE_HZ = 119.0
_STEPS = 2  # counted per row; a step's cost hardly depends on its values
_LANES_TOLD = {"dsp": LANES, "portable": (1,)}
# of the footprint program, not of the core
_LIBRARY = frozenset({"memcpy", "memmove", "memset", "memcmp", "strlen", "bw_reset", "image"})
_LANES_KERNEL = "bw_dsp_product_lanes"


@dataclass(frozen=True)
class Peer:
    """Another library's cycles per step, measured with the same cost model; gcc 12.2."""

    name: str
    cycles: dict[tuple[int, int], int]  # by inputs and hidden units


PEERS = (
    Peer(
        "CMSIS-NN arm_lstm_unidirectional_s8, -O2",
        {(6, 24): 27_804, (6, 16): 17_502, (6, 32): 37_545, (6, 64): 92_668, (3, 24): 25_961, (9, 24): 27_598},
    ),
    Peer(
        "CMSIS-NN, best build found",
        {(6, 24): 24_476, (6, 16): 15_221, (6, 32): 33_141, (6, 64): 84_039, (3, 24): 22_673, (9, 24): 24_267},
    ),
    Peer("NNoM lstm_cell_q7_q15, -O3", {(6, 24): 32_785}),
)
PEERS_NOTE = (
    "TFLM with CMSIS-NN, whole interpreter, 6 inputs, 24 hidden, 50 steps, 5 classes: 48.2 KB of flash at its "
    "smallest, 72.9 KB at its fastest, arena 4.5 KB, stack 1.4 KB, 1.23 million cycles after a window's last sample."
)


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
class Footprint:
    """Bytes; code and constants of model, LSTM, head and recognizer, built for size and without wire and app.

    Attributes:
        lanes_code_bytes: of the kernel for two lanes, which is not part of `code_bytes` and can be left out.
        window_cycles: of the sample that ends a window, head and decision included, with the model's lanes.
    """

    code_bytes: int
    constant_bytes: int
    lanes_code_bytes: int
    image_bytes: int
    arena_bytes: int
    stack_bytes: int
    window_cycles: int

    def to_json(self) -> dict[str, int]:
        """For `bitwave bench --json`."""
        return dict(vars(self))


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
    for _ in range(_STEPS):
        machine.write("bw_emu_input", rng.integers(-128, 128, core.shape.channels, dtype=np.int8).tobytes())
        runs.append(counter.count("bw_network_step", *arguments))
    return runs


def footprint(model: QuantModel, compiler: native.Compiler) -> Footprint | None:
    """Measures memory; None for a model without metadata, which no recognizer runs. Raises what `measure` raises."""
    if model.metadata is None:
        return None
    packed = image.build(model)
    symbols = Machine(native.m4_footprint(compiler)).symbols.values()
    own = [symbol for symbol in symbols if symbol.name not in _LIBRARY and symbol.address < RAM[0]]
    code = {symbol.name: symbol.size for symbol in own if symbol.is_function and not symbol.name.startswith("__aeabi")}
    lanes = code.pop(_LANES_KERNEL, 0)
    core = EmulatedCore(packed, compiler)
    run, cycles = _last_sample(core, model.metadata)
    return Footprint(
        code_bytes=sum(code.values()),
        constant_bytes=sum(symbol.size for symbol in own if not symbol.is_function),
        lanes_code_bytes=lanes,
        image_bytes=len(packed),
        arena_bytes=core.shape.recognizer_bytes,
        stack_bytes=run.stack,
        window_cycles=cycles,
    )


def _last_sample(core: EmulatedCore, metadata: Metadata) -> tuple[Run, int]:
    """Runs a recognizer to a sample that ends a window while all lanes are in use, and counts that sample."""
    core.start_recognizer()
    machine, counter = core.machine, CycleCounter(core.machine)
    rng = np.random.default_rng(0)
    arguments = tuple(machine.address(name) for name in ("recognizer", "bw_emu_input", "bw_emu_event"))
    for _ in range(metadata.window - 1 + metadata.hop * metadata.lanes):
        machine.write("bw_emu_input", rng.integers(-9000, 9000, core.shape.channels, dtype=np.int16).tobytes())
        machine.call("bw_recognizer_push", *arguments)
    run = counter.count("bw_recognizer_push", *arguments)
    return run, counter.price(run).total_cycles


def grid_model(inputs: int, hidden: int) -> QuantModel:
    """A model of the grid: random weights with the scales that a trained one has; the same for the same sizes."""
    rng = np.random.default_rng(1000 * inputs + hidden)

    def quantized(shape: tuple[int, ...], spread: float) -> tuple[Int8Array, float]:
        values = rng.normal(0, spread, shape)
        scale = float(np.float32(np.abs(values).max() / 127))
        return np.clip(np.round(values / scale), -127, 127).astype(np.int8), scale

    source, state = Quantization(float(np.float32(8 / 255)), -3), Quantization(float(np.float32(2 / 255)), 1)
    into = [quantized((hidden, inputs), 0.5) for _ in range(4)]
    back = [quantized((hidden, hidden), 1.5 / np.sqrt(hidden)) for _ in range(4)]
    layer = Lstm(
        input=source,
        hidden_state=state,
        cell_exponent=-12,
        input_weights=np.stack([weights for weights, _ in into]),
        recurrent_weights=np.stack([weights for weights, _ in back]),
        bias=np.stack([np.round(rng.normal(0, 0.5, hidden) / (source.scale * s)) for _, s in into]).astype(np.int32),
        input_scales=(into[0][1], into[1][1], into[2][1], into[3][1]),
        recurrent_scales=(back[0][1], back[1][1], back[2][1], back[3][1]),
    )
    head, scale = quantized((5, hidden), 0.5)
    logits = Quantization(float(np.float32(0.05)), 0)
    names = ("idle", "unknown", "wave", "punch", "circle")
    return QuantModel(
        steps=50,
        channels=inputs,
        input=source,
        branches=plain(inputs, layer),
        head=(Dense(state, logits, head, np.zeros(5, np.int32), (scale,)),),
        softmax=Softmax(logits),
        metadata=Metadata(
            tool="bench",
            labels=names,
            rate_hz=GRID_RATE_HZ,
            window=50,
            hop=10,
            channels=tuple(f"c{index}" for index in range(inputs)),
            scaling=(ChannelScaling(offset=0, multiplier=1 << 13, shift=20),) * inputs,
            decision=Decision(
                smoothing=1, thresholds=(128,) * 5, margin=10, refractory=20, fires=(False, False, True, True, True)
            ),
            dataset_digest="",
        ),
    )
