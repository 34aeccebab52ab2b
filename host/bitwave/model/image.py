"""The model image: a `QuantModel` packed for the C core, as one little-endian block.

The layout stands in ``firmware/lib/bitwave_core/src/bw_model.c``, which reads and checks it; here it is written. The
same bytes serve as a C array in the firmware, as a file, and as an update that is sent over a link.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import simulator
from ..errors import ImageError, ModelError
from .metadata import Metadata
from .quantmodel import (
    GATES,
    Attention,
    Branch,
    Dense,
    Int8Array,
    LastStep,
    Lstm,
    Mean,
    Multiplier,
    QuantModel,
    Softmax,
)
from .ranges import check_ranges

MAGIC = b"BWIM"
ABI = 5
ABI_OLDEST = 3  # an image is of the oldest that can say what its model needs
ALIGNMENT = 4
DIGEST_BYTES = 16
CRC_AT = 12
FLAG_SOFTMAX = 1
FLAG_GATE = 2  # since ABI 4
FLAG_STATEFUL = 4  # since ABI 4
FLAG_ONCE = 8  # since ABI 5
ANSWER_STEPS = 8  # at least; more where kernels and strides need them
MAX_LANES = 32  # BW_MAX_LANES
MAX_WIDTH = 255  # BW_MAX_WIDTH
MAX_BRANCHES = 4  # BW_MAX_BRANCHES
MAX_LAYERS = 8  # BW_MAX_LAYERS
GROUP = 8  # BW_GROUP
MAX_FAST_COLUMNS = 64  # 4 * BW_DSP_QUADS
MAX_PACKED_SUM = 2**23 - 1
FAST_LEFT, FAST_RIGHT = 7, 5  # bits that the fast kernels shift at most
FAST_CELL_EXPONENTS = range(-15, -2)
FAST_OUTPUT_SHIFTS = range(-23, 0)
# magic, ABI, flags, size, CRC, digest, window, hop, channels, branches, dense layers, classes, rate, scales of
# accelerometer and gyroscope, zero point of the input, steps of the known answer
_HEADER = struct.Struct(f"<4sHHII{DIGEST_BYTES}sHHBBBBIIIbBxx")


@dataclass(frozen=True)
class ImageInfo:
    """What an image's header says, in its order; rates and scales in thousandths, 0 where the model has no metadata."""

    abi: int
    flags: int
    size: int
    crc: int
    digest: bytes
    window: int
    hop: int
    channels: int
    branches: int
    dense_layers: int
    classes: int
    rate_mhz: int
    accel_milli_lsb_per_g: int
    gyro_milli_lsb_per_dps: int


def build(model: QuantModel) -> bytes:
    """Packs a model; a pure function.

    Args:
        model: as `bitwave.tflite.read_model` gives it; without metadata the image has no front end, decision or
            labels, and the core runs the network only.

    Returns:
        The image, a multiple of four bytes.

    Raises:
        ModelError: the model is larger than the core takes, or its arithmetic could overflow.
    """
    _check_limits(model)
    check_ranges(model)
    metadata = model.metadata
    blocks = [_branch(branch) for branch in model.branches] + [_dense(layer) for layer in model.head]
    if model.softmax is not None:
        blocks.append(_softmax(model.softmax))
    if metadata is not None:
        blocks.append(_front_end(metadata) + _decision(metadata) + _labels(metadata) + _gate(metadata))
    blocks.append(_known_answer(model))
    body = b"".join(blocks)
    flags = _flags(model)
    header = _HEADER.pack(
        MAGIC,
        _abi(flags),
        flags,
        _HEADER.size + len(body),
        0,
        model.digest[:DIGEST_BYTES],
        model.steps,
        metadata.hop if metadata else 0,
        model.channels,
        len(model.branches),
        len(model.head),
        model.classes,
        round(metadata.rate_hz * 1000) if metadata else 0,
        round(metadata.counts.accel_lsb_per_g * 1000) if metadata else 0,
        round(metadata.counts.gyro_lsb_per_dps * 1000) if metadata else 0,
        model.input.zero_point,
        answer_steps(model),
    )
    return with_crc(header + body)


