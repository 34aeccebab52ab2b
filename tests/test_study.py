"""The study: its variants are valid runs, a run that is done is kept, and the table comes from the JSON alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bitwave.errors import UsageError
from bitwave_train import study
from support import need, need_data


@pytest.mark.parametrize("variant", list(study.VARIANTS))
@pytest.mark.parametrize("name", list(study.SOURCES))
def test_every_variant_is_a_valid_run(name: str, variant: str) -> None:
    found = study.options(study.SOURCES[name], study.VARIANTS[variant])
    assert (found.folds, found.seeds, found.window) == (5, 3, study.SOURCES[name].window)
    assert bool(found.settings.conv_filters) == study.VARIANTS[variant].conv
    assert sorted(study.ORDER) == list(range(len(study.VARIANTS)))


def test_a_study_goes_on_and_fills_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("tensorflow", "keras", "unicorn")
    root = need_data("nano33ble-five-moves").parent
    few = ["+ attention instead", "attention, QAT"]
    small = {name: replace(study.VARIANTS[name], qat=min(study.VARIANTS[name].qat, 1)) for name in few}
    monkeypatch.setattr(study, "VARIANTS", small)
    monkeypatch.setattr(study, "ORDER", (0, 1))
    monkeypatch.setattr(study, "FOLDS", 2)
    page, results = tmp_path / "README.md", tmp_path / "results.json"
    page.write_text(f"before\n{study.BEGIN}\nold\n{study.END}\nafter\n")
    arguments = ["--data", str(root), "--work", str(tmp_path / "work"), "--results", str(results), "--page", str(page)]
    arguments += ["--only", "five", "--seeds", "1", "--epochs", "1"]
    assert study.main(arguments) == 0
    found = json.loads(results.read_text())
    assert list(found["five"]) == few
    assert found["five"][few[0]]["parts"] == 2
    assert found["five"][few[0]]["float"] == found["five"][few[1]]["float"]  # the same float models
    assert found["five"][few[0]]["post_training"] is None
    assert found["five"][few[1]]["post_training"] == found["five"][few[0]]["int8"]
    assert 0 < found["five"][few[0]]["board"]["processor"] < 0.1
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    assert all(f"| five | {name} |" in text for name in few)
    models = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("model.keras")}
    written = results.stat().st_mtime_ns
    assert study.main(arguments) == 0
    assert results.stat().st_mtime_ns == written
    assert {path: path.stat().st_mtime_ns for path in models} == models
    page.write_text("no marks")
    assert study.main(arguments) == UsageError.exit_code
