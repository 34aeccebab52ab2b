"""`make study`: what the methods of training give on three public data sets, under one protocol.

Each variant is a run of `bitwave train` over all folds and seeds; a fold that is done is kept, so that the study can be
stopped and goes on. Its figures stand in one JSON file, `results.json`, and the table of `training/README.md` is made
from that file alone.
"""

from __future__ import annotations

import argparse
import hashlib
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
from bitwave.model import image
from bitwave.model.metadata import CountsScale
from bitwave.recordings import dataset
from bitwave.tflite.reader import read_model

from .options import Options, read_options
from .runs import Epoch, Run
from .settings import Augmentation

WIDE_RANGE = CountsScale(accel_lsb_per_g=4096.0)  # reaches 8 g
CAPTURE = ("aX", "aY", "aZ", "gX", "gY", "gZ")
SEGLEARN = "seglearn-1.2.5-py3-none-any.whl"
FOLDS, SEEDS = 5, 3
BOARD_HZ = 64e6
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
    """A data set: how it is brought in, what fits its size and its rate, and the int8 accuracy to reach."""

    bring: Callable[[Path, Path], None]
    window: int
    epochs: int
    batch: int
    kernel: int
    stride: int
    changes: dict[str, float]
    goal: float


# How much windows may be changed was chosen on parts of the training folds, never on the test folds. Most where
# gravity was taken out: there a turned sensor sees the same move, elsewhere it sees another posture.
SMALL = {"rotation": 15.0, "amplitude": 0.15, "shift": 0.1, "speed": 0.2}
LARGE = {"rotation": 25.0, "amplitude": 0.25, "shift": 0.15, "speed": 0.3}
LARGER = {"rotation": 40.0, "amplitude": 0.4, "shift": 0.15, "speed": 0.4}

SOURCES = {
    "uhh": Source(_import_uhh, window=60, epochs=100, batch=32, kernel=5, stride=2, changes=LARGER, goal=0.985),
    "five": Source(_import_five, window=119, epochs=100, batch=16, kernel=9, stride=4, changes=SMALL, goal=0.985),
    "watch": Source(_import_watch, window=50, epochs=30, batch=64, kernel=5, stride=2, changes=LARGE, goal=0.895),
}


@dataclass(frozen=True)
class Variant:
    """One line of the table.

    Attributes:
        settings: of network and training, over the defaults.
        conv: whether the convolution that fits the data set stands in front.
        changes: of windows; None takes what was chosen for the data set.
        qat: epochs of quantization-aware training.
    """

    settings: dict[str, Any]
    conv: bool = True
    changes: dict[str, float] | None = None
    qat: int = 0


PLAIN: dict[str, Any] = {"hidden": [32], "memory": 0.5}
BEST: dict[str, Any] = {"hidden": [48], "conv_filters": 32, "memory": 0.0, "pool": "attention"}
FUSED: dict[str, Any] = {"hidden": [32], "conv_filters": 16, "memory": 0.0, "pool": "attention", "fused": True}
MEAN: dict[str, Any] = {**BEST, "pool": "mean"}
VARIANTS: dict[str, Variant] = {
    "LSTM 32, nothing else": Variant(PLAIN, conv=False, changes={}),
    "+ augmentation": Variant(PLAIN, conv=False),
    "+ convolution 32, LSTM 48, last step": Variant({**BEST, "pool": "last"}),
    "+ mean pooling": Variant(MEAN),
    "mean, QAT": Variant(MEAN, qat=8),
    "+ attention instead": Variant(BEST),
    "attention, QAT": Variant(BEST, qat=8),
    "attention, fused sensors: 2 x (16, 32)": Variant(FUSED),
    "attention, small changes of windows": Variant(BEST, changes=SMALL),
    "attention, large changes": Variant(BEST, changes=LARGE),
    "attention, larger changes": Variant(BEST, changes=LARGER),
    "attention, best epoch of a validation part": Variant({**BEST, "validation": 0.15}),
}
# What matters most is trained first; what has the same options is trained once.
ORDER = (3, 5, 4, 6, 7, 2, 1, 0, 11, 9, 8, 10)


def options(source: Source, variant: Variant, seeds: int = SEEDS, epochs: int | None = None) -> Options:
    """What `bitwave train` would be told for one run."""
    count = epochs or source.epochs
    conv = {"conv_kernel": source.kernel, "conv_stride": source.stride} if variant.conv else {"conv_filters": 0}
    flags: dict[str, Any] = {
        "folds": FOLDS,
        "seeds": seeds,
        "window": source.window,
        "epochs": count,
        "patience": count,
    }
    flags |= {"batch": source.batch, "validation": 0.0, "pool": "last", **conv, **variant.settings}
    changes = source.changes if variant.changes is None else variant.changes
    augmentation = {**Augmentation.none().model_dump(), **changes}
    return read_options(None, {**flags, "augmentation": augmentation})


