"""The course of a training: what each epoch gave, which one was best, when it is enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bitwave.errors import UsageError

from .runs import Epoch
from .settings import Settings

Check = tuple[float, float]  # loss and accuracy


class Course:
    """Grows by an epoch at a time.

    Attributes:
        history: an entry per epoch.
        best_epoch: of the least validation loss; the last one where nothing is validated.
        best_weights: its weights.
    """

    def __init__(self, settings: Settings, report: Callable[[Epoch], object]) -> None:
        """`report` hears of each epoch."""
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_weights: Any = None
        self._least = math.inf
        self._settings = settings
        self._report = report

    def add(self, losses: Sequence[float], check: Check | None, weights: Callable[[], Any]) -> bool:
        """Takes an epoch up; returns whether patience is over.

        Args:
            losses: of its steps.
            check: on the validation part, if there is one.
            weights: gives those that the epoch ended with; asked only where it is the best so far.

        Raises:
            UsageError: a loss is not finite.
        """
        epoch, mean_loss = len(self.history), float(np.mean(losses))
        loss, accuracy = check or (None, None)
        for value in (mean_loss, loss):
            if value is not None and not math.isfinite(value):
                raise UsageError(f"training diverged in epoch {epoch + 1}: the loss is {value}; lower --learning-rate")
        self.history.append(
            Epoch(
                epoch=epoch,
                learning_rate=learning_rate(self._settings, float(epoch)),
                loss=mean_loss,
                validation_loss=loss,
                validation_accuracy=accuracy,
            )
        )
        self._report(self.history[-1])
        if loss is None or loss < self._least:
            self._least = math.inf if loss is None else loss
            self.best_epoch, self.best_weights = epoch, weights()
        return epoch - self.best_epoch >= self._settings.patience


def learning_rate(settings: Settings, epoch: float) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warmup = min(settings.warmup, settings.epochs - 1)
    if epoch < warmup:
        return settings.learning_rate * (epoch + 0.1) / (warmup + 0.1)
    part = (epoch - warmup) / (settings.epochs - warmup)
    return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(part, 1.0)))
