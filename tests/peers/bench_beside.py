"""`make bench`: the tracker in several forms beside MediaPipe's FaceMesh, in the same rounds over the same frames.

usage: bench_beside.py PYTHON [WORDS OF nanoface bench ...]

PYTHON is an interpreter that has mediapipe. Each form is a process of its own, as FaceMesh is; while one runs its round the
others wait. The tables are Markdown, for docs/measurements.md.
"""
import json
import sys
from contextlib import ExitStack
from typing import NamedTuple, Sequence

from peer import Stored, facemesh, tracker

from edge.bench import text
from edge.bench.measure import JSONL, Round, measure_alone
from edge.bench.replay import decoded
from edge.cli.options import config_of
from edge.cli.table import read_words
from edge.core.errors import ConfigError, EdgeError
from edge.core.figures import median

CAMERA = ("--workers", "detect+align+pose+iris+express")
READ_AHEAD = ("--workers", "detect+align+pose+iris+express+output")
POINTS_FIRST = ("--aligner", "face_landmark")  # the way of two networks: points, then irises
NO_POSE = ("--pose", "none")
SHAPES, EVENTS, BOTH = ((JSONL[0] + asked,) for asked in ("?shapes=true", "?events=true", "?shapes=true&events=true"))


class Form(NamedTuple):
    """One way to run the tracker. The first one's figures are also those of the whole report."""

    name: str
    label: str
    words: Sequence[str] = ()  # for nanoface bench, behind the user's
    outputs: Sequence[str] = JSONL


FORMS = (
    Form("camera", "threads as a camera has them", CAMERA),
    Form("recorded", "as a recorded source"),
    Form("no_pose", "as a recorded source, no pose", NO_POSE),
    Form("read_ahead", "as a recorded source that a thread reads ahead", READ_AHEAD),
    Form("shapes", "as a recorded source, with shapes", outputs=SHAPES),
    Form("events", "as a recorded source, with events", outputs=EVENTS),
    Form("shapes_events", "as a recorded source, with both", outputs=BOTH),
    Form("camera_points", "mesh + irises: threads as a camera has them", CAMERA + POINTS_FIRST),
)

GAINS = (  # what two of the forms differ in: without it, with it
    ("attention for mesh + irises", "camera_points", "camera"),
    ("recorded source: the stages' thread writes the file", "camera", "read_ahead"),
    ("recorded source: the stages' thread reads the frames, too", "read_ahead", "recorded"),
    ("shapes that nobody asks for", "shapes", "recorded"),
    ("events that nobody asks for", "events", "recorded"),
    ("both that nobody asks for", "shapes_events", "recorded"))


def in_turns(peers, rounds):
    """[[an answer for each round] for each peer]; the peers take turns, and each second time in reverse order."""
    told = [[] for _ in peers]
    for i in range(rounds):
        for k in range(len(peers)) if i % 2 else reversed(range(len(peers))):
            told[k].append(peers[k].round())
    return told


def beside(ours, theirs):
    """The medians of some rounds, and of the ratios to the peer's of the same turn."""
    return {"cpu_ms": text.spread([r["cpu_ms"] for r in ours]), "wall_ms": text.spread([r["wall_ms"] for r in ours]),
            "peak_mb": ours[-1]["peak_mb"], "faces": ours[-1]["faces"],
            "cpu_ratio": text.spread([a["cpu_ms"] / b["cpu_ms"] for a, b in zip(ours, theirs)]),
            "wall_ratio": median([a["wall_ms"] / b["wall_ms"] for a, b in zip(ours, theirs)])}


def measure(python, args, words):
    """The figures of `nanoface bench` of the first form, with the peer's below "peer" and those of all below "forms"."""
    config = config_of(args)
    frames = decoded(config, args.frames)
    with ExitStack() as closing:
        stored = closing.enter_context(Stored(frames))
        theirs = closing.enter_context(facemesh(python, stored))
        ours = [closing.enter_context(tracker(stored, list(words) + list(form.words), form.outputs)) for form in FORMS]
        told = in_turns([theirs] + ours, args.rounds)
    first = told[1]
    measured = {"rounds": [Round(*[r[key] for key in Round._fields]) for r in first], "peak_mb": first[-1]["peak_mb"],
                "status": first[-1]["status"]}
    result = text.figures(measured, config, frames, measure_alone(config, frames[0], args.rounds))
    peer = beside(told[0], told[0])
    result["peer"] = dict(peer, name="MediaPipe {} FaceMesh".format(theirs.about["version"]),
                          cpu_ratio=beside(first, told[0])["cpu_ratio"])
    result["forms"] = {form.name: dict(beside(rounds, told[0]), label=form.label, networks=one.about["networks"])
                       for form, rounds, one in zip(FORMS, told[1:], ours)}
    cpu_ms = {form.name: [r["cpu_ms"] for r in rounds] for form, rounds in zip(FORMS, told[1:])}
    result["gains"] = [{"change": change, "before_ms": median(cpu_ms[before]), "after_ms": median(cpu_ms[after]),
                        "gain_ms": median([b - a for b, a in zip(cpu_ms[before], cpu_ms[after])])}
                       for change, before, after in GAINS]
    return result


def lines(result):
    """What `nanoface bench` prints, and the table beside the peer."""
    peer = result["peer"]
    rows = ["", "| a frame | CPU, ms | wall, ms | peak, MB | CPU over theirs | wall over theirs |", "| --- |" + " ---: |" * 5,
            "| {} | {:.2f} | {:.2f} | {:.0f} | 1 | 1 |".format(
                peer["name"], peer["cpu_ms"]["median"], peer["wall_ms"]["median"], peer["peak_mb"])]
    for form in result["forms"].values():
        rows.append("| {} | {:.2f} | {:.2f} | {:.0f} | **{:.2f}** | {:.2f} |".format(
            form["label"], form["cpu_ms"]["median"], form["wall_ms"]["median"], form["peak_mb"],
            form["cpu_ratio"]["median"], form["wall_ratio"]))
    rows += ["", "| change | before, ms | after, ms | gain, ms a frame |", "| --- |" + " ---: |" * 3]
    rows += ["| {change} | {before_ms:.2f} | {after_ms:.2f} | {gain_ms:.2f} |".format(**gain) for gain in result["gains"]]
    networks = " + ".join("{} ({})".format(*pair) for pair in result["forms"]["camera"]["networks"])
    return text.lines(result) + rows + ["", "networks: {}; peaks are less the frames; medians of {} rounds".format(
        networks, result["rounds"])]


def main(words):
    try:
        if not words:
            raise ConfigError("name a Python that has mediapipe, and then what nanoface bench takes")
        args = read_words(["bench"] + words[1:])
        result = measure(words[0], args, words[1:])
    except EdgeError as e:
        print("bench_beside.py: {}".format(e), file=sys.stderr)
        return e.exit_code
    print(json.dumps(result, indent=1) if args.json else "\n".join(lines(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
