"""The reader takes what it should, refuses everything else in one line, and the writer's files read back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import tflite as schema
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from bitwave.errors import ModelError
from bitwave.model.quantmodel import Attention, Mean, Quantization, QuantModel
from bitwave.tflite import build as tflite_build
from bitwave.tflite.build import GraphBuilder, Operator, Tensor
from bitwave.tflite.reader import METADATA_NAME, read_bytes, read_model, weights_digest
from models import Shape
from support import need

SMALL = models.random_model(1, steps=3, channels=2, hidden=(2,), dense=(3, 2), metadata=True)
SHAPES = {
    "smallest": models.random_model(2, steps=1, channels=1, hidden=(1,), dense=(1,)),
    "odd": models.random_model(3, steps=7, channels=5, hidden=(9,), dense=(11, 3)),
    "two layers": models.random_model(4, hidden=(6, 3), dense=(5,), metadata=True),
    "per channel": models.random_model(5, dense=(7, 4), per_channel=True, activation="relu6"),
    "logits": models.random_model(6, softmax=False, activation="none", dense=(3, 3)),
    "clipped": models.random_model(7, cell_clip=1234, cell_exponent=-11),
    "widest head": models.random_model(9, branches=(Shape(0, 3, (255,), "mean"),) * 4, steps=2, dense=(255,)),
    "widest": models.random_model(8, channels=255, hidden=(255,), dense=(255,), steps=1),
}


def meaning(model: QuantModel) -> tuple[str, object, object]:
    """What two files must share to mean the same."""
    metadata = model.metadata and model.metadata.model_copy(update={"weights_digest": ""})
    return weights_digest(model), metadata, model.softmax


@pytest.mark.parametrize("name", SHAPES)
def test_written_files_read_back(name: str) -> None:
    model = SHAPES[name]
    data = tflite_build.write(model)
    found = read_model(data)
    assert meaning(found) == meaning(model)
    assert tflite_build.write(found) == data
    for one, other in zip(model.lstm, found.lstm, strict=True):
        assert (one.cell_exponent, one.cell_clip) == (other.cell_exponent, other.cell_clip)
        assert np.array_equal(one.input_weights, other.input_weights)
        assert np.array_equal(one.recurrent_weights, other.recurrent_weights)
        assert np.array_equal(one.bias, other.bias)
    for dense, again in zip(model.head, found.head, strict=True):
        assert (dense.activation, dense.weight_scales) == (again.activation, again.weight_scales)
        assert (dense.input, dense.output) == (again.input, again.output)


def test_digest_is_the_files_sha256(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite_build.write(SMALL))
    assert read_model(path).digest.hex() == subprocess.run(
        [sys.executable, "-c", f"import hashlib; print(hashlib.sha256(open({str(path)!r},'rb').read()).hexdigest())"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip


def test_converter_models_read() -> None:
    one, two = read_model(models.ONE_LAYER), read_model(models.TWO_LAYERS)
    assert (one.steps, one.channels, one.classes, [x.hidden for x in one.lstm]) == (19, 6, 5, [13])
    assert (two.steps, two.channels, two.classes, [x.hidden for x in two.lstm]) == (11, 5, 3, [7, 10])
    for model in (one, two):
        assert model.metadata is None
        assert model.head[0].activation == "relu" and len(model.head[0].weight_scales) == model.head[0].outputs
        assert not model.head[0].bias.any()  # the converter leaves a bias of zeros out
        assert all(lstm.cell_clip == 32767 for lstm in model.lstm)  # 10.0 is beyond int16


def test_converter_model_of_two_branches_reads() -> None:
    model = read_model(models.TWO_BRANCHES)
    first, second = model.branches
    assert (first.first_channel, first.channels, second.first_channel, second.channels) == (0, 3, 3, 3)
    assert first.conv is not None and second.conv is not None
    assert (first.conv.kernel, first.conv.stride, first.conv.layer.outputs) == (5, 2, 10)
    assert (second.conv.kernel, second.conv.stride, second.conv.layer.outputs) == (4, 3, 7)
    assert first.conv.layer.activation == "relu" and len(first.conv.layer.weight_scales) == 10
    assert isinstance(first.pool, Attention) and isinstance(second.pool, Mean)
    assert model.layer_steps(model.steps) == (9, 6) and model.head[0].inputs == 20
    assert first.output == second.output == model.head[0].input


def test_converter_of_the_installed_tensorflow_still_reads(tmp_path: Path) -> None:
    need("tensorflow", "tf_keras")
    script = models.CONVERTER / "make_models.py"
    kept = models.ONE_LAYER
    subprocess.run([sys.executable, str(script), str(tmp_path), kept.stem], capture_output=True, check=True)
    fresh = read_model(tmp_path / kept.name)
    assert [x.hidden for x in fresh.lstm] == [x.hidden for x in read_model(kept).lstm]


@pytest.mark.parametrize("name", ["written", "converted"])
def test_every_truncation_is_refused(name: str) -> None:
    data = tflite_build.write(SMALL) if name == "written" else models.ONE_LAYER.read_bytes()
    for length in range(len(data)):
        refused(data[:length])


def test_every_damaged_byte_is_refused_or_without_meaning() -> None:
    data = tflite_build.write(SMALL)
    wanted = meaning(read_model(data))
    accepted = 0
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0xFF if place % 2 else 0x01
        try:
            found = read_model(bytes(changed))
        except ModelError as error:
            assert "\n" not in str(error)
        else:
            accepted += 1  # padding, names, unused fields
            assert meaning(found) == wanted, f"byte {place}"
    assert 0 < accepted < len(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_many_damaged_bytes_never_crash_the_reader(draw: st.DataObject) -> None:
    kept = draw.draw(st.sampled_from((models.TWO_LAYERS, models.TWO_BRANCHES)))
    data = bytearray(kept.read_bytes())
    for _ in range(draw.draw(st.integers(1, 8))):
        place = draw.draw(st.integers(0, len(data) - 4))
        data[place : place + 4] = draw.draw(
            st.sampled_from([b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80", bytes(4), b"\0\0\xc0\x7f"])
        )
    try:
        read_model(bytes(data))
    except ModelError as error:
        assert "\n" not in str(error)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_refused(noise: bytes) -> None:
    refused(noise)
    refused(noise[:4] + b"TFL3" + noise[4:])


def refused(data: bytes) -> str:
    with pytest.raises(ModelError) as found:
        read_model(data)
    assert "\n" not in str(found.value)
    return str(found.value)


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none.tflite"):
        read_model(tmp_path / "none.tflite")
    with pytest.raises(ModelError, match=str(tmp_path)):
        read_model(tmp_path)
    with pytest.raises(ModelError, match=r"none\.tflite cannot be read"):
        read_bytes(tmp_path / "none.tflite")


def test_metadata_must_fit_the_network() -> None:
    assert SMALL.metadata is not None
    fewer = {"channels": ("a",), "scaling": SMALL.metadata.scaling[:1]}
    for change, word in (({"window": 4, "hop": 1}, "window"), (fewer, "channels")):
        wrong = replace(SMALL, metadata=SMALL.metadata.model_copy(update=change))
        assert word in refused(tflite_build.write(wrong))


def test_weights_of_another_file_do_not_pass_for_these() -> None:
    data = tflite_build.write(SMALL)
    payload = SMALL.head[0].weights.tobytes()
    place = data.index(payload)
    changed = bytearray(data)
    changed[place] ^= 1
    assert "digest" in refused(bytes(changed))


Edit = Callable[[list[Tensor], list[Operator]], None]


def edited(edit: Edit, model: QuantModel = SMALL) -> bytes:
    """A model's file, its graph changed before it is laid out."""

    class Edited(GraphBuilder):
        def finish(self, *args: object, **kwargs: object) -> bytes:
            edit(self.tensors, self.operators)
            return super().finish(*args, **kwargs)  # type: ignore[arg-type]

    with patch.object(tflite_build, "GraphBuilder", Edited):
        return tflite_build.write(replace(model, metadata=None))


