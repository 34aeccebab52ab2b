"""The windows that parity runs: full-range random ones, saturating extremes, and real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..model.quantmodel import Int8Array, QuantModel
from ..recordings.dataset import load
from ..recordings.windowing import windows
from ..simulator.network import front_end

HOPS = 16  # of a stateful model's window


def mixed_windows(model: QuantModel, count: int, folder: Path | None = None) -> Int8Array:
    """Random and extreme windows; with a folder of recordings, up to half of them are real.

    Those of a stateful model are many hops long: what it carries on is compared too.
    """
    if model.metadata is not None and model.metadata.is_stateful:
        model = replace(model, steps=model.steps + (HOPS - 1) * model.metadata.hop)
    if folder is None:
        return random_windows(model, count)
    real = real_windows(model, folder)[: count - count // 2]
    return np.concatenate([random_windows(model, count - len(real)), real])


def real_windows(model: QuantModel, folder: Path) -> Int8Array:
    """Windows of a folder's recordings as the network gets them, in an order that mixes labels; all of them.

    Args:
        model: with metadata.
        folder: of recordings.

    Raises:
        UsageError: the model has no metadata, so nothing says how to scale a recording.
        RecordingError: the recordings cannot be used with this model.
    """
    metadata = model.metadata
    if metadata is None:
        raise UsageError("--recordings needs a model with bitwave metadata, which says how to scale them")
    dataset = load(folder, damaged="drop")
    for what, wanted, has in (
        ("channels", metadata.channels, dataset.channels),
        ("counts", metadata.counts, dataset.counts),
    ):
        if wanted != has:
            raise UsageError(f"{folder} has the {what} {has}, the model was trained with {wanted}")
    takes = [take for take in dataset.recordings if take.label in metadata.labels]
    if not takes:
        raise UsageError(f"{folder} has no recording with one of the labels {', '.join(metadata.labels)}")
    cut = windows(takes, metadata.labels, model.steps, metadata.hop)
    order = np.random.default_rng(0).permutation(len(cut.samples))
    return front_end(metadata, model.input.zero_point, cut.samples[order])


def random_windows(model: QuantModel, count: int, seed: int = 0) -> Int8Array:
    """Windows that need no recording: three of four full-range random, the rest saturating extremes.

    Args:
        model: gives steps and channels.
        count: number of windows.
        seed: of the random ones.

    Returns:
        (count, steps, channels) int8.
    """
    rng = np.random.default_rng(seed)
    shape = (model.steps, model.channels)
    windows = rng.integers(-128, 128, (count, *shape)).astype(np.int8)
    for index, window in enumerate(extreme_windows(model, count // 4, rng)):
        windows[4 * index] = window
    return windows


def extreme_windows(model: QuantModel, count: int, rng: np.random.Generator) -> list[Int8Array]:
    """Windows at the ends of the range: constant, alternating every step or at random, square waves, one impulse."""
    shape = (model.steps, model.channels)
    step = np.arange(model.steps)[:, None]

    def pick(high: npt.NDArray[np.bool_]) -> Int8Array:
        return np.where(np.broadcast_to(high, shape), np.int8(127), np.int8(-128))

    makers: tuple[Callable[[], Int8Array], ...] = (
        lambda: pick(np.ones(shape, bool)),
        lambda: pick(np.zeros(shape, bool)),
        lambda: pick(step % 2 == 0),
        lambda: pick(rng.integers(0, 2, shape) == 1),
        lambda: pick(step // int(rng.integers(1, model.steps + 1)) % 2 == 1),
        lambda: pick(step == rng.integers(0, model.steps)),
        lambda: pick(np.broadcast_to(rng.integers(0, 2, model.channels) == 1, shape)),
        lambda: np.full(shape, model.input.zero_point, np.int8),
    )
    return [makers[index % len(makers)]() for index in range(count)]
