"""Pictures of streams. Matplotlib is imported only here, and only when a picture is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingPackage
from ..files import write_whole
from ..model.metadata import CountsScale
from ..recordings.session import DEFAULT_COUNTS
from ..synth.wrist import Interval
from .live import LiveEvent

_AXIS_COLOURS = ("#c0392b", "#27ae60", "#2471a3")


def draw_stream(
    path: Path,
    samples: npt.NDArray[np.int16],
    rate_hz: float,
    events: Iterable[LiveEvent],
    labels: Sequence[str],
    *,
    truth: Iterable[Interval] = (),
    windows: Sequence[tuple[int, tuple[int, ...]]] = (),
    first: int = 0,
    counts: CountsScale = DEFAULT_COUNTS,
    title: str = "",
) -> None:
    """Draws a stream with its events to a PNG.

    Args:
        path: of the PNG.
        samples: (n, 6) int16 counts.
        rate_hz: samples per second.
        events: recognised gestures.
        labels: classes of the model; those that appear in `events` get a colour.
        truth: what was really done, shaded; samples counted from the start of the board.
        windows: (sample, scores 0..255) of finished windows; without any, scores are left out.
        first: index of the first sample.
        counts: scale of the samples.
        title: above the picture.

    Raises:
        MissingPackage: matplotlib is not installed.
        WriteError: the PNG cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackage("a picture needs matplotlib: pip install matplotlib") from error
    events, truth = list(events), list(truth)
    time = np.arange(len(samples)) / rate_hz
    figure = Figure(figsize=(min(40.0, max(9.0, float(len(samples)) / rate_hz * 0.28)), 6.5 if windows else 5.0))
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots(3 if windows else 2, 1, sharex=True, squeeze=False)[:, 0]
    for axis, name, part, lsb in (
        (axes[0], "acceleration, g", slice(0, 3), counts.accel_lsb_per_g),
        (axes[1], "rotation, degree/s", slice(3, 6), counts.gyro_lsb_per_dps),
    ):
        for line, colour, letter in zip(samples[:, part].T, _AXIS_COLOURS, "xyz", strict=False):
            axis.plot(time, line / lsb, color=colour, linewidth=0.8, label=letter)
        axis.set_ylabel(name)
        _legend(axis)
    colours = {label: f"C{index}" for index, label in enumerate(labels)}
    _shade(axes, truth, first, rate_hz)
    for event in events:
        colour = colours.get(event.label, "black")
        for axis in axes:
            axis.axvline(event.time_s, color=colour, linewidth=1.2, linestyle="--")
        axes[0].annotate(
            event.label, (event.time_s, 1.0), xycoords=("data", "axes fraction"), xytext=(2, 2),
            textcoords="offset points", color=colour, fontsize="small", rotation=40, annotation_clip=False,
        )  # fmt: skip
    if windows:
        ends = [(sample - first) / rate_hz for sample, _ in windows]
        for index, label in enumerate(labels):
            axes[2].plot(ends, [scores[index] for _, scores in windows], color=colours[label], label=label)
        axes[2].set_ylabel("score, 0..255")
        _legend(axes[2])
    shown = [*(["shaded: what was done"] if truth else []), *(["dashed: what was recognised"] if events else [])]
    axes[-1].set_xlabel("time, s" + "".join(f"; {part}" for part in shown))
    axes[-1].set_xlim(0.0, max(1.0, float(len(samples)) / rate_hz))
    if title:
        figure.suptitle(title)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_whole(path, buffer.getvalue())


def _legend(axis: Any) -> None:
    """Beside the axes, where it hides nothing."""
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", frameon=False)


def _shade(axes: Any, truth: Iterable[Interval], first: int, rate_hz: float) -> None:
    for interval in truth:
        if interval.label == "idle":
            continue
        start, end = (interval.start - first) / rate_hz, (interval.end - first) / rate_hz
        for axis in axes:
            axis.axvspan(start, end, color="0.75" if interval.label == "unknown" else "#f9e79f", alpha=0.6, linewidth=0)
        axes[0].annotate(
            interval.label, (start, 0.0), xycoords=("data", "axes fraction"), xytext=(1, 3),
            textcoords="offset points", fontsize="x-small", color="0.2", annotation_clip=True,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.7, "linewidth": 0},
        )  # fmt: skip
