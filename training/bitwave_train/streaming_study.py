"""Lanes against carried states on the virtual wrist: ``python -m bitwave_train.streaming_study`` writes README's table.

All are trained on the same continuous recordings with the same units, get their decision on the streams of the same
other people, as `bitwave calibrate` chooses it, and recognise the same streams of people whom neither has met. Cycles
are those of the emulated Cortex-M4.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bitwave import synth, tflite
from bitwave.core.host import HostCore
from bitwave.emulator.engine import EmulatedCore
from bitwave.errors import ModelError
from bitwave.files import write_whole
from bitwave.model import image
from bitwave.recognition.calibration import Asked
from bitwave.recognition.event_score import Score
from bitwave.recognition.traces import Trace
from bitwave.recordings.recording import Recording, even_times
from bitwave.recordings.streams import Stream
from bitwave.tflite import build as tflite_build

from . import train
from .calibrate import calibrate_one, check_core, write_decision
from .gate import GateDefaults
from .options import read_options
from .stream_plan import of_streams
from .tflite_writer import write_run
from .unseen import hear_model

README = Path(__file__).parents[1] / "README.md"
MARKS = "<!-- streaming -->", "<!-- /streaming -->"
QUIET = ("idle", "unknown")
# Numbers of participants, movements of everything, and movements without a gesture, each about three seconds long.
Wearers = tuple[Sequence[int], int, int]
LEARN: Wearers = (range(1, 9), 64, 24)
CHOOSE: Wearers = (range(21, 26), 48, 120)
REPORT: Wearers = (range(71, 77), 64, 120)
ASKED = Asked(false_per_hour=12.0, median_delay_s=0.15)
STILL_S = 1.0
NETWORK: dict[str, Any] = {"hidden": [24], "pool": "last", "validation": 0.0, "epochs": 30, "batch": 32}
CARRIED: dict[str, Any] = {"streaming": "stateful"}
VARIANTS: dict[str, dict[str, Any]] = {
    "lanes": {"conv_filters": 0},
    "stateful": {"conv_filters": 0, **CARRIED},
    "lanes, convolution": {"conv_filters": 16},
    "stateful, convolution": {"conv_filters": 16, **CARRIED},
    "stateful, convolution, gate": {"conv_filters": 16, **CARRIED, "gate": STILL_S},
}


@dataclass(frozen=True)
class Row:
    """One variant; scores are of the people to report on.

    Attributes:
        usual: with the decision that quantization gives.
        chosen: with the decision that was calibrated; `is_met` says whether it kept to what was asked where it was
            chosen.
        gated: the same decision, with a motion gate.
        asleep: which part of the samples the gate let it sleep through.
        cycles: per sample, all lanes together, head left out.
        arena_bytes: of a recognizer.
    """

    name: str
    usual: Score
    chosen: Score
    is_met: bool
    gated: Score
    asleep: float
    lanes: int
    cycles: float
    arena_bytes: int


def worn(wearers: Wearers) -> list[Stream]:
    """Streams of the virtual wrist: session s01 of everything, s02 without any gesture."""
    participants, movements, quiet = wearers
    found = []
    for seed in participants:
        for session, count, labels in (("s01", movements, synth.LABELS), ("s02", quiet, QUIET)):
            who = f"p{seed:02d}"
            made = synth.stream(synth.random_plan(count, labels, seed), who, session, seed)
            times = even_times(len(made.samples), made.rate_hz)
            found.append(
                Stream(Recording("stream", who, session, 1, times, made.samples, made.rate_hz), made.intervals)
            )
    return found


def measure(
    name: str, told: dict[str, Any], learn: list[Stream], choose: list[Stream], report: list[Stream], folder: Path
) -> Row:
    """Trains, quantizes, calibrates and recognises."""
    options = read_options(None, {**NETWORK, **told})
    data, config = of_streams(learn, folder, options)
    run = train.train(data, config, folder / name.replace(", ", "-"))
    sleepy = GateDefaults(STILL_S).gate(config)
    (path,) = write_run(run, data)
    people = sorted({stream.recording.participant for stream in choose})
    heard = hear_model(path, [*choose, *report])
    found = calibrate_one(heard, people, ASKED)
    before = [trace for trace in heard.traces if trace.stream.recording.participant not in people]
    write_decision(path, path, found.choice.chosen.decision)
    check_core(path, before)

    model = tflite.read_model(path)
    if model.metadata is None:
        raise ModelError(f"{path} has no labels")
    gated = replace(model, metadata=model.metadata.model_copy(update={"gate": sleepy}))
    gated_path = path.with_name("gated.tflite")
    write_whole(gated_path, tflite_build.write(gated))
    core = HostCore(image.build(gated))
    slept = sum(core.events(stream.recording.samples).slept for stream in report)
    return Row(
        name,
        _total(before),
        found.score,
        found.choice.is_met,
        _total(hear_model(gated_path, report).traces),
        slept / sum(len(stream.recording.samples) for stream in report),
        core.lanes,
        EmulatedCore(image.build(model)).step_cost(core.lanes).cycles,
        core.recognizer_bytes,
    )


def _total(traces: Sequence[Trace]) -> Score:
    return sum((trace.score() for trace in traces), Score())


def table(rows: list[Row]) -> str:
    """For the README."""
    lines = [
        "| streaming | decision | recall | F1 | false per hour | median delay | lanes | cycles | arena | asleep |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        cost = f"{row.lanes} | {row.cycles:,.0f} | {row.arena_bytes:,} B"
        kept = "calibrated" if row.is_met else "calibrated, missed"
        lines.append(f"| {row.name} | as quantized | {_figures(row.usual)} | {cost} | |")
        lines.append(f"| | {kept} | {_figures(row.chosen)} | | | | |")
        lines.append(f"| | the same, gated | {_figures(row.gated)} | | | | {row.asleep:.0%} |")
    return "\n".join(lines) + "\n"


def _figures(score: Score) -> str:
    total = score.total
    return (
        f"{total.recall or 0:.3f} | {total.f1 or 0:.3f} | {total.false_per_hour or 0:.1f} | "
        f"{1000 * (total.median_delay_s or 0):.0f} ms"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Everything, and the table into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=README)
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="to try it out; writes no table")
    parser.add_argument("--epochs", type=int, help="fewer, to try it out")
    told = parser.parse_args(arguments)
    learn, choose, report = (worn(wearers) for wearers in (LEARN, CHOOSE, REPORT))
    changes = {} if told.epochs is None else {"epochs": told.epochs}
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            measure(name, {**settings, **changes}, learn, choose, report, Path(scratch))
            for name, settings in VARIANTS.items()
            if told.only is None or name in told.only
        ]
    print(table(rows), end="")  # noqa: T201 - this is a program
    if told.only is None:
        begin, end = MARKS
        text = told.page.read_text("utf-8")
        changed = re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n{table(rows)}{end}", text, flags=re.S)
        write_whole(told.page, changed.encode())


if __name__ == "__main__":
    main()
