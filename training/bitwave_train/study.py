"""`make study`: what the methods of training give on three public data sets, under one protocol.

Each variant is a run of `bitwave train` over all folds and seeds; a fold that is done is kept, so that the study can be
stopped and goes on. Its figures stand in one JSON file, `results.json`, and the table of `training/README.md` is made
from that file alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitwave.errors import BitwaveError, UsageError
from bitwave.exchange.columns import Units, averaged, segments, sliced
from bitwave.exchange.importer import import_folder
from bitwave.exchange.seglearn import RATE_HZ, read_watch
from bitwave.exchange.stream_importer import import_streams
from bitwave.files import write_whole
from bitwave.model.metadata import CountsScale
from bitwave.recordings import dataset

from .options import Options, read_options
from .settings import Epoch

WIDE_RANGE = CountsScale(accel_lsb_per_g=4096.0)  # reaches 8 g
CAPTURE = ("aX", "aY", "aZ", "gX", "gY", "gZ")
SEGLEARN = "seglearn-1.2.5-py3-none-any.whl"
FOLDS, SEEDS = 5, 3
BEGIN, END = "<!-- study -->", "<!-- /study -->"


def _import_uhh(root: Path, out: Path) -> None:
    folder = root / "uhh-imu-gestures"
    streams = segments(folder, folder / "segments.csv", CAPTURE, Units("m/s2", "rad/s"), 60, "p01")
    import_streams(streams, out, rate_hz=33.0, session="s01", counts=WIDE_RANGE)


def _import_five(root: Path, out: Path) -> None:
    import_folder(root / "nano33ble-five-moves", out, rate_hz=119.0, participant="p01", session="s01")


def _import_watch(root: Path, out: Path) -> None:
    streams = sliced(averaged(read_watch(root / SEGLEARN), 2), (50, 25))
    import_streams(streams, out, rate_hz=RATE_HZ / 2, session="s01", counts=WIDE_RANGE)


@dataclass(frozen=True)
class Source:
    """A data set: how it is brought in, and what fits its size."""

    bring: Callable[[Path, Path], None]
    window: int
    epochs: int
    batch: int


SOURCES = {
    "uhh": Source(_import_uhh, 60, 150, 32),
    "five": Source(_import_five, 119, 120, 16),
    "watch": Source(_import_watch, 50, 60, 64),
}

PLAIN: dict[str, Any] = {"hidden": [32]}
CONV: dict[str, Any] = {"hidden": [40], "conv_filters": 24, "conv_kernel": 5, "conv_stride": 2, "memory": 0.0}
BARE: dict[str, Any] = dict.fromkeys(("rotation", "amplitude", "shift"), 0.0)
MOVED: dict[str, Any] = {"rotation": 15.0, "amplitude": 0.15, "shift": 0.1, "speed": 0.2}
# Name, settings, augmentation, epochs of quantization-aware training; each line changes one thing.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "plain LSTM 32, nothing else": (PLAIN, BARE, 0),
    "+ augmentation": (PLAIN, MOVED, 0),
    "+ convolution, last step": (CONV, MOVED, 0),
    "+ convolution, mean": ({**CONV, "pool": "mean"}, MOVED, 0),
    "+ convolution, attention": ({**CONV, "pool": "attention"}, MOVED, 0),
    "+ convolution, attention, QAT": ({**CONV, "pool": "attention"}, MOVED, 15),
    "+ convolution, attention, fused sensors": ({**CONV, "hidden": [24], "pool": "attention", "fused": True}, MOVED, 0),
}


def options(source: Source, variant: str, seeds: int = SEEDS, epochs: int | None = None) -> Options:
    """What `bitwave train` would be told for one run."""
    settings, augmentation, _ = VARIANTS[variant]
    count = epochs or source.epochs
    flags = {"folds": FOLDS, "seeds": seeds, "window": source.window, "epochs": count, "patience": count}
    return read_options(None, {**flags, "batch": source.batch, **settings, "augmentation": augmentation})


def run_one(work: Path, name: str, variant: str, chosen: Options, say: Callable[[str], object]) -> dict[str, Any]:
    """Trains, quantizes and evaluates one variant on one data set; keeps what is done."""
    from . import evaluate, report, train
    from .details import board_cost
    from .tflite_writer import write_run

    data = dataset.load(work / name)
    config = train.plan(
        data, work / name, chosen.settings, chosen.window, chosen.hop, chosen.split, chosen.damaged, chosen.seeds
    )
    settings, augmentation, qat = VARIANTS[variant]
    # A variant that differs in QAT alone takes the same float models.
    twin = next(v for v, (s, a, _) in VARIANTS.items() if (s, a) == (settings, augmentation))
    folder = work / f"{name}-{list(VARIANTS).index(twin)}"

    def hear(part: str, epoch: Epoch) -> None:
        if epoch.epoch == 0:
            say(f"{name}, {variant}: {part}")

    run = train.train(data, config, folder, resume=True, report=hear)
    for _ in write_run(run, data, qat_epochs=qat):
        pass
    found = report.as_dict(evaluate.evaluate(run, data))["summary"]
    kept = {key: found[key] for key in ("parts", "float", "int8", "agreement", "between_seeds")}
    return {**kept, "board": board_cost(run.deployable.tflite), "dataset_digest": data.digest}


def study(root: Path, work: Path, results: Path, only: list[str], seeds: int, epochs: int | None) -> dict[str, Any]:
    """Runs what `results` does not hold yet and writes it after each run."""
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    for name, source in SOURCES.items():
        if only and name not in only:
            continue
        if not (work / name).is_dir():
            source.bring(root, work / name)
        for variant in VARIANTS:
            chosen = options(source, variant, seeds, epochs)
            told = chosen.model_dump(mode="json")
            if found.get(name, {}).get(variant, {}).get("options") == told:
                continue
            entry = run_one(work, name, variant, chosen, lambda text: print(text, file=sys.stderr, flush=True))
            found.setdefault(name, {})[variant] = {"options": told, **entry}
            write_whole(results, (json.dumps(found, indent=1) + "\n").encode())
    return found


def table(found: dict[str, Any]) -> str:
    """Markdown: one line per variant and data set, int8 accuracy and F1, float, agreement, cost."""
    lines = ["| data | model | float | int8 | macro F1 | agreement | image | cycles per step |", "|---" * 8 + "|"]
    for name, variants in found.items():
        for variant, entry in variants.items():
            accuracies = [entry[which]["accuracy"] for which in ("float", "int8")]
            side = [f"{a['mean']:.3f} ± {a['std']:.3f}" for a in accuracies]
            cycles = next((v for k, v in entry["board"].items() if "cycles" in k), "")
            figures = (f"{entry['int8']['macro_f1']['mean']:.3f}", f"{entry['agreement']['mean']:.1%}")
            lines.append(f"| {' | '.join((name, variant, *side, *figures, entry['board']['image'], cycles))} |")
    return "\n".join(lines)


def into_page(page: Path, text: str, begin_mark: str = BEGIN, end_mark: str = END) -> None:
    """Puts the table between the marks of a page; raises `UsageError` where they are missing."""
    before, begin, rest = page.read_text("utf-8").partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not (begin and end):
        raise UsageError(f"{page} lacks the marks {begin_mark} and {end_mark} around its table")
    write_whole(page, f"{before}{begin}\n{text}\n{end}{after}".encode())


def main(arguments: list[str] | None = None) -> int:
    """The command of `make study`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets and seglearn's wheel")
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="folder of the runs")
    parser.add_argument("--results", type=Path, default=Path("training/study/results.json"))
    parser.add_argument("--page", type=Path, default=Path("training/README.md"))
    parser.add_argument("--only", action="append", default=[], choices=list(SOURCES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--epochs", type=int, help="fewer, to try it out")
    told = parser.parse_args(arguments)
    try:
        found = study(told.data, told.work, told.results, told.only, told.seeds, told.epochs)
        into_page(told.page, table(found))
    except BitwaveError as error:
        print(f"study: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
