"""`make bench-growth`: how the cost grows with faces, size, outputs and threads, beside MediaPipe's FaceMesh.

usage: bench_growth.py PYTHON PLOT.svg [--rounds N] [--frames N]

PYTHON is an interpreter that has mediapipe, and with it matplotlib. The frames are the demo's portrait, once for each face,
as it moves. One thing grows at a time, from one face at 720p into one file, with the threads that a camera has.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import NamedTuple, Sequence

import cv2
import numpy as np
from bench_beside import RECORDED, beside, in_turns
from peer import Stored, facemesh, tracker

from edge.bench.measure import JSONL
from edge.core.errors import EdgeError, EngineError
from edge.sources import portrait

PLOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plot_growth.py")
FILES = (JSONL, "csv:{}/bench.csv", "jsonl:{}/points.jsonl?landmarks=true", "csv:{}/points.csv?landmarks=true")
TWO_WORKERS = ("--workers", "detect+align | pose+iris+express")
STEP = 5  # frames of the demo from one to the next: a fast motion
FACES, SIZE, OUTPUTS, THREADS = "faces", "lines a frame", "file outputs", "threads"


class Case(NamedTuple):
    axis: str
    label: str
    faces: int = 1
    height: int = 720
    outputs: int = 1
    form: str = ""  # for tracker_rounds.py; else threads as a camera has them
    words: Sequence[str] = ()


CASES = (
    [Case(FACES, str(n), faces=n) for n in (1, 2, 3, 4)] + [Case(SIZE, str(n), height=n) for n in (480, 720, 1080)] +
    [Case(OUTPUTS, str(n), outputs=n) for n in (1, 2, 3, 4)] +
    [Case(THREADS, "one for all", form=RECORDED), Case(THREADS, "one for the stages"),
     Case(THREADS, "two for the stages", words=TWO_WORKERS)])


def made(count, faces, height):
    """`count` frames, (height, 16/9 height, 3), of up to four heads in a grid of two by two, each at another place of its
    path."""
    head, width = portrait.load(), height * 16 // 9 // 2 * 2
    cell = height / 2.0 / portrait.HEIGHT  # of the demo's frame in its place
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), portrait.BACKGROUND, np.uint8)
        for k in range(faces):
            matrix = cell * portrait.truth(portrait.STILL_FRAMES + STEP * i + 60 * k)
            x, y = width // 2 * (k % 2), height // 2 * (k // 2)
            matrix[0, 2] += (width / 2.0 - cell * portrait.WIDTH) / 2.0
            frame[y:y + height // 2, x:x + width // 2] = cv2.warpAffine(
                head, matrix, (width // 2, height // 2), flags=cv2.INTER_AREA, borderValue=portrait.BACKGROUND)
        frames.append(frame)
    return frames


def measured(python, case, args):
    """One row: both in turns on the same frames."""
    with Stored(made(args.frames, case.faces, case.height)) as stored:
        form = case.form or json.dumps({"outputs": FILES[:case.outputs]})
        words = ["--max-faces", str(case.faces)] + list(case.words)
        with facemesh(python, stored, str(case.faces)) as theirs, tracker(form, stored, words) as ours:
            told = in_turns([theirs, ours], args.rounds)
            name = "MediaPipe " + theirs.about["version"]
    return {"axis": case.axis, "label": case.label, "name": name, "ours": beside(told[1], told[0]),
            "theirs": beside(told[0], told[0])}


def lines(rows):
    """The table. A case that several rows share was measured once for each."""
    yield "| what grows | | CPU, ms a frame | wall, ms a frame | peak, MB | faces | {0}: CPU, ms | {0}: faces | CPU ratio |".format(
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
    rows = []
    try:
        for case in CASES:
            print("{} {}".format(case.axis, case.label), file=sys.stderr, flush=True)
            rows.append(measured(args.python, case, args))
        print("\n".join(lines(rows)))
        draw(args.python, args.plot, rows)
    except EdgeError as e:
        print("bench_growth.py: {}".format(e), file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
