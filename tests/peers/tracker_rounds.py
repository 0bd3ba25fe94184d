"""The tracker on given frames, round by round, for bench_beside.py: what mediapipe_facemesh.py is for FaceMesh.

usage: tracker_rounds.py FRAMES.npy OUTPUTS [WORDS OF nanoface bench ...]

OUTPUTS are such as `jsonl:{}/a.jsonl`, with a comma between two; {} stands for a folder. One JSON line when it is ready; then,
for each line on standard input, one round over all frames and one JSON line with what it cost.
"""
import json
import sys

import numpy as np

from edge.bench import text
from edge.bench.measure import measure_pipeline
from edge.cli.options import config_of
from edge.cli.table import read_words
from edge.core.errors import EdgeError

ENDLESS = 10 ** 6  # rounds


def between(so_far):
    """Tell of the round before, wait for the next."""
    if not so_far["rounds"]:
        answer = {"networks": so_far["networks"], "machine": text.machine()}
    else:
        answer = dict(so_far["rounds"][-1]._asdict(), peak_mb=so_far["peak_mb"], status=so_far["status"],
                      faces=so_far["status"].get("faces", 0))
    print(json.dumps(answer), flush=True)
    if not sys.stdin.readline():
        raise EOFError()


def main(words):
    try:
        frames = list(np.load(words[0]))
        measure_pipeline(config_of(read_words(["bench"] + words[2:])), frames, ENDLESS, between,
                         words[1].split(","))
    except EdgeError as e:
        print(json.dumps({"error": str(e)}), flush=True)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
