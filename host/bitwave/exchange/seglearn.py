"""The smartwatch recordings that the package seglearn carries: 7 shoulder exercises, 10 people, 50 Hz.

They are a pickle inside a .npy file inside the wheel on PyPI. A pickle can run any code, so this one is loaded with the
four functions that NumPy arrays need and nothing else, and seglearn itself is neither installed nor imported::

    pip download --no-deps seglearn==1.2.5
    bitwave import seglearn-1.2.5-py3-none-any.whl --out data --average 2 --slice 50

Data: D. M. Burns and others, "Shoulder physiotherapy exercise recognition: machine learning the inertial signals from a
smartwatch", 2018; seglearn is under the BSD licence.
"""

from __future__ import annotations

import codecs
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RecordingError
from .columns import Stream

RATE_HZ = 50.0
MEMBER = "seglearn/data/watch_dataset.npy"
LARGEST_BYTES = 200_000_000
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError as error:
            raise RecordingError(
                f"the pickle asks for {module}.{name}, which no array needs: it was not loaded; get the file anew"
            ) from error


def read_watch(path: Path) -> list[Stream]:
    """The streams of the wheel, or of the .npy file in it, in g and degree/s.

    Raises:
        RecordingError: the file is something else, damaged, or asks for code to be run.
    """
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                if wheel.getinfo(MEMBER).file_size > LARGEST_BYTES:
                    raise RecordingError(f"{path}: {MEMBER} is too large to be what it should be")
                content = wheel.read(MEMBER)
        else:
            content = path.read_bytes()
        return _streams(_unpickle(content))
    except KeyError as error:
        raise RecordingError(f"{path} does not hold {error.args[0]}: take seglearn-1.2.5-py3-none-any.whl") from error
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise RecordingError(f"{path} cannot be read: {error}; download it again") from error


def _unpickle(content: bytes) -> Any:
    """The object of a .npy file of one object."""
    stream = io.BytesIO(content)
    npy: Any = np.lib.format  # which has no types
    if npy.read_magic(stream) != (1, 0):
        raise ValueError("another version of the .npy format")
    shape, _, kind = npy.read_array_header_1_0(stream)
    if shape != () or kind != np.dtype(object):
        raise ValueError("the .npy file does not hold one object")
    found = _ArraysOnly(stream, encoding="latin1").load()
    return found.item() if isinstance(found, np.ndarray) else found


def _streams(found: Any) -> list[Stream]:
    labels = [str(label).lower() for label in found["y_labels"]]
    streams = []
    for values, label, subject in zip(found["X"], found["y"], found["subject"], strict=True):
        samples = np.asarray(values, np.float64)
        if samples.ndim != 2 or samples.shape[1] != 6 or not np.isfinite(samples).all():
            raise ValueError("a stream is not of 6 finite columns")
        streams.append(Stream(labels[int(label)], f"s{int(subject):02d}", _to_board_units(samples)))
    return streams


def _to_board_units(samples: Any) -> Any:
    return samples * np.array([1.0] * 3 + [np.rad2deg(1.0)] * 3)
