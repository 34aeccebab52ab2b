"""Small made-up recordings and float models for the tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bitwave.recordings import recording as recording_files
from bitwave.recordings.dataset import Dataset, from_recordings
from bitwave.recordings.recording import Recording, even_times
from bitwave.recordings.session import Session
from bitwave_train.floatmodel import FloatBranch, FloatConv, FloatDense, FloatLstm, FloatModel

RATE_HZ = 50.0
STEPS = 20


def take(label: str, number: int, participant: str = "p01", session: str = "s01", samples: int = STEPS) -> Recording:
    """A movement that only its label, its number and its people decide: one turn of a circle, there or back."""
    random = np.random.default_rng([number, len(label), ord(participant[-1]), ord(session[-1])])
    phase = np.linspace(0, 2 * np.pi, samples) + random.normal(0, 0.2)
    turn = {"left": -1.0, "right": 1.0, "idle": 0.0}[label]
    size = random.uniform(3000, 5000) * (turn != 0)
    motion = size * np.stack([np.cos(phase), turn * np.sin(phase), 0 * phase, *np.zeros((3, samples))], axis=1)
    motion += [0, 0, 8192, 0, 0, 0] + random.normal(0, 200, motion.shape)
    return Recording(
        label=label,
        participant=participant,
        session=session,
        number=number,
        time_us=even_times(samples, RATE_HZ),
        samples=motion.astype(np.int16),
        rate_hz=RATE_HZ,
    )


def dataset(count: int = 6, labels: tuple[str, ...] = ("left", "right", "idle"), people: int = 1) -> Dataset:
    """`count` takes of each label and person."""
    return from_recordings(
        take(label, number, f"p0{person + 1}")
        for label in labels
        for person in range(people)
        for number in range(1, count + 1)
    )


def write_dataset(folder: Path, data: Dataset) -> Path:
    """Writes the takes of one person and session."""
    session = Session(tool="test", source="synth", participant="p01", session="s01", rate_hz=data.rate_hz)
    recording_files.write(folder, session, data.recordings)
    return folder


def float_model(
    seed: int,
    channels: int = 3,
    hidden: tuple[int, ...] = (6,),
    dense: tuple[int, ...] = (4,),
    gain: float = 1.0,
    pool: str = "last",
    conv: tuple[int, int, int] | None = None,
    branches: int = 1,
) -> FloatModel:
    """A random float model; all dense layers but the last have ReLU. A convolution is filters, kernel, stride."""
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(0, gain / np.sqrt(shape[-1]), shape).astype(np.float32)

    def branch(first: int, count: int) -> FloatBranch:
        layers, inputs, convolution = [], count, None
        if conv is not None:
            filters, kernel, stride = conv
            taps = FloatDense(weights(filters, kernel * count) * 2, weights(filters), relu=True)
            convolution, inputs = FloatConv(taps, kernel, stride), filters
        for units in hidden:
            layers.append(FloatLstm(weights(4, units, inputs), weights(4, units, units), weights(4, units)))
            inputs = units
        way = FloatDense(weights(1, inputs) * 8, weights(1)) if pool == "attention" else pool
        return FloatBranch(first, count, tuple(layers), way, convolution)  # type: ignore[arg-type]

    ways = tuple(branch(index * channels // branches, channels // branches) for index in range(branches))
    head, inputs = [], branches * hidden[-1]
    for units in dense:
        head.append(FloatDense(weights(units, inputs) * 4, weights(units), relu=len(head) < len(dense) - 1))
        inputs = units
    mean, deviation = random.normal(0, 2000, channels), random.uniform(500, 6000, channels)
    return FloatModel(mean, deviation, ways, tuple(head))


def raw_windows(seed: int, model: FloatModel, count: int = 60, steps: int = 25) -> np.ndarray:
    """(count, steps, channels) int16 random walks with the mean and deviation that the model expects."""
    random = np.random.default_rng(seed)
    walk = random.normal(size=(count, steps, len(model.mean))).cumsum(axis=1) / np.sqrt(steps / 2)
    return np.clip(walk * model.deviation + model.mean, -32768, 32767).astype(np.int16)
