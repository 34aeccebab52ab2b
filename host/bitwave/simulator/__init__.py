"""The integer model in NumPy: the readable specification that every other engine is compared with."""

from .network import LayerTrace, Streamed, Trace, run, run_stream, stream_events
from .stream import Event, front_end, resample

__all__ = [
    "Event",
    "LayerTrace",
    "Streamed",
    "Trace",
    "front_end",
    "resample",
    "run",
    "run_stream",
    "stream_events",
]
