"""What `bitwave evaluate --events` and `bitwave calibrate` print for people.

Gestures that were made, hit and missed; events in the window of another gesture (wrong), of one that had its event
(again) and outside of all (false, and that per hour of background); ms is the median from a gesture's end to its event.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from .event_score import Score, Tally

COLUMNS = ("made", "hit", "missed", "wrong", "again", "false", "/ hour", "prec.", "recall", "F1", "ms")


def tables(score: Score, title: str = "Events") -> list[Table]:
    """One line per class, one per participant, and which were taken for which."""
    found = [_table(f"{title} by class", score.by_class, score.total)]
    found.append(_table(f"{title} by participant", score.participants, None))
    if score.confused:
        table = Table("made", "recognised", "events", title="Taken for another gesture")
        for (made, said), count in sorted(score.confused.items(), key=lambda entry: -entry[1]):
            table.add_row(made, said, str(count))
        found.append(table)
    return found


def _table(title: str, tallies: Mapping[str, Tally], total: Tally | None) -> Table:
    table = Table(title=title, box=None, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for name, tally in sorted(tallies.items()):
        table.add_row(name, *_cells(tally))
    if total is not None:
        table.add_section()
        table.add_row("all", *_cells(total))
    return table


def _cells(tally: Tally) -> tuple[str, ...]:
    delay = tally.median_delay_s
    return (
        *(str(n) for n in (tally.gestures, tally.hits, tally.misses, tally.wrong, tally.repeated, tally.false)),
        _figure(tally.false_per_hour, 2),
        *(_figure(value, 3) for value in (tally.precision, tally.recall, tally.f1)),
        "" if delay is None else f"{delay * 1000:.0f}",
    )


def _figure(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
