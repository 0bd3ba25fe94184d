"""Recorded films, through the program ffmpeg."""
