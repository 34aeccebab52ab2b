"""Words of messages and reports."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 take``, ``2 takes``; a plural that takes more than an ``s`` is given."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
