"""The integer model in NumPy: the readable specification that every other engine is compared with."""

from .network import LayerTrace, Trace, run, stream_events
from .stream import Event, front_end, resample

__all__ = ["Event", "LayerTrace", "Trace", "front_end", "resample", "run", "stream_events"]
