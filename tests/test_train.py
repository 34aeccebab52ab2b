"""Training, quantization and evaluation of a whole run on small made-up recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitwave import simulator, tflite
from bitwave.errors import LeakingSplit, ModelError, RecordingError, UsageError
from bitwave.recordings.dataset import Dataset, from_recordings
from bitwave_train import evaluate, report, tflite_writer, train
from bitwave_train.augment import augment, rotations, vectors
from bitwave_train.runs import Epoch, Run, open_run
from bitwave_train.settings import Augmentation, Settings, Split
from bitwave_train.shapes import modalities
from support import need
from training_data import STEPS, dataset, take, write_dataset

CHANGES = Augmentation(rotation=15.0, amplitude=0.1, shift=0.05, speed=0.0)
PLAIN = Settings(hidden=(8,), conv_filters=0, pool="last", memory=0.5, augmentation=CHANGES)
SMALL = PLAIN.model_copy(
    update={"epochs": 50, "batch": 8, "learning_rate": 0.02, "warmup": 2, "patience": 50, "validation": 0.2}
)
FOLDS = Split(kind="folds", by="auto", folds=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Run, list[tuple[str, Epoch]]]:
    need("tensorflow", "keras")
    folder = tmp_path_factory.mktemp("trained")
    data = dataset()
    write_dataset(folder / "data", data)
    config = train.plan(data, folder / "data", SMALL, split=FOLDS)
    seen: list[tuple[str, Epoch]] = []
    run = train.train(data, config, folder / "run", report=lambda name, epoch: seen.append((name, epoch)))
    list(tflite_writer.write_run(run, data))
    return data, run, seen


def test_a_run_holds_a_model_per_fold_and_a_deployable_one(
    trained: tuple[Dataset, Run, list[tuple[str, Epoch]]],
) -> None:
    data, run, seen = trained
    assert open_run(run.folder) == run
    assert [part.folder.name for part in run.parts()] == ["fold-1", "fold-2", "run"]
    tested = [name for part in run.tested for name in part.history().test]
    assert sorted(tested) == sorted(take.name for take in data.recordings)
    for part in run.parts():
        history = part.history()
        assert not {*history.train, *history.validation} & set(history.test)
        assert not set(history.train) & set(history.validation)
        best = min(history.epochs, key=lambda epoch: epoch.validation_loss)
        assert history.best_epoch == best.epoch
        metadata = tflite.read_model(part.tflite).metadata
        assert metadata is not None
        assert (metadata.labels, metadata.window, metadata.hop) == (("left", "right", "idle"), STEPS, 4)
        assert metadata.dataset_digest == data.digest
    assert run.deployable.history().test == ()
    assert len(seen) == sum(len(part.history().epochs) for part in run.parts())


def test_the_kept_model_takes_counts_and_agrees_with_its_numpy_twin(
    trained: tuple[Dataset, Run, list[tuple[str, Epoch]]],
) -> None:
    import keras

    from bitwave_train import floatmodel, keras_reader

    data, run, _ = trained
    network = keras.models.load_model(run.deployable.keras)
    raw = np.stack([take.samples for take in data.recordings])
    wanted = network.predict(raw.astype(np.float32), verbose=0)
    source = keras_reader.load(run.deployable.keras)
    np.testing.assert_allclose(floatmodel.run(source, source.standardize(raw)).scores, wanted, atol=1e-5)


def test_float_and_int8_learn_the_made_up_gestures(trained: tuple[Dataset, Run, list[tuple[str, Epoch]]]) -> None:
    data, run, _ = trained
    found = report.as_dict(evaluate.evaluate(run, data))
    assert found["summary"]["windows"] == len(data.recordings)
    assert found["summary"]["float"]["accuracy"]["mean"] >= 0.9
    assert found["summary"]["int8"]["accuracy"]["mean"] >= found["summary"]["float"]["accuracy"]["mean"] - 0.06
    assert found["summary"]["agreement"]["mean"] >= 0.9
    assert set(found["summary"]["saturation"][0]) == {"input", "forget", "cell", "output", "cell_state", "hidden"}


def test_the_board_would_recognise_them(trained: tuple[Dataset, Run, list[tuple[str, Epoch]]]) -> None:
    _, run, _ = trained
    model = tflite.read_model(run.deployable.tflite)
    assert model.metadata is not None
    idle = take("idle", 99, samples=3 * STEPS).samples
    assert simulator.stream_events(model, idle) == []


def test_the_same_seed_gives_the_same_model(
    trained: tuple[Dataset, Run, list[tuple[str, Epoch]]], tmp_path: Path
) -> None:
    data, run, _ = trained
    again = train.train(data, run.config, tmp_path)
    list(tflite_writer.write_run(again, data))
    for first, second in zip(run.parts(), again.parts(), strict=True):
        assert first.history() == second.history()
        assert first.tflite.read_bytes() == second.tflite.read_bytes()


def test_hold_out_keeps_a_participant_from_the_deployable_model(tmp_path: Path) -> None:
    need("tensorflow", "keras")
    data = dataset(count=3, people=3)
    settings = SMALL.model_copy(update={"epochs": 1})
    config = train.plan(data, tmp_path / "data", settings, split=Split(kind="hold-out", participants=("p02",)))
    run = train.train(data, config, tmp_path / "run")
    history = run.deployable.history()
    assert run.tested == (run.deployable,)
    assert {name.split(".")[1] for name in history.test} == {"p02"}
    assert {name.split(".")[1] for name in (*history.train, *history.validation)} == {"p01", "p03"}
    with pytest.raises(UsageError, match=r"model\.tflite is missing: run bitwave quantize"):
        evaluate.evaluate(run, data)


def test_longer_takes_give_shifted_windows_and_sliding_idle(tmp_path: Path) -> None:
    need("tensorflow", "keras")
    from bitwave_train.trainer import Pool

    takes = [take(label, n, samples=3 * STEPS) for label in ("left", "idle") for n in range(4)]
    takes.append(take("left", 9))
    data = from_recordings(takes)
    config = train.plan(data, tmp_path, SMALL.model_copy(update={"augmentation": Augmentation(shift=0.1)}), STEPS)
    pool = Pool(data.recordings, config)
    idle = 4 * (2 * STEPS // config.hop + 1)
    assert pool.groups == 5 + idle  # an epoch has one window per gesture take, and every idle window
    batches = list(pool.batches(np.random.default_rng(0)))
    assert {raw.shape for raw, _ in batches} == {(SMALL.batch, STEPS, 6)}
    assert sum(len(classes) for _, classes in batches) == -(-pool.groups // SMALL.batch) * SMALL.batch
    assert pool.movable.sum() == 1
    per_epoch = pool.windows.classes[np.concatenate([group[:1] for group in pool._members])]
    assert pool.weights[per_epoch].mean() == pytest.approx(1.0)
    assert pool.weights[0] > pool.weights[1]


def test_without_validation_all_recordings_train_and_the_last_epoch_is_kept(tmp_path: Path) -> None:
    need("tensorflow", "keras")
    data = dataset(labels=("left", "right"))
    settings = SMALL.model_copy(update={"validation": 0.0, "epochs": 3, "patience": 1})
    run = train.train(data, train.plan(data, tmp_path, settings), tmp_path / "run")
    history = run.deployable.history()
    assert sorted(history.train) == sorted(take.name for take in data.recordings)
    assert history.validation == ()
    assert (history.best_epoch, len(history.epochs)) == (2, 3)
    assert {epoch.validation_loss for epoch in history.epochs} == {None}


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_training_and_kept_network_have_the_same_lstm(dropout: float) -> None:
    need("tensorflow", "keras")
    import keras
    import tensorflow as tf

    from bitwave_train.model import build_training

    settings = PLAIN.model_copy(update={"hidden": (5, 4), "recurrent_dropout": dropout})
    layers = [layer for layer in build_training(9, ("ax", "ay", "az"), 2, settings).layers if "lstm" in layer.name]
    random = np.random.default_rng(0)
    for layer in layers:
        plain = keras.layers.LSTM(layer.units, return_sequences=True)
        plain.build(layer.input.shape)
        values = [random.normal(size=weight.shape) for weight in plain.trainable_weights]
        sequence = tf.constant(random.normal(size=(7, *layer.input.shape[1:])).astype(np.float32))
        results = []
        for one in (layer, plain):
            for weight, value in zip(one.trainable_weights, values, strict=True):
                weight.assign(value)
            variables = [weight.value for weight in one.trainable_weights]
            with tf.GradientTape() as tape:
                states = one(sequence)
                total = tf.reduce_sum(tf.sin(states))
            results.append([states, *tape.gradient(total, variables)])
        for found, wanted in zip(*results, strict=True):
            np.testing.assert_allclose(found, wanted, atol=2e-5)


def one_label() -> Dataset:
    return dataset(labels=("left",))


def one_recording() -> Dataset:
    return from_recordings([*dataset(labels=("left", "right")).recordings, take("idle", 1)])


def few_recordings() -> Dataset:
    return dataset(count=2)


def dead_channel() -> Dataset:
    takes = []
    for whole in dataset().recordings:
        samples = whole.samples.copy()
        samples[:, 4] = 7
        takes.append(replace(whole, samples=samples))
    return from_recordings(takes)


@pytest.mark.parametrize(
    ("make", "split", "message"),
    [
        (one_label, Split(), "has one label, left"),
        (one_recording, Split(), "label idle has 1 recording to train on"),
        (one_recording, FOLDS, "label idle has one recording"),
        (few_recordings, FOLDS, "has 1 recording to train on: 2 are needed"),
        (dead_channel, FOLDS, "channel gy never changes"),
        (dataset, Split(kind="folds", by="recording", folds=99), "99 folds of 18 recordings"),
        (dataset, Split(kind="hold-out", participants=("p09",)), "no participant p09"),
    ],
)
def test_data_that_cannot_be_trained_on(make: Callable[[], Dataset], split: Split, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        train.plan(make(), Path("data"), SMALL, split=split)


@pytest.mark.parametrize("by", ["recording", "session", "window"])
def test_a_leaking_split_is_refused(by: str) -> None:
    with pytest.raises(LeakingSplit):
        train.plan(dataset(people=2), Path("data"), SMALL, split=Split(kind="folds", by=by, folds=2))


def test_recordings_that_changed_are_noticed(trained: tuple[Dataset, Run, list[tuple[str, Epoch]]]) -> None:
    data, run, _ = trained
    fewer = from_recordings(data.recordings[1:])
    with pytest.raises(RecordingError, match="another digest"):
        evaluate.evaluate(run, fewer)
    with pytest.raises(RecordingError, match="another digest"):
        list(tflite_writer.write_run(run, fewer))


def test_an_unfinished_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json is missing: give the folder of a finished run"):
        open_run(tmp_path)
    data = dataset()
    config = train.plan(data, tmp_path, SMALL, split=FOLDS)
    run = train.create(tmp_path, config)
    with pytest.raises(UsageError, match=r"history\.json is missing"):
        list(tflite_writer.write_run(run, data))
    with pytest.raises(UsageError, match="holds a run already"):
        train.create(tmp_path, config)
    run.deployable.keras.write_bytes(b"old")
    train.create(tmp_path, config, replace=True)
    assert not run.deployable.keras.exists()
    (tmp_path / "config.json").write_text('{"format": 1, "surprise": true}')
    with pytest.raises(RecordingError, match=r"config\.json"):
        open_run(tmp_path)


def test_a_broken_keras_file_is_a_clear_error(tmp_path: Path) -> None:
    need("tensorflow", "keras")
    import keras

    from bitwave_train import keras_reader

    broken = tmp_path / "model.keras"
    broken.write_bytes(b"not a zip")
    with pytest.raises(ModelError, match="cannot be loaded"):
        keras_reader.load(broken)
    layers = keras.layers
    wrong = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4, activation="relu"), layers.Dense(2)])
    with pytest.raises(ModelError, match="activation=relu: it must be tanh"):
        keras_reader.from_keras(wrong)
    with pytest.raises(ModelError, match=r"\(GRU\) cannot be quantized"):
        keras_reader.from_keras(keras.Sequential([keras.Input((5, 3)), layers.GRU(4), layers.Dense(2)]))


def test_augmentation_moves_what_it_says() -> None:
    random = np.random.default_rng(0)
    raw = random.integers(-3000, 3000, (40, 30, 6)).astype(np.int16)
    fixed = np.zeros(40, bool)
    channels = ("ax", "ay", "az", "gx", "gy", "gz")
    off = Augmentation.none()
    np.testing.assert_array_equal(augment(raw, fixed, channels, off, random), raw)
    turned = augment(raw, fixed, channels, off.model_copy(update={"rotation": 20.0}), random)
    for first in (0, 3):  # a rotation keeps every vector's length and moves it by 20 degrees at most
        before, after = (np.asarray(v[:, :, first : first + 3], float) for v in (raw, turned))
        lengths = np.linalg.norm(before, axis=2)
        np.testing.assert_allclose(np.linalg.norm(after, axis=2), lengths, rtol=1e-3)
        assert (np.sum(before * after, axis=2) >= np.cos(np.deg2rad(20.0)) * lengths**2 * 0.999).all()
    grown = augment(raw, fixed, channels, off.model_copy(update={"amplitude": 0.2}), random)
    assert np.abs(grown[raw != 0] / raw[raw != 0] - 1).max() <= 0.2001
    moved = augment(raw, fixed | (np.arange(40) < 20), channels, off.model_copy(update={"shift": 0.2}), random)
    np.testing.assert_array_equal(moved[20:], raw[20:])
    assert (moved[:20] != raw[:20]).any()


@pytest.mark.parametrize("name", list(Augmentation.model_fields))
def test_each_augmentation_has_a_switch_and_a_meaning(name: str) -> None:
    channels = ("ax", "ay", "az", "gx", "gy", "gz")
    time = np.linspace(0, 2 * np.pi, 50)
    raw = np.stack([1000 * (k + 1) * np.sin(time + k) for k in range(6)], axis=1)[None].repeat(20, 0).astype(np.int16)
    options = Augmentation.none().model_copy(update={name: 0.1})
    changed = augment(raw, np.ones(20, bool), channels, options, np.random.default_rng(3))
    change = (changed - raw) / np.array([8192.0] * 3 + [16.384 * 250] * 3)
    assert changed.any() and (changed != raw).any()
    if name in ("bias", "drift"):
        assert np.abs(change).max() <= 0.1001
        wanted = np.ptp(change[:, :, 0], axis=1) if name == "bias" else change.mean(axis=(1, 2))
        np.testing.assert_allclose(wanted, 0, atol=1e-4)
    if name == "noise":
        assert change.std() == pytest.approx(0.1, rel=0.05)
    if name == "dropped":
        assert (changed[:, 1:] == changed[:, :-1]).all(axis=2).mean() == pytest.approx(0.1, abs=0.03)
        np.testing.assert_array_equal(changed[:, 0], raw[:, 0])
    if name == "warp":  # bent inside, in place at both ends
        np.testing.assert_allclose(changed[:, [0, -1], :3], raw[:, [0, -1], :3], atol=1)


def test_a_faster_move_turns_faster() -> None:
    raw = np.zeros((50, 40, 6), np.int16)
    raw[:, :, 0], raw[:, :, 3] = 100 * np.arange(40), 1000
    changed = augment(
        raw,
        np.ones(50, bool),
        ("ax", "ay", "az", "gx", "gy", "gz"),
        Augmentation.none().model_copy(update={"speed": 0.5}),
        np.random.default_rng(0),
    )
    slope = np.diff(changed[:, 18:22, 0], axis=1).mean(axis=1) / 100
    np.testing.assert_allclose(changed[:, 20, 3] / 1000, slope, rtol=1e-3)
    assert slope.min() < 0.75 and slope.max() > 1.35


def test_rotations_and_vectors() -> None:
    turns = rotations(50, 30.0, np.random.default_rng(1)).astype(float)
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-5)
    assert np.rad2deg(np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2)).max() <= 30.01
    assert vectors(("gx", "t", "ax", "ay", "az", "mx")) == [2]


def test_memory_sets_forget_and_input_biases() -> None:
    need("tensorflow", "keras")
    from bitwave_train.model import build_training, remember

    network = build_training(10, ("ax", "ay", "az"), 2, PLAIN.model_copy(update={"hidden": (50, 4)}))
    untouched = [layer.get_weights() for layer in network.layers]
    remember(network, 2.0, np.random.default_rng(0))
    for layer, before in zip(network.layers, untouched, strict=True):
        for found, wanted in zip(layer.get_weights(), before, strict=True):
            np.testing.assert_array_equal(found, wanted)
    remember(network, 60.0, np.random.default_rng(0))
    bias = network.layers[1].get_weights()[2].reshape(4, 50)
    np.testing.assert_array_equal(bias[0], -bias[1])
    assert 0 <= bias[1].min() < 2.5 < bias[1].max() <= np.log(59.0)
    assert not bias[2:].any()


@pytest.mark.parametrize(("steps", "share"), [(1, 0.5), (3, 0.5), (119, 0.5), (119, 0.0), (119, 1.0)])
def test_step_weights_sum_to_one(steps: int, share: float) -> None:
    need("keras")
    from bitwave_train.model import step_weights

    found = step_weights(steps, share)
    assert found.sum() == pytest.approx(1.0, abs=1e-5)
    assert (found >= 0).all()
    assert found[-1] >= 1.0 - share - 1e-6


SHAPES = (
    {"pool": "mean"},
    {"pool": "attention", "conv_filters": 5, "conv_kernel": 4, "conv_stride": 3},
    {"conv_filters": 4, "fused": True, "hidden": (4, 3)},
    {"pool": "attention", "fused": True, "conv_filters": 3, "dense": (6,)},
)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_architecture_is_kept_read_and_quantized(shape: dict[str, object], tmp_path: Path) -> None:
    need("tensorflow", "keras")
    from bitwave_train import floatmodel, keras_reader
    from bitwave_train.model import build_deployable, build_training

    settings = Settings.model_validate({"hidden": (6,), "conv_filters": 0, "pool": "last", **shape})
    data = dataset()
    raw = np.stack([take.samples for take in data.recordings])
    mean, deviation = raw.mean(axis=(0, 1)), raw.std(axis=(0, 1)) + 100.0
    trained = build_training(STEPS, data.channels, 3, settings)
    answers = trained(((raw - mean) / deviation).astype(np.float32)).numpy()
    assert answers.shape[1] == (1 if settings.pool != "last" else trained.output_shape[1])
    kept = build_deployable(trained, data.channels, mean, deviation, settings)
    wanted = floatmodel.softmax(answers[:, -1], axis=1)
    np.testing.assert_allclose(kept.predict(raw.astype(np.float32), verbose=0), wanted, atol=1e-5)
    train.write_keras(tmp_path / "model.keras", kept)
    source = keras_reader.load(tmp_path / "model.keras")
    assert len(source.branches) == (2 if settings.fused else 1)
    np.testing.assert_allclose(floatmodel.run(source, source.standardize(raw)).scores, wanted, atol=1e-5)


def test_an_architecture_learns_and_keeps_its_accuracy_as_int8(tmp_path: Path) -> None:
    need("tensorflow", "keras")
    data = dataset()
    shape = {"pool": "attention", "conv_filters": 6, "memory": 0.0, "recurrent_dropout": 0.05}
    config = train.plan(data, tmp_path, SMALL.model_copy(update=shape), split=FOLDS)
    run = train.train(data, config, tmp_path / "run")
    list(tflite_writer.write_run(run, data))
    found = report.as_dict(evaluate.evaluate(run, data))["summary"]
    assert found["float"]["accuracy"]["mean"] >= 0.9
    assert found["agreement"]["mean"] >= 0.9


def test_modalities() -> None:
    channels = ("ax", "ay", "az", "gx", "gy", "gz", "mx", "my", "mz", "bend")
    assert modalities(channels) == [("a", 0, 3), ("g", 3, 3), ("m", 6, 3), ("bend", 9, 1)]
