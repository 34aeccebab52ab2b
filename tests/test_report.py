"""The HTML report: complete, self-contained, and its statistics by hand."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bitwave.errors import WriteError
from bitwave_train.details import label_figures, wilson
from bitwave_train.figures import lines
from support import need
from test_train_commands import command
from training_data import dataset, write_dataset


class Balanced(HTMLParser):
    """Notes every tag that is closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def test_a_report_has_all_its_parts_and_needs_no_network(tmp_path: Path) -> None:
    need("tensorflow", "keras", "matplotlib")
    data = str(write_dataset(tmp_path / "data", dataset(count=6)))
    run, path = str(tmp_path / "run"), tmp_path / "report.html"
    assert command("train", data, "--run", run, "--folds", "2", "--hidden", "4", "--epochs", "2") == 0
    assert command("quantize", run, "--qat", "--qat-epochs", "1") == 0
    assert command("evaluate", run, "--report", str(path)) == 0
    text = path.read_text()
    for wanted in (
        "Confusion",
        "precision",
        "recall",
        "Participants",
        "Learning curves",
        ">loss<",
        ">validation<",
        "post-training quantization",
        "quantization-aware training",
        "forget gate",
        "drift of the cell",
        "range in use",
        "Worst mistakes",
        "acceleration, g",
        "taken for",
        "On the board",
        "bytes",
        "sha256:",
    ):
        assert wanted in text, wanted
    assert not re.search(r'(src|href)="(?!#)|https?:|<script|@import|url[(](?!#)', text)
    names = re.findall(r' id="([^"]+)"', text)
    assert len(names) == len(set(names))
    assert set(re.findall(r'(?:href="|url[(])#([^")]+)', text)) <= set(names)
    parser = Balanced()
    parser.feed(text)
    assert (parser.open, parser.faults) == ([], [])
    assert command("evaluate", run, "--report", str(path / "below-a-file")) == WriteError.exit_code


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 0, 0.0, 1.0), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_by_hand(hits: int, of: int, low: float, high: float) -> None:
    found = wilson(hits, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_label_figures_by_hand() -> None:
    classes, winners = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 0, 1])
    found = label_figures(classes, winners, 0)
    assert (found.precision.value, found.recall.value, found.f1.value) == (0.75, 0.75, 0.75)
    assert found.f1.low <= 0.75 <= found.f1.high
    assert label_figures(classes, winners, 2).f1.value == 0.0


def test_a_drawing_escapes_names_and_stands_constant_lines() -> None:
    need("matplotlib")
    text = lines({"<a>": np.zeros(5), "b": np.ones(1)}, "t & u", "x", "y")
    assert "&lt;a&gt;" in text and "t &amp; u" in text and "nan" not in text
    assert text == lines({"<a>": np.zeros(5), "b": np.ones(1)}, "t & u", "x", "y")
