"""Takes another converter's model over: its metadata goes into the file, once every engine computed its bits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import MissingPackage, ModelError, ParityMismatch
from ..model.metadata import Metadata
from ..model.quantmodel import Attention, Branch, LastStep, Mean, QuantModel
from ..tflite.entry import with_metadata
from ..tflite.reader import DESCRIPTION_WITH_METADATA, METADATA_NAME, read_model, weights_digest
from .comparison import REFERENCES, ParityReport, Progress, compare
from .windows import random_windows

ORACLE = REFERENCES[0]


@dataclass(frozen=True, eq=False)
class Adopted:
    """A model that was taken over.

    Attributes:
        data: the new file's bytes.
        model: what the reader makes of them.
        report: what the engines computed.
    """

    data: bytes
    model: QuantModel
    report: ParityReport


def adopt(
    data: bytes,
    metadata: Metadata,
    windows: int,
    progress: Progress | None = None,
) -> Adopted:
    """Adds the metadata and proves parity on the new file.

    Args:
        data: bytes of a .tflite file without metadata of ours.
        metadata: that fits it.
        windows: how many to run, random and extreme ones.
        progress: see `parity.compare`.

    Raises:
        ModelError: the reader does not take the file, or it has metadata already.
        MissingPackage: the oracle is not installed, so nothing could be proved.
        ParityMismatch: an engine computes something else than the oracle.
    """
    network = read_model(data)
    refuse_own(network)
    digest = weights_digest(replace(network, metadata=metadata))
    signed = metadata.model_copy(update={"weights_digest": digest})
    done = with_metadata(data, METADATA_NAME, signed.to_json(), DESCRIPTION_WITH_METADATA)
    model = read_model(done)
    report = compare(done, random_windows(model, windows), progress=progress)
    if report.reference != ORACLE:
        raise MissingPackage(f"only {ORACLE} can prove a foreign model: {report.absent.get(ORACLE, 'it is absent')}")
    if report.failures:
        raise ParityMismatch(f"not accepted; first difference: {report.failures[0]}")
    return Adopted(done, model, report)


def refuse_own(network: QuantModel) -> None:
    """Raises `ModelError` for a model that has metadata of ours."""
    if network.metadata is not None:
        raise ModelError("the model carries its own bitwave metadata: use it as it is")


def facts(model: QuantModel) -> dict[str, object]:
    """What a person wants to know about a model that was taken over."""
    return {
        "layers": " | ".join(_words(branch) for branch in model.branches),
        "steps": model.steps,
        "channels": model.channels,
        "labels": list(model.metadata.labels) if model.metadata else [],
        "tflite_sha256": model.digest.hex(),
    }


def _words(branch: Branch) -> str:
    """One branch in words, like "channels 0..2, convolution 16 x 5 by 2, LSTM 24, attention"."""
    parts = [f"channels {branch.first_channel}..{branch.first_channel + branch.channels - 1}"]
    if branch.conv is not None:
        conv = branch.conv
        parts.append(f"convolution {conv.layer.outputs} x {conv.kernel} by {conv.stride}")
    parts += [f"LSTM {layer.hidden}" for layer in branch.lstm]
    parts.append({LastStep: "last step", Mean: "mean", Attention: "attention"}[type(branch.pool)])
    return ", ".join(parts)
