"""Records in files: JSON lines, CSV."""
