"""The session file: what the counts of its takes mean, and what went wrong while each was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import RecordingError
from ..model.metadata import CountsScale, Name, first_fault, is_name

FORMAT = 1
STREAM, STREAMS = "stream", "streams"  # what continuous recordings are called, and their folder in a data set
CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")
DEFAULT_COUNTS = CountsScale()


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Gap(_Frozen):
    """Samples that never came: `lost` of them between row `after` and the row behind it (rows count from 0)."""

    after: Annotated[int, Field(ge=0)]
    lost: Annotated[int, Field(ge=1)]


class Take(_Frozen):
    """What the session file knows about one take.

    Attributes:
        complete: False where the link vanished, or the person stopped, before the take's end.
        clipped: samples with a channel at the end of the int16 range.
    """

    label: Name
    number: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=0)]
    measured_rate_hz: Annotated[float, Field(ge=0)] = 0.0
    gaps: tuple[Gap, ...] = ()
    crc_errors: Annotated[int, Field(ge=0)] = 0
    clipped: Annotated[int, Field(ge=0)] = 0
    complete: bool = True


class Session(_Frozen):
    """One sitting of one participant with one board: the whole session file.

    Attributes:
        source: how the takes came to be: record, import or synth.
        board: board kind of the INFO frame ("emulated", "nano33ble-rev1", ...), or what the person said.
        rate_hz: nominal sample rate of the sensor.
        accel_range_g: acceleration beyond which the sensor clips.
        gyro_range_dps: angular rate in degree/s beyond which the sensor clips.
        note: free text, one line.
    """

    format: Literal[1] = 1
    tool: Annotated[str, Field(max_length=64)]
    source: Literal["record", "import", "synth"]
    participant: Name
    session: Name
    board: Annotated[str, Field(max_length=64)] = "unknown"
    firmware: Annotated[str, Field(max_length=32)] = ""
    channels: Annotated[tuple[Name, ...], Field(min_length=1, max_length=64)] = CHANNELS
    counts: CountsScale = DEFAULT_COUNTS
    accel_range_g: Annotated[float, Field(gt=0)] = 4.0
    gyro_range_dps: Annotated[float, Field(gt=0)] = 2000.0
    rate_hz: Annotated[float, Field(gt=0, le=10000)]
    note: Annotated[str, Field(max_length=400)] = ""
    takes: tuple[Take, ...] = ()

    @property
    def file_name(self) -> str:
        """Name of the session file."""
        return f"{self.participant}.{self.session}.json"

    def listing(self, *takes: Take) -> Session:
        """The session with these takes too; what it said of others of their names goes: those files are gone."""
        new = {(take.label, take.number) for take in takes}
        kept = (take for take in self.takes if (take.label, take.number) not in new)
        return self.model_copy(update={"takes": (*kept, *takes)})

    def without(self, label: str, number: int) -> Session:
        """The session without a take."""
        left = tuple(take for take in self.takes if (take.label, take.number) != (label, number))
        return self.model_copy(update={"takes": left})

    def to_json(self) -> bytes:
        """UTF-8 JSON, one take a line for people to read and compare; a pure function of the values."""
        facts = self.model_dump(mode="json")
        takes = facts.pop("takes")
        lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
        rows = ",\n".join(f"  {json.dumps(take)}" for take in takes)
        lines.append(f' "takes": [\n{rows}\n ]' if takes else ' "takes": []')
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def read_session(path: Path) -> Session:
    """Reads a session file of this or an older format; raises `RecordingError`."""
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise RecordingError(
            f"{path} is missing: it says what the counts mean; bring it along, or make it with bitwave import"
        ) from error
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = json.loads(text)
    except ValueError as error:
        raise RecordingError(f"{path} is not JSON: {error}") from error
    version = found.get("format") if isinstance(found, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise RecordingError(f"{path} has format {version}, this bitwave reads up to {FORMAT}: update bitwave")
    try:
        session = Session.model_validate_json(text)
    except ValidationError as error:
        raise RecordingError(f"{path}: {first_fault(error)}") from error
    if session.file_name != path.name:
        raise RecordingError(f"{path} says it is {session.file_name}: a file was renamed; name it as its content says")
    return session


def check_name(word: str, text: str) -> None:
    """Raises `RecordingError` unless a label, participant or session may be part of a file name."""
    if not is_name(text):
        raise RecordingError(
            f"{word} {text!r} is not usable: up to 24 lower-case letters, digits and single dashes, like two-punches"
        )
