"""The model image: what is in it, and that nothing else is accepted."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import struct
from typing import Any

import numpy as np
import pytest

from bitwave import core, image, simulator
from bitwave.core import HostCore
from bitwave.errors import ImageError, ModelError
from ccode import CORE
from models import random_model

HEADER = (CORE / "include/bitwave.h").read_text()
ORDINARY: dict[str, Any] = {
    "steps": 50, "channels": 6, "hidden": (24,), "dense": (5,), "metadata": True, "hop": 10, "packable": True
}  # fmt: skip


def header_number(name: str) -> int:
    found = re.search(rf"#define {name} (\d+)", HEADER)
    assert found is not None, name
    return int(found[1])


def test_constants_are_those_of_the_header() -> None:
    assert header_number("BW_IMAGE_ABI") == image.ABI
    assert header_number("BW_MAX_LANES") == image.MAX_LANES
    assert header_number("BW_MAX_WIDTH") == image.MAX_WIDTH
    assert header_number("BW_MAX_LABELS") == core.MAX_LABELS
    assert header_number("BW_MAX_LAYERS") == core.MAX_LAYERS


def test_status_texts_are_those_of_the_header() -> None:
    entries = re.findall(r'X\(BW_\w+, (\d+), "(.+)"\)', HEADER.split("#define BW_STATUSES")[1].split("typedef enum")[0])
    assert [int(number) for number, _ in entries] == list(range(len(entries)))
    assert len(entries) == 21
    assert [core.status_text(int(number)) for number, _ in entries] == [text for _, text in entries]
    assert core.status_text(200) == "unknown status"


def test_a_pure_function_with_its_facts_in_the_header() -> None:
    model = dataclasses.replace(random_model(1, **ORDINARY), digest=bytes(range(32)))
    packed = image.build(model)
    assert packed == image.build(model)
    info = image.describe(packed)
    assert (info.size, info.abi, info.digest) == (len(packed), image.ABI, bytes(range(16)))
    assert (info.window, info.hop, info.channels, info.classes) == (50, 10, 6, 5)
    assert (info.rate_mhz, info.accel_milli_lsb_per_g, info.gyro_milli_lsb_per_dps) == (100_000, 8_192_000, 16_384)


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
    "another ABI": (4, struct.pack("<H", image.ABI + 1)),
    "unknown flag": (6, b"\x03"),
    "no window": (32, bytes(2)),
    "a window too long": (32, struct.pack("<H", 4097)),
    "hop longer than the window": (34, struct.pack("<H", 51)),
    "too many lanes": (34, struct.pack("<H", 1)),
    "no channels": (36, b"\0"),
    "other channels than the layer's": (36, b"\5"),
    "no layer": (37, b"\0"),
    "three layers": (37, b"\3"),
    "no dense layer": (38, b"\0"),
    "other classes than the head's": (39, b"\4"),
    "reserved bytes in use": (54, b"\1"),
    "other inputs": (56, b"\7"),
    "no hidden units": (57, b"\0"),
    "a cell scale below range": (60, struct.pack("<b", -30)),
    "a cell scale above range": (60, b"\3"),
    "another layout": (61, b"\2"),
    "plain weights, which take another size": (61, b"\0"),
    "a negative clip": (62, struct.pack("<h", -1)),
    "a mantissa below range": (64, struct.pack("<i", (1 << 30) - 1)),
    "a negative mantissa": (64, struct.pack("<i", -(1 << 30))),
    "a shift below range": (68, struct.pack("<i", -32)),
    "a shift so far left that sums overflow": (68, struct.pack("<i", 20)),
    "an output scale that shifts left": (132, struct.pack("<i", 1)),
    "a bias that makes sums overflow": (136 + 3072, struct.pack("<i", 2**31 - 256)),
    "a bias of -2**31": (136 + 3072, struct.pack("<i", -(2**31))),
    "a bias that is not folded": (136 + 3072, b"\1"),
    "a pair's weight out of all proportion": (136, struct.pack("<h", 32767)),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_forged_numbers_are_refused_though_the_crc_is_right(what: str) -> None:
    packed = image.build(random_model(1, **ORDINARY))
    at, content = FORGERIES[what]
    assert packed[at : at + len(content)] != content
    forged = image.with_crc(packed[:at] + content + packed[at + len(content) :])
    with pytest.raises(ImageError):
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
