"""The committed demo model is an input; its export is a pure function of it, and the emulated board runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitwave import links, native
from bitwave.model import exporter
from bitwave.recognition import live
from bitwave.simulator.network import stream_events
from bitwave.synth.wrist import LABELS
from bitwave.tflite.reader import read_model
from support import need

MODEL = native.firmware_root() / "lib" / "bitwave_model"


def test_the_committed_export_is_what_its_model_gives(tmp_path: Path) -> None:
    done = exporter.export(read_model(MODEL / "model.tflite"), tmp_path)
    assert {path.name for path in done.files} == {path.name for path in MODEL.iterdir()} - {"model.tflite"}
    for path in done.files:
        assert path.read_bytes() == (MODEL / path.name).read_bytes(), f"{path.name}: export the demo model again"


def test_the_demo_model_knows_what_the_virtual_wrist_does() -> None:
    model = read_model(MODEL / "model.tflite")
    assert model.metadata is not None
    assert model.metadata.labels == LABELS


@pytest.mark.parametrize("participant", ["p06", "p23"])
def test_the_emulated_board_recognises_a_stranger(participant: str) -> None:
    need("unicorn")
    plan = ["wave", "punch", "circle", "twist", "chop", "swipe"]
    url = f"emu:?model={MODEL / 'model.tflite'}&wrist=7&participant={participant}&plan={','.join(plan)}"
    with links.open(url) as link:
        report = live.run(link, keep_samples=True)
    assert [event.label for event in report.events] == plan
    events = stream_events(read_model(MODEL / "model.tflite"), report.samples)
    assert [(e.sample, report.labels[e.label]) for e in events] == [
        (e.sample - report.first, e.label) for e in report.events
    ]
