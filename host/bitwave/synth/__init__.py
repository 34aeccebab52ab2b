"""The virtual wrist: people, movements, and the raw counts that a sensor on the forearm gives."""

from .wrist import LABELS, Interval, Wrist, random_plan, session_facts, stream, takes, to_counts

__all__ = ["Interval", "LABELS", "Wrist", "random_plan", "session_facts", "stream", "takes", "to_counts"]
