"""Processes of our own that a run starts beside itself, and what they print."""
