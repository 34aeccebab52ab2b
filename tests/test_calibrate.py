"""`bitwave calibrate` and `evaluate --events`, as a person types them."""

from __future__ import annotations

import dataclasses
import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bitwave import cli, synth, tflite
from bitwave.errors import ParityMismatch, RecordingError, UsageError, WriteError
from bitwave.model.metadata import Decision
from bitwave.recognition.search import Search
from bitwave.recognition.traces import Said, Tracer
from bitwave.recordings.recording import Recording, even_times, write
from bitwave.recordings.segments import corrections, write_segments
from bitwave.recordings.streams import load_streams
from bitwave.tflite import build as tflite_build
from bitwave_train import calibrate as calibration
from bitwave_train.runs import Run, open_run
from bitwave_train.settings import Split
from bitwave_train.unseen import hear_run
from models import random_model
from support import need

LABELS = ("chop", "wave", "idle", "unknown")
FIRES = (True, True, False, False)
RATE = 40.0
VERBS = {
    "calibrate": "calibrate_command:calibrate",
    "evaluate": "commands:evaluate",
    "quantize": "commands:quantize",
    "train": "commands:train",
}


def command(*arguments: str) -> int:
    points = [EntryPoint(verb, f"bitwave_train.{where}", cli.GROUP) for verb, where in VERBS.items()]
    return cli.run(cli.build_app(points), list(arguments))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert command(*arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Streams of three people with their segments."""
    for seed, who in enumerate(("p01", "p02", "p03")):
        made = synth.stream(synth.random_plan(12, LABELS, seed), who, seed=seed, rate_hz=RATE)
        take = Recording("stream", who, "s01", 1, even_times(len(made.samples), RATE), made.samples, RATE)
        write(tmp_path / "data" / "streams", synth.session_facts(who, rate_hz=RATE), [take])
        write_segments(corrections(tmp_path / "data" / "streams" / f"{take.name}.csv"), made.intervals)
    return tmp_path / "data"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made = random_model(3, steps=16, channels=6, hidden=(7,), dense=(4,), metadata=True, hop=4, drive=6.0)
    assert made.metadata is not None
    decision = Decision(thresholds=(0, 0, 0, 0), fires=FIRES)
    metadata = made.metadata.model_copy(update={"rate_hz": RATE, "labels": LABELS, "decision": decision})
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite_build.write(dataclasses.replace(made, metadata=metadata)))
    return path


def test_a_model_is_calibrated_on_some_and_reported_on_others(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("matplotlib")
    before = model.read_bytes()
    out, picture = tmp_path / "calibrated.tflite", tmp_path / "curve.png"
    words = ("calibrate", str(model), "--streams", str(data), "--on", "p01", "--on", "p03", "--out", str(out))
    (found,) = told(capsys, *words, "--false-activations-per-hour", "900", "--picture", str(picture), "--json")[
        "models"
    ]
    assert model.read_bytes() == before and picture.read_bytes().startswith(b"\x89PNG")
    assert found["chosen_on"]["participants"] == ["p01", "p03"]
    assert list(found["reported"]["participants"]) == ["p02"]
    written = tflite.read_model(out)
    assert written.metadata is not None
    assert written.metadata.decision.model_dump(mode="json") == found["decision"]
    assert written.metadata.decision.fires == FIRES
    # The network is the same to the bit, and the core says what was reported.
    networks = [dataclasses.replace(tflite.read_model(path), metadata=None) for path in (model, out)]
    assert tflite_build.write(networks[0]) == tflite_build.write(networks[1])
    evaluated = told(capsys, "evaluate", str(out), "--events", "--streams", str(data), "--json")
    assert evaluated["participants"]["p02"] == found["reported"]["participants"]["p02"]
    assert command("calibrate", str(model), "--streams", str(data), "--on", "p02") == 0
    shown = capsys.readouterr().out
    assert "people whom nothing was chosen on" in shown and "p03" in shown
    assert model.read_bytes() != before


def test_a_dry_run_writes_nothing(data: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = model.read_bytes()
    assert command("calibrate", str(model), "--streams", str(data), "--on", "p01", "--dry-run") == 0
    assert "Nothing was written" in capsys.readouterr().out and model.read_bytes() == before


def test_another_rate_is_said(data: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = tflite.read_model(model)
    assert network.metadata is not None
    faster = network.metadata.model_copy(update={"rate_hz": 44.0})
    model.write_bytes(tflite_build.write(dataclasses.replace(network, metadata=faster)))
    assert command("evaluate", str(model), "--events", "--streams", str(data)) == 0
    assert "3 recordings of 40 Hz are resampled to the model's 44 Hz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name calibration participants with --on"),
        (("--on", "p09"), "there are streams of p01, p02, p03"),
        (("--on", "p01", "--on", "p02", "--on", "p03"), "leave somebody to report"),
    ],
)
def test_nobody_is_chosen_and_reported_on(
    data: Path, model: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("calibrate", str(model), "--streams", str(data), *words) == UsageError.exit_code
    assert message in capsys.readouterr().err


def test_a_core_that_says_something_else_is_an_error(data: Path, model: Path) -> None:
    stream = load_streams(data)[0]
    trace = Tracer(tflite.read_model(model)).trace(stream)
    calibration.check_core(model, [trace])
    with pytest.raises(ParityMismatch, match="are not those searched"):
        calibration.check_core(model, [dataclasses.replace(trace, scores=trace.scores[::-1])])


def test_a_run_on_streams_from_training_to_events(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("tensorflow", "keras", "matplotlib")
    run = str(tmp_path / "run")
    words = "--streams --folds 3 --window 24 --hop 6 --hidden 4 --epochs 2 --batch 16 --validation 0".split()
    assert command("train", str(data), "--run", run, *words) == 0
    assert command("quantize", run) == 0
    before = told(capsys, "evaluate", run, "--events", "--json")
    assert list(before["participants"]) == ["p01", "p02", "p03"]
    models = told(capsys, "calibrate", run, "--false-activations-per-hour", "600", "--json")["models"]
    assert [entry["chosen_on"]["participants"] for entry in models] == [
        ["p02", "p03"], ["p01", "p03"], ["p01", "p02"], ["p01", "p02", "p03"],
    ]  # fmt: skip
    for entry in models:
        metadata = tflite.read_model(Path(entry["model"])).metadata
        assert metadata is not None and metadata.decision.model_dump(mode="json") == entry["decision"]
        fires = dict(zip(metadata.labels, metadata.decision.fires, strict=True))
        assert fires == {"chop": True, "wave": True, "idle": False, "unknown": False}
    picture = tmp_path / "events.png"
    after = told(capsys, "evaluate", run, "--events", "--json", "--picture", str(picture))
    for entry in models[:3]:
        for who, figures in entry["reported"]["participants"].items():
            assert after["participants"][who] == figures
    assert picture.read_bytes().startswith(b"\x89PNG")
    # Each participant was scored by the model that never saw them.
    for part in open_run(Path(run)).tested:
        assert len({name.split(".")[1] for name in part.history().test}) == 1
    assert command("evaluate", run, "--json") == 0  # windows, as ever
    assert command("evaluate", run, "--events", "--report", "x.html") == UsageError.exit_code
    assert command("evaluate", run, "--picture", "x.png") == UsageError.exit_code
    without_folds = Run(Path(run), open_run(Path(run)).config.model_copy(update={"split": Split()}))
    with pytest.raises(UsageError, match="p01 was in the training of every model"):
        hear_run(without_folds, load_streams(data))


def test_a_core_that_says_something_else_gets_no_decision(
    data: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, real = model.read_bytes(), Search.events
    words = ("calibrate", str(model), "--streams", str(data), "--on", "p01", "--false-activations-per-hour", "900")

    def other(search: Search, decision: Decision) -> list[list[Said]]:
        return [found[1:] for found in real(search, decision)]

    monkeypatch.setattr(Search, "events", other)
    assert command(*words) == ParityMismatch.exit_code
    assert "are not those searched" in capsys.readouterr().err and model.read_bytes() == before


def test_what_cannot_be_kept_is_said_with_what_came_nearest(
    data: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("calibrate", str(model), "--streams", str(data), "--on", "p01", "--dry-run", "--median-delay-ms")
    assert command(*words, "-9000", "--false-activations-per-hour", "1e9") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "no decision keeps to a median delay of -9000 ms on the calibration streams; the nearest one" in shown
    assert "false activations per hour on the calibration" not in shown and "shorter window" in shown
    assert command(*words, "nan") == UsageError.exit_code
    assert "--median-delay-ms is no number" in capsys.readouterr().err


def test_a_picture_that_cannot_be_drawn_loses_no_figure(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("matplotlib")
    (tmp_path / "file").write_bytes(b"")
    nowhere = str(tmp_path / "file" / "x.png")
    common = (str(model), "--streams", str(data), "--json", "--picture", nowhere)
    for words in (("calibrate", *common, "--on", "p01"), ("evaluate", *common, "--events")):
        assert command(*words) == WriteError.exit_code
        assert json.loads(capsys.readouterr().out)


def test_gestures_that_the_model_does_not_know_are_refused(
    data: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = next((data / "streams" / "segments").glob("*.p02.*.csv"))
    place.write_text(place.read_text().replace("wave,", "wav,"))
    for words in (("evaluate", str(model), "--events"), ("calibrate", str(model), "--on", "p01", "--dry-run")):
        assert command(*words, "--streams", str(data)) == RecordingError.exit_code
        said = capsys.readouterr().err
        assert "stream.p02.s01.1 has segments named wav, which the model does not know: it knows chop, wave" in said
