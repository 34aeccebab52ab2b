"""The model image: what is in it, and that nothing else is accepted."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import struct
from typing import Any

import numpy as np
import pytest

from bitwave import simulator
from bitwave.core import host as core
from bitwave.core.host import HostCore
from bitwave.errors import ImageError, ModelError
from bitwave.model import image, ranges
from bitwave.model.metadata import Gate
from bitwave.tflite import flow as tflite_flow
from bitwave.tflite import ops as tflite_ops
from ccode import CORE
from models import Shape, random_model
from support import need

HEADER = (CORE / "include/bitwave/model.h").read_text()
STATUSES = (CORE / "include/bitwave/status.h").read_text().split("typedef enum")[0]
ORDINARY: dict[str, Any] = {
    "steps": 50, "channels": 6, "hidden": (24,), "dense": (5,), "metadata": True, "hop": 10, "packable": True
}  # fmt: skip


def header_number(name: str) -> int:
    found = re.search(rf"#define {name} (\d+)", HEADER)
    assert found is not None, name
    return int(found[1])


def test_constants_are_those_of_the_header() -> None:
    need("unicorn", "elftools")
    from bitwave.emulator import engine

    assert header_number("BW_IMAGE_ABI") == image.ABI
    assert header_number("BW_IMAGE_ABI_OLDEST") == image.ABI_OLDEST
    assert header_number("BW_MAX_LANES") == image.MAX_LANES
    assert header_number("BW_MAX_WIDTH") == image.MAX_WIDTH
    assert header_number("BW_MAX_LABELS") == core.MAX_LABELS
    assert header_number("BW_MAX_LAYERS") == core.MAX_LAYERS == image.MAX_LAYERS == engine._MAX_LAYERS
    assert header_number("BW_MAX_BRANCHES") == image.MAX_BRANCHES == tflite_flow.MAX_BRANCHES
    assert header_number("BW_MAX_INPUTS") == tflite_ops.MAX_INPUTS
    assert header_number("BW_MAX_KERNEL") == tflite_ops.MAX_KERNEL
    assert header_number("BW_MAX_STRIDE") == tflite_ops.MAX_STRIDE
    assert header_number("BW_MAX_ATTENTION") == ranges.MAX_ATTENTION_STEPS


def test_status_texts_are_those_of_the_header() -> None:
    entries = re.findall(r'X\(BW_\w+, (\d+), "(.+)"\)', STATUSES)
    assert [int(number) for number, _ in entries] == list(range(len(entries)))
    assert len(entries) == 22
    assert [core.status_text(int(number)) for number, _ in entries] == [text for _, text in entries]
    assert core.status_text(200) == "unknown status"


def test_a_pure_function_with_its_facts_in_the_header() -> None:
    model = dataclasses.replace(random_model(1, **ORDINARY), digest=bytes(range(32)))
    packed = image.build(model)
    assert packed == image.build(model)
    info = image.describe(packed)
    assert (info.size, info.digest) == (len(packed), bytes(range(16)))
    assert (info.window, info.hop, info.channels, info.classes) == (50, 10, 6, 5)
    assert (info.rate_mhz, info.accel_milli_lsb_per_g, info.gyro_milli_lsb_per_dps) == (100_000, 8_192_000, 16_384)


@pytest.mark.parametrize(
    "once, gate, abi", [(False, None, 3), (False, Gate(thresholds=(9,) * 6, still=50), 4), (True, None, 5)]
)
def test_an_image_is_of_the_oldest_abi_that_can_say_it(once: bool, gate: Gate | None, abi: int) -> None:
    model = random_model(1, **ORDINARY)
    assert model.metadata is not None
    decision = model.metadata.decision.model_copy(update={"once": once})
    metadata = model.metadata.model_copy(update={"decision": decision, "gate": gate})
    packed = image.build(dataclasses.replace(model, metadata=metadata))
    assert image.describe(packed).abi == abi and HostCore(packed).self_test()
    if abi > image.ABI_OLDEST:  # an older core, and one that believes an older ABI, refuse what they don't know
        older = packed[:4] + struct.pack("<H", abi - 1) + packed[6:]
        with pytest.raises(ImageError):
            HostCore(image.with_crc(older))


def test_size_is_near_the_bare_numbers() -> None:
    model = random_model(1, **ORDINARY)
    assert len(image.build(model)) <= 1.2 * image.raw_bytes(model)


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_refused(bit: int) -> None:
    packed = image.build(random_model(1, **ORDINARY))
    for at in range(len(packed)):
        changed = bytearray(packed)
        changed[at] ^= 1 << bit
        with pytest.raises(ImageError):
            HostCore(bytes(changed))
        if bit == at % 8:  # the Python reader too, at every offset
            with pytest.raises(ImageError):
                image.describe(bytes(changed))


def test_every_length_is_refused() -> None:
    packed = image.build(random_model(1, **ORDINARY))
    for size in [*range(len(packed)), len(packed) + 1, len(packed) + 4]:
        with pytest.raises(ImageError):
            HostCore((packed + bytes(4))[:size])


FORGERIES = {
    "another magic": (0, b"BWIN"),
    "a newer ABI": (4, struct.pack("<H", image.ABI + 1)),
    "an ABI too old": (4, struct.pack("<H", image.ABI_OLDEST - 1)),
    "a gate before there was one": (6, b"\x03"),
    "carried states before there were any": (6, b"\x05"),
    "one event per run before there was that": (6, b"\x09"),
    "unknown flag": (4, struct.pack("<HH", image.ABI, 0x11)),
    "no window": (32, bytes(2)),
    "a window too long": (32, struct.pack("<H", 4097)),
    "hop longer than the window": (34, struct.pack("<H", 51)),
    "too many lanes": (34, struct.pack("<H", 1)),
    "no channels": (36, b"\0"),
    "other channels than the layer's": (36, b"\5"),
    "no branch": (37, b"\0"),
    "more branches": (37, b"\2"),
    "five branches": (37, b"\5"),
    "no dense layer": (38, b"\0"),
    "other classes than the head's": (39, b"\4"),
    "reserved bytes in use": (54, b"\1"),
    "channels behind the last": (56, b"\1"),
    "no channels of a branch": (57, b"\0"),
    "no layer": (58, b"\0"),
    "two layers": (58, b"\2"),
    "three layers": (58, b"\3"),
    "a mean without its scale": (59, b"\1"),
    "unknown pooling": (59, b"\3"),
    "a convolution that is not there": (60, b"\1"),
    "a kernel without convolution": (61, b"\2"),
    "no kernel": (61, b"\0"),
    "a stride without convolution": (62, b"\2"),
    "a zero point without pooling": (63, b"\1"),
    "other inputs": (64, b"\7"),
    "no hidden units": (65, b"\0"),
    "a cell scale below range": (68, struct.pack("<b", -30)),
    "a cell scale above range": (68, b"\3"),
    "another layout": (69, b"\2"),
    "plain weights, which take another size": (69, b"\0"),
    "a negative clip": (70, struct.pack("<h", -1)),
    "a mantissa below range": (72, struct.pack("<i", (1 << 30) - 1)),
    "a negative mantissa": (72, struct.pack("<i", -(1 << 30))),
    "a shift below range": (76, struct.pack("<i", -32)),
    "a shift so far left that sums overflow": (76, struct.pack("<i", 20)),
    "an output scale that shifts left": (140, struct.pack("<i", 1)),
    "a bias that makes sums overflow": (144 + 3072, struct.pack("<i", 2**31 - 256)),
    "a bias of -2**31": (144 + 3072, struct.pack("<i", -(2**31))),
    "a bias that is not folded": (144 + 3072, b"\1"),
    "a pair's weight out of all proportion": (144, struct.pack("<h", 32767)),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_forged_numbers_are_refused_though_the_crc_is_right(what: str) -> None:
    packed = image.build(random_model(1, **ORDINARY))
    at, content = FORGERIES[what]
    assert packed[at : at + len(content)] != content
    forged = image.with_crc(packed[:at] + content + packed[at + len(content) :])
    with pytest.raises(ImageError):
        HostCore(forged)


FUSED: dict[str, Any] = {
    "steps": 20,
    "channels": 6,
    "branches": (Shape(0, 3, (5,), "attention", (4, 5, 2)), Shape(2, 4, (6, 3), "mean")),
    "dense": (3,),
    "per_channel": True,
}


def test_forged_branches_are_refused_though_the_crc_is_right() -> None:
    model = random_model(1, **FUSED)
    packed = image.build(model)
    assert HostCore(packed).self_test()
    first, second = (image._branch(branch) for branch in model.branches)
    conv, second_at = 56 + 8, 56 + len(first)
    assert packed[56 : second_at + len(second)] == first + second
    pool, mean = second_at - 8 - len(image._dense(model.branches[0].pool.score)) - 12, second_at + len(second) - 8
    softmax = second_at - 12
    forgeries = {
        "kernel": (61, b"\4"),
        "kernel longer than the window": (61, b"\x15"),
        "stride 0": (62, b"\0"),
        "stride 17": (62, b"\x11"),
        "inputs of the convolution": (conv, b"\x0e"),
        "too many inputs": (conv, struct.pack("<H", 1021)),
        "outputs of the convolution": (conv + 2, b"\3"),
        "scale of the weighted sum": (pool, struct.pack("<i", 1)),
        "weighted sums that overflow": (pool + 4, struct.pack("<i", 16)),
        "inputs of the score": (pool + 8, b"\4"),
        "two scores": (pool + 8 + 2, b"\2"),
        "softmax": (softmax, struct.pack("<i", 5)),
        "no second branch's channels": (second_at + 1, b"\0"),
        "channels behind the last": (second_at, b"\3"),
        "mean as last step": (second_at + 3, b"\0"),
        "mean as attention": (second_at + 3, b"\2"),
        "means that overflow": (mean + 4, struct.pack("<i", 23)),
        "mantissa of the mean": (mean, struct.pack("<i", 3)),
        "window shorter than the kernel": (32, struct.pack("<H", 4)),
    }
    for what, (at, content) in forgeries.items():
        assert packed[at : at + len(content)] != content, what
        forged = image.with_crc(packed[:at] + content + packed[at + len(content) :])
        with pytest.raises(ImageError, match="cannot run"):
            HostCore(forged)


def test_attention_over_more_steps_than_its_softmax_can_sum_is_refused() -> None:
    packed = image.build(random_model(1, **{**FUSED, "branches": (Shape(0, 6, (5,), "attention", (4, 5, 2)),)}))
    for window, steps in ((1025, 511), (1026, 511), (1027, 512)):
        forged = image.with_crc(packed[:32] + struct.pack("<H", window) + packed[34:])
        if steps <= ranges.MAX_ATTENTION_STEPS:
            assert HostCore(forged).steps == window
        else:
            with pytest.raises(ImageError, match="cannot run"):
                HostCore(forged)


def test_a_forged_label_or_decision_is_refused() -> None:
    model = random_model(1, **ORDINARY)
    packed = image.build(model)
    at = packed.index(b"\x07label-0")
    front_end = at - 4 - 8 - 8 - 36
    for offset, content in (
        (at, b"\0"),  # an empty label
        (at, b"\x19"),  # longer than 24
        (at, b"\x06"),  # shorter than it is: the rest does not add up
        (at + 1, b"L"),
        (at - 4, b"\xff"),  # size of the labels
        (at - 4 - 8 - 8, b"\x08"),  # smoothing
        (at - 4 - 8 - 8 + 2, b"\0"),  # hold
        (at - 4 - 8 - 2, b"\x3f"),  # fires: a sixth class
        (front_end + 2, bytes(2)),  # multiplier 0
        (front_end + 4, b"\x1f"),  # shift 31
    ):
        forged = bytearray(packed)
        forged[offset : offset + len(content)] = content
        assert bytes(forged) != packed, offset
        with pytest.raises(ImageError, match="cannot run"):
            HostCore(image.with_crc(bytes(forged)))


def test_misaligned_image_is_refused() -> None:
    # HostCore aligns what it is given, so this asks the core itself.
    library = core.library()
    packed = image.build(random_model(1, **ORDINARY))
    memory = core.words(len(packed) + 4)
    model = core.c_object(library.bw_host_model_size())
    address = ctypes.addressof(memory)
    for shift in range(5):
        ctypes.memmove(address + shift, packed, len(packed))
        status = library.bw_host_open(model, address + shift, len(packed))
        assert status == (0 if shift % 4 == 0 else 3), shift


def test_known_answer_is_the_simulators() -> None:
    model = random_model(1, **ORDINARY)
    packed = image.build(model)
    question = image.known_input(8, 6)
    trace = simulator.run(dataclasses.replace(model, steps=8), question[None])
    answer = question.tobytes() + trace.hidden[0][0, -1].tobytes() + trace.scores[0].tobytes()
    assert packed.endswith(answer + bytes(-len(answer) % 4))
    assert question.min() == -128 and question.max() == 127 and len(np.unique(question)) > 20


def test_limits_are_explained() -> None:
    with pytest.raises(ModelError, match="choose a hop of 4 or more"):
        image.build(random_model(1, steps=100, metadata=True, hop=3))
    with pytest.raises(ModelError, match="300 wide"):
        image.build(random_model(1, dense=(300,)))


def test_describe_explains() -> None:
    packed = image.build(random_model(1, **ORDINARY))
    older = packed[:4] + struct.pack("<H", 0) + packed[6:]
    for junk, words in (
        (b"", "not a model image"),
        (b"\x89PNG" + bytes(100), "not a model image"),
        (older, "ABI 0"),
        (packed[:-4], "there are"),
        (packed[:-1] + b"\x01", "CRC"),
    ):
        with pytest.raises(ImageError, match=words):
            image.describe(junk)