def tensor(name: str, **change: object) -> Edit:
    def edit(tensors: list[Tensor], operators: list[Operator]) -> None:
        place = next(i for i, t in enumerate(tensors) if t.name == name)
        tensors[place] = replace(tensors[place], **change)  # type: ignore[arg-type]

    return edit


def operator(index: int, **change: object) -> Edit:
    def edit(tensors: list[Tensor], operators: list[Operator]) -> None:
        operators[index] = replace(operators[index], **change)  # type: ignore[arg-type]

    return edit


def lstm_input(slot: int, value: int) -> Edit:
    def edit(tensors: list[Tensor], operators: list[Operator]) -> None:
        inputs = list(operators[0].inputs)
        inputs[slot] = value
        operators[0] = replace(operators[0], inputs=tuple(inputs))

    return edit


B = schema.BuiltinOperator
FAULTS: dict[str, tuple[Edit, str]] = {
    "unsupported operator": (operator(1, code=B.MEAN, options_table="", options=()), "MEAN"),
    "unknown operator": (operator(1, code=1234, options_table="", options=()), "builtin 1234"),
    "softmax twice": (operator(3, code=B.SOFTMAX, options_table="SoftmaxOptions", options=(("Beta", 1.0),)), "SOFTMAX"),
    "logistic": (operator(4, code=B.LOGISTIC, options_table="", options=()), "LOGISTIC"),
    "wrong rank": (tensor("samples", shape=(3, 2)), "shape"),
    "batch": (tensor("samples", shape=(2, 3, 2)), "shape"),
    "float input": (tensor("samples", dtype=np.float32), "inference_input_type"),
    "no scale": (tensor("samples", scales=(), zero_points=()), "0 scales"),
    "scale not a number": (tensor("samples", scales=(float("nan"),)), "nan"),
    "scale infinite": (tensor("last_step", scales=(float("inf"),)), "inf"),
    "zero point": (tensor("samples", zero_points=(300,)), "300"),
    "cell scale": (tensor("lstm0/cell_state", scales=(0.001,)), "power of two"),
    "cell scale small": (tensor("lstm0/cell_state", scales=(2.0**-35,)), "2**-35"),
    "cell type": (tensor("lstm0/cell_state", dtype=np.int8), "int16"),
    "state not variable": (tensor("lstm0/hidden_state", variable=False), "hidden state"),
    "asymmetric weights": (tensor("lstm0/w0", zero_points=(3,)), "symmetric"),
    "weights of another shape": (tensor("lstm0/w0", shape=(2, 3)), "shape"),
    "weights cut": (tensor("lstm0/w0", data=np.zeros(1, np.int8)), "1 bytes"),
    "per-channel LSTM": (tensor("lstm0/u1", scales=(0.1, 0.1), zero_points=(0, 0)), "one scale"),
    "bias type": (tensor("lstm0/b2", data=np.zeros(2, np.int16), dtype=np.int16), "int16"),
    "hidden scale small": (tensor("lstm0/hidden_state", scales=(2.0**-35,)), "differently"),
    "overflow": (tensor("lstm0/b3", data=np.full(2, 2**31 - 1, np.int32)), "overflow"),
    "peephole": (lstm_input(9, 1), "peepholes"),
    "projection": (lstm_input(16, 1), "projection"),
    "no input gate": (lstm_input(1, -1), "has no tensor 1"),
    "time major": (operator(0, options=(("FusedActivationFunction", 4), ("TimeMajor", True))), "time-major"),
    "sigmoid LSTM": (operator(0, options=(("FusedActivationFunction", 1),)), "tanh"),
    "clip below a count": (operator(0, options=(("FusedActivationFunction", 4), ("CellClip", 1e-9))), "cell clip"),
    "clip not a number": (operator(0, options=(("FusedActivationFunction", 4), ("CellClip", float("nan")))), "clip"),
    "first step": (tensor("last_step/begin", data=np.array((0, 0, 0), np.int32)), "last step"),
    "strides": (tensor("last_step/strides", data=np.array((1, 2, 1), np.int32)), "stride"),
    "fused tanh": (operator(2, options=(("FusedActivationFunction", 4),)), "activation 4"),
    "shuffled": (operator(2, options=(("WeightsFormat", 1),)), "shuffled"),
    "bias scale": (tensor("dense0/bias", scales=(1000.0,)), "bias scale"),
    "scores": (tensor("scores", scales=(0.5,)), "1/256"),
    "beta": (operator(4, options=(("Beta", -1.0),)), "beta"),
    "samples into the head": (operator(3, inputs=(0, 1, 2)), "one vector, or the hidden states"),
    "from nowhere": (operator(3, inputs=(1, 1, 2)), "no operator before it gives"),
    "too many steps": (tensor("samples", shape=(1, 5000, 2)), "5000"),
}

