"""Recognition off a link or from a recording: events, their score, their picture."""
