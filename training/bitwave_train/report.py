"""What `bitwave evaluate` prints: mean and spread over the folds, for people and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.table import Table

from bitwave.model.quantmodel import GATES

from .evaluate import Baseline, Comparison, Scores


def as_dict(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """One JSON document: a summary over the parts, and every part.

    `std` is the standard deviation over parts (population); `between_seeds` that of the seeds' mean accuracies;
    `largest_score_difference` the largest of all.
    """
    seeds = _seeds(comparisons)
    before = [c.post_training for c in comparisons if c.post_training]
    converted = [c.converter for c in comparisons if c.converter]
    return {
        "summary": {
            "parts": len(comparisons),
            "windows": sum(c.windows for c in comparisons),
            "float": _summary([c.float32 for c in comparisons]),
            "int8": _summary([c.int8 for c in comparisons]),
            "weights": comparisons[0].weights,
            "post_training": _summary(before) if before else None,
            "converter": _summary(converted) if converted else None,
            "baselines": {
                name: {"weights": each[0].weights, **_summary([b.scores for b in each])}
                for name, each in company(comparisons).items()
            },
            "between_seeds": {
                side: _spread([float(np.mean(values[side])) for values in seeds.values()]) for side in ("float", "int8")
            },
            "agreement": _spread([c.agreement for c in comparisons]),
            "largest_score_difference": max(c.largest_score_difference for c in comparisons),
            "input_clipped": float(np.mean([c.input_clipped for c in comparisons])),
            "saturation": [
                {name: float(np.mean(values)) for name, values in layer.items()} for layer in _saturation(comparisons)
            ],
        },
        "seeds": {str(seed): values for seed, values in seeds.items()},
        "parts": [asdict(comparison) for comparison in comparisons],
    }


def company(comparisons: Sequence[Comparison]) -> dict[str, list[Baseline]]:
    """By name, each baseline on every part."""
    names = [baseline.name for baseline in comparisons[0].baselines]
    return {name: [b for c in comparisons for b in c.baselines if b.name == name] for name in names}


def _seeds(comparisons: Sequence[Comparison]) -> dict[int, dict[str, list[float]]]:
    """By seed, the accuracies of its parts."""
    found: dict[int, dict[str, list[float]]] = {}
    for c in comparisons:
        sides = found.setdefault(c.seed, {"float": [], "int8": []})
        sides["float"].append(c.float32.accuracy)
        sides["int8"].append(c.int8.accuracy)
    return found


def _summary(scores: Sequence[Scores]) -> dict[str, Any]:
    return {
        "accuracy": _spread([s.accuracy for s in scores]),
        "macro_f1": _spread([s.macro_f1 for s in scores]),
        "f1": {label: _spread([s.f1[label] for s in scores]) for label in scores[0].f1},
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def _saturation(comparisons: Sequence[Comparison]) -> list[dict[str, list[float]]]:
    """Per layer, the shares of every part by name."""
    layers = []
    for index in range(len(comparisons[0].saturation)):
        parts = [c.saturation[index] for c in comparisons]
        shares = {gate: [p.gates[gate] for p in parts] for gate in GATES}
        layers.append({**shares, "cell_state": [p.cell for p in parts], "hidden": [p.hidden for p in parts]})
    return layers


def tables(comparisons: Sequence[Comparison]) -> list[Table]:
    """The parts, the baselines where there are any, the labels, the saturation."""
    beside = [_company_table(comparisons)] if company(comparisons) else []
    return [_parts_table(comparisons), *beside, _labels_table(comparisons), _saturation_table(comparisons)]


def _company_table(comparisons: Sequence[Comparison]) -> Table:
    table = Table("classifier", title="honest company, on the same recordings held out")
    for column in ("accuracy", "macro F1", "weights"):
        table.add_column(column, justify="right")
    for name, scores, weights in rivals(comparisons):
        table.add_row(
            name, _plus_minus([s.accuracy for s in scores]), _plus_minus([s.macro_f1 for s in scores]), weights
        )
    return table


def rivals(comparisons: Sequence[Comparison]) -> list[tuple[str, list[Scores], str]]:
    """Name, scores on every part and number of weights: our int8 model first, then the baselines."""
    own = ("LSTM, int8", [c.int8 for c in comparisons], f"{comparisons[0].weights:,}")
    others = company(comparisons).items()
    return [own, *((name, [b.scores for b in each], f"{each[0].weights:,}") for name, each in others)]


def _parts_table(comparisons: Sequence[Comparison]) -> Table:
    table = Table("held out", title="accuracy, macro F1, agreement of the winners, largest difference of a score")
    for column in ("windows", "float", "int8", "F1 float", "F1 int8", "agree", "differ"):
        table.add_column(column, justify="right")
    getters: tuple[Callable[[Comparison], float], ...] = (
        lambda c: c.float32.accuracy,
        lambda c: c.int8.accuracy,
        lambda c: c.float32.macro_f1,
        lambda c: c.int8.macro_f1,
        lambda c: c.agreement,
    )
    for c in comparisons:
        values = (f"{get(c):.3f}" for get in getters)
        table.add_row(c.name, str(c.windows), *values, f"{c.largest_score_difference:.3f}")
    if len(comparisons) > 1:
        table.add_section()
        means = (_plus_minus([get(c) for c in comparisons]) for get in getters)
        largest = max(c.largest_score_difference for c in comparisons)
        table.add_row("mean", str(sum(c.windows for c in comparisons)), *means, f"{largest:.3f}")
    before = [c.post_training for c in comparisons if c.post_training]
    converted = [c.converter for c in comparisons if c.converter]
    for name, scores in (("without QAT", before), ("TensorFlow's converter", converted)):
        if scores:
            accuracy, f1 = _plus_minus([s.accuracy for s in scores]), _plus_minus([s.macro_f1 for s in scores])
            table.add_row(name, "", "", accuracy, "", f1)
    seeds = _seeds(comparisons)
    if len(seeds) > 1:
        between = (_plus_minus([float(np.mean(s[side])) for s in seeds.values()]) for side in ("float", "int8"))
        table.add_row(f"between {len(seeds)} seeds", "", *between)
    return table


def _plus_minus(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def _labels_table(comparisons: Sequence[Comparison]) -> Table:
    table = Table("label", title="F1 by label")
    for column in ("float", "int8"):
        table.add_column(column, justify="right")
    for label in comparisons[0].float32.f1:
        table.add_row(label, *(_plus_minus([s.f1[label] for s in sides]) for sides in _sides(comparisons)))
    return table


def _sides(comparisons: Sequence[Comparison]) -> tuple[list[Scores], list[Scores]]:
    return [c.float32 for c in comparisons], [c.int8 for c in comparisons]


def _saturation_table(comparisons: Sequence[Comparison]) -> Table:
    table = Table("where", title="values at a limit")
    table.add_column("share", justify="right")
    table.add_row("input", f"{np.mean([c.input_clipped for c in comparisons]):.3%}")
    for index, layer in enumerate(_saturation(comparisons)):
        for name, values in layer.items():
            where = f"{name} gate" if name in GATES else name.replace("_", " ")
            table.add_row(f"layer {index + 1}, {where}", f"{np.mean(values):.3%}")
    return table