FUSED = models.random_model(
    1,
    steps=9,
    channels=4,
    branches=(Shape(0, 3, (3,), "attention", (4, 3, 2)), Shape(2, 2, (2,), "mean"), Shape(0, 4, (2, 2), "last")),
    dense=(2,),
)
SLICE, SAMPLES, CONV, STEPS, LSTM, SCORE, SCORES, WEIGHTS, SUM, VECTOR = range(10)
SECOND_SLICE, SECOND_LSTM, MEAN, THIRD_LSTM, FOURTH_LSTM, LAST_STEP, JOINED = range(10, 17)


def options(table: str, *pairs: tuple[str, object], index: int) -> Edit:
    return operator(index, options_table=table, options=pairs)


def swapped(index: int) -> Edit:
    def edit(tensors: list[Tensor], operators: list[Operator]) -> None:
        operators[index] = replace(operators[index], inputs=operators[index].inputs[::-1])

    return edit


def fed(index: int, source: int) -> Edit:
    """Another operator's output as the first input."""

    def edit(tensors: list[Tensor], operators: list[Operator]) -> None:
        inputs = (operators[source].outputs[0], *operators[index].inputs[1:])
        operators[index] = replace(operators[index], inputs=inputs)

    return edit


def shared_state(tensors: list[Tensor], operators: list[Operator]) -> None:
    inputs = list(operators[FOURTH_LSTM].inputs)
    inputs[19] = operators[THIRD_LSTM].inputs[19]
    operators[FOURTH_LSTM] = replace(operators[FOURTH_LSTM], inputs=tuple(inputs))


