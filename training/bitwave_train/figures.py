"""The report's drawings: matplotlib figures as SVG that stands inside an HTML page and asks for nothing outside."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#8a6d00")
SIZE = (4.6, 2.5)  # inches of one panel
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.2,
}

Values = npt.NDArray[np.float64]


def lines(
    series: Mapping[str, Values],
    title: str,
    x: str,
    y: str,
    limits: tuple[float, float] | None = None,
    first: float = 1.0,
    mark: float | None = None,
) -> str:
    """One panel of lines over their index.

    Args:
        series: values by name.
        title: above it.
        x: what the index is.
        y: what the values are.
        limits: of y.
        first: the index of the first value.
        mark: an index to mark by a dashed line.
    """
    return panels([(y, series)], title, x, 1.0, limits, first, mark)


def panels(
    rows: Sequence[tuple[str, Mapping[str, Values]]],
    title: str,
    x: str,
    step: float,
    limits: tuple[float, float] | None = None,
    first: float = 0.0,
    mark: float | None = None,
) -> str:
    """Panels below one another that share x; each is what its values are, and lines by name. `step` is x per index."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        height = SIZE[1] if len(rows) == 1 else 1.7 * len(rows)
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        all_axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (y, series) in zip(all_axes, rows, strict=True):
            for colour, (name, values) in zip(COLOURS, series.items(), strict=False):
                places = first + step * np.arange(len(values))
                axes.plot(places, values, color=colour, label=name, marker="." if len(values) < 2 else "")
            if mark is not None:
                axes.axvline(mark, color="0.4", linestyle="--", linewidth=0.8)
            axes.set_ylabel(y)
            if limits:
                axes.set_ylim(limits)
            if len(series) > 1:
                axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=1.2)
        all_axes[-1].set_xlabel(x)
        figure.suptitle(title, fontsize=8.5)
        return _svg(figure, title)


def _svg(figure: Any, title: str) -> str:
    """The drawing alone, without what only a file of its own needs; names within it come from its content."""
    from matplotlib import rc_context

    content = io.StringIO()
    with rc_context({"svg.hashsalt": "bitwave"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = content.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    return f"<figure>{_own_names(text, title)}</figure>\n"


def _own_names(text: str, title: str) -> str:
    """Names of parts are of one drawing: several stand in a page."""
    import zlib

    mark = f"f{zlib.crc32((title + text).encode()):08x}-"
    return re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{mark}", text)
