"""Finished trials of a study: the front of those that no other beats, a picture of it, and the choice of one."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from bitwave.errors import UsageError

from .cost import Cost
from .options import Options

NEAR = 0.01  # of the best score, for the choice of a cheap one


@dataclass(frozen=True)
class Candidate:
    """A finished trial."""

    number: int
    score: float
    cost: Cost
    options: Options

    def beats(self, other: Candidate) -> bool:
        """Whether it is no worse in score, cycles, image and RAM, and better in one of them."""
        mine, theirs = self._objectives(), other._objectives()
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))

    def _objectives(self) -> tuple[float, ...]:
        return (-self.score, self.cost.cycles_per_second, self.cost.image_bytes, self.cost.ram_bytes)


def candidates(opened: optuna.Study) -> list[Candidate]:
    """All finished trials, best score first, then the cheaper one."""
    found = [
        Candidate(
            trial.number,
            float(trial.user_attrs["score"]),
            Cost(**trial.user_attrs["cost"]),
            Options.model_validate_json(trial.user_attrs["options"]),
        )
        for trial in opened.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    ]
    return sorted(found, key=lambda c: (-c.score, c.cost.cycles_per_second, c.number))


def front(found: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other beats in score, cycles, image and RAM together; best score first."""
    return [candidate for candidate in found if not any(other.beats(candidate) for other in found)]


def pick(found: Sequence[Candidate], word: str) -> Candidate:
    """Chooses one.

    Args:
        found: of `candidates`.
        word: "best" by score; "cheap", the fewest cycles within a point of the best; "half", the best with at most half
            the cycles of trial 0, which is the study's start; or a trial's number.

    Raises:
        UsageError: there is no such candidate.
    """
    if word == "best":
        return found[0]
    if word == "cheap":
        near = [candidate for candidate in found if candidate.score >= found[0].score - NEAR]
        return min(near, key=lambda candidate: candidate.cost.cycles_per_second)
    if word == "half":
        start = next((candidate for candidate in found if candidate.number == 0), None)
        if start is None:
            raise UsageError("--pick half: trial 0, the study's start, was not finished; choose best or cheap")
        for candidate in found:
            if candidate.cost.cycles_per_second <= start.cost.cycles_per_second / 2:
                return candidate
        raise UsageError("--pick half: no trial has at most half the cycles of trial 0; run more --trials")
    for candidate in found:
        if word == str(candidate.number):
            return candidate
    raise UsageError(f"--pick {word}: choose best, cheap, half or the number of a finished trial")


def settled(candidate: Candidate, config: Options) -> Options:
    """The options to train with.

    Args:
        candidate: chosen.
        config: what training starts from: split, seeds and epochs are its own, not those of a trial.
    """
    kept = {name: getattr(config, name) for name in ("folds", "by", "hold_out", "seeds")}
    same = {name: getattr(config.settings, name) for name in ("epochs", "patience", "warmup")}
    return candidate.options.model_copy(update={**kept, "settings": candidate.options.settings.model_copy(update=same)})


COSTS: tuple[tuple[str, Callable[[Cost], float]], ...] = (
    ("Cortex-M4 cycles per second, millions", lambda cost: cost.cycles_per_second / 1e6),
    ("model image, KB", lambda cost: cost.image_bytes / 1000),
    ("RAM, KB", lambda cost: cost.ram_bytes / 1000),
)


def picture(found: Sequence[Candidate]) -> bytes:
    """A PNG of score against cycles, image and RAM; the front is coloured and numbered, trial 0 has a square."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    best = front(found)
    kinds = (
        ("beaten in everything", [c for c in found if c not in best], {"marker": "o", "color": "0.75"}),
        ("Pareto front", best, {"marker": "o", "color": "#0072b2"}),
        ("trial 0, the start", [c for c in found if c.number == 0], {"marker": "s", "color": "#d55e00", "mfc": "none"}),
    )
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(12, 4.2), layout="constrained")
        all_axes = figure.subplots(1, len(COSTS), sharey=True)
        for axes, (name, cost) in zip(all_axes, COSTS, strict=True):
            stairs = _stairs([cost(c.cost) for c in best], [c.score for c in best])
            axes.plot(*stairs, "-", color="#0072b2", linewidth=0.8, alpha=0.6)
            for kind, members, look in kinds:
                axes.plot([cost(c.cost) for c in members], [c.score for c in members], ls="", label=kind, **look)
            for c in best:
                axes.annotate(str(c.number), (cost(c.cost), c.score), (4, 3), textcoords="offset points", fontsize=7)
            axes.set_xlabel(name)
            axes.grid(alpha=0.3)
        all_axes[0].set_ylabel("macro F1 (int8, held out)")
        all_axes[0].legend(loc="lower right", fontsize=8)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()


def _stairs(costs: Sequence[float], scores: Sequence[float]) -> tuple[list[float], list[float]]:
    """The best score that each cost buys, as steps."""
    x: list[float] = []
    y: list[float] = []
    for cost, score in sorted(zip(costs, scores, strict=True)):
        if not y or score > y[-1]:
            x += [cost, cost] if y else [cost]
            y += [y[-1], score] if y else [score]
    return x, y