CONV_OPTIONS = (("Padding", 1), ("StrideW", 2), ("StrideH", 1), ("DilationWFactor", 1), ("DilationHFactor", 1))
FUSED_FAULTS: dict[str, tuple[Edit, str]] = {
    "padded": (options("Conv2DOptions", ("Padding", 0), *CONV_OPTIONS[1:], index=CONV), "pads 9 steps"),
    "dilated": (options("Conv2DOptions", *CONV_OPTIONS[:3], ("DilationWFactor", 2), index=CONV), "dilated"),
    "stride": (options("Conv2DOptions", ("Padding", 1), ("StrideW", 17), index=CONV), "stride of 17"),
    "no stride": (options("Conv2DOptions", ("Padding", 1), index=CONV), "stride of 0"),
    "fused tanh": (options("Conv2DOptions", *CONV_OPTIONS, ("FusedActivationFunction", 4), index=CONV), "activation 4"),
    "other stride": (options("Conv2DOptions", ("Padding", 1), ("StrideW", 1), index=CONV), "does not fit"),
    "asymmetric kernel": (tensor("branch0/conv/weights", zero_points=(1,)), "symmetric"),
    "kernel of another shape": (tensor("branch0/conv/weights", shape=(4, 3, 1, 3)), "one group"),
    "convolution too late": (operator(LSTM, code=3), "CONV_2D) does not fit at this place"),
    "score activation": (
        options("FullyConnectedOptions", ("FusedActivationFunction", 1), index=SCORE),
        "attention score",
    ),
    "softmax of units": (tensor("branch0/attention/scores", shape=(1, 4, 1)), "all 4 steps"),
    "weights of another scale": (tensor("branch0/attention/weights", scales=(0.5,)), "1/256"),
    "sum of something else": (swapped(SUM), "multiplies"),
    "sum of other states": (fed(SUM, LSTM), "weighted by the softmax"),
    "adjoint": (options("BatchMatMulOptions", ("AdjX", True), index=SUM), "multiplies"),
    "mean over units": (tensor("branch1/mean/axis", data=np.array([2], np.int32)), "axis 1"),
    "mean of samples": (fed(MEAN, SECOND_SLICE), "hidden states"),
    "mean type": (tensor("branch1/mean", dtype=np.int16), "int16"),
    "slice of hidden states": (tensor("branch2/last_step/begin", data=np.array((0, 0, 1), np.int32)), "last step"),
    "slice with a stride": (tensor("branch0/channels/strides", data=np.array((1, 1, 2), np.int32)), "stride"),
    "slice beyond": (tensor("branch1/channels/end", data=np.array((0, 0, 3), np.int32)), "not its output"),
    "slice of another scale": (tensor("branch1/channels", scales=(0.5,)), "differently"),
    "reshape of another scale": (tensor("branch0/conv/samples", zero_points=(99,)), "differently"),
    "joined along another axis": (options("ConcatenationOptions", ("Axis", 0), index=JOINED), "another axis"),
    "joined with activation": (
        options("ConcatenationOptions", ("Axis", 1), ("FusedActivationFunction", 1), index=JOINED),
        "fused",
    ),
    "joined scales": (tensor("branch1/mean", scales=(0.9,)), "different quantization"),
    "joined twice": (fed(JOINED, MEAN), "two vectors of one LSTM"),
    "joined samples": (fed(JOINED, SLICE), "vectors of branches"),
    "state shared": (shared_state, "shares its state"),
    "three layers": (fed(SECOND_LSTM, FOURTH_LSTM), "no operator before"),
    "dead end": (fed(FOURTH_LSTM, SECOND_SLICE), "nothing uses"),
    "quantize": (operator(SAMPLES, code=B.QUANTIZE, options_table=""), "QUANTIZE"),
}


