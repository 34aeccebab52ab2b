"""Edge Impulse's data acquisition format: JSON or CBOR, signed or not. Pure: bytes in, values out, and back.

A document is ``{"protected": {"ver": "v1", "alg": ...}, "signature": ..., "payload": {...}}``. With ``alg: HS256`` the
signature is the HMAC-SHA256, in hex, of the whole encoded document with 64 zeros in its place; so it is checked on the
bytes as they came. With ``alg: none`` it means nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cbor2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import RecordingError
from ..model.metadata import first_fault

NO_SIGNATURE = "0" * 64

Encoding = Literal["json", "cbor"]
Trust = Literal["verified", "not checked", "not signed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Sensor(_Part):
    """One column; `units` as the file says."""

    name: str
    units: str = ""


class _Protected(_Part):
    ver: Literal["v1"]
    alg: Literal["HS256", "none"]


class _Payload(_Part):
    device_name: str = ""
    device_type: str = ""
    interval_ms: Annotated[float, Field(gt=0)]
    sensors: Annotated[tuple[Sensor, ...], Field(min_length=1)]
    values: list[Any]


class _Document(_Part):
    protected: _Protected
    signature: str
    payload: _Payload


@dataclass(frozen=True, eq=False)
class Acquisition:
    """One recording.

    Attributes:
        interval_ms: between samples.
        sensors: the columns.
        values: (samples, sensors) float64, in the sensors' units.
        trust: what is known about the signature of a document that was read.
    """

    interval_ms: float
    sensors: tuple[Sensor, ...]
    values: npt.NDArray[np.float64]
    device_name: str = ""
    device_type: str = "bitwave"
    trust: Trust = "not signed"


def parse(data: bytes, key: str | None = None) -> Acquisition:
    """Reads a document in either encoding.

    Args:
        data: the file.
        key: to check the signature with; a document that is not signed is refused then.

    Raises:
        RecordingError: no such document, or its signature is wrong.
    """
    try:
        found = json.loads(data) if data.lstrip()[:1] == b"{" else cbor2.loads(data)
    except (ValueError, cbor2.CBORDecodeError, RecursionError) as error:
        raise RecordingError(f"neither JSON nor CBOR: {' '.join(str(error).split())}") from error
    try:
        document = _Document.model_validate(found)
    except ValidationError as error:
        raise RecordingError(f"no acquisition document: {first_fault(error)}") from error
    payload = document.payload
    return Acquisition(
        interval_ms=payload.interval_ms,
        sensors=payload.sensors,
        values=_values(payload),
        device_name=payload.device_name,
        device_type=payload.device_type,
        trust=_check(data, document, key),
    )


def _check(data: bytes, document: _Document, key: str | None) -> Trust:
    if document.protected.alg == "none":
        if key is not None:
            raise RecordingError("the document is not signed (alg: none): leave the key out to take it all the same")
        return "not signed"
    if key is None:
        return "not checked"
    signature = document.signature.encode()
    # More than one place would let a forger choose which one the check blanks.
    if len(signature) != 64 or data.count(signature) != 1:
        raise RecordingError("the signature is not 64 hex digits that stand in the document once")
    blank = data.replace(signature, NO_SIGNATURE.encode())
    for signed in (blank, blank.rstrip(b"\r\n")):  # editors add a line's end
        if hmac.compare_digest(_sign(signed, key), document.signature.lower()):
            return "verified"
    raise RecordingError("the signature is wrong: another key, or the document was changed")


def _sign(data: bytes, key: str) -> str:
    return hmac.new(key.encode(), data, hashlib.sha256).hexdigest()


def _values(payload: _Payload) -> npt.NDArray[np.float64]:
    width = len(payload.sensors)
    for number, row in enumerate(payload.values, start=1):
        numbers = row if isinstance(row, list) else [row]
        if len(numbers) != width:
            raise RecordingError(f"values, row {number}: {len(numbers)} numbers for {width} sensors")
        if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
            raise RecordingError(f"values, row {number}: {str(row)[:40]} is no row of numbers")
    values = np.array(payload.values, np.float64).reshape(-1, width)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size:
        raise RecordingError(f"values, row {bad[0] + 1}: not finite")
    return values


def build(acquisition: Acquisition, encoding: Encoding, key: str | None = None) -> bytes:
    """Writes a document, signed where a key is given; without a time, so that equal input gives equal bytes."""
    document = {
        "protected": {"ver": "v1", "alg": "none" if key is None else "HS256"},
        "signature": NO_SIGNATURE,
        "payload": {
            "device_name": acquisition.device_name,
            "device_type": acquisition.device_type,
            "interval_ms": acquisition.interval_ms,
            "sensors": [sensor.model_dump() for sensor in acquisition.sensors],
            "values": acquisition.values.tolist(),
        },
    }
    blank = json.dumps(document).encode() if encoding == "json" else cbor2.dumps(document)
    if key is None:
        return bytes(blank)
    return bytes(blank.replace(NO_SIGNATURE.encode(), _sign(blank, key).encode(), 1))
