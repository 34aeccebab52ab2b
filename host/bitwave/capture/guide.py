"""Guided sessions: a plan in TOML says what a data set shall hold, the person is asked for what is missing.

```toml
seconds = 1.5                  # of a take; count_in = 3.0, seed = 0 of the shuffle
participants = ["p01", "p02"]  # who shall take part; others may
[labels]
wave = 10
chop = 10
unknown = { count = 20, seconds = 3.0, say = "scratch your head, drink, type" }
```

``idle`` and ``unknown`` belong to every plan, as many takes as the largest gesture has, unless the plan says otherwise
(``idle = 0`` leaves it out): a model that has never seen other movements fires at them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..errors import UsageError
from ..model.metadata import Name, first_fault
from ..recordings.dataset import damage
from ..recordings.recording import read, split_name
from ..recordings.windowing import BACKGROUND
from ..synth.person import generator
from .cues import Cue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SAY = {"idle": "keep still, or nearly", "unknown": "any other movement, no gesture of this plan"}


class Wanted(BaseModel):
    """What a plan asks of one label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: Annotated[int, Field(ge=0, le=10_000)]
    seconds: Annotated[float | None, Field(ge=0.05, le=3600)] = None
    say: Annotated[str, Field(max_length=200)] = ""


class Plan(BaseModel):
    """A guided session's plan; see the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Annotated[float, Field(ge=0.05, le=3600)] = 1.5
    count_in: Annotated[float, Field(ge=0, le=60)] = 3.0
    seed: Annotated[int, Field(ge=0)] = 0
    participants: tuple[Name, ...] = ()
    labels: Annotated[dict[Name, Wanted], Field(min_length=1)]

    @field_validator("labels", mode="before")
    @classmethod
    def _plain_counts(cls, labels: Any) -> Any:
        if not isinstance(labels, dict):
            return labels
        return {name: {"count": wanted} if isinstance(wanted, int) else wanted for name, wanted in labels.items()}

    def cue(self, label: str) -> Cue:
        """One take of a label."""
        wanted = self.labels[label]
        return Cue(label, wanted.seconds or self.seconds, self.count_in, wanted.say or SAY.get(label, ""))


def read_plan(path: Path) -> Plan:
    """Reads a plan and adds the background labels; raises `UsageError`."""
    try:
        plan = Plan.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {first_fault(error)}") from error
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError
        raise UsageError(f"{path} is no TOML: {error}") from error
    most = max((wanted.count for name, wanted in plan.labels.items() if name not in BACKGROUND), default=0)
    background = {name: Wanted(count=most) for name in SAY if name not in plan.labels}
    return plan.model_copy(update={"labels": {**plan.labels, **background}})


def recorded(out: Path) -> Counter[tuple[str, str]]:
    """Good takes in a data set by participant and label; takes with a gap and cut ones do not count."""
    found: Counter[tuple[str, str]] = Counter()
    for path in out.glob("*.csv"):
        label, participant, _, _ = split_name(path)
        if not damage(read(path)):
            found[participant, label] += 1
    return found


def missing(plan: Plan, found: Counter[tuple[str, str]], participants: Iterable[str]) -> dict[str, dict[str, int]]:
    """Takes that are still to be made, by participant and label; zero where there are enough."""
    return {
        who: {label: max(0, wanted.count - found[who, label]) for label, wanted in plan.labels.items()}
        for who in participants
    }


def people(plan: Plan, found: Counter[tuple[str, str]], participant: str) -> tuple[str, ...]:
    """Everybody whom the table of missing takes shows, by name."""
    return tuple(sorted({participant, *plan.participants, *(who for who, _ in found)}))


def shuffled(plan: Plan, participant: str, session: str, left: dict[str, int]) -> list[Cue]:
    """The missing takes of a participant in rounds, each of which asks for every label once in another order.

    A session that ends early has then asked for every label about as often.
    """
    draw: np.random.Generator = generator(plan.seed, participant, session, "plan")
    order = []
    for number in range(max(left.values(), default=0)):
        labels = sorted(label for label, count in left.items() if count > number)
        order += [plan.cue(labels[int(at)]) for at in draw.permutation(len(labels))]
    return order
