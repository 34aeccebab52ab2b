"""Lanes against carried states on the demo's data: ``python -m bitwave_train.streaming_study`` writes README's table.

Both are trained on takes of the same virtual people, with the same units, and recognise the same streams of people whom
training never saw, with the decision that quantization gives. Cycles are those of the emulated Cortex-M4.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bitwave import tflite
from bitwave.core.host import HostCore
from bitwave.emulator.engine import EmulatedCore
from bitwave.errors import ModelError
from bitwave.files import write_whole
from bitwave.model import image
from bitwave.model.quantmodel import QuantModel
from bitwave.recognition.event_score import Score, score
from bitwave.recordings.dataset import Dataset, from_recordings
from bitwave.synth.wrist import Interval, Stream, random_plan, stream, takes

from . import train
from .settings import Settings
from .tflite_writer import GateDefaults, write_run

README = Path(__file__).parents[1] / "README.md"
MARKS = "<!-- streaming -->", "<!-- /streaming -->"
LEARNERS = tuple(f"p{number:02d}" for number in range(1, 7))
STRANGERS = tuple(f"p{number:02d}" for number in range(21, 25))
TAKES, MOVEMENTS, EPOCHS = 8, 120, 40
VARIANTS = {
    "lanes": Settings(hidden=(24,), conv_filters=0, pool="last", epochs=EPOCHS),
    "stateful": Settings(hidden=(24,), conv_filters=0, pool="last", epochs=EPOCHS, streaming="stateful"),
    "lanes, convolution": Settings(hidden=(24,), conv_filters=16, pool="last", epochs=EPOCHS),
    "stateful, convolution": Settings(hidden=(24,), conv_filters=16, pool="last", epochs=EPOCHS, streaming="stateful"),
}


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        score: of the strangers' streams.
        gated: the same with a motion gate.
        asleep: which part of the samples the gate let it sleep through.
        cycles: per sample, all lanes together, head left out.
        arena_bytes: of a recognizer.
    """

    name: str
    score: Score
    gated: Score
    asleep: float
    lanes: int
    cycles: float
    arena_bytes: int


def heard(model: QuantModel, streams: dict[str, Stream]) -> tuple[Score, float]:
    """The score of the core's events, and the share of samples slept through."""
    if model.metadata is None:
        raise ModelError("the model has no labels")
    core = HostCore(image.build(model))
    total, slept = Score(), 0
    for person, one in streams.items():
        found = core.events(one.samples)
        slept += found.slept
        said = [Interval(model.metadata.labels[event.label], event.sample, event.sample) for event in found.events]
        total += score(
            one.intervals, [_Said(each.label, each.start) for each in said], len(one.samples), one.rate_hz, person
        )
    return total, slept / sum(len(one.samples) for one in streams.values())


@dataclass(frozen=True)
class _Said:
    label: str
    sample: int


def measure(name: str, settings: Settings, data: Dataset, streams: dict[str, Stream], folder: Path) -> Row:
    """Trains, quantizes and recognises."""
    config = train.plan(data, folder, settings)
    run = train.train(data, config, folder / name.replace(", ", "-"))
    (path,) = write_run(run, data)
    model = tflite.read_model(path)
    if model.metadata is None:
        raise ModelError(f"{path} has no labels")
    found, _ = heard(model, streams)
    sleepy = model.metadata.model_copy(update={"gate": GateDefaults(still_s=1.0).gate(config)})
    gated, asleep = heard(QuantModel(**{**vars(model), "metadata": sleepy}), streams)
    core = HostCore(image.build(model))
    cost = EmulatedCore(image.build(model)).step_cost(core.lanes)
    return Row(name, found, gated, asleep, core.lanes, cost.cycles, core.recognizer_bytes)


def table(rows: list[Row]) -> str:
    """For the README."""
    lines = [
        "| streaming | event F1 | false per hour | median delay | lanes | cycles | arena | gated: F1, asleep |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        total, gated = row.score.total, row.gated.total
        lines.append(
            f"| {row.name} | {total.f1 or 0:.3f} | {total.false_per_hour or 0:.1f} | "
            f"{1000 * (total.median_delay_s or 0):.0f} ms | {row.lanes} | {row.cycles:,.0f} | {row.arena_bytes:,} B | "
            f"{gated.f1 or 0:.3f}, {row.asleep:.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Everything, and the table into the README."""
    data = from_recordings(take for person in LEARNERS for take in takes(person, count=TAKES))
    streams = {person: stream(random_plan(MOVEMENTS, seed=7), person, seed=7) for person in STRANGERS}
    with tempfile.TemporaryDirectory() as scratch:
        rows = [measure(name, settings, data, streams, Path(scratch)) for name, settings in VARIANTS.items()]
    text = README.read_text("utf-8")
    begin, end = MARKS
    changed = re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n{table(rows)}{end}", text, flags=re.S)
    write_whole(README, changed.encode())
    print(table(rows), end="")  # noqa: T201 - this is a program


if __name__ == "__main__":
    main()
