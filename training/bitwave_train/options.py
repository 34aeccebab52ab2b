"""What `bitwave train` is told: a TOML file, flags over it, and what stands in neither.

The file's keys are the flags' names with ``_`` for ``-``; what changes windows stands in a table ``[augmentation]``::

    folds = 5
    seeds = 3
    window = 60
    hidden = [24]
    [augmentation]
    rotation = 15.0
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitwave.errors import UsageError
from bitwave.model.metadata import first_fault
from bitwave.recordings.dataset import Damaged

from .settings import Augmentation, Settings, Split

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Options(BaseModel):
    """Everything but the data.

    Attributes:
        window: samples; None takes one second.
        hop: samples between windows; None takes a fifth of the window.
        folds: to cross-validate with; 0 holds nothing out.
        by: unit of the folds.
        hold_out: participants.
        seeds: how often what is held out is trained.
        damaged: what to do with damaged takes.
        streams: train on continuous recordings with segments, at every place of a window.
        settings: network and training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    window: Annotated[int, Field(ge=1)] | None = None
    hop: Annotated[int, Field(ge=1)] | None = None
    folds: Annotated[int, Field(ge=0)] = 0
    by: str = "auto"
    hold_out: tuple[str, ...] = ()
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    damaged: Damaged = "refuse"
    streams: bool = False
    settings: Settings = Settings()

    @property
    def split(self) -> Split:
        """How recordings are held out; raises `UsageError` where two ways are asked for."""
        if self.folds and self.hold_out:
            raise UsageError("folds and hold_out exclude each other: choose one")
        if self.folds:
            return Split(kind="folds", by=self.by, folds=self.folds)
        if self.hold_out:
            return Split(kind="hold-out", by="participant", participants=self.hold_out)
        return Split()


_OWN = tuple(name for name in Options.model_fields if name != "settings")
KEYS = (*_OWN, *Settings.model_fields)


def read_options(file: Path | None, flags: Mapping[str, Any]) -> Options:
    """Options from a file, if any, and flags that win over it.

    Args:
        file: TOML.
        flags: by key; None where the flag was not given. Those of the augmentation are in a mapping of their own.

    Raises:
        UsageError: the file cannot be read, a key is unknown, or a value makes no sense.
    """
    values = {} if file is None else _read_toml(file)
    given = {name: value for name, value in flags.items() if value is not None and name != "augmentation"}
    changes = {name: value for name, value in flags.get("augmentation", {}).items() if value is not None}
    augmentation = {**values.pop("augmentation", {}), **changes}
    values.update(given)
    settings = {name: value for name, value in values.items() if name not in _OWN}
    if settings.get("streaming") == "stateful":
        settings.setdefault("pool", "last")  # the only one that it takes
    try:
        return Options(
            **{name: value for name, value in values.items() if name in _OWN},
            settings=Settings.model_validate({**settings, "augmentation": augmentation}),
        )
    except ValidationError as error:
        where = f"{file} or a flag" if file else "training settings"
        raise UsageError(f"{where}: {first_fault(error)}") from error


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error
    _check_keys(file, "", found, KEYS)
    table = found.get("augmentation", {})
    if not isinstance(table, dict):
        raise UsageError(f"{file}: augmentation is a table: write [augmentation] above its keys")
    _check_keys(file, "augmentation.", table, tuple(Augmentation.model_fields))
    return found


def _check_keys(file: Path, table: str, found: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1) or [", ".join(known)]
            raise UsageError(f"{file}: unknown key {table}{key}; there is {near[0]}")


def as_toml(options: Options) -> str:
    """The file that says the same, complete and in the order of the keys."""
    plain = options.model_dump(mode="json")
    settings = plain.pop("settings")
    augmentation = settings.pop("augmentation")
    lines = [f"{key} = {_toml(value)}" for key, value in {**plain, **settings}.items() if value is not None]
    lines += ["", "[augmentation]", *(f"{key} = {_toml(value)}" for key, value in augmentation.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_toml(entry)}' for key, entry in value.items())}}}"
    return repr(value)
