"""What a run is made from: takes of their own, or takes cut from continuous recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bitwave.errors import UsageError
from bitwave.recordings import dataset
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.streams import Stream, load_streams, training_takes

from .options import Options
from .settings import RunConfig
from .train import DEFAULT_SECONDS, plan, usual_hop

FULL_SHIFT = 0.5  # of a window: as far as it may go, so that every place in a take is met


def prepared(data: Path, options: Options) -> tuple[Dataset, RunConfig]:
    """The recordings of a folder and the checked configuration of a run; raises what loading and `plan` raise."""
    if options.streams:
        return of_streams(load_streams(data), data, options)
    recordings = dataset.load(data, options.damaged)
    return recordings, _planned(recordings, data, options)


def of_streams(streams: Sequence[Stream], data: Path, options: Options) -> tuple[Dataset, RunConfig]:
    """The same for continuous recordings with segments.

    Raises what `plan` does, and `UsageError` for a stateful model. The places of windows are dealt out when they are
    cut: what is left to the augmentation's shift is to reach them.
    """
    if options.settings.is_stateful:
        raise UsageError("--streams deals out windows, and a stateful model has none: train it on takes, as streams")
    window = options.window or max(1, round(DEFAULT_SECONDS * streams[0].recording.rate_hz))
    hop = options.hop or usual_hop(window, options.settings)
    recordings = training_takes(streams, window, hop)
    augmentation = options.settings.augmentation.model_copy(update={"shift": FULL_SHIFT})
    settings = options.settings.model_copy(update={"augmentation": augmentation})
    chosen = options.model_copy(update={"settings": settings, "window": window, "hop": hop})
    return recordings, _planned(recordings, data, chosen).model_copy(update={"streams": True})


def _planned(recordings: Dataset, data: Path, options: Options) -> RunConfig:
    return plan(
        recordings, data, options.settings, options.window, options.hop, options.split, options.damaged, options.seeds
    )
