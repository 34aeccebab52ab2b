"""Training: a data set of recordings becomes a run's folder of Keras models.

The recordings that choose the best epoch are cut from the training part; the test part of a fold is not looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bitwave.errors import RecordingError, UsageError, WriteError
from bitwave.files import write_whole
from bitwave.recordings.dataset import Damaged, Dataset, check_split, folds, hold_out
from bitwave.recordings.dataset import Split as Indices
from bitwave.recordings.recording import Recording
from bitwave.recordings.streams import StreamTakes
from bitwave.recordings.windowing import windows

from .runs import Epoch, History, Part, Run, as_json, create
from .settings import RunConfig, Settings, Split

if TYPE_CHECKING:
    from .stateful_trainer import StatefulTrainer
    from .trainer import Trainer

# From this many training participants on, the best epoch is chosen on whole participants, else on recordings.
PARTICIPANTS_TO_VALIDATE = 6
DEFAULT_SECONDS = 1.0
STATEFUL_HOP_S = 0.1

Report = Callable[[str, Epoch], None]


def plan(
    dataset: Dataset,
    folder: Path,
    settings: Settings,
    window: int | None = None,
    hop: int | None = None,
    split: Split | None = None,
    damaged: Damaged = "refuse",
    seeds: int = 1,
) -> RunConfig:
    """The configuration of a run, checked against its data set.

    Args:
        dataset: the recordings.
        folder: where they were read from.
        settings: network and training.
        window: samples; None takes one second, or the recordings' median length where that is shorter.
        hop: samples between windows; None takes a fifth of the window, in whole steps of a strided convolution, so that
            windows share its steps; with stateful streaming a tenth of a second.
        split: how recordings are held out.
        damaged: what was done with damaged takes when the recordings were read.
        seeds: how often what is held out is trained.

    Raises:
        UsageError: several seeds, but nothing held out that would tell them apart; a window that does not fit.
        RecordingError: there is one label only, a label has too few recordings, a channel never changes,
            or a recording is shorter than the window.
        LeakingSplit: the split is finer than the data allow.
        UsageError: the hop is longer than the window.
    """
    if seeds > 1 and (split is None or split.kind == "none"):
        raise UsageError("several seeds are compared on what is held out: give --folds or --hold-out too")
    if len(dataset.labels) < 2:
        raise RecordingError(f"{folder} has one label, {dataset.labels[0]}: record another one, idle for instance")
    for index, channel in enumerate(dataset.channels):
        if all(np.ptp(take.samples[:, index]) == 0 for take in dataset.recordings):
            raise RecordingError(f"{folder}: channel {channel} never changes within a take: a dead sensor?")
    if settings.is_stateful:
        window, hop = stateful_window(dataset.rate_hz, settings, window, hop)
    usual = int(np.median([len(take.samples) for take in dataset.recordings]))
    seen = max(1, min(round(DEFAULT_SECONDS * dataset.rate_hz), usual))
    window = window or seen
    if hop is not None and hop > window:
        raise UsageError(f"--hop {hop} is longer than the window of {window} samples: gestures would fall between")
    config = RunConfig(
        dataset=str(folder),
        dataset_digest=dataset.digest,
        damaged=damaged,
        labels=dataset.labels,
        channels=dataset.channels,
        rate_hz=dataset.rate_hz,
        counts=dataset.counts,
        window=window,
        hop=hop or usual_hop(window, settings),
        heard=window + hop * max(0, (seen - window) // hop) if settings.is_stateful and hop else 0,
        split=split or Split(),
        seeds=seeds,
        settings=settings,
    )
    if settings.conv_filters and config.window < settings.conv_kernel:
        raise UsageError(
            f"a window of {config.window} samples is shorter than the convolution's {settings.conv_kernel}"
        )
    windows(dataset.recordings, config.labels, config.view, config.hop)
    for index in range(seeds):
        repeat = config.repeat(index)
        for part in splits(dataset, repeat):
            validation_cut(dataset.select(part.train), repeat)
    return config


def stateful_window(rate_hz: float, settings: Settings, window: int | None, hop: int | None) -> tuple[int, int]:
    """Window and hop: what one goes on where the other ended; raises `UsageError` where that cannot be."""
    stride, overlap = settings.stride, settings.overlap
    hop = hop or stride * max(1, round(STATEFUL_HOP_S * rate_hz / stride))
    if hop % stride or (window is not None and window != hop + overlap):
        raise UsageError(
            f"a stateful model hears every sample once: the hop is a multiple of the stride, {stride}, and the window "
            f"hop + {overlap}; leave --window out"
        )
    return hop + overlap, hop


def usual_hop(window: int, settings: Settings) -> int:
    """A fifth of the window, in whole steps of a strided convolution."""
    stride = settings.conv_stride if settings.conv_filters else 1
    return min(stride * max(1, round(window / 5 / stride)), window)


def splits(dataset: Dataset, config: RunConfig) -> list[Indices]:
    """What to train on and what to hold out, the deployable model last. It may have nothing held out."""
    split = config.split
    everything = Indices("all recordings", np.arange(len(dataset.recordings)), np.array([], np.intp))
    if split.kind == "hold-out":
        found = [hold_out(dataset, split.participants)]
    elif split.kind == "folds":
        found = [*folds(dataset, split.by, split.folds, config.settings.seed), everything]
    else:
        found = [everything]
    for part in found:
        check_split(dataset, part)
    return found


def validation_cut(takes: Sequence[Recording], config: RunConfig) -> tuple[list[Recording], list[Recording]]:
    """Training and validation recordings: by participant where there are many, else some of each label.

    Raises:
        RecordingError: a label is missing, or has too few recordings to train and to validate.
    """
    fraction = config.settings.validation
    if not fraction:
        return list(takes), []
    for label in config.labels:
        count = sum(take.label == label for take in takes)
        if count < 2:
            raise RecordingError(
                f"label {label} has {count} recording{'s' * (count != 1)} to train on: 2 are needed, one to train and "
                "one to choose the best epoch; record more, or use fewer folds"
            )
    random = np.random.default_rng(config.settings.seed)
    participants = sorted({take.participant for take in takes})
    if len(participants) >= PARTICIPANTS_TO_VALIDATE:
        count = max(1, round(fraction * len(participants)))
        chosen = set(random.permutation(participants)[:count].tolist())
        train = [take for take in takes if take.participant not in chosen]
        if {take.label for take in train} == set(config.labels):
            return train, [take for take in takes if take.participant in chosen]
    picked: set[str] = set()
    for label in config.labels:
        names = [take.name for take in takes if take.label == label]
        count = min(max(1, round(fraction * len(names))), len(names) - 1)
        picked.update(random.permutation(names)[:count].tolist())
    return [take for take in takes if take.name not in picked], [take for take in takes if take.name in picked]


def train(
    dataset: Dataset,
    config: RunConfig,
    folder: Path,
    replace: bool = False,
    report: Report | None = None,
    resume: bool = False,
) -> Run:
    """Trains every model of a run and writes them as they are done.

    Args:
        dataset: the recordings that `plan` saw.
        config: of `plan`.
        folder: of the run.
        replace: train anew what is there.
        report: called after every epoch with the model's name.
        resume: keep the models that are done.

    Raises:
        UsageError: the folder holds a run already.
        WriteError: a model could not be written.
    """
    from .backend import prepare

    prepare()  # TensorFlow takes seconds to import: a plan that is refused does not wait for it
    from .stateful_trainer import StatefulTrainer
    from .trainer import Trainer

    run = create(folder, config, replace, resume)
    trainer: Trainer | StatefulTrainer = StatefulTrainer(config) if config.settings.is_stateful else Trainer(config)
    for index in range(config.seeds):
        repeat = config.repeat(index)
        for part, indices in zip(run.repeated(index), splits(dataset, repeat), strict=False):
            if not (resume and part.keras.exists() and part.history_path.exists()):
                train_part(trainer, part, dataset, indices, report, repeat)
    return run


def train_part(
    trainer: Trainer | StatefulTrainer,
    part: Part,
    dataset: Dataset,
    indices: Indices,
    report: Report | None,
    config: RunConfig,
) -> None:
    """Trains one model with the seed of `config` and writes it with its history."""
    seed = config.settings.seed
    name = f"{indices.name}, seed {seed}" if config.seeds > 1 else indices.name
    takes, validation = validation_cut(dataset.select(indices.train), config)

    def hear(epoch: Epoch) -> None:
        if report is not None:
            report(name, epoch)

    if config.settings.is_stateful and isinstance(dataset, StreamTakes):
        from . import passages

        cut = passages.cut(dataset, dataset.select(indices.train), config)
        takes, validation = cut.takes, cut.validation_takes
        epochs, best, network = cast("StatefulTrainer", trainer).fit(cut.passages, cut.validation, hear, seed)
    else:
        epochs, best, network = trainer.fit(takes, validation, hear, seed)
    history = History(
        name=name,
        seed=seed,
        best_epoch=best,
        epochs=tuple(epochs),
        train=tuple(take.name for take in takes),
        validation=tuple(take.name for take in validation),
        test=tuple(take.name for take in dataset.select(indices.test)),
    )
    write_keras(part.keras, network)
    write_whole(part.history_path, as_json(history))


def write_keras(path: Path, network: Any) -> None:
    """Saves a Keras model whole or not at all; raises `WriteError`."""
    with tempfile.TemporaryDirectory() as scratch:
        temporary = Path(scratch) / "model.keras"
        try:
            network.save(temporary)
        except OSError as error:
            reason = error.strerror or str(error)
            raise WriteError(f"{path} could not be written: no room in {scratch} ({reason})") from error
        write_whole(path, temporary.read_bytes())
