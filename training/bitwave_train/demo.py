"""`bitwave demo`: the whole path on a virtual wrist, each step with the command that does the same on real data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bitwave.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bitwave.model.quantmodel import QuantModel
    from bitwave.parity.comparison import ParityReport
    from bitwave.recognition.live import LiveReport
    from bitwave.synth.wrist import Interval

    from .evaluate import Comparison
    from .runs import Run

LEARNERS = tuple(f"p{number:02d}" for number in range(1, 6))
STRANGER = "p06"  # training never sees this participant
TAKES, TAKE_SECONDS, COUNT_IN_SECONDS = 10, 1.5, 0.5
HIDDEN, EPOCHS, BATCH, LEARNING_RATE, SHIFT = 24, 80, 64, 8e-3, 0.15
PARITY_WINDOWS = 48
MOVEMENTS = 20


@dataclass(frozen=True)
class Recognised:
    """How the stream went: gestures made, those that got their event, and events that nothing called for."""

    gestures: int
    found: int
    false: int


@dataclass(frozen=True)
class Figures:
    """What the table at the end shows."""

    comparison: Comparison
    parity: ParityReport
    image_bytes: int
    arena_bytes: int
    cycles: dict[str, float]
    recognised: Recognised


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all that the demo writes; made anew.")] = Path("demo-output"),
    seed: Annotated[int, typer.Option(min=0, help="Of the virtual wrist and of training.")] = 0,
) -> None:
    """Walk the whole path without a board: record, train, quantize, export, prove, recognise."""
    from .backend import prepare

    console = Console()
    prepare()  # before anything is removed: TensorFlow may be missing
    _clear(out)
    _say(
        console, 1, "A virtual wrist moves; the emulated board streams it", f"bitwave record emu: --out {out}/data ..."
    )
    _record(out / "data", seed, console)
    _say(console, 2, "An LSTM learns from all but one participant", f"bitwave train {out}/data --hold-out {STRANGER}")
    run = _train(out, seed, console)
    _say(console, 3, "It becomes an int8 model", f"bitwave quantize {out}/run")
    _quantize(run, out)
    _say(console, 4, "Float against int8, on the participant held out", f"bitwave evaluate {out}/run")
    comparison = _evaluate(run, out)
    model_path = run.deployable.tflite
    _say(console, 5, "Model image and C arrays", f"bitwave export {model_path} --out {out}/firmware")
    model, image = _export(model_path, out / "firmware")
    _say(console, 6, "Every engine computes the same bits", f"bitwave parity {model_path} --recordings {out}/data")
    report = _prove(model_path, model, out / "data", console)
    _say(console, 7, f"{STRANGER} moves, the emulated board recognises", f"bitwave live 'emu:?model={model_path}&...'")
    recognised = _recognise(model_path, seed, out / "stream.png", console)
    figures = Figures(comparison, report, len(image), _arena_bytes(image), _cycles(image), recognised)
    console.print(_table(figures))
    console.print(f"The stream with its events: [b]{out / 'stream.png'}[/b]. All else is in {out}.")
    if report.failures:
        from bitwave.errors import ParityMismatch

        raise ParityMismatch(f"not equal; first difference: {report.failures[0]}")


def _clear(out: Path) -> None:
    """Removes what an earlier demo left, and nothing else."""
    import shutil

    from bitwave.errors import UsageError

    marker = out / ".bitwave-demo"
    if out.exists() and any(out.iterdir()) and not marker.exists():
        raise UsageError(f"{out} is not empty and not of an earlier demo: give another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    marker.write_bytes(b"")


def _say(console: Console, number: int, what: str, command: str) -> None:
    console.print(f"[b]{number}. {what}[/b]   [dim]{command}[/dim]", highlight=False, soft_wrap=True)


def _record(data: Path, seed: int, console: Console) -> None:
    """Takes of every participant and label, over the real wire format, by the real `record`."""
    from bitwave import links
    from bitwave.capture import takes as capture
    from bitwave.synth.wrist import LABELS

    participants = (*LEARNERS, STRANGER)
    with _bar(console) as bar:
        task = bar.add_task("takes", total=len(participants) * len(LABELS) * TAKES)

        def count(moment: capture.Progress) -> None:
            if moment.phase == "saved":
                bar.advance(task)

        for participant in participants:
            with links.open(f"emu:?wrist={seed}&participant={participant}") as link:
                for label in LABELS:
                    plan = capture.CapturePlan(data, label, participant, "s01", TAKES, TAKE_SECONDS, COUNT_IN_SECONDS)
                    capture.record(link, plan, count)


def _train(out: Path, seed: int, console: Console) -> Run:
    from bitwave.recordings import dataset

    from . import train
    from .progress import TrainingProgress
    from .settings import Augmentation, Settings, Split

    settings = Settings(
        hidden=(HIDDEN,), epochs=EPOCHS, batch=BATCH, learning_rate=LEARNING_RATE, seed=seed,
        augmentation=Augmentation(shift=SHIFT),
    )  # fmt: skip
    recordings = dataset.load(out / "data")
    split = Split(kind="hold-out", by="participant", participants=(STRANGER,))
    config = train.plan(recordings, out / "data", settings, split=split)
    with TrainingProgress(config, console) as progress:
        return train.train(recordings, config, out / "run", report=progress.report)


def _quantize(run: Run, out: Path) -> None:
    from bitwave.recordings import dataset

    from .tflite_writer import write_run

    for _ in write_run(run, dataset.load(out / "data")):
        pass


def _evaluate(run: Run, out: Path) -> Comparison:
    from bitwave.recordings import dataset

    from .evaluate import evaluate

    return evaluate(run, dataset.load(out / "data"))[0]


def _export(path: Path, out: Path) -> tuple[QuantModel, bytes]:
    from bitwave.model import exporter
    from bitwave.tflite.reader import read_model

    model = read_model(path)
    return model, exporter.export(model, out).image


def _prove(path: Path, model: QuantModel, data: Path, console: Console) -> ParityReport:
    from bitwave.parity.comparison import compare
    from bitwave.parity.windows import mixed_windows
    from bitwave.tflite.reader import read_bytes

    with _bar(console) as bar:
        tasks: dict[str, TaskID] = {}

        def show(engine: str, done: int, total: int) -> None:
            if engine not in tasks:
                tasks[engine] = bar.add_task(engine, total=total)
            bar.update(tasks[engine], completed=done)

        return compare(read_bytes(path), mixed_windows(model, PARITY_WINDOWS, data), progress=show)


def _recognise(path: Path, seed: int, picture: Path, console: Console) -> Recognised:
    """The held-out participant's stream through the emulated board, and how well its events fit what was done."""
    from bitwave import links
    from bitwave.links.virtual import VirtualLink
    from bitwave.recognition import live
    from bitwave.recognition.picture import draw_stream
    from bitwave.synth.wrist import random_plan

    plan = random_plan(MOVEMENTS, seed=seed)
    url = f"emu:?model={path}&wrist={seed}&participant={STRANGER}&session=live&plan={','.join(plan)}"
    with links.open(url) as link, _bar(console) as bar:
        assert isinstance(link, VirtualLink)
        task = bar.add_task("seconds of the stream", total=None)

        def show(update: live.Update) -> None:
            bar.update(task, completed=int(update.elapsed_s))
            for event in update.events:
                bar.console.print(f"   {event.time_s:6.2f} s  [b green]{event.label}[/b green]  {event.score}/255")

        report = live.run(link, on_update=show, keep_samples=True)
        truth = link.truth
    draw_stream(
        picture, report.samples, report.rate_hz, report.events, report.labels,
        truth=truth, windows=report.windows, first=report.first, title=f"{STRANGER}, whom training never saw",
    )  # fmt: skip
    return tally(truth, report)


