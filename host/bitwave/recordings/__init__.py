"""Recordings on disk: takes and sessions, data sets and their splits, segments, checks."""
