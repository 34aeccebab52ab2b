"""The C core on this machine, through ctypes."""

from .host import Classified, HostCore, HostStream, Recognised, encode_frame, library

__all__ = ["Classified", "HostCore", "HostStream", "Recognised", "encode_frame", "library"]
