"""Outputs that draw: films, pictures, the window."""
