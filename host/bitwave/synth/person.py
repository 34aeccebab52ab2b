"""The people who wear the virtual wrist."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from .movements import FloatArray


@dataclass(frozen=True)
class Person:
    """Who wears the sensor, and how.

    Attributes:
        amplitude: mean factor on ways and angles.
        tempo: mean factor on speed.
        posture: (3,) roll, pitch, yaw of the forearm at rest, radians.
        place: (3,) metres from the elbow to the sensor in the forearm's frame.
        tilt: (3,) rotation vector of the strap, radians.
        accel_bias: (3,) g.
        gyro_bias: (3,) degree/s.
        accel_noise: standard deviation of one sample, g.
        gyro_noise: standard deviation of one sample, degree/s.
        tremor: (terms, 3) frequency in Hz, phase in radians, axis 0..5; sway is among them.
        tremor_size: (terms,) metres or radians.
    """

    amplitude: float
    tempo: float
    posture: FloatArray
    place: FloatArray
    tilt: FloatArray
    accel_bias: FloatArray
    gyro_bias: FloatArray
    accel_noise: float
    gyro_noise: float
    tremor: FloatArray
    tremor_size: FloatArray


def person(participant: str, session: str = "s01", seed: int = 0) -> Person:
    """The person of a name in a session; participants are alike and differ as people do."""
    of_person = generator(seed, participant)
    amplitude = float(np.exp(of_person.normal(0.0, 0.2)))
    tempo = float(np.exp(of_person.normal(0.0, 0.11)))
    posture = np.deg2rad(of_person.normal((0.0, -8.0, 0.0), (6.0, 6.0, 10.0)))
    place = of_person.normal((0.24, 0.0, 0.03), (0.02, 0.005, 0.005))
    tilt = np.deg2rad(of_person.normal(0.0, 7.0, 3))
    tremor = np.column_stack(
        (
            np.concatenate((of_person.uniform(8.0, 12.0, 6), of_person.uniform(0.2, 0.5, 6))),
            of_person.uniform(0.0, 2.0 * np.pi, 12),
            np.tile(np.arange(6.0), 2),
        )
    )
    shake = of_person.uniform(0.3, 1.2)
    sizes = np.concatenate(([8e-6 * shake] * 3, [4e-4 * shake] * 3, [2e-3] * 3, [0.01] * 3))
    of_session = generator(seed, participant, session)
    return Person(
        amplitude=min(max(amplitude, 0.7), 1.4),
        tempo=min(max(tempo, 0.82), 1.25),
        posture=posture,
        place=place,
        tilt=tilt + np.deg2rad(of_session.normal(0.0, 4.0, 3)),
        accel_bias=of_session.normal(0.0, 0.015, 3),
        gyro_bias=of_session.normal(0.0, 1.0, 3),
        accel_noise=0.004,
        gyro_noise=0.15,
        tremor=tremor,
        tremor_size=sizes,
    )


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each seed and names, the same on every machine."""
    digest = hashlib.sha256(".".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
