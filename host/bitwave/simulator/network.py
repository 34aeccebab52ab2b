"""The network in NumPy integers, batched over windows: the readable specification, independent of the C core.

Every rule is checked with equality against TensorFlow Lite Micro's reference kernels in the tests. Front end and
decision are in `bitwave.simulator.stream`; their names are reachable from here too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..model.metadata import Metadata
from ..model.quantmodel import Attention, Branch, Conv, Dense, Int8Array, Int16Array, Lstm, Mean, QuantModel, Softmax
from .fixed import (
    INT8,
    INT16,
    Int64Array,
    clamp,
    exp_on_negative,
    high_multiply,
    reciprocal_of_one_plus,
    requantize,
    rounding_divide,
    sigmoid,
    tanh,
)
from .stream import Decider, Event, asleep, front_end, resample, stretches

__all__ = [
    "Decider",
    "Event",
    "LayerTrace",
    "Trace",
    "attention",
    "convolution",
    "front_end",
    "fully_connected",
    "mean",
    "resample",
    "run",
    "softmax",
    "run_stream",
    "stream_events",
]


_BATCH = 512  # windows of a stream that are run at a time: a trace keeps every gate of every step

# Per LSTM layer the states that a run begins with: cell (windows, hidden) int16, hidden state (windows, hidden) int8.
States = tuple[tuple[Int16Array, Int8Array], ...]


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """Everything one LSTM layer computed; gates in the order input, forget, cell, output.

    Attributes:
        preactivations: (windows, steps, 4, hidden) int16, Q3.12, after the last clamp.
        gates: (windows, steps, 4, hidden) int16, Q0.15.
        cell: (windows, steps, hidden) int16.
        hidden: (windows, steps, hidden) int8.
        saturated_preactivations: (4,) int64, per gate how often the sum left int16 or one of its terms did.
        saturated_cell: how often the cell hit a limit of int16 or of its clip.
        saturated_hidden: how often the hidden state hit a limit of int8.
    """

    preactivations: Int16Array
    gates: Int16Array
    cell: Int16Array
    hidden: Int8Array
    saturated_preactivations: npt.NDArray[np.int64]
    saturated_cell: int
    saturated_hidden: int


@dataclass(frozen=True, eq=False)
class Trace:
    """Everything a run computed.

    Attributes:
        layers: one per LSTM layer, branch after branch; behind a convolution they have fewer steps than the window.
        inputs: per branch what its first LSTM gets, (windows, steps, units) int8.
        pooled: per branch its vector, (windows, units) int8.
        dense: per dense layer its output, (windows, outputs) int8.
        scores: (windows, classes) int8; the logits where the model has no softmax.
    """

    layers: tuple[LayerTrace, ...]
    inputs: tuple[Int8Array, ...]
    pooled: tuple[Int8Array, ...]
    dense: tuple[Int8Array, ...]
    scores: Int8Array

    @property
    def hidden(self) -> tuple[Int8Array, ...]:
        """Per layer, (windows, steps, hidden) int8."""
        return tuple(layer.hidden for layer in self.layers)

    @property
    def cell(self) -> tuple[Int16Array, ...]:
        """Per layer, (windows, steps, hidden) int16."""
        return tuple(layer.cell for layer in self.layers)

    @property
    def states(self) -> States:
        """After the last step: for a run that goes on."""
        return tuple((layer.cell[:, -1], layer.hidden[:, -1]) for layer in self.layers)


@dataclass(frozen=True, eq=False)
class Streamed:
    """What a whole stream gave.

    Attributes:
        events: in order.
        samples: (windows,) int64, index of the sensor's sample with which each window ended.
        scores: (windows, classes) int8.
        slept: how many of the sensor's samples found the network asleep.
    """

    events: list[Event]
    samples: npt.NDArray[np.int64]
    scores: Int8Array
    slept: int


def run(model: QuantModel, windows: Int8Array, states: States | None = None) -> Trace:
    """Runs each window, from a reset or from given states.

    Args:
        model: a checked model.
        windows: (windows, steps, channels) int8; any number of steps from `QuantModel.least_steps` on.
        states: that each window begins with; those of a reset where None.

    Returns:
        All intermediates.

    Raises:
        ModelError: the windows have another shape or type.
    """
    if windows.dtype != np.int8 or windows.ndim != 3 or windows.shape[2] != model.channels:
        raise ModelError(f"windows of {windows.dtype} {windows.shape} do not fit {model.channels} int8 channels")
    if windows.shape[1] < model.least_steps:
        raise ModelError(f"windows of {windows.shape[1]} steps do not fit; the model needs {model.least_steps}")
    layers: list[LayerTrace] = []
    inputs = []
    pooled = []
    for branch in model.branches:
        seen = windows[:, :, branch.first_channel : branch.first_channel + branch.channels]
        sequence = seen if branch.conv is None else convolution(branch.conv, seen)
        inputs.append(sequence)
        for lstm in branch.lstm:
            layers.append(_lstm(lstm, sequence, states[len(layers)] if states else None))
            sequence = layers[-1].hidden
        pooled.append(_pool(branch, sequence))
    current = np.concatenate(pooled, axis=1)
    dense = []
    for layer in model.head:
        current = fully_connected(layer, current)
        dense.append(current)
    scores = current if model.softmax is None else softmax(model.softmax, current)
    return Trace(tuple(layers), tuple(inputs), tuple(pooled), tuple(dense), scores)


def stream_events(model: QuantModel, raw: Int16Array, rate_hz: float | None = None) -> list[Event]:
    """The events of `run_stream`."""
    return run_stream(model, raw, rate_hz).events


def run_stream(model: QuantModel, raw: Int16Array, rate_hz: float | None = None) -> Streamed:
    """A whole stream from a reset: windows, streaming and motion gate as `bitwave.model.metadata` says.

    Args:
        model: with metadata.
        raw: (samples, channels) int16 counts.
        rate_hz: of the samples; the model's where None.

    Returns:
        Events and windows, with indices of `raw`.

    Raises:
        ModelError: the model has no metadata, or the rate does not suit it.
    """
    metadata = model.metadata
    if metadata is None:
        raise ModelError("the .tflite file has no bitwave metadata: labels, scaling and decision are unknown")
    resampled, sources = resample(metadata, raw, rate_hz)
    sleeps = np.zeros(len(resampled), np.bool_) if metadata.gate is None else asleep(metadata.gate, resampled)
    samples = front_end(metadata, model.input.zero_point, resampled)
    decider = Decider(metadata.decision, metadata.hop)
    events: list[Event | None] = []
    times = [np.empty(0, np.int64)]
    scores = [np.empty((0, model.classes), np.int8)]
    for stretch in stretches(metadata.gate, sleeps):
        decider.wake()
        times.append(np.arange(stretch.first + model.steps - 1, stretch.end, metadata.hop))
        scores.append(_window_scores(model, metadata, samples[stretch.first : stretch.end]))
        for time, row in zip(times[-1].tolist(), scores[-1], strict=True):
            events.append(decider.push(int(sources[time]), row, time))
    newest = np.searchsorted(sources, np.arange(len(raw)), side="right") - 1  # model sample after each of the sensor's
    return Streamed(
        [event for event in events if event is not None],
        sources[np.concatenate(times)],
        np.concatenate(scores),
        int(np.count_nonzero(sleeps[newest])) if len(raw) else 0,
    )


def _window_scores(model: QuantModel, metadata: Metadata, samples: Int8Array) -> Int8Array:
    """(samples, channels) int8 from a reset -> (windows, classes) int8."""
    starts = np.arange(0, len(samples) - model.steps + 1, metadata.hop)
    scores = [np.empty((0, model.classes), np.int8)]
    states: States | None = None
    size = 1 if metadata.is_stateful else _BATCH
    for first in range(0, len(starts), size):
        windows = samples[starts[first : first + size, None] + np.arange(model.steps)]
        trace = run(model, windows, states)
        states = trace.states if metadata.is_stateful else None
        scores.append(trace.scores)
    return np.concatenate(scores)


def _lstm(lstm: Lstm, sequence: Int8Array, state: tuple[Int16Array, Int8Array] | None) -> LayerTrace:
    count, steps, _ = sequence.shape
    shape = (count, steps, lstm.hidden)
    preactivations = np.empty((count, steps, 4, lstm.hidden), np.int16)
    gates = np.empty_like(preactivations)
    cells, hiddens = np.empty(shape, np.int16), np.empty(shape, np.int8)
    saturated = np.zeros(4, np.int64)

    from_input = np.empty((4, *shape), np.int64)
    centred = sequence.astype(np.int64) - lstm.input.zero_point
    for gate in range(4):
        accumulator = centred @ lstm.input_weights[gate].astype(np.int64).T + lstm.bias[gate]
        from_input[gate] = requantize(accumulator, lstm.input_multipliers[gate])
    input_term = clamp(from_input, INT16)

    recurrent = [weights.astype(np.int64).T for weights in lstm.recurrent_weights]
    if state is None:
        cell = np.zeros((count, lstm.hidden), np.int64)
        hidden = np.full((count, lstm.hidden), lstm.hidden_state.zero_point, np.int64)
    else:
        cell, hidden = (values.astype(np.int64) for values in state)
    for step in range(steps):
        for gate in range(4):
            accumulator = (hidden - lstm.hidden_state.zero_point) @ recurrent[gate]
            from_hidden = requantize(accumulator, lstm.recurrent_multipliers[gate])
            hidden_term = clamp(from_hidden, INT16)
            total = input_term[gate, :, step] + hidden_term
            preactivations[:, step, gate] = value = clamp(total, INT16)
            gates[:, step, gate] = tanh(value, 0) if gate == 2 else sigmoid(value)
            inside = (from_input[gate, :, step] == input_term[gate, :, step]) & (from_hidden == hidden_term)
            saturated[gate] += np.count_nonzero(~(inside & (total == value)))
        i, f, g, o = (gates[:, step, gate].astype(np.int64) for gate in range(4))
        cell = _next_cell(lstm, cell, i, f, g)
        product = tanh(cell, lstm.cell_tanh_shift) * o
        hidden = clamp(requantize(product, lstm.output_multiplier) + lstm.hidden_state.zero_point, INT8)
        cells[:, step], hiddens[:, step] = cell, hidden
    low, high = (-lstm.cell_clip, lstm.cell_clip) if lstm.cell_clip else INT16
    return LayerTrace(
        preactivations=preactivations,
        gates=gates,
        cell=cells,
        hidden=hiddens,
        saturated_preactivations=saturated,
        saturated_cell=int(np.count_nonzero((cells == low) | (cells == high))),
        saturated_hidden=int(np.count_nonzero((hiddens == INT8[0]) | (hiddens == INT8[1]))),
    )


def _next_cell(lstm: Lstm, cell: Int64Array, i: Int64Array, f: Int64Array, g: Int64Array) -> Int64Array:
    """Both products are clamped before the add, and the sum again; then the clip, where the model has one."""
    kept = clamp(requantize(f * cell, lstm.forget_multiplier), INT16)
    added = clamp(requantize(i * g, lstm.input_gate_multiplier), INT16)
    total = clamp(kept + added, INT16)
    return clamp(total, (-lstm.cell_clip, lstm.cell_clip)) if lstm.cell_clip else total


def convolution(conv: Conv, samples: Int8Array) -> Int8Array:
    """(windows, samples, channels) int8 -> (windows, steps, outputs) int8, see `Conv`."""
    count, length, _ = samples.shape
    starts = np.arange(conv.steps(length)) * conv.stride
    under_kernel = samples[:, starts[:, None] + np.arange(conv.kernel)]  # (windows, steps, kernel, channels)
    rows = fully_connected(conv.layer, under_kernel.reshape(count * len(starts), conv.layer.inputs))
    return rows.reshape(count, len(starts), conv.layer.outputs)


def _pool(branch: Branch, hidden: Int8Array) -> Int8Array:
    if isinstance(branch.pool, Mean):
        return mean(branch.pool, hidden)
    if isinstance(branch.pool, Attention):
        return attention(branch.pool, hidden)
    return hidden[:, -1, :]


def mean(pool: Mean, hidden: Int8Array) -> Int8Array:
    """(windows, steps, units) int8 -> (windows, units) int8: one sum, one requantization."""
    steps = hidden.shape[1]
    total = hidden.sum(axis=1, dtype=np.int64) - steps * pool.input.zero_point
    scaled = requantize(total, pool.multiplier(steps)) + pool.output.zero_point
    return clamp(scaled, INT8).astype(np.int8)


def attention(pool: Attention, hidden: Int8Array) -> Int8Array:
    """(windows, steps, units) int8 -> (windows, units) int8.

    The weights are int8 of scale 1/256 and zero point -128; they need not sum to one, and are used as they are.
    """
    count, steps, units = hidden.shape
    scores = fully_connected(pool.score, hidden.reshape(count * steps, units)).reshape(count, steps)
    weights = softmax(pool.softmax, scores).astype(np.int64) + 128
    centred = hidden.astype(np.int64) - pool.score.input.zero_point
    total = (weights[:, None, :] @ centred)[:, 0, :]
    return clamp(requantize(total, pool.multiplier) + pool.output.zero_point, INT8).astype(np.int8)


def fully_connected(dense: Dense, values: Int8Array) -> Int8Array:
    """(windows, inputs) int8 -> (windows, outputs) int8."""
    accumulator = (values.astype(np.int64) - dense.input.zero_point) @ dense.weights.astype(np.int64).T + dense.bias
    multipliers = dense.multipliers
    if len(multipliers) == 1:
        scaled = requantize(accumulator, multipliers[0])
    else:
        scaled = np.stack([requantize(accumulator[:, j], m) for j, m in enumerate(multipliers)], axis=1)
    clamped = clamp(scaled + dense.output.zero_point, (dense.activation_min, dense.activation_max))
    return clamped.astype(np.int8)


def softmax(parameters: Softmax, logits: Int8Array) -> Int8Array:
    """(windows, classes) int8 -> (windows, classes) int8 of scale 1/256 and zero point -128.

    Differences to the largest logit go to Q5.26 and through the exponential; the sum is kept in Q12.19, normalized to
    [1, 2) by its leading zeros, inverted, and multiplied back.
    """
    difference = logits.astype(np.int64) - logits.astype(np.int64).max(axis=1, keepdims=True)
    counts = difference >= parameters.diff_min
    multiplier = parameters.multiplier
    scaled = high_multiply(np.where(counts, difference, 0) << multiplier.shift, multiplier.mantissa)
    exponentials = np.where(counts, exp_on_negative(scaled), 0)
    total = rounding_divide(exponentials, 12).sum(axis=1)
    headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)  # leading zeros of an uint32
    inverse = reciprocal_of_one_plus((total << headroom) - (1 << 31))
    exponent = 12 - headroom + 31 - 8
    quotient = rounding_divide(high_multiply(exponentials, inverse[:, None]), exponent[:, None])
    return np.where(counts, clamp(quotient - 128, INT8), -128).astype(np.int8)
