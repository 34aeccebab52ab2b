"""Equality of engines: every hidden state, cell and class score."""

from .comparison import KINDS, Difference, EngineReport, ParityReport, Tally, compare

__all__ = ["Difference", "EngineReport", "KINDS", "ParityReport", "Tally", "compare"]