def tally(truth: Sequence[Interval], report: LiveReport) -> Recognised:
    """Gestures that got their event and events that nothing called for, as `bitwave.recognition` scores them."""
    from bitwave.recognition.event_score import score

    found = score(truth, report.events, report.received, report.rate_hz, STRANGER, report.first).total
    return Recognised(found.gestures, found.hits, found.events - found.hits)


def _arena_bytes(image: bytes) -> int:
    from bitwave.core.host import HostCore

    return HostCore(image).recognizer_bytes


def _cycles(image: bytes) -> dict[str, float]:
    """Cycles per step of one lane by compiler, of those that are there."""
    from bitwave.emulator.engine import EmulatedCore
    from bitwave.errors import MissingPackage

    found = {}
    for compiler in ("clang", "gcc"):
        try:
            found[compiler] = EmulatedCore(image, compiler).step_cost().cycles
        except MissingPackage:
            continue  # the GCC build is extra: parity has said that it is absent
    return found


def _table(figures: Figures) -> Table:
    """The figures of the whole path."""
    comparison, recognised = figures.comparison, figures.recognised
    table = Table(title="What came out", show_header=False)
    table.add_row("float accuracy", f"{comparison.float32.accuracy:.1%} of {comparison.windows} windows of {STRANGER}")
    table.add_row("int8 accuracy", f"{comparison.int8.accuracy:.1%}")
    table.add_row("agreement", f"{comparison.agreement:.1%} of windows have the same winner in float and int8")
    for name, engine in figures.parity.engines.items():
        total = engine.total
        table.add_row(f"parity {name}", f"{total.compared:,} values compared, {total.mismatches:,} different")
    for name, reason in figures.parity.absent.items():
        table.add_row(f"parity {name}", f"absent: {reason}")
    table.add_row(
        "gestures recognised live",
        f"{recognised.found} of {recognised.gestures} by {STRANGER}, "
        f"{counted(recognised.false, 'event')} without a gesture",
    )
    table.add_row("image", f"{figures.image_bytes:,} bytes")
    table.add_row("RAM", f"{figures.arena_bytes:,} bytes")
    for compiler, cycles in figures.cycles.items():
        table.add_row(f"Cortex-M4 cycles per step ({compiler})", f"{cycles:,.0f}")
    return table


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
