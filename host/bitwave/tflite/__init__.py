""".tflite files: read into a model with every fault named, written, edited in place."""

from .reader import METADATA_NAME, lstm_operators, read_bytes, read_model, weights_digest

__all__ = ["METADATA_NAME", "lstm_operators", "read_bytes", "read_model", "weights_digest"]
