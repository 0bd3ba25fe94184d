"""`make bench`: the tracker beside MediaPipe's FaceMesh, in the same rounds over the same frames.

usage: bench_beside.py PYTHON [WORDS OF nanoface bench ...]

PYTHON is an interpreter that has mediapipe. While one of the two runs its round the other one waits.
"""
import json
import sys

from peer import Peer

from edge.bench import text
from edge.bench.measure import measure_alone, measure_pipeline
from edge.bench.replay import decoded
from edge.cli.options import config_of
from edge.cli.table import read_words
from edge.core.errors import ConfigError, EdgeError


def measure(python, args):
    """The figures of `nanoface bench`, with the peer's below "peer"."""
    config, theirs = config_of(args), []
    frames = decoded(config, args.frames)
    peer = Peer(python, frames)
    try:
        measured = measure_pipeline(config, frames, args.rounds, lambda: theirs.append(peer.round()))
    finally:
        peer.close()
    result = text.figures(measured, config, frames, measure_alone(config, frames[0], args.rounds))
    result["peer"] = {
        "name": peer.name, "cpu_ms": text.spread([r["cpu_ms"] for r in theirs]),
        "wall_ms": text.spread([r["wall_ms"] for r in theirs]), "peak_mb": theirs[-1]["peak_mb"],
        "faces": theirs[-1]["faces"],
        "cpu_ratio": text.spread([ours.cpu_ms / r["cpu_ms"] for ours, r in zip(measured["rounds"], theirs)]),
    }
    return result


def lines(result):
    peer = result["peer"]
    rows = [text.ROW.format(label, peer[key]["median"], peer[key]["p95"]) for label, key in (
        ("process CPU, ms a frame", "cpu_ms"), ("wall time, ms a frame", "wall_ms"),
        ("our process CPU over theirs", "cpu_ratio"))]
    rows.insert(2, text.MEMORY.format("peak memory less the frames, MB", peer["peak_mb"]))
    head = text.HEAD.format("beside, in the same rounds: " + peer["name"], "median", "p95")
    return text.lines(result) + ["", head] + rows


def main(words):
    try:
        if not words:
            raise ConfigError("name a Python that has mediapipe, and then what nanoface bench takes")
        args = read_words(["bench"] + words[1:])
        result = measure(words[0], args)
    except EdgeError as e:
        print("bench_beside.py: {}".format(e), file=sys.stderr)
        return e.exit_code
    print(json.dumps(result, indent=1) if args.json else "\n".join(lines(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
