"""Training a stateful model: what must be known when, states that are carried, and a model that parity takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import training_data
from bitwave import tflite
from bitwave.errors import UsageError
from bitwave.parity.comparison import compare
from bitwave.parity.windows import mixed_windows
from bitwave.tflite import build as tflite_build
from bitwave_train import train
from bitwave_train.chains import Chains, mark
from bitwave_train.evaluate import evaluate
from bitwave_train.gate import GateDefaults
from bitwave_train.options import read_options
from bitwave_train.settings import Augmentation, RunConfig, Settings, Split
from bitwave_train.tflite_writer import write_run
from support import need

STATEFUL = Settings(
    hidden=(5,), conv_filters=0, pool="last", streaming="stateful", unroll=20, epochs=2, warmup=1, dropout=0.0
)
CONV = STATEFUL.model_copy(update={"conv_filters": 6, "conv_kernel": 4, "conv_stride": 2})


def config(settings: Settings, people: int = 2) -> RunConfig:
    return train.plan(training_data.dataset(people=people), Path("data"), settings)


def test_the_window_goes_on_where_the_last_one_ended() -> None:
    plain, conv = config(STATEFUL), config(CONV)
    assert (plain.window, plain.hop, plain.view) == (5, 5, 20)
    assert (conv.window, conv.hop, conv.view) == (6, 4, 18)
    data = training_data.dataset()
    for window, hop in ((9, 5), (None, 3)):
        with pytest.raises(UsageError, match="hears every sample once: the hop is a multiple of the stride, 2"):
            train.plan(data, Path("data"), CONV, window, hop)


@pytest.mark.parametrize(
    "change, why",
    [
        ({"pool": "mean"}, "no window to pool over: pool mean must give way to last"),
        ({"pool": "attention"}, "pool attention must give way"),
        ({"recurrent_dropout": 0.1}, "without recurrent_dropout"),
        ({"conv_filters": 4, "conv_kernel": 2, "conv_stride": 3}, "a kernel of its stride, 3, or more"),
    ],
)
def test_architectures_that_cannot_be_stateful_are_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_options(None, {"streaming": "stateful", **change})
    assert read_options(None, {"streaming": "stateful"}).settings.pool == "last"


def test_a_gesture_counts_from_its_middle_and_background_nearly_throughout() -> None:
    plan = config(STATEFUL)
    samples = np.zeros((100, 6), np.int16)
    samples[40:51, 0] = 5000
    take = dataclasses.replace(training_data.take("left", 1), samples=samples)
    found = mark(take, plan)
    assert found.target == plan.labels.index("left")
    assert np.flatnonzero(found.weights)[[0, -1]].tolist() == [46, 75] and found.weights[60] == 1
    idle = mark(dataclasses.replace(take, label="idle"), plan)
    assert np.flatnonzero(idle.weights)[0] == 13 and set(idle.weights[13:]) == {1.0}


@pytest.mark.parametrize("settings", [STATEFUL, CONV])
def test_stretches_follow_one_another_and_ask_for_the_newest_sample(settings: Settings) -> None:
    data = training_data.dataset(people=2)
    chains = Chains(data.recordings, config(settings))
    parts = list(chains.stretches(np.random.default_rng(1), Augmentation.none()))
    assert chains.rows == 4 and len(parts) > 3
    overlap, stride = settings.overlap, settings.stride
    for before, after in zip(parts, parts[1:], strict=False):
        np.testing.assert_array_equal(before[0][:, 20:], after[0][:, :overlap])
    samples = np.concatenate([part[0][:, :20] for part in parts], axis=1)
    targets = np.concatenate([part[1] for part in parts], axis=1)
    assert targets.shape[1] == len(parts) * 20 // stride
    wanted = {
        tuple(sample): take.target for take in chains.takes for sample in take.samples.astype(np.float32).tolist()
    }
    for row in range(chains.rows):
        for step in range(targets.shape[1] - overlap):
            newest = samples[row, step * stride + overlap + stride - 1]
            assert wanted[tuple(newest.tolist())] == targets[row, step]


def test_carried_states_are_those_of_one_long_run() -> None:
    need("tensorflow")
    import keras

    from bitwave_train.blocklstm import BlockLstm, CarryingLstm

    source = np.random.default_rng(2).normal(size=(3, 40, 4)).astype(np.float32)
    whole, carrying = BlockLstm(5, return_sequences=True), CarryingLstm(5, return_sequences=True)
    wanted = whole(source).numpy()
    inputs = keras.Input(batch_shape=(3, 10, 4))
    network = keras.Model(inputs, carrying(inputs))
    carrying.cell.set_weights(whole.get_weights())
    for _ in range(2):
        parts = [network(source[:, at : at + 10]).numpy() for at in range(0, 40, 10)]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), wanted)
        carrying.forget()


@pytest.mark.parametrize("settings", [STATEFUL, CONV])
def test_a_stateful_run_becomes_a_model_that_parity_takes(settings: Settings, tmp_path: Path) -> None:
    need("tensorflow", "tflite_micro")
    data = training_data.dataset(people=2)
    split = Split(kind="hold-out", by="participant", participants=("p02",))
    planned = train.plan(data, tmp_path, settings, split=split)
    run = train.train(data, planned, tmp_path / "run")
    (path,) = write_run(run, data, gate=GateDefaults(still_s=0.5))
    model = tflite.read_model(path)
    metadata = model.metadata
    assert metadata is not None and metadata.is_stateful and metadata.lanes == 1
    assert (model.steps, metadata.window, metadata.hop) == (planned.window, planned.window, planned.hop)
    assert metadata.gate is not None and metadata.gate.still == 25 and metadata.gate.preroll == planned.window - 1
    assert tflite_build.write(model) == path.read_bytes()
    report = compare(path.read_bytes(), mixed_windows(model, 4), ("tflite-micro", "simulator", "core-host"))
    assert not report.failures and not report.absent
    (compared,) = evaluate(run, data)
    assert compared.windows == 18 and 0 <= compared.int8.accuracy <= 1
    with pytest.raises(UsageError, match="without --qat"):
        list(write_run(run, data, qat_epochs=1))
