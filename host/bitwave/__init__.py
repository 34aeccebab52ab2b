"""bitwave: record gestures, train a compact LSTM, and prove that the board computes the PC's bits."""

__version__ = "0.1.0"
