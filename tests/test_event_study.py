"""The study of whole streams: it goes on where it stopped, and the page's table comes from the JSON alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitwave_train import event_study as study
from support import need, need_data


def test_a_study_of_the_wrist_goes_on_and_fills_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("tensorflow", "keras", "matplotlib", "unicorn", "ziglang")
    few = {"learn": (range(1, 3), 8, 2), "choose": (range(21, 23), 8, 2), "report": (range(41, 42), 8, 3)}
    monkeypatch.setattr(study, "WEARERS", few)
    monkeypatch.setattr(study, "WRIST", {**study.WRIST, "hop": 20, "hidden": [6], "conv_filters": 4})
    page, results = tmp_path / "README.md", tmp_path / "study" / "events.json"
    page.write_text(f"before\n{study.BEGIN}\nold\n{study.END}\nafter\n")
    arguments = ["--data", "none", "--work", str(tmp_path / "work"), "--results", str(results), "--page", str(page)]
    arguments += ["--only", "wrist", "--epochs", "1"]
    assert study.main(arguments) == 0
    found = json.loads(results.read_text())["wrist"]
    assert list(found["participants"]) == ["p41"] and found["total"]["gestures"] == 6
    assert found["hours_without_gestures"] > 0 and "image" in found["board"]
    assert not any(found["decision"]["fires"][-2:]) and all(found["decision"]["fires"][:-2])
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    assert "| wrist, p41 | 6 |" in text and "| wrist, all | 6 |" in text
    for name in ("wrist.png", "wrist-calibration.png"):
        assert (results.parent / name).read_bytes().startswith(b"\x89PNG")
    keras = tmp_path / "work" / "wrist-run" / "model.keras"
    trained = keras.stat().st_mtime_ns
    assert study.main(arguments) == 0
    assert keras.stat().st_mtime_ns == trained and json.loads(results.read_text())["wrist"] == found


def test_the_public_recordings_are_whole_streams(tmp_path: Path) -> None:
    study.bring_uhh(need_data("uhh-imu-gestures").parent, tmp_path)
    streams = study.load_streams(tmp_path)
    assert len(streams) == 50 and sum(len(stream.segments) for stream in streams) == 501
    assert {stream.recording.participant for stream in streams} == {"j", "l", "na", "ni", "s"}
