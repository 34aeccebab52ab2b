"""The report as one HTML file: style and drawings inside, nothing fetched, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from bitwave.model.quantmodel import GATES

from .details import Detail, Interval, by_participant, label_figures, worst
from .settings import RunConfig

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#f0e442")
WIDTH, HEIGHT = 420, 180
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}figure{display:inline-block;margin:.4rem 1rem .4rem 0}
figcaption{font-size:13px;color:#555}svg{background:#fafafa}.key{font-size:12px;margin-right:.8rem}
"""


def page(config: RunConfig, details: Sequence[Detail], cost: Mapping[str, str]) -> str:
    """The whole file.

    Args:
        config: of the run.
        details: one per part that held recordings out.
        cost: of the deployable model on the board, by name.
    """
    classes = np.concatenate([part.classes for part in details])
    winners = np.concatenate([part.winners for part in details])
    sections = [
        ("Summary", _summary(config, details)),
        ("Confusion (int8)", _confusion(config.labels, classes, winners)),
        ("Labels (int8), with 95 % intervals", _labels(config.labels, classes, winners)),
        ("Participants (int8)", _intervals("participant", by_participant(details))),
        ("Learning curves", _curves(details)),
        ("Quantization", _quantization(details)),
        ("On the board", _rows(("", ""), [(escape(name), escape(text)) for name, text in cost.items()])),
        ("Worst mistakes", _mistakes(config, details)),
        ("Configuration", f"<pre>{escape(config.model_dump_json(indent=1))}</pre>"),
    ]
    body = "\n".join(f"<h2>{escape(title)}</h2>\n{content}" for title, content in sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>bitwave report</title>'
        f"<style>{STYLE}</style></head><body><h1>bitwave report</h1>\n{body}\n</body></html>\n"
    )


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{lines}</table>"


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def _summary(config: RunConfig, details: Sequence[Detail]) -> str:
    sides = [("float", [d.comparison.float32 for d in details])]
    before = [d.comparison.post_training for d in details if d.comparison.post_training]
    if before:
        sides.append(("int8, post-training quantization", before))
    sides.append(("int8, quantization-aware training" if before else "int8", [d.comparison.int8 for d in details]))
    rows = [(name, _spread([s.accuracy for s in side]), _spread([s.macro_f1 for s in side])) for name, side in sides]
    agreement = _spread([d.comparison.agreement for d in details])
    parts = [
        (escape(d.history.name), f"{d.comparison.float32.accuracy:.3f}", f"{d.comparison.int8.accuracy:.3f}")
        for d in details
    ]
    split = config.split
    held = f"{split.folds} folds by {split.by}" if split.folds else "participants " + ", ".join(split.participants)
    return (
        f"<p>{len(details)} models over {escape(held)}, {config.seeds} seed(s); mean and standard deviation over them. "
        f"Float and int8 agree on {agreement} of the windows. Data {escape(config.dataset_digest[:19])}…</p>"
        + _rows(("", "accuracy", "macro F1"), rows)
        + _rows(("held out", "float", "int8"), parts)
    )


def _confusion(labels: Sequence[str], classes: npt.NDArray[np.intp], winners: npt.NDArray[np.intp]) -> str:
    table = np.zeros((len(labels), len(labels)), int)
    np.add.at(table, (classes, winners), 1)
    rows = []
    for label, row in zip(labels, table, strict=True):
        cells = [
            f'<span style="background:rgba(0,114,178,{n / max(row.sum(), 1):.2f});padding:0 .5rem">{n}</span>'
            for n in row
        ]
        rows.append((escape(label), *cells))
    return _rows(("true \\ answered", *labels), rows)


def _labels(labels: Sequence[str], classes: npt.NDArray[np.intp], winners: npt.NDArray[np.intp]) -> str:
    rows = []
    for index, label in enumerate(labels):
        found = label_figures(classes, winners, index)
        rows.append((escape(label), *(_interval(i) for i in (found.precision, found.recall, found.f1))))
    return _rows(("label", "precision", "recall", "F1"), rows)


