"""Pictures of event scores and of a calibration; matplotlib is optional."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingPackage
from ..files import write_whole
from .calibration import Choice, Point
from .event_score import Score, Tally

BELOW = 32.0  # points from the axes to their legend
HIT, MISSED, WRONG, FALSE, REPEATED = "#4c9f70", "#d9d9d9", "#d1495b", "#edae49", "#8d96a3"


def _figure(columns: int, width: float, height: float) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackage("a picture needs matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_whole(path, buffer.getvalue())


def draw_score(path: Path, score: Score, title: str = "") -> None:
    """Writes a PNG: classes, participants, and how long after a gesture's end its event comes.

    Raises:
        MissingPackage: matplotlib is not installed.
        WriteError: the PNG cannot be written.
    """
    rows = max(len(score.classes), len(score.participants), 4)
    figure, axes = _figure(3, 15.0, 2.2 + 0.38 * rows)
    _bars(axes[0], score.by_class, "by class")
    _bars(axes[1], score.participants, "by participant")
    delays = [delay * 1000.0 for delay in score.total.delays_s]
    axes[2].set_title("delay")
    if not delays:
        axes[2].text(0.5, 0.5, "no gesture was recognised", transform=axes[2].transAxes, ha="center")
        axes[2].set_xticks([])
        axes[2].set_yticks([])
    else:
        axes[2].hist(delays, bins=30, color=HIT)
        middle = (score.total.median_delay_s or 0.0) * 1000.0
        axes[2].axvline(middle, color="black", linewidth=1.0, linestyle="--", label=f"median {middle:.0f} ms")
        axes[2].legend(frameon=False)
    axes[2].set_xlabel("from the gesture's end to the event, ms")
    axes[2].set_ylabel("gestures")
    if title:
        figure.suptitle(title)
    _save(figure, path)


def _bars(axis: Any, tallies: Mapping[str, Tally], title: str) -> None:
    """Left of zero what was missed and what came without need, right of it what was recognised."""
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import offset_copy

    names = sorted(tallies, reverse=True)
    for row, name in enumerate(names):
        tally = tallies[name]
        axis.barh(row, tally.hits, color=HIT)
        left = 0
        for count, colour in (
            (tally.misses, MISSED), (tally.wrong, WRONG), (tally.false, FALSE), (tally.repeated, REPEATED),
        ):  # fmt: skip
            axis.barh(row, -count, left=left, color=colour)
            left -= count
        f1 = tally.f1
        axis.text(tally.hits, row, "" if f1 is None else f"  F1 {f1:.3f}", va="center", fontsize="small")
    axis.set_yticks(range(len(names)), names)
    axis.axvline(0, color="black", linewidth=0.8)
    most = max((tally.gestures for tally in tallies.values()), default=1)
    least = max((tally.misses + tally.wrong + tally.false + tally.repeated for tally in tallies.values()), default=0)
    wide = max(most, least, 1)
    axis.set_xlim(-least - 0.1 * wide, most + 0.35 * wide)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")  # counts on both sides
    axis.set_xlabel("gestures, events")
    axis.set_title(title)
    parts = (("hit", HIT), ("missed", MISSED), ("wrong", WRONG), ("false", FALSE), ("repeated", REPEATED))
    handles = [axis.barh(0, 0, color=colour, label=word) for word, colour in parts]
    legend = axis.legend(handles=handles, loc="upper center", ncols=5, fontsize="x-small", frameon=False)
    # So many points below the axes, whatever their height: beneath the label of the axis.
    below = offset_copy(axis.transAxes, axis.figure, y=-BELOW, units="points")
    legend.set_bbox_to_anchor((0.5, 0.0), transform=below)


def draw_calibration(path: Path, choice: Choice, asked: float, reported: Mapping[str, Point] | None = None) -> None:
    """Writes a PNG: recall against false activations per hour on the calibration streams, and the chosen decision.

    Args:
        path: of the PNG.
        choice: what there was, and what was taken.
        asked: false activations per hour.
        reported: the chosen decision on the streams of others, by name.

    Raises:
        MissingPackage: matplotlib is not installed.
        WriteError: the PNG cannot be written.
    """
    figure, axes = _figure(1, 8.0, 5.5)
    axis = axes[0]
    rates = [point.false_per_hour for point in choice.curve]
    recalls = [point.recall for point in choice.curve]
    chosen = choice.chosen
    points = {name: (point.false_per_hour, point.recall) for name, point in (reported or {}).items()}
    right = 1.8 * max([1.0, asked if asked < math.inf else 0.0, chosen.false_per_hour, *rates,
                       *(rate for rate, _ in points.values())])  # fmt: skip
    if rates:
        axis.step([*rates, right], [*recalls, recalls[-1]], where="post", color=HIT,
                  label="best of the grid, calibration participants")  # fmt: skip
        axis.plot(rates, recalls, ".", color=HIT, clip_on=False)
    if asked < math.inf:
        axis.axvline(asked, color="black", linewidth=1.0, linestyle="--", label=f"asked: {asked:g} per hour")
    axis.plot([chosen.false_per_hour], [chosen.recall], "o", color=WRONG, markersize=9, label="chosen, on them",
              clip_on=False, zorder=3)  # fmt: skip
    for at in sorted(set(points.values())):
        axis.plot(*at, "D", color=REPEATED, markersize=6, clip_on=False, zorder=4)
        names = [name for name, other in points.items() if other == at]
        axis.annotate(shortened(names), at, xytext=(9, -3), textcoords="offset points", fontsize="small")
    if points:
        axis.plot([], [], "D", color=REPEATED, label="chosen, on others")
    axis.set_xscale("symlog", linthresh=1.0)
    axis.set_xlim(0.0, right)
    axis.set_ylim(top=1.02)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_xlabel("false activations per hour")
    axis.set_ylabel("recall of gestures")
    axis.set_title("What a decision could reach, and the one that was chosen")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.12), ncols=2, frameon=False)
    _save(figure, path)


def shortened(names: Sequence[str], most: int = 4) -> str:
    """Names that stand at one point, the first few of them."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + rest
