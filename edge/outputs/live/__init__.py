"""Outputs that speak to other programs: one protocol a file or folder, run in the relay's process."""
