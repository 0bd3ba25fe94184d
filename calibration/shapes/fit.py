"""Fit the table of the blend shapes to rendered heads with known coefficients.

    python -m calibration.shapes.fit FOLDER --truth CLIP.csv ...

FOLDER holds the train_*.npz of calibration.shapes.observe: persons with their coefficients, and what each network saw of them.
The table edge/face/blendshapes.json is written anew.
"""
import argparse
import csv
import glob
import json
import os
import re
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from calibration.shapes import motion, solve, support
from edge.core.packet import Eyes, Face, Iris, Roi
from edge.face.blendshapes import TABLE
from edge.face.measures import IRISES, Measures, mate, mirrored

WAYS = {"face_attention": "attention", "face_landmark": "landmark"}  # network -> prefix of what it saw
SAME = {"facemesh_pth": "face_landmark"}  # networks whose points lie as those of another
AT_REST = 30  # first frames of a person
PARTS = ("landmarks", "contours", "irises")
MIXED, MIXTURES, CLIP_COUNTS = 900, 40, 8  # frames and number of the mixtures; how often a clip counts
DEAD, USUALLY = (0.03, 0.12), 85  # limits of a dead zone, and percentile of what pose and noise alone make
PEAK, MOST_GAIN = 0.9, 1.6
NOWHERE = Roi(0.0, 0.0, 1.0, 0.0)


class Person(NamedTuple):
    """What was seen of one head."""

    frames: solve.Frames
    rest: np.ndarray  # (M,)


def faces(seen: Dict[str, np.ndarray]) -> List[Face]:
    """One of each frame; irises and contours that were not known are left out."""
    found = []
    for points, contours, irises in zip(seen["landmarks"], seen["contours"], seen["irises"]):
        lids = Eyes(*(eye if np.isfinite(eye).all() else None for eye in contours))
        looks = Eyes(*(Iris(eye[:2], float(eye[2]), 1.0) if np.isfinite(eye).all() else None for eye in irises))
        found.append(Face(1, NOWHERE, 1.0, (0.0, 0.0, 1.0, 1.0), points.astype(np.float64), irises=looks, eye_contours=lids))
    return found


def person(path: str, way: str, measures: Measures) -> Tuple[List[str], Person]:
    """Names of the shapes, and the frames in which a face was found."""
    data = np.load(path)
    known, taken = zip(*((i, found) for i, found in enumerate(map(measures.of, faces({
        part: data[way + "_" + part] for part in PARTS}))) if found is not None))
    rest = np.nanmean([found for i, found in zip(known, taken) if i < AT_REST], axis=0)
    change = np.array([measures.change(found, rest) for found in taken])
    irises = np.isfinite(np.array(taken)[:, [measures.at[name + " x"] for name in IRISES]])
    solve.see_through(change, irises, measures)
    names, known = [str(name) for name in data["names"]], list(known)
    return names, Person(solve.Frames(change, data["coefficients"][known]), rest)


def persons(folder: str, way: str, measures: Measures) -> Tuple[List[str], List[Person]]:
    found = [person(path, way, measures) for path in sorted(glob.glob(os.path.join(folder, "train_[0-9]*[0-9].npz")))]
    if not found:
        raise SystemExit("no train_*.npz in {}: python -m calibration.shapes.observe makes them".format(folder))
    return found[0][0], [one for _, one in found]


def imagined(names: List[str], truths: Sequence[str]) -> np.ndarray:
    """(N, S) coefficients: each shape alone (those that only move together, together), mixtures, and those of clips."""
    chance = np.random.RandomState(5)
    alone = motion.sweep(names, chance, still=0, each=10).coefficients
    mixed = [motion.mixture(names, MIXED, chance, loose=bool(i % 2)).coefficients[::3] for i in range(MIXTURES)]
    clips = [clip for path in truths for clip in [coefficients(path, names)] for _ in range(CLIP_COUNTS)]
    mixed = np.concatenate(mixed + clips)
    mirror = [names.index(mate(name)) for name in names]
    alone = np.concatenate([alone] * max(1, len(mixed) // (2 * len(alone))))
    return np.concatenate((alone, mixed, mixed[:, mirror]))


def coefficients(path: str, names: Sequence[str]) -> np.ndarray:
    """(T, S) of a clip's truth."""
    with open(path, newline="") as f:
        return np.array([[float(row[name]) for name in names] for row in csv.DictReader(f)])


def dead_zones(trained: solve.Trained, seen: solve.Seen) -> np.ndarray:
    """A face at rest reads 0, and so it mostly does while its head moves."""
    rest, moved = trained.answer(np.zeros((1, len(seen.spread))))[0], trained.answer(seen.left * seen.spread)
    return rest + np.clip(np.percentile(moved, USUALLY, axis=0) - rest, *DEAD)


def gains(trained: solve.Trained, people: Sequence[solve.Frames], right: Sequence[int], dead: np.ndarray) -> List[float]:
    """That bring a shape that is nearly full to about PEAK, where that is not far."""
    change, truth = (np.concatenate(part) for part in zip(*people))
    told = trained.answer(change) - dead
    found = []
    for j, k in enumerate(right):
        full = truth[:, k] > 0.75
        slope = float(np.median(told[full, j] / truth[full, k])) if full.any() else 1.0
        found.append(min(MOST_GAIN, max(1.0, PEAK / max(0.1, slope))))
    return found


def entry(network: str, folder: str, truths: Sequence[str]) -> Dict[str, Any]:
    """What the table says of one network."""
    measures, unsupported = Measures(), support.UNSUPPORTED[network]
    names, people = persons(folder, WAYS[network], measures)
    frames = [one.frames for one in people]
    trained = solve.train(frames, imagined(names, truths), measures, names)
    mean = np.mean([one.rest for one in people], axis=0)
    even = (mean + [sign * mean[measures.at[name]] for name, sign in map(mirrored, measures.names)]) / 2.0
    right = [k for k, name in enumerate(names) if not name.endswith(solve.OTHER_SIDE)]
    dead = dead_zones(trained, solve.seen_of(frames, solve.Mirror(measures, names)))
    gain = gains(trained, frames, right, dead)
    shapes = {names[k]: {"linear": rounded(trained.linear[:, j]), "hidden": rounded(trained.out[:, j]),
                         "dead": round(float(dead[j]), 3), "gain": round(gain[j], 2)} for j, k in enumerate(right)}
    return {"unsupported": unsupported, "rest": rounded(even), "spread": rounded(trained.spread),
            "hidden": [rounded(unit) for unit in trained.hidden.T], "bias": rounded(trained.bias), "shapes": shapes}


def rounded(values: np.ndarray) -> List[float]:
    return [round(float(value), 3) for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--truth", nargs="*", default=[], metavar="CSV", help="clips of how coefficients go together")
    parser.add_argument("--output", default=TABLE)
    args = parser.parse_args()
    table = {"same": SAME, "networks": {network: entry(network, args.folder, args.truth) for network in sorted(WAYS)}}
    with open(args.output, "w", encoding="utf-8") as f:
        f.write(re.sub(r",\n +(?=-?[0-9])", ", ", json.dumps(table, indent=1, sort_keys=True)) + "\n")


if __name__ == "__main__":
    main()
