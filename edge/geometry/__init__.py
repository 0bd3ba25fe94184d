"""Pure numpy geometry; only camera.py calls OpenCV."""
