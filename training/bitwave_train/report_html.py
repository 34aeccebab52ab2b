"""The report as one HTML file: style and drawings inside, nothing fetched, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from bitwave.model.quantmodel import GATES

from .details import Detail, Interval, LayerStrain, by_participant, label_figures, worst
from .figures import Values, lines, panels
from .report import rivals
from .settings import RunConfig
from .shapes import branch_channels, modalities

CURVES = 10  # models whose learning curves are drawn
SENSORS = {"a": "acceleration, g", "g": "turning, degree/s"}
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}small{color:#555}p{max-width:48rem}
.wide{overflow-x:auto}.confusion td{border:1px solid #fff;text-align:center}.confusion td:first-child{text-align:left}
.bar{display:inline-block;position:relative;width:8rem;height:.8rem;background:#eee}
.bar i{position:absolute;top:0;bottom:0;background:#9ecae1}
.bar b{position:absolute;top:0;bottom:0;width:2px;background:#0072b2}
figure{display:inline-block;margin:.4rem .6rem .4rem 0;vertical-align:top}pre{background:#f6f6f6;padding:.6rem}
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
        ("Confusion matrix (int8)", _confusion(config.labels, classes, winners)),
        ("Labels (int8), with 95 % intervals", _labels(config.labels, classes, winners)),
        ("Participants (int8), with 95 % intervals", _participants(details)),
        ("Learning curves", _curves(details)),
        ("Quantization", _quantization(config, details)),
        ("On the board", _rows(("", ""), [(escape(name), escape(text)) for name, text in cost.items()])),
        ("Worst mistakes", _mistakes(config, details)),
        ("Configuration", f"<pre>{escape(config.model_dump_json(indent=1))}</pre>"),
    ]
    body = "\n".join(f"<h2>{escape(title)}</h2>\n{content}" for title, content in sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>bitwave report</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>bitwave report</h1>\n{body}\n</body></html>\n"
    )


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells}</tr>{body}</table></div>'


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def _summary(config: RunConfig, details: Sequence[Detail]) -> str:
    found = [d.comparison for d in details]
    before = [c.post_training for c in found if c.post_training]
    sides = [
        ("float", [c.float32 for c in found]),
        ("int8, post-training quantization", before or [c.int8 for c in found]),
        ("int8, quantization-aware training", [c.int8 for c in found] if before else []),
        ("int8, TensorFlow's converter, same weights", [c.converter for c in found if c.converter]),
    ]
    rows = [
        (name, _spread([s.accuracy for s in side]), _spread([s.macro_f1 for s in side])) for name, side in sides if side
    ]
    agreement = _spread([c.agreement for c in found])
    split = config.split
    by = "" if split.by == "auto" else f" by {split.by}"
    held = f"{split.folds} folds{by}" if split.folds else "participants " + ", ".join(split.participants)
    return (
        f"<p>{len(details)} model(s), {escape(held)}, {config.seeds} seed(s); mean ± standard deviation over models, "
        f"on recordings that were held out. Float and int8 agree on {agreement} of the windows. "
        f"Data {escape(config.dataset_digest[:19])}…</p>"
        + _rows(("", "accuracy", "macro F1"), rows)
        + _company(details)
        + _parts(details)
    )


def _company(details: Sequence[Detail]) -> str:
    if not details[0].comparison.baselines:
        return ""
    rows = [
        (escape(name), _spread([s.accuracy for s in scores]), _spread([s.macro_f1 for s in scores]), weights)
        for name, scores, weights in rivals([d.comparison for d in details])
    ]
    return "<p>Honest company, trained and tested on the same recordings; the others work on floats:</p>" + _rows(
        ("classifier", "accuracy", "macro F1", "weights"), rows
    )


def _parts(details: Sequence[Detail]) -> str:
    rows = [
        (
            escape(d.history.name),
            str(d.comparison.windows),
            f"{d.comparison.float32.accuracy:.3f}",
            f"{d.comparison.int8.accuracy:.3f}",
            f"{d.comparison.agreement:.3f}",
        )
        for d in details
    ]
    return "<p>Accuracy of each model:</p>" + _rows(("held out", "windows", "float", "int8", "agreement"), rows)


def _confusion(labels: Sequence[str], classes: npt.NDArray[np.intp], winners: npt.NDArray[np.intp]) -> str:
    table = np.zeros((len(labels), len(labels)), int)
    np.add.at(table, (classes, winners), 1)
    head = "".join(f"<th>{escape(label)}</th>" for label in labels)
    rows = []
    for label, row in zip(labels, table, strict=True):
        cells = "".join(_cell(int(count), int(row.sum())) for count in row)
        rows.append(f"<tr><td>{escape(label)}</td>{cells}</tr>")
    return (
        "<p>Windows; a row is what they were, a column what the model answered, the shade the share of the row.</p>"
        f'<div class="wide"><table class="confusion"><tr><th>true \\ answered</th>{head}</tr>'
        f"{''.join(rows)}</table></div>"
    )


def _cell(count: int, of: int) -> str:
    share = count / max(of, 1)
    colour = "#fff" if share > 0.6 else "#222"
    return f'<td style="background:rgba(0,114,178,{share:.2f});color:{colour}" title="{share:.1%}">{count or "·"}</td>'


def _labels(labels: Sequence[str], classes: npt.NDArray[np.intp], winners: npt.NDArray[np.intp]) -> str:
    rows = []
    for index, label in enumerate(labels):
        found = label_figures(classes, winners, index)
        cells = (_interval(i) for i in (found.precision, found.recall, found.f1))
        rows.append((escape(label), str(int((classes == index).sum())), *cells))
    return _rows(("label", "windows", "precision", "recall", "F1"), rows)


def _interval(found: Interval) -> str:
    width = found.high - found.low
    return (
        f'{found.value:.3f} <small>[{found.low:.3f}, {found.high:.3f}]</small> <span class="bar">'
        f'<i style="left:{found.low:.1%};width:{width:.1%}"></i><b style="left:{found.value * 0.985:.1%}"></b></span>'
    )


def _participants(details: Sequence[Detail]) -> str:
    found = by_participant(details)
    return _rows(("participant", "accuracy"), [(escape(name), _interval(interval)) for name, interval in found.items()])


def _curves(details: Sequence[Detail]) -> str:
    out = []
    for part in details[:CURVES]:
        epochs, best = part.history.epochs, float(part.history.best_epoch + 1)
        losses = {"training": np.array([e.loss for e in epochs])}
        rows: list[tuple[str, Mapping[str, Values]]] = [("loss", losses)]
        if part.history.validation:
            losses["validation"] = np.array([e.validation_loss for e in epochs], np.float64)
            accuracy = np.array([e.validation_accuracy for e in epochs], np.float64)
            rows.append(("accuracy", {"validation": accuracy}))
        title = f"{part.history.name}: epoch {best:.0f} of {len(epochs)} is kept (dashed)"
        out.append(panels(rows, title, "epoch", 1.0, first=1.0, mark=best))
    if len(details) > CURVES:
        out.append(f"<p>Of the first {CURVES} of {len(details)} models.</p>")
    return "".join(out)


def _quantization(config: RunConfig, details: Sequence[Detail]) -> str:
    clipped = np.mean([d.comparison.input_clipped for d in details])
    out = [
        f"<p>{clipped:.3%} of the int8 inputs are at a limit. Below, mean over models, by step of the window: how much "
        "of its integer range each value uses at its largest, the share of values that hit the range's end and are "
        "clamped there, and how far the int8 cell is from the float one.</p>"
    ]
    for index, name in enumerate(_layers(config)):
        strain = [part.strain[index] for part in details]
        use = {**_by_gate(strain, "gate_use"), "cell": _mean(strain, "cell_use"), "hidden": _mean(strain, "hidden_use")}
        limit = {**_by_gate(strain, "gates"), "cell": _mean(strain, "cell"), "hidden": _mean(strain, "hidden")}
        drift = {"cell": _mean(strain, "cell_drift")}
        out.append(f"<h3>{escape(name)}</h3>" + _ranges(use, limit, drift["cell"]))
        out.append(lines(use, "range in use", "step of the LSTM", "share of the range", (0.0, 1.05)))
        out.append(lines(limit, "saturation", "step of the LSTM", "share of values at a limit"))
        out.append(lines(drift, "drift of the cell, int8 against float", "step of the LSTM", "RMS difference / RMS"))
    return "".join(out)


def _ranges(use: Mapping[str, Values], limit: Mapping[str, Values], drift: Values) -> str:
    rows = [(escape(name), f"{use[name].max():.0%}", f"{limit[name].mean():.3%}") for name in use]
    table = _rows(("value", "range in use, largest", "at a limit, mean"), rows)
    return table + f"<p>Drift of the cell: {drift[-1]:.2%} after the last step, {drift.max():.2%} at its largest.</p>"


def _layers(config: RunConfig) -> list[str]:
    branches = branch_channels(config.channels, config.settings)
    names = []
    for name, _, _ in branches:
        sensor = f", {SENSORS.get(name, name).partition(',')[0]}" if len(branches) > 1 else ""
        names += [f"LSTM {layer + 1}{sensor}" for layer in range(len(config.settings.hidden))]
    return names


def _by_gate(strain: Sequence[LayerStrain], what: str) -> dict[str, Values]:
    mean = _mean(strain, what)
    return {f"{gate} gate": mean[index] for index, gate in enumerate(GATES)}


def _mean(strain: Sequence[LayerStrain], what: str) -> Values:
    return np.asarray(np.mean([getattr(layer, what) for layer in strain], axis=0), np.float64)


def _mistakes(config: RunConfig, details: Sequence[Detail]) -> str:
    units = {"a": config.counts.accel_lsb_per_g, "g": config.counts.gyro_lsb_per_dps}
    out = []
    for part, index in worst(details):
        truth, answer = config.labels[part.classes[index]], config.labels[part.winners[index]]
        rows = []
        for name, first, count in modalities(config.channels):
            real = part.samples[index, :, first : first + count] / units.get(name, 1.0)
            channels = config.channels[first : first + count]
            rows.append((SENSORS.get(name, f"{name}, counts"), dict(zip(channels, real.T, strict=True))))
        title = f"{part.names[index]}: {truth} taken for {answer}, ahead by {part.margin[index]:.2f}"
        out.append(panels(rows, title, "seconds from the start of the window", 1.0 / config.rate_hz))
    return "".join(out) or "<p>There is none.</p>"
