"""Writes what a board needs of a model: the image as a file, and as C arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.host import HostCore
from ..errors import ImageError, UsageError
from ..files import write_whole
from . import export_c, image
from .quantmodel import QuantModel

IMAGE_NAME = "model.bwi"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        image: the model image.
        raw_bytes: of its bare numbers: int8 weights, int32 biases and labels.
        lanes: windows in flight.
        arenas: bytes of RAM that the core needs.
        labels: of the classes.
        tflite_sha256: of the model's file, hexadecimal.
        files: image, header and source.
    """

    image: bytes
    raw_bytes: int
    lanes: int
    arenas: export_c.Arenas
    labels: tuple[str, ...]
    tflite_sha256: str
    files: tuple[Path, ...]

    def facts(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "image_bytes": len(self.image),
            "raw_bytes": self.raw_bytes,
            "lanes": self.lanes,
            "recognizer_arena_bytes": self.arenas.recognizer,
            "app_arena_bytes": self.arenas.app,
            "tflite_sha256": self.tflite_sha256,
            "files": [str(path) for path in self.files],
        }


def export(model: QuantModel, out: Path) -> Exported:
    """Packs a model, proves that the core computes its known answer, and writes the files into a folder.

    Raises:
        UsageError: the model has no metadata, so nothing says what its scores mean.
        ImageError: it does not fit the image format, or the core disagrees with the simulator.
        WriteError: a file could not be written.
    """
    if model.metadata is None:
        raise UsageError("a model without bitwave metadata cannot be exported: give its labels and scaling")
    packed = image.build(model)
    core = HostCore(packed)
    if not core.self_test():
        raise ImageError("the core does not compute the image's known answer; please report this as a bug")
    arenas = export_c.Arenas(core.network_bytes, core.recognizer_bytes, core.app_bytes)
    contents = {
        IMAGE_NAME: packed,
        export_c.HEADER_NAME: export_c.header(packed, model.metadata.labels, arenas).encode("ascii"),
        export_c.SOURCE_NAME: export_c.source(packed).encode("ascii"),
    }
    for name, content in contents.items():
        write_whole(out / name, content)
    return Exported(
        image=packed,
        raw_bytes=image.raw_bytes(model),
        lanes=core.lanes,
        arenas=arenas,
        labels=model.metadata.labels,
        tflite_sha256=model.digest.hex(),
        files=tuple(out / name for name in contents),
    )