def _interval(found: Interval) -> str:
    return f"{found.value:.3f} <small>[{found.low:.3f}, {found.high:.3f}]</small>"


def _intervals(what: str, found: Mapping[str, Interval]) -> str:
    return _rows((what, "accuracy"), [(escape(name), _interval(interval)) for name, interval in found.items()])


def _curves(details: Sequence[Detail]) -> str:
    figures = []
    for part in details[:10]:
        epochs = part.history.epochs
        lines = {"loss": np.array([e.loss for e in epochs])}
        if part.history.validation:
            lines["validation loss"] = np.array([e.validation_loss for e in epochs])
            lines["validation accuracy"] = np.array([e.validation_accuracy for e in epochs])
        figures.append(plot(lines, f"{part.history.name}, best epoch {part.history.best_epoch + 1}", "epoch"))
    return "".join(figures)


def _quantization(details: Sequence[Detail]) -> str:
    out = []
    for index in range(len(details[0].strain)):
        layers = [part.strain[index] for part in details]
        gates = np.mean([layer.gates for layer in layers], axis=0)
        lines = {f"{gate} gate": gates[g] for g, gate in enumerate(GATES)}
        lines["hidden"] = np.mean([layer.hidden for layer in layers], axis=0)
        drift = {"cell, int8 against float": np.mean([layer.cell_drift for layer in layers], axis=0)}
        use = f"the cell uses {np.mean([s.cell_use for s in layers]):.0%} of int16, the hidden state "
        use += f"{np.mean([s.hidden_use for s in layers]):.0%} of int8"
        out.append(f"<p>LSTM {index + 1}: {use}.</p>")
        out.append(plot(lines, "share of values at a limit, by step of the window", "step"))
        out.append(plot(drift, "drift of the cell: RMS difference by RMS of the cell", "step"))
    return "".join(out)


def _mistakes(config: RunConfig, details: Sequence[Detail]) -> str:
    figures = []
    for part, index in worst(details):
        truth, answer = config.labels[part.classes[index]], config.labels[part.winners[index]]
        lines = {name: part.samples[index, :, c].astype(float) for c, name in enumerate(config.channels)}
        title = f"{part.names[index]}: {truth} taken for {answer}, ahead by {part.margin[index]:.2f}"
        figures.append(plot(lines, title, "sample (raw counts)"))
    return "".join(figures) or "<p>There is none.</p>"


def plot(lines: Mapping[str, npt.NDArray[np.float64]], title: str, below: str) -> str:
    """Lines over their index as an SVG figure, with the range of the values beside them."""
    everything = np.concatenate([np.ravel(values) for values in lines.values()])
    low, high = float(min(everything.min(), 0.0)), float(max(everything.max(), 0.0))
    span = (high - low) or 1.0
    drawn, keys = [], []
    for colour, (name, values) in zip(COLOURS, lines.items(), strict=False):
        x = np.linspace(44, WIDTH - 6, max(len(values), 2))[: len(values)]
        y = 8 + (HEIGHT - 30) * (high - values) / span
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.3" points="{points}"/>')
        keys.append(f'<span class="key" style="color:{colour}">{escape(name)}</span>')
    text = '<text font-size="11" fill="#555"'
    axes = f'{text} x="2" y="16">{high:.3g}</text>{text} x="2" y="{HEIGHT - 22}">{low:.3g}</text>'
    axes += f'{text} x="{WIDTH // 2}" y="{HEIGHT - 6}">{escape(below)}</text>'
    svg = f'<svg width="{WIDTH}" height="{HEIGHT}" role="img">{axes}{"".join(drawn)}</svg>'
    return f"<figure>{svg}<div>{''.join(keys)}</div><figcaption>{escape(title)}</figcaption></figure>"
