"""Pure numpy geometry; PnP is the one place that calls OpenCV."""
