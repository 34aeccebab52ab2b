"""The motion gate in physical units, for training and for the file."""

from __future__ import annotations

from dataclasses import dataclass

from bitwave.model.metadata import Gate

from .settings import RunConfig

NEVER = 65535  # counts that no two samples are apart, or the most samples that a gate counts


@dataclass(frozen=True)
class GateDefaults:
    """A motion gate in physical units; see `bitwave.model.metadata` for its rule.

    Attributes:
        still_s: at rest before the network sleeps; a window at least.
        preroll_s: of the rest that the first window behind a sleep begins with; shorter than a window.
        accel_g, gyro_dps: what a resting sensor stays within; a channel of another kind never moves.
    """

    still_s: float
    preroll_s: float = 1.0
    accel_g: float = 0.1
    gyro_dps: float = 12.0

    def gate(self, config: RunConfig) -> Gate:
        """In counts and samples."""
        units = {"a": self.accel_g * config.counts.accel_lsb_per_g, "g": self.gyro_dps * config.counts.gyro_lsb_per_dps}
        return Gate(
            thresholds=tuple(min(round(units.get(name[0], NEVER)), NEVER) for name in config.channels),
            still=min(max(config.window, round(self.still_s * config.rate_hz)), NEVER),
            preroll=min(config.window - 1, round(self.preroll_s * config.rate_hz)),
        )