def run_one(work: Path, name: str, variant: str, chosen: Options, say: Callable[[str], object]) -> dict[str, Any]:
    """Trains, quantizes and evaluates one variant on one data set; keeps what is done."""
    from . import evaluate, report, train
    from .tflite_writer import write_run

    data = dataset.load(work / name)
    config = train.plan(
        data, work / name, chosen.settings, chosen.window, chosen.hop, chosen.split, chosen.damaged, chosen.seeds
    )
    folder = work / f"{name}-{hashlib.sha256(chosen.model_dump_json().encode()).hexdigest()[:8]}"

    def hear(part: str, epoch: Epoch) -> None:
        if epoch.epoch == 0:
            say(f"{name}, {variant}: {part}")

    run = train.train(data, config, folder, resume=True, report=hear)
    for path in write_run(run, data, qat_epochs=VARIANTS[variant].qat, resume=True):
        say(f"{name}, {variant}: {path}")
    found = report.as_dict(evaluate.evaluate(run, data))["summary"]
    kept = {key: found[key] for key in ("parts", "float", "int8", "post_training", "agreement", "between_seeds")}
    return {**kept, "board": cost(run), "dataset_digest": data.digest}


def cost(run: Run) -> dict[str, float]:
    """Image bytes, and the share of a 64 MHz Cortex-M4 at the recording's rate."""
    from .cost import predict

    content = image.build(read_model(run.deployable.tflite))
    return {"image_bytes": len(content), "processor": predict(run.config).cycles_per_second / BOARD_HZ}


def study(
    root: Path, work: Path, results: Path, only: list[str], chosen_variants: list[str], seeds: int, epochs: int | None
) -> dict[str, Any]:
    """Runs what `results` does not hold yet and writes it after each run.

    Two studies of different data sets may run at once: what the other one has written is kept.
    """
    names = [name for name in SOURCES if not only or name in only]
    for name in names:
        if not (work / name).is_dir():
            SOURCES[name].bring(root, work / name)
    variants = list(VARIANTS)
    for variant in sorted(chosen_variants or variants, key=lambda v: ORDER.index(variants.index(v))):
        for name in names:
            chosen = options(SOURCES[name], VARIANTS[variant], seeds, epochs)
            told = {**chosen.model_dump(mode="json"), "qat_epochs": VARIANTS[variant].qat}
            if _read(results).get(name, {}).get(variant, {}).get("options") == told:
                continue
            entry = run_one(work, name, variant, chosen, lambda text: print(text, file=sys.stderr, flush=True))
            found = _read(results)
            found.setdefault(name, {})[variant] = {"options": told, **entry}
            write_whole(results, (json.dumps(found, indent=1) + "\n").encode())
    return _read(results)


def _read(results: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    return found


def table(found: dict[str, Any]) -> str:
    """Markdown: one line per variant and data set, int8 accuracy and F1, float, agreement, cost."""
    columns = (
        "data",
        "model",
        "runs",
        "float",
        "int8",
        "asked",
        "between seeds",
        "macro F1",
        "agreement",
        "image",
        "processor",
    )
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name in (source for source in SOURCES if source in found):
        for variant in (known for known in VARIANTS if known in found[name]):
            entry = found[name][variant]
            sides = [entry[which]["accuracy"] for which in ("float", "int8")]
            figures = [
                f"{entry['parts']}",
                *(f"{side['mean']:.3f} ± {side['std']:.3f}" for side in sides),
                f"{SOURCES[name].goal:.3f}",
                f"± {entry['between_seeds']['int8']['std']:.3f}" if entry["options"]["seeds"] > 1 else "",
                f"{entry['int8']['macro_f1']['mean']:.3f}",
                f"{entry['agreement']['mean']:.1%}",
                f"{entry['board']['image_bytes'] / 1024:.1f} KB",
                f"{entry['board']['processor']:.1%}",
            ]
            lines.append(f"| {' | '.join((name, variant, *figures))} |")
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
    parser.add_argument("--variant", action="append", default=[], choices=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--epochs", type=int, help="fewer, to try it out")
    told = parser.parse_args(arguments)
    try:
        found = study(told.data, told.work, told.results, told.only, told.variant, told.seeds, told.epochs)
        into_page(told.page, table(found))
    except BitwaveError as error:
        print(f"study: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
