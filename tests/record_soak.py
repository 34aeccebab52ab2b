"""What recording at 1,000 samples/s must hold, for seconds in the suite and for minutes in ``make soak``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from bitwave.recordings.recording import read
from bitwave.recordings.session import Gap
from soak_board import RATE_HZ, counts, loaded, running
from support import absent

RECORD = "import sys; from bitwave.cli import main; main()"


def check(out: Path, seconds: float, faults: bool, busy_cores: int, patient: bool = False) -> str:
    """Records over a pseudo-terminal with the command itself and holds what came to what was sent.

    A patient board waits where the port is full, as none does: what it sends does not depend on the machine's load.

    Returns:
        One line of what happened.
    """
    if sys.platform == "win32":
        absent("needs pseudo-terminals: run this test on Linux or macOS")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = [word for word, wanted in (("faults", faults), ("patient", patient)) if wanted]
    with loaded(busy_cores), running(*words) as (port, board):
        verb = ["record", f"serial:{port}", "--participant", "p01", "--out", str(out), "--continuous"]
        done = subprocess.run(
            [sys.executable, "-c", RECORD, *verb, "--seconds", str(seconds), "--json"],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    found = read(out / "streams" / "stream.p01.s01.1.csv")
    first = int(found.samples[0, 0]) + 30000 * int(found.samples[0, 1])
    last = first + round(seconds * RATE_HZ)
    missing = [(start, count) for start, count in board["lost"] if first <= start < last]
    indices = np.arange(first, last)
    for start, count in missing:
        indices = indices[(indices < start) | (indices >= start + count)]
    # Every fault is located: a gap behind the row of the sample before it.
    gaps = tuple(
        Gap(after=int(np.searchsorted(indices, start)) - 1, lost=min(count, last - start)) for start, count in missing
    )
    odd = sorted({(gap.after, gap.lost) for gap in found.gaps} ^ {(gap.after, gap.lost) for gap in gaps})
    assert found.gaps == gaps, f"not in both: {odd[:4]}; the board paused {board['longest_s']:.2f} s"
    assert np.array_equal(found.samples, np.array([counts(int(index)) for index in indices]))
    assert np.array_equal(found.time_us, np.rint(indices * 1e6 / RATE_HZ))
    assert told["lost"] == found.lost == sum(gap.lost for gap in gaps)
    if not faults:
        assert (told["lost"], told["crc_errors"]) == (0, 0)
    else:
        assert gaps and abs(told["crc_errors"] - board["corrupted"]) <= 1  # one may come as the recording ends
    return (
        f"{len(found.samples):,} samples, {found.lost} lost in {len(gaps)} places, {told['crc_errors']} CRC errors, "
        f"{board['repeated']} repeats; the board's longest pause was {board['longest_s'] * 1000:.0f} ms"
    )
