"""What a run is made from: takes of their own, or continuous recordings and takes cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bitwave.errors import LeakingSplit, UsageError
from bitwave.recordings import dataset
from bitwave.recordings.dataset import Dataset
from bitwave.recordings.streams import Stream, load_streams, training_takes

from .options import Options
from .settings import RunConfig
from .train import DEFAULT_SECONDS, plan, stateful_window, usual_hop

FULL_SHIFT = 0.5  # of a window: as far as it may go, so that every place in a take is met


def prepared(data: Path, options: Options) -> tuple[Dataset, RunConfig]:
    """The recordings of a folder and the checked configuration of a run; raises what loading and `plan` raise."""
    if options.streams:
        return of_streams(load_streams(data), data, options)
    if options.settings.gate:
        raise UsageError("a gate is trained with on --streams alone: takes never rest; give it to bitwave quantize")
    recordings = dataset.load(data, options.damaged)
    return recordings, _planned(recordings, data, options)


def of_streams(streams: Sequence[Stream], data: Path, options: Options) -> tuple[Dataset, RunConfig]:
    """The same for continuous recordings with segments.

    A stateful model is trained on the recordings themselves; the takes stand for them where recordings are held out,
    and where windows are compared. For lanes the places of windows are dealt out when they are cut: what is left to the
    augmentation's shift is to reach them.

    Raises:
        LeakingSplit: what is cut from one recording would be on both sides of a fold.
        UsageError, RecordingError: what `plan` raises, or a gate that training would not see.
    """
    settings, rate_hz = options.settings, streams[0].recording.rate_hz
    if settings.is_stateful:
        window, hop = stateful_window(rate_hz, settings, options.window, options.hop)
        heard = window + hop * max(0, (round(DEFAULT_SECONDS * rate_hz) - window) // hop)
        recordings = training_takes(streams, heard, hop)
    else:
        heard = window = options.window or max(1, round(DEFAULT_SECONDS * rate_hz))
        hop = options.hop or usual_hop(window, settings)
        recordings = training_takes(streams, window, hop)
        augmentation = settings.augmentation.model_copy(update={"shift": FULL_SHIFT})
        settings = settings.model_copy(update={"augmentation": augmentation})
    if options.split.kind == "folds" and recordings.unit == "recording":
        raise LeakingSplit(
            "takes of one recording overlap, and folds would train and test on the same samples: record another "
            "session, or another participant"
        )
    chosen = options.model_copy(update={"settings": settings, "window": window, "hop": hop})
    return recordings, _planned(recordings, data, chosen).model_copy(update={"streams": True})


def _planned(recordings: Dataset, data: Path, options: Options) -> RunConfig:
    return plan(
        recordings, data, options.settings, options.window, options.hop, options.split, options.damaged, options.seeds
    )
