"""Recordings from and to other tools, with their units and axes."""
