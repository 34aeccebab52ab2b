"""At which rate a sensor's samples are taken, by the clock of the board: the rule of ``bw_rate`` in ``bitwave/app.h``.

A board follows its sensor's rate while it recognises. All that it goes by are the times of the samples, so that whoever
has them, off a link or in a recording, finds the same rates from the same samples on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STEPS = 256  # samples of a measurement
_LONGEST_US = 1 << 30
_PARTS = 50  # 2 %


@dataclass
class RateRule:
    """The rule under way, from the start of recognition.

    Attributes:
        taken_mhz: the rate that counts, at first the one that the sensor's maker states.
        measured_mhz: the last measurement; 0: none yet.
    """

    taken_mhz: int
    measured_mhz: int = 0
    _start_us: int = 0
    _samples: int = 0
    _side: int = 0

    def gap(self) -> None:
        """Samples are missing before the next one."""
        self._samples = self._side = 0

    def push(self, time_us: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Samples in a row.

        Args:
            time_us: (n,) times, strictly increasing; goes on where the last call ended.

        Returns:
            (index in `time_us`, rate in mHz) of each sample from which on another rate is taken.
        """
        changes: list[tuple[int, int]] = []
        at = 0
        while at < len(time_us):
            if self._samples == 0:
                self._start_us = int(time_us[at])
            last = at + STEPS - self._samples  # ends the measurement
            if last >= len(time_us):
                self._samples += len(time_us) - at
                break
            if self._measured(int(time_us[last])):
                changes.append((last, self.taken_mhz))
            at = last + 1
        return changes

    def _measured(self, end_us: int) -> bool:
        """One measurement has ended; whether another rate is taken now."""
        elapsed = min(max((end_us - self._start_us) % (1 << 32), STEPS), _LONGEST_US)
        self.measured_mhz = (STEPS * 10_000_000 + elapsed // 2) // elapsed * 100
        before, self._side = self._side, _side_of(self.measured_mhz, self.taken_mhz)
        self._start_us, self._samples = end_us, 1
        if self._side == 0 or self._side != before:
            return False
        self.taken_mhz, self._side = self.measured_mhz, 0
        return True


def _side_of(rate_mhz: int, other_mhz: int) -> int:
    distance = rate_mhz - other_mhz
    return 0 if abs(distance) * _PARTS <= other_mhz else 1 if distance > 0 else -1
