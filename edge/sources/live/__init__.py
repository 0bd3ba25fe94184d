"""Whatever has no end: cameras and streams."""
