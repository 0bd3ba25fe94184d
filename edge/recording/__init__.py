"""A recorded run as a file: its format, and both directions."""
