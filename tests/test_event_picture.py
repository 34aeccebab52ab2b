"""The pictures of scores and of a calibration: nothing lies on anything, nothing falls off the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitwave.model.metadata import Decision
from bitwave.recognition import event_picture
from bitwave.recognition.calibration import Choice, Point
from bitwave.recognition.event_picture import draw_calibration, draw_score, shortened
from bitwave.recognition.event_score import Score, Tally
from bitwave.recognition.picture import draw_stream
from support import need

DECISION = Decision(thresholds=(128,), fires=(True,))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    need("matplotlib")
    kept: list[Any] = []
    real = event_picture._save

    def save(figure: Any, path: Path) -> None:
        real(figure, path)
        kept.append(figure)

    monkeypatch.setattr(event_picture, "_save", save)
    return kept


@pytest.mark.parametrize("names", [("p01",), tuple(f"p{n:02d}" for n in range(1, 13))])
def test_the_legend_stands_below_the_words_of_the_axis(
    names: tuple[str, ...], figures: list[Any], tmp_path: Path
) -> None:
    tally = Tally(gestures=9, hits=7, wrong=2, false=1, background_s=60.0, delays_s=(0.1,) * 7)
    draw_score(tmp_path / "score.png", Score({"wave": tally}, dict.fromkeys(names, tally)))
    draw_score(tmp_path / "quiet.png", Score({"wave": Tally(false=2)}, dict.fromkeys(names, Tally(false=1))))
    for figure in figures:
        for axis in figure.axes[:2]:
            words, legend = axis.xaxis.label.get_window_extent(), axis.get_legend().get_window_extent()
            assert legend.y1 <= words.y0 and legend.y0 >= 0
    assert figures[1].axes[2].texts[0].get_text() == "no gesture was recognised"


def test_people_at_one_point_share_a_line_of_names(figures: list[Any], tmp_path: Path) -> None:
    point = Point(DECISION, 0.9, 0.9, 0.0)
    others = {f"p{n:02d}": point for n in range(6)} | {"p07": Point(DECISION, 0.8, 0.8, 30.0)}
    draw_calibration(tmp_path / "curve.png", Choice(point, (point,), is_met=True), 1.0, others)
    (axis,) = figures[0].axes
    assert [note.get_text() for note in axis.texts] == ["p00, p01, p02, p03 and 2 more", "p07"]
    low, high = axis.get_xlim()
    assert low == 0.0 and high > 30.0
    draw_calibration(tmp_path / "free.png", Choice(point, (point,), is_met=True), float("inf"))
    assert np.isfinite(figures[1].axes[0].get_xlim()).all()


def test_names_are_shortened() -> None:
    assert shortened(["b", "a"]) == "a, b"
    assert shortened([f"p{n}" for n in range(5)]) == "p0, p1, p2, p3 and 1 more"


def test_a_stream_says_what_is_shaded_only_where_something_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("matplotlib")
    from matplotlib.axes import Axes

    said: list[str] = []
    real = Axes.set_xlabel
    monkeypatch.setattr(Axes, "set_xlabel", lambda axis, text: (said.append(text), real(axis, text))[1])
    draw_stream(tmp_path / "x.png", np.zeros((50, 6), np.int16), 50.0, (), ("wave",))
    assert said[-1] == "time, s"
