"""What a person must say about a model without metadata: read from options, or asked for at a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..model.metadata import Metadata
    from ..model.quantmodel import QuantModel

Words = dict[str, str | float | None]

Labels = Annotated[str | None, typer.Option(help="Labels in the order of the scores, like wave,idle.")]
CountsPerUnit = Annotated[
    str | None, typer.Option(help="Raw counts that make 1.0 at the model's input; one number, or one per channel.")
]
ZeroCounts = Annotated[
    str | None, typer.Option(help="Raw counts that mean 0.0; one number, or one per channel. [default: 0]")
]
Rate = Annotated[float | None, typer.Option(help="Sample rate in Hz of the training data.")]
Hop = Annotated[int | None, typer.Option(help="Samples between windows. [default: a quarter of a window]")]
Channels = Annotated[str | None, typer.Option(help="Names of the channels, like ax,ay,az.")]


def ask(network: QuantModel, path: Path, words: Words) -> Metadata:
    """Metadata from the options, and from the person where a needed one is missing and someone is there to answer."""
    from ..model import foreign

    questions = {
        "labels": f"labels of the {network.classes} scores, separated by commas",
        "counts_per_unit": "raw counts that make 1.0 at the model's input (one number, or one per channel)",
        "rate": "sample rate in Hz",
    }
    answers = {name: words[name] if words[name] is not None else _prompt(path, name, questions) for name in questions}
    hop = words["hop"]
    return foreign.metadata(
        network,
        labels=_split(answers["labels"]),
        counts_per_unit=_numbers(answers["counts_per_unit"], "--counts-per-unit"),
        zero_counts=tuple(round(x) for x in _numbers(words["zero_counts"] or "0", "--zero-counts")),
        rate_hz=_numbers(answers["rate"], "--rate")[0],
        hop=int(hop) if hop is not None else max(1, network.steps // 4),
        channels=_split(words["channels"]) if words["channels"] else (),
    )


def _prompt(path: Path, name: str, questions: dict[str, str]) -> str:
    import sys

    from ..errors import UsageError

    if not sys.stdin.isatty():
        needed = ", ".join(f"--{option.replace('_', '-')}" for option in questions)
        raise UsageError(f"{path} carries no bitwave metadata: say {needed}")
    answer: str = typer.prompt(f"{path.name} carries no metadata. {questions[name].capitalize()}", err=True)
    return answer


def _split(text: object) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(text).split(","))


def _numbers(text: object, option: str) -> tuple[float, ...]:
    import math

    from ..errors import UsageError

    try:
        numbers = tuple(float(part) for part in _split(text))
    except ValueError as error:
        raise UsageError(f"{option} takes numbers separated by commas, not {text!r}") from error
    if not all(math.isfinite(number) for number in numbers):
        raise UsageError(f"{option} takes finite numbers, not {text!r}")
    return numbers
