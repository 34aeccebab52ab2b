"""A continuous recording and its segments as one HTML page that needs nothing else; a pure function of its input."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..synth.wrist import Interval
from ..wording import counted
from .recording import Recording
from .segments import energy, threshold

PIXELS_PER_S = 40.0
BAND = 130  # pixels of one graph
MAX_WIDTH = 60_000.0
LEFT = 110  # pixels in front of the graphs, for what their axes say
COLOURS = ("#c0392b", "#27ae60", "#2471a3")
ENERGY_COLOUR = "#444"
BANDS = ("acceleration, g", "rotation, degree/s", "energy, dB")

STYLE = """body{font:14px sans-serif;margin:1em} .scroll{overflow-x:auto} svg{background:#fff}
table{border-collapse:collapse;margin-top:1em} td,th{padding:1px 10px;text-align:right}"""


def page(recording: Recording, segments: Sequence[Interval], place: str) -> str:
    """The page.

    Args:
        recording: what was recorded.
        segments: to shade and to list.
        place: of the CSV that holds them, named for who wants to correct it.
    """
    count = max(1, len(recording.samples))
    seconds = count / recording.rate_hz
    width = min(MAX_WIDTH, max(600.0, seconds * PIXELS_PER_S))
    scale = width / count
    values = energy(recording)
    bands = [
        (recording.samples[:, :3] / recording.counts.accel_lsb_per_g).T,
        (recording.samples[:, 3:6] / recording.counts.gyro_lsb_per_dps).T,
        10 * np.log10(np.maximum(values, 1e-6))[None, :],
    ]
    parts = [_shade(index, segment, scale) for index, segment in enumerate(segments, start=1)]
    for index, lines in enumerate(bands):
        parts += _band(index, lines, width)
    parts.append(_level(10 * np.log10(threshold(values)), bands[2], width))
    parts += [
        f'<text x="{second * recording.rate_hz * scale:.1f}" y="{3 * BAND + 14}" font-size="10">{second} s '
        f"/ row {round(second * recording.rate_hz)}</text>"
        for second in range(0, int(seconds) + 1, 5)
    ]
    axes = "".join(_axis(index, name, lines) for index, (name, lines) in enumerate(zip(BANDS, bands, strict=True)))
    rows = "".join(
        f"<tr><td>{index}</td><td>{html.escape(segment.label)}</td><td>{segment.start}</td><td>{segment.end}</td>"
        f"<td>{segment.start / recording.rate_hz:.2f}</td>"
        f"<td>{(segment.end - segment.start) / recording.rate_hz:.2f}</td></tr>"
        for index, segment in enumerate(segments, start=1)
    )
    name = html.escape(recording.name)
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style>'
        f"<h1>{name}</h1><p>{counted(len(segments), 'segment')} in {seconds:.1f} s. "
        f"Correct them in {html.escape(place)} "
        "(label,start,end in rows), then run bitwave segment again.</p>"
        f'<div class="scroll"><svg width="{LEFT + width:.0f}" height="{3 * BAND + 20}">{axes}'
        f'<g transform="translate({LEFT} 0)">{"".join(parts)}</g></svg></div>'
        "<table><tr><th>n</th><th>label</th><th>start</th><th>end</th><th>at, s</th><th>length, s</th></tr>"
        f"{rows}</table></html>\n"
    )


def _shade(index: int, segment: Interval, scale: float) -> str:
    left, width = segment.start * scale, (segment.end - segment.start) * scale
    title = html.escape(f"{index}: {segment.label}, rows {segment.start} to {segment.end}")
    return (
        f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="{3 * BAND}" fill="#f9e79f" fill-opacity="0.6">'
        f'<title>{title}</title></rect><text x="{left + 2:.1f}" y="11" font-size="10">{index} '
        f"{html.escape(segment.label)}</text>"
    )


def _range(lines: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Lowest value and height of a band; never zero high."""
    low, high = (float(lines.min()), float(lines.max())) if lines.size else (0.0, 1.0)
    return low, max(high - low, 1e-6)


def _axis(index: int, name: str, lines: npt.NDArray[np.float64]) -> str:
    """Name, lowest and highest value of a band, and which line is which."""
    low, height = _range(lines)
    bottom, top = (index + 1) * BAND - 6, index * BAND + 18
    words = "".join(
        f'<text x="{2 + 14 * at}" y="{(top + bottom) / 2 + 14:.0f}" font-size="10" fill="{colour}">{axis}</text>'
        for at, (axis, colour) in enumerate(zip("xyz", COLOURS, strict=True))
    )
    numbers = "".join(
        f'<text x="{LEFT - 4}" y="{y}" font-size="10" text-anchor="end">{value:.{0 if height > 20 else 1}f}</text>'
        for y, value in ((bottom, low), (top + 4, low + height))
    )
    label = f'<text x="2" y="{(top + bottom) / 2:.0f}" font-size="10">{name}</text>'
    return label + numbers + (words if len(lines) > 1 else "")


def _band(index: int, lines: npt.NDArray[np.float64], width: float) -> list[str]:
    low, height = _range(lines)
    count = lines.shape[1]
    # Beyond two points a pixel nothing more is seen.
    chosen = np.unique(np.linspace(0, count - 1, min(count, int(2 * width))).astype(int)) if count else np.empty(0, int)
    parts = []
    for line, colour in zip(lines, COLOURS if len(lines) > 1 else (ENERGY_COLOUR,), strict=True):
        across = chosen * (width / max(1, count))
        down = (index + 1) * BAND - 6 - (line[chosen] - low) / height * (BAND - 24)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across.tolist(), down.tolist(), strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="0.8"/>')
    return parts


def _level(level: float, lines: npt.NDArray[np.float64], width: float) -> str:
    low, height = _range(lines)
    y = 3 * BAND - 6 - (level - low) / height * (BAND - 24)
    return f'<line x1="0" x2="{width:.0f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#555" stroke-dasharray="4"/>'
