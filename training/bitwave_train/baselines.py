"""Honest company: what other classifiers make of the same recordings, held out in the same way.

A small 1-D CNN has the windows, changes and epochs that the LSTM had. MiniRocket with ridge regression (Dempster et
al., 2021) takes unchanged windows, and chooses its one parameter by leaving one out. Both work on floats and neither
runs on the board; they tell what the LSTM costs or gains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from bitwave.errors import MissingPackage, RecordingError
from bitwave.files import write_whole
from bitwave.model.metadata import first_fault
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.recording import Recording
from bitwave.recordings.windowing import Windows, windows

from .evaluate import Baseline, Comparison, score
from .runs import Part, Run
from .settings import RunConfig

CNN_FILTERS = (24, 32, 32)  # of its three convolutions
CNN_KERNEL = 5
CNN_RATE = 3e-3
KERNELS = 10_000  # of MiniRocket, as its authors take
LEAST_STEPS = 9  # of MiniRocket's kernels

Winners = npt.NDArray[np.intp]
_FILE = TypeAdapter(tuple[Baseline, ...])


def require() -> None:
    """Raises `MissingPackage` where the extra is not installed."""
    if find_spec("aeon") is None:
        raise MissingPackage("--baselines needs aeon: pip install 'bitwave[baselines]'")


def beside(
    run: Run, dataset: Dataset, comparisons: Sequence[Comparison], say: Callable[[str], object] = lambda line: None
) -> list[Comparison]:
    """The comparisons with every baseline of their part; what was trained before is read from baselines.json.

    Args:
        run: evaluated.
        dataset: its recordings.
        comparisons: one per part that held recordings out, in their order.
        say: hears a line before something is trained.

    Raises:
        MissingPackage: the extra is not installed.
        RecordingError: a baselines.json is not what this module wrote.
    """
    require()
    return [
        replace(comparison, baselines=_of_part(run.config, part, dataset, say))
        for part, comparison in zip(run.tested, comparisons, strict=True)
    ]


def _of_part(config: RunConfig, part: Part, dataset: Dataset, say: Callable[[str], object]) -> tuple[Baseline, ...]:
    path = part.baselines
    if path.exists():
        try:
            return _FILE.validate_json(path.read_bytes())
        except ValidationError as error:
            raise RecordingError(f"{path}: {first_fault(error)}; remove it to train them again") from error
    history = part.history()
    config = config.model_copy(update={"window": config.view, "heard": 0})  # a stateful model's window is a hop long
    train, validation, test = (
        [take for take in dataset.recordings if take.name in names]
        for names in (set(history.train), set(history.validation), set(history.test))
    )
    held_out = windows(test, config.labels, config.window, config.hop)
    found = []
    for name, trained in _all(config, train, validation, history.seed):
        say(f"{history.name}: training {name}")
        winners, weights = trained(held_out)
        found.append(Baseline(name, score(winners, held_out.classes, config.labels), weights))
    write_whole(path, _FILE.dump_json(tuple(found), indent=1) + b"\n")
    return tuple(found)


def _all(
    config: RunConfig, train: list[Recording], validation: list[Recording], seed: int
) -> Iterator[tuple[str, Callable[[Windows], tuple[Winners, int]]]]:
    """Name, and what trains a baseline and answers for windows, with its number of weights."""
    yield "1-D CNN", lambda held_out: cnn(config, train, validation, held_out, seed)
    if config.window >= LEAST_STEPS:
        yield "MiniRocket, ridge", lambda held_out: minirocket(config, [*train, *validation], held_out, seed)


def minirocket(config: RunConfig, train: list[Recording], held_out: Windows, seed: int) -> tuple[Winners, int]:
    """Features of random convolutions and a ridge classifier; the answers and the number of its weights."""
    from aeon.classification.convolution_based import MiniRocketClassifier

    known = windows(train, config.labels, config.window, config.hop)

    def channels_first(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
        return np.ascontiguousarray(samples.transpose(0, 2, 1), np.float32)

    classifier = MiniRocketClassifier(n_kernels=KERNELS, random_state=seed, n_jobs=1)
    classifier.fit(channels_first(known.samples), known.classes)
    weights = sum(np.size(value) for value in (classifier.pipeline_[-1].coef_, classifier.pipeline_[-1].intercept_))
    return np.asarray(classifier.predict(channels_first(held_out.samples)), np.intp), int(weights)


def cnn(
    config: RunConfig, train: list[Recording], validation: list[Recording], held_out: Windows, seed: int
) -> tuple[Winners, int]:
    """Three convolutions over time and their mean, trained like the LSTM; the answers and the number of weights."""
    import keras

    from .trainer import Pool, standardization

    settings, random = config.settings, np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    pool = Pool(train, config)
    mean, deviation = standardization(pool.windows.samples)
    network = _cnn(config)
    steps = -(-pool.groups // settings.batch)
    warm = min(settings.warmup, settings.epochs - 1) * steps
    rate = keras.optimizers.schedules.CosineDecay(
        CNN_RATE / 10, max(1, settings.epochs * steps - warm), warmup_target=CNN_RATE, warmup_steps=warm
    )
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=settings.clip_norm)
    network.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    checked = windows(validation, config.labels, config.window, config.hop)
    best, weights = np.inf, network.get_weights()
    for _ in range(settings.epochs):
        for raw, classes in pool.batches(random):
            network.train_on_batch((raw - mean) / deviation, classes, sample_weight=pool.weights[classes])
        if not validation:
            weights = network.get_weights()
            continue
        loss = network.evaluate((checked.samples - mean) / deviation, checked.classes, verbose=0)
        if loss < best:
            best, weights = loss, network.get_weights()
    network.set_weights(weights)
    scores = network.predict((held_out.samples - mean) / deviation, verbose=0)
    return scores.argmax(axis=1), int(network.count_params())


def _cnn(config: RunConfig) -> Any:
    import keras

    layers = [keras.layers.Input((config.window, len(config.channels)))]
    for index, filters in enumerate(CNN_FILTERS):
        layers.append(keras.layers.Conv1D(filters, CNN_KERNEL, padding="same", activation="relu"))
        if index < len(CNN_FILTERS) - 1:
            layers.append(keras.layers.MaxPooling1D(2, padding="same"))
    layers += [keras.layers.GlobalAveragePooling1D(), keras.layers.Dropout(config.settings.dropout)]
    return keras.Sequential([*layers, keras.layers.Dense(len(config.labels), activation="softmax")])
