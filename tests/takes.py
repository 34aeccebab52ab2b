"""Small recordings for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bitwave.recordings.recording import Recording, even_times, write
from bitwave.recordings.session import Session


def take(
    label: str = "wave",
    participant: str = "p01",
    session: str = "s01",
    number: int = 1,
    samples: int = 50,
    seed: int = 0,
) -> Recording:
    """A take of random counts at 119 Hz."""
    rng = np.random.default_rng([seed, number, *label.encode(), *participant.encode(), *session.encode()])
    counts = rng.integers(-32768, 32768, (samples, 6)).astype(np.int16)
    return Recording(label, participant, session, number, even_times(samples, 119.0, 1000), counts, 119.0)


def facts(participant: str = "p01", session: str = "s01", **other: object) -> Session:
    """A session file for such takes."""
    whole = {"tool": "tests", "source": "record", "participant": participant, "session": session, "rate_hz": 119.0}
    return Session.model_validate(whole | other)


def store(folder: Path, *takes: Recording) -> None:
    """Writes takes of any sessions."""
    for key in sorted({(t.participant, t.session) for t in takes}):
        write(folder, facts(*key), [t for t in takes if (t.participant, t.session) == key])