@pytest.mark.parametrize("name", FUSED_FAULTS)
def test_what_branches_cannot_have_is_named(name: str) -> None:
    edit, word = FUSED_FAULTS[name]
    assert read_model(edited(lambda *_: None, FUSED)).branches
    assert word in refused(edited(edit, FUSED))


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_taken_is_named(name: str) -> None:
    edit, word = FAULTS[name]
    assert word in refused(edited(edit))


def test_other_ways_to_the_last_step_read_the_same() -> None:
    steps, hidden = SMALL.steps, SMALL.lstm[0].hidden

    def slice_and_reshape(tensors: list[Tensor], operators: list[Operator]) -> None:
        place = next(i for i, t in enumerate(tensors) if t.name == "last_step/begin")
        tensors[place] = replace(tensors[place], data=np.array((0, steps - 1, 0), np.int32))
        tensors[place + 1] = replace(tensors[place + 1], data=np.array((1, 1, -1), np.int32))
        cut = operators[1]
        tensors.append(replace(tensors[cut.outputs[0]], name="cut", shape=(1, 1, hidden)))
        middle = len(tensors) - 1
        operators[1] = Operator(B.SLICE, cut.inputs[:3], (middle,))
        operators.insert(2, Operator(B.RESHAPE, (middle,), cut.outputs))

    wanted = meaning(replace(SMALL, metadata=None))
    assert meaning(read_model(edited(slice_and_reshape))) == wanted
    assert meaning(read_model(edited(tensor("last_step/begin", data=np.array((0, steps - 1, 0), np.int32))))) == wanted


def test_vectors_that_claim_too_much_cost_nothing() -> None:
    graph = GraphBuilder()
    source = graph.tensor("samples", (1, 3, 2), np.int8, (0.1,) * 5000, (0,) * 5000)
    assert "5000 scales" in refused(graph.finish([source], [source]))
    graph = GraphBuilder()
    for _ in range(3000):
        graph.activation("t", (1,), Quantization(1.0, 0))
    assert "3000 entries" in refused(graph.finish([0], [0]))


def test_metadata_that_is_no_json_is_refused() -> None:
    graph = GraphBuilder()
    graph.activation("samples", (1, 3, 2), Quantization(0.1, 0))
    assert refused(graph.finish([0], [0], {METADATA_NAME: b"{"}))
