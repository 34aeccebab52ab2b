"""Windows of a fixed number of samples, cut from recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import RecordingError
from ..model.metadata import CountsScale
from .recording import Recording

# Labels of what is no gesture: takes of these have no centre, so windows slide over them, and they never fire.
BACKGROUND = frozenset({"idle", "unknown", "other", "noise", "rest"})
# A take may be this much shorter than the window; its last sample is repeated.
PADDING = 0.05


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows cut from recordings.

    Attributes:
        samples: (windows, steps, channels) int16 raw counts.
        classes: (windows,) index into the labels that were asked for.
        recording: (windows,) index into the recordings that were given.
    """

    samples: npt.NDArray[np.int16]
    classes: npt.NDArray[np.intp]
    recording: npt.NDArray[np.intp]


def windows(
    recordings: Sequence[Recording], labels: Sequence[str], steps: int, hop: int, shifts: Sequence[int] = (0,)
) -> Windows:
    """Cuts recordings into windows.

    A take of a gesture gives one window per shift, moved that many samples from the one centred on the movement
    (`movement_start`), as far as the take reaches. A take of a background label gives a window every `hop` samples. A
    take that is up to 5 % shorter than a window is padded with its last sample.

    Raises:
        RecordingError: a take is too short, or its label is not among `labels`.
    """
    cut: list[npt.NDArray[np.int16]] = []
    classes: list[int] = []
    origin: list[int] = []
    for index, take in enumerate(recordings):
        if take.label not in labels:
            raise RecordingError(f"{take.name}: label {take.label} is not among {', '.join(labels)}")
        samples = _padded(take, steps)
        last = len(samples) - steps
        if take.label in BACKGROUND:
            starts = list(range(0, last + 1, hop))
        else:
            centre = movement_start(samples, steps, take.counts)
            starts = sorted({min(max(centre + shift, 0), last) for shift in shifts})
        cut.extend(samples[start : start + steps] for start in starts)
        classes.extend([list(labels).index(take.label)] * len(starts))
        origin.extend([index] * len(starts))
    channels = recordings[0].samples.shape[1] if recordings else 0
    stacked = np.stack(cut) if cut else np.empty((0, steps, channels), np.int16)
    return Windows(stacked, np.array(classes, np.intp), np.array(origin, np.intp))


def _padded(take: Recording, steps: int) -> npt.NDArray[np.int16]:
    missing = steps - len(take.samples)
    if missing <= 0:
        return take.samples
    if missing > PADDING * steps:
        raise RecordingError(
            f"{take.name} has {len(take.samples)} samples, the window {steps}: choose a shorter window or leave it out"
        )
    return np.pad(take.samples, ((0, missing), (0, 0)), mode="edge")


def movement_start(samples: npt.NDArray[np.int16], steps: int, counts: CountsScale) -> int:
    """First sample of the window of `steps` samples that is centred on a take's movement.

    The centre is the centroid of the movement energy ``|a - median(a)|^2 + |w - median(w)|^2`` with acceleration in g
    and angular rate in units of 250 degree/s; the median over the take stands for rest. Channels beyond the first six
    do not count.

    Args:
        samples: (samples, channels) int16, at least `steps` samples.
        steps: length of the window.
        counts: scale of the samples.
    """
    last = len(samples) - steps
    if last <= 0:
        return 0
    unit = np.array([counts.accel_lsb_per_g] * 3 + [counts.gyro_lsb_per_dps * 250.0] * 3)
    used = min(6, samples.shape[1])
    moved = (samples[:, :used] - np.median(samples[:, :used], axis=0)) / unit[:used]
    energy = (moved**2).sum(axis=1)
    total = float(energy.sum())
    centre = float(energy @ np.arange(len(energy))) / total if total > 0 else (len(samples) - 1) / 2
    return min(max(round(centre - (steps - 1) / 2), 0), last)