def with_crc(image: bytes) -> bytes:
    """The image with its CRC-32 field set: over all bytes but the field itself."""
    crc = zlib.crc32(image[CRC_AT + 4 :], zlib.crc32(image[:CRC_AT]))
    return image[:CRC_AT] + struct.pack("<I", crc) + image[CRC_AT + 4 :]


def describe(image: bytes) -> ImageInfo:
    """Reads the header; checks magic, ABI, size and CRC, and leaves the content to the core.

    Raises:
        ImageError: these bytes are no image, one of another ABI, or a changed one.
    """
    if len(image) < _HEADER.size or image[:4] != MAGIC:
        raise ImageError(f"these {len(image)} bytes are not a model image; `bitwave export` writes one")
    numbers = _HEADER.unpack_from(image)
    info = ImageInfo(*numbers[1:-2])
    if not ABI_OLDEST <= info.abi <= ABI:
        readable = f"{ABI_OLDEST} to {ABI}"
        raise ImageError(f"the image has ABI {info.abi}, this version reads {readable}: run `bitwave export` again")
    if info.size != len(image):
        raise ImageError(f"the image says {info.size} bytes, there are {len(image)}: run `bitwave export` again")
    if with_crc(image) != image:
        raise ImageError("the image's CRC does not match: it was changed or damaged; run `bitwave export` again")
    return info


def raw_bytes(model: QuantModel) -> int:
    """What the bare numbers take: int8 weights, int32 biases and the labels' letters."""
    arrays = [a for layer in model.lstm for a in (layer.input_weights, layer.recurrent_weights, layer.bias)]
    others = [branch.conv.layer for branch in model.branches if branch.conv]
    others += [branch.pool.score for branch in model.branches if isinstance(branch.pool, Attention)]
    arrays += [a for layer in (*others, *model.head) for a in (layer.weights, layer.bias)]
    labels = model.metadata.labels if model.metadata else ()
    return sum(array.nbytes for array in arrays) + sum(map(len, labels))


def known_input(steps: int, channels: int) -> Int8Array:
    """The known answer's question: (steps, channels) int8, the upper bytes of the generator x = 1664525 x + 1013904223.

    Its first two steps are all -128 and all 127, so that the clamps are asked too.
    """
    values = []
    state = 1
    for _ in range(steps * channels):
        state = (1664525 * state + 1013904223) % 2**32
        values.append((state >> 24) - 128)
    question = np.array(values, np.int8).reshape(steps, channels)
    question[:1], question[1:2] = -128, 127
    return question


def _flags(model: QuantModel) -> int:
    flags = 0 if model.softmax is None else FLAG_SOFTMAX
    if model.metadata is not None:
        flags |= 0 if model.metadata.gate is None else FLAG_GATE
        flags |= FLAG_STATEFUL if model.metadata.is_stateful else 0
        flags |= FLAG_ONCE if model.metadata.decision.once else 0
    return flags


def _abi(flags: int) -> int:
    """The oldest that knows these flags."""
    if flags & FLAG_ONCE:
        return 5
    return 4 if flags & (FLAG_GATE | FLAG_STATEFUL) else ABI_OLDEST


