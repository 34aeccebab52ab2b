"""Which channels a branch of the network sees."""

from __future__ import annotations

from .settings import Settings


def modalities(channels: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """Name, first channel and number of channels of each sensor: neighbours whose names differ in x, y, z only."""
    found: list[tuple[str, int, int]] = []
    for index, channel in enumerate(channels):
        name = channel[:-1] if len(channel) > 1 and channel[-1] in "xyz" else channel
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], found[-1][2] + 1)
        else:
            found.append((name, index, 1))
    return found


def branch_channels(channels: tuple[str, ...], settings: Settings) -> list[tuple[str, int, int]]:
    """Name, first channel and number of channels of each branch."""
    return modalities(channels) if settings.fused else [("all", 0, len(channels))]
