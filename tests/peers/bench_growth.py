"""`make bench-growth`: how the cost grows with faces, size, outputs and threads, beside MediaPipe's FaceMesh.

usage: bench_growth.py PYTHON PLOT.svg [--rounds N] [--frames N]

PYTHON is an interpreter that has mediapipe, and with it matplotlib. The frames are the demo's portrait, once for each face,
as it moves. One thing grows at a time, from one face at 720p into one file, with the threads that a camera has.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from typing import NamedTuple, Sequence

import cv2
import numpy as np
from bench_beside import CAMERA, READ_AHEAD, beside, in_turns
from peer import Stored, facemesh, tracker

from edge.bench.measure import JSONL
from edge.core.errors import EdgeError, EngineError
from edge.sources import portrait

PLOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plot_growth.py")
FILES = JSONL + ("csv:{}/bench.csv", "jsonl:{}/points.jsonl?landmarks=true", "csv:{}/points.csv?landmarks=true")
TWO_WORKERS = ("--workers", "detect+align | pose+iris+express")
PERIOD = 60.0  # frames in which a head comes back to where it was
ROLL_DEG, SWAY, HEAD = 12.0, 0.1, 0.95  # the last two as shares of its cell: FaceMesh does not find a head that is smaller
FACES, SIZE, OUTPUTS, THREADS = "faces", "height, pixels", "file outputs", "threads"


class Case(NamedTuple):
    axis: str
    label: str
    faces: int = 1
    height: int = 720
    outputs: int = 1
    words: Sequence[str] = CAMERA


CASES = (
    [Case(FACES, str(n), faces=n) for n in (1, 2, 3, 4)] + [Case(SIZE, str(n), height=n) for n in (480, 720, 1080)] +
    [Case(OUTPUTS, str(n), outputs=n) for n in (1, 2, 3, 4)] +
    # all in one, as a recorded source has them; capture; the file; where the stages have two, records are made in another one
    [Case(THREADS, "1", words=()), Case(THREADS, "2", words=READ_AHEAD), Case(THREADS, "3"),
     Case(THREADS, "5", words=TWO_WORKERS)])


def made(count, faces, height):
    """`count` frames, (height, 16/9 height, 3), of up to four heads in a grid of two by two, each at another place of its
    path."""
    head, width = portrait.load(), height * 16 // 9 // 4 * 4
    across, down = width // 2, height // 2
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), portrait.BACKGROUND, np.uint8)
        for k in range(faces):
            swing = math.sin(2 * math.pi * (i / PERIOD + k / 4.0))
            matrix = cv2.getRotationMatrix2D(portrait.HEAD_CENTER, ROLL_DEG * swing, HEAD * down / (2 * portrait.HEAD_RADIUS))
            matrix[:, 2] += np.array([across * (0.5 + SWAY * swing), down / 2.0]) - portrait.HEAD_CENTER
            x, y = across * (k % 2), down * (k // 2)
            frame[y:y + down, x:x + across] = cv2.warpAffine(head, matrix, (across, down), borderValue=portrait.BACKGROUND)
        frames.append(frame)
    return frames


def measured(python, case, args):
    """Both in turns on the same frames."""
    with Stored(made(args.frames, case.faces, case.height)) as stored:
        words = ["--max-faces", str(case.faces)] + list(case.words)
        with facemesh(python, stored, str(case.faces)) as theirs, tracker(stored, words, FILES[:case.outputs]) as ours:
            told = in_turns([theirs, ours], args.rounds)
            name = "MediaPipe " + theirs.about["version"]
    return {"name": name, "ours": beside(told[1], told[0]), "theirs": beside(told[0], told[0])}


def lines(rows):
    """The table; all times are a frame's."""
    yield "| what grows | | CPU, ms | wall, ms | peak, MB | faces | {0}: CPU, ms | {0}: faces | CPU over theirs |".format(
        rows[0]["name"])
    yield "| --- | --- |" + " ---: |" * 7
    for row in rows:
        ours, theirs = row["ours"], row["theirs"]
        yield "| {} | {} | {:.2f} | {:.2f} | {:.0f} | {:g} | {:.2f} | {:.3g} | {:.2f} |".format(
            row["axis"], row["label"], ours["cpu_ms"]["median"], ours["wall_ms"]["median"], ours["peak_mb"], ours["faces"],
            theirs["cpu_ms"]["median"], theirs["faces"], ours["cpu_ratio"]["median"])


def draw(python, path, rows):
    """Raises EngineError."""
    with tempfile.TemporaryDirectory(prefix="nanoface-plot-") as folder:
        done = subprocess.run([python, PLOT, path], input=json.dumps(rows), universal_newlines=True,
                              stderr=subprocess.PIPE, env=dict(os.environ, MPLCONFIGDIR=folder, XDG_CACHE_HOME=folder))
    if done.returncode:
        raise EngineError("the plot was not drawn: {}".format(done.stderr.strip().rpartition("\n")[2]))


def main():
    parser = argparse.ArgumentParser(usage="bench_growth.py PYTHON PLOT.svg [--rounds N] [--frames N]")
    parser.add_argument("python")
    parser.add_argument("plot")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=50)
    args = parser.parse_args()
    done = {}  # the start of each axis is the same: measured once
    try:
        for case in CASES:
            print("{} {}".format(case.axis, case.label), file=sys.stderr, flush=True)
            if case[2:] not in done:
                done[case[2:]] = measured(args.python, case, args)
        rows = [dict(done[case[2:]], axis=case.axis, label=case.label) for case in CASES]
        print("\n".join(lines(rows)))
        draw(args.python, args.plot, rows)
    except EdgeError as e:
        print("bench_growth.py: {}".format(e), file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
