"""A few seconds of what ``make soak`` does for many minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from record_soak import check


@pytest.mark.parametrize("faults", [False, True])
def test_a_thousand_samples_a_second(tmp_path: Path, faults: bool) -> None:
    check(tmp_path, 4.0, faults, busy_cores=0, patient=True)
