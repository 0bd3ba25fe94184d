"""Pure numpy geometry; only camera.py and rotation.py call OpenCV."""
