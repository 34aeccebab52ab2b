"""The bar that training shows: one line per model, with loss and accuracy on the validation recordings."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .runs import Epoch
from .settings import RunConfig


class TrainingProgress:
    """A context manager whose `report` is given to `train.train`."""

    def __init__(self, config: RunConfig, console: Console | None = None) -> None:
        """Shows on standard error unless a console is given."""
        self._epochs = config.settings.epochs
        self._tasks: dict[str, TaskID] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}{task.fields[validation]}"),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
        )

    def __enter__(self) -> TrainingProgress:
        """Starts drawing."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the last state on the screen."""
        self._bar.stop()

    def report(self, name: str, epoch: Epoch) -> None:
        """After an epoch."""
        if name not in self._tasks:
            for task in self._bar.tasks:
                self._bar.stop_task(task.id)  # it may have ended early: its clock stands still from here on
            self._tasks[name] = self._bar.add_task(name, total=self._epochs, loss=0.0, validation="")
        accuracy = epoch.validation_accuracy
        validation = "" if accuracy is None else f"  validation {accuracy:.1%}"
        self._bar.update(self._tasks[name], completed=epoch.epoch + 1, loss=epoch.loss, validation=validation)
