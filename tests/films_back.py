"""Films that were written, read again: by OpenCV, and their times by the program ffmpeg."""
import subprocess

import cv2

from edge.host import ffmpeg


def frames_of(path):
    """(H, W, 3) pictures that can be decoded, in order."""
    film = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = film.read()
        if not ok:
            break
        frames.append(frame)
    film.release()
    return frames


def times_of(path):
    """When each frame is shown, seconds, and when the last one ends; [] and 0.0 where nothing plays."""
    words = [ffmpeg.find().path, "-loglevel", "error", "-i", "file:" + str(path), "-c", "copy", "-f", "framecrc", "pipe:1"]
    told = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    lines = told.splitlines()
    bases = [line.split("1/")[1] for line in lines if line.startswith("#tb 0")]
    rows = [[int(cell) for cell in line.split(",")[:4]] for line in lines if not line.startswith("#")]
    if not rows:
        return [], 0.0
    tick_s = 1.0 / int(bases[0])
    return [row[2] * tick_s for row in rows], (rows[-1][2] + rows[-1][3]) * tick_s