def _check_limits(model: QuantModel) -> None:
    if len(model.lstm) > MAX_LAYERS or len(model.branches) > MAX_BRANCHES:
        raise ModelError(
            f"{len(model.lstm)} LSTM layers in {len(model.branches)} branches are more than the core takes"
        )
    widths = [model.channels, *(branch.conv.layer.outputs for branch in model.branches if branch.conv)]
    widths += [*(layer.hidden for layer in model.lstm), *(layer.outputs for layer in model.head)]
    if max(widths) > MAX_WIDTH:
        raise ModelError(f"a layer is {max(widths)} wide, the core takes {MAX_WIDTH}: train a smaller network")
    if model.metadata is not None and model.metadata.lanes > MAX_LANES:
        window, hop = model.metadata.window, model.metadata.hop
        least = -(-window // MAX_LANES)
        raise ModelError(
            f"a window of {window} samples every {hop} needs {model.metadata.lanes} states in flight, the core takes "
            f"{MAX_LANES}: choose a hop of {least} or more"
        )


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def _scales(multipliers: tuple[Multiplier, ...]) -> bytes:
    return b"".join(struct.pack("<ii", m.mantissa, m.shift) for m in multipliers)


def _branch(branch: Branch) -> bytes:
    conv, pool = branch.conv, branch.pool
    zero = 0 if isinstance(pool, LastStep) else pool.output.zero_point
    kinds = (LastStep, Mean, Attention)
    blocks = [
        struct.pack("<BBBBBBBb", branch.first_channel, branch.channels, len(branch.lstm), kinds.index(type(pool)),
                    conv is not None, conv.kernel if conv else 1, conv.stride if conv else 1, zero),
    ]  # fmt: skip
    if conv is not None:
        blocks.append(_dense(conv.layer))
    blocks += [_lstm(layer) for layer in branch.lstm]
    if isinstance(pool, Mean):
        blocks.append(_scales((pool.multiplier(1),)))
    elif isinstance(pool, Attention):
        blocks += [_scales((pool.multiplier,)), _dense(pool.score), _softmax(pool.softmax)]
    return b"".join(blocks)


def why_plain(lstm: Lstm) -> str | None:
    """Why a layer's weights cannot be packed for the fast kernels; None where they can.

    The conditions are those that ``bw_prepare.c`` and ``bw_model.c`` check.
    """
    if lstm.hidden > MAX_FAST_COLUMNS or lstm.inputs > MAX_FAST_COLUMNS:
        return f"a matrix has more than {MAX_FAST_COLUMNS} columns"
    if min(lstm.input_weights.min(), lstm.recurrent_weights.min()) == -128:
        return "a weight is -128"
    if lstm.cell_clip or lstm.cell_exponent not in FAST_CELL_EXPONENTS:
        return "the cell is clipped" if lstm.cell_clip else f"the cell's scale is 2**{lstm.cell_exponent}"
    if lstm.output_multiplier.shift not in FAST_OUTPUT_SHIFTS:
        return f"the hidden state's scale is {lstm.hidden_state.scale:g}"
    for weights, bias, zero, multipliers in (
        (lstm.input_weights, lstm.bias, lstm.input.zero_point, lstm.input_multipliers),
        (lstm.recurrent_weights, np.zeros_like(lstm.bias), lstm.hidden_state.zero_point, lstm.recurrent_multipliers),
    ):
        reach = max(127 - zero, zero + 128)
        sums = reach * np.abs(weights.astype(np.int64)).sum(axis=2) + np.abs(bias.astype(np.int64))
        for gate, multiplier in enumerate(multipliers):
            if not _is_fast_scale(multiplier, int(sums[gate].max())):
                return f"the {GATES[gate]} gate's sums or scales are out of range"
    return None


def _is_fast_scale(multiplier: Multiplier, largest: int) -> bool:
    """Whether 256 times the sum fits int32, and its product with a scale that shifts right, too."""
    if largest > MAX_PACKED_SUM:
        return False
    if multiplier.shift >= 0:
        return multiplier.shift <= FAST_LEFT
    value = (largest * multiplier.mantissa >> 24) + 64 + 2**11
    return multiplier.shift >= -FAST_RIGHT and value << (FAST_RIGHT + multiplier.shift) < 2**31


def _lstm(lstm: Lstm) -> bytes:
    packed = why_plain(lstm) is None
    weights = ((lstm.input_weights, True), (lstm.recurrent_weights, False))
    return b"".join(
        (
            struct.pack("<BBbbbBH", lstm.inputs, lstm.hidden, lstm.input.zero_point, lstm.hidden_state.zero_point,
                        lstm.cell_exponent, packed, lstm.cell_clip),
            _scales(lstm.input_multipliers),
            _scales(lstm.recurrent_multipliers),
            _scales((lstm.output_multiplier,)),
            *(_packed_weights(matrix, pair) if packed else _padded(matrix.tobytes()) for matrix, pair in weights),
            (_folded_bias(lstm) if packed else lstm.bias).astype("<i4").tobytes(),
        )
    )  # fmt: skip


def _quad_columns(columns: int, pair: bool) -> int:
    """How many columns go into quads, not counting padding; a rest of one or two may make a pair."""
    rest = columns % 4
    return columns - rest if pair and rest in (1, 2) else columns


def _grouped(weights: Int8Array) -> npt.NDArray[np.int32]:
    """(4, hidden, columns) to (4, groups, 8, columns) with units of zeros behind the last."""
    gates, units, columns = weights.shape
    padded = np.zeros((gates, -(-units // GROUP) * GROUP, columns), np.int32)
    padded[:, :units] = weights
    return padded.reshape(gates, -1, GROUP, columns)


def _packed_weights(weights: Int8Array, may_have_pair: bool) -> bytes:
    """The words that ``bw_packed.h`` describes, as their halfwords."""
    grouped = _grouped(weights)
    columns = weights.shape[2]
    quads = _quad_columns(columns, may_have_pair)
    whole = np.zeros((*grouped.shape[:3], -(-quads // 4) * 4), np.int32)
    whole[..., :quads] = grouped[..., :quads]
    halves = (256 * whole[..., 1::2] + whole[..., 0::2]).reshape(*grouped.shape[:3], -1, 2)
    words = halves.transpose(0, 1, 3, 2, 4)  # (gates, groups, quads, units, halves)
    if columns > quads:
        pair = np.zeros((*grouped.shape[:2], 1, GROUP, 2), np.int32)
        pair[:, :, 0, :, : columns - quads] = grouped[..., quads:]
        words = np.concatenate((pair, words), axis=2)
    return words.astype("<i2").tobytes()


def _folded_bias(lstm: Lstm) -> npt.NDArray[np.int64]:
    """(4, 8 * groups): 256 (b + 127 (odd weights of quads) - zero point * (all weights))."""
    grouped = _grouped(lstm.input_weights).astype(np.int64)
    odd = grouped[..., 1 : _quad_columns(lstm.inputs, True) : 2].sum(axis=3)
    folded = 127 * odd - lstm.input.zero_point * grouped.sum(axis=3)
    bias: npt.NDArray[np.int64] = folded.reshape(len(GATES), -1)
    bias[:, : lstm.hidden] += lstm.bias
    return 256 * bias


def _dense(dense: Dense) -> bytes:
    return b"".join(
        (
            struct.pack("<HBbbbbB", dense.inputs, dense.outputs, dense.input.zero_point, dense.output.zero_point,
                        dense.activation_min, dense.activation_max, len(dense.multipliers)),
            _scales(dense.multipliers),
            _padded(dense.weights.tobytes()),
            dense.bias.astype("<i4").tobytes(),
        )
    )  # fmt: skip


def _softmax(softmax: Softmax) -> bytes:
    return _scales((softmax.multiplier,)) + struct.pack("<i", softmax.diff_min)


def _front_end(metadata: Metadata) -> bytes:
    return _padded(b"".join(struct.pack("<hHH", c.offset, c.multiplier, c.shift) for c in metadata.scaling))


def _decision(metadata: Metadata) -> bytes:
    rule = metadata.decision
    fires = sum(1 << index for index, fire in enumerate(rule.fires) if fire)
    numbers = struct.pack("<BBBxHH", rule.smoothing, rule.margin, rule.hold, rule.refractory, fires)
    return numbers + _padded(bytes(rule.thresholds))


def _labels(metadata: Metadata) -> bytes:
    text = b"".join(bytes([len(label)]) + label.encode("ascii") for label in metadata.labels)
    return struct.pack("<I", len(text)) + _padded(text)


def _gate(metadata: Metadata) -> bytes:
    gate = metadata.gate
    if gate is None:
        return b""
    thresholds = struct.pack(f"<{len(gate.thresholds)}H", *gate.thresholds)
    return struct.pack("<HH", gate.still, gate.preroll) + _padded(thresholds)


def answer_steps(model: QuantModel) -> int:
    """Steps of the known answer: a few of every LSTM."""
    few = [branch.conv.kernel + 2 * branch.conv.stride for branch in model.branches if branch.conv]
    return min(max([ANSWER_STEPS, *few]), model.steps)


def _known_answer(model: QuantModel) -> bytes:
    """Input, every layer's hidden state after the last step, and scores; computed by the simulator."""
    steps = answer_steps(model)
    question = known_input(steps, model.channels)
    trace = simulator.run(dataclasses.replace(model, steps=steps), question[None])
    hidden = b"".join(layer[0, -1].tobytes() for layer in trace.hidden)
    return _padded(question.tobytes()) + _padded(hidden) + _padded(trace.scores[0].tobytes())
