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
from edge.face.measures import IRISES, TURNS, Measures, mate, mirrored


class Way(NamedTuple):
    """How a network's points are used."""

    prefix: str  # of what it saw
    noise: float  # of training
    usually: float  # percentile of what pose and noise alone tell of a face at rest
    level: float  # the answer that it becomes


WAYS = {"face_attention": Way("attention", 0.1, 99, 0.06), "face_landmark": Way("landmark", 0.03, 98, 0.07)}
SAME = {"facemesh_pth": "face_landmark"}  # networks whose points lie as those of another
AT_REST = 30  # first frames of a person
PARTS = ("landmarks", "contours", "irises")
MIXED, MIXTURES, CLIP_COUNTS = 900, 40, 8  # frames and number of the mixtures; how often a clip counts
FOLDS, FOLD_STEPS = 2, 1500
LEAST_NOISE = 0.01
MILD_TURN = 1.0  # of the head, in units of the measures
PEAK, MOST_GAIN = 0.9, 2.5
QUIETER = {("face_attention", "mouthRollLower"): 0.7}  # of the level: on heads that no fit has seen it moves more at rest
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


class Curves(NamedTuple):
    """From what the network tells to the answer: max(low * told, gain * (told - dead)), each (R,)."""

    low: np.ndarray
    dead: np.ndarray
    gain: np.ndarray


def held_out(people: Sequence[solve.Frames], likely: np.ndarray, measures: Measures, names: List[str],
             noise: float) -> List[np.ndarray]:
    """What networks tell that were trained without the person (T, R), changes (T, M) and truth (T, S)."""
    if len(people) < FOLDS:
        raise SystemExit("at least {} persons are needed: calibration.shapes.observe makes them".format(FOLDS))
    mirror, rows = solve.Mirror(measures, names), []
    for fold in range(FOLDS):
        others = [one for i, one in enumerate(people) if i % FOLDS != fold]
        trained = solve.train(others, likely, measures, names, noise, FOLD_STEPS)
        for one in people[fold::FOLDS]:
            for way in (one, mirror(one)):
                rows.append((trained.answer(way.change) - trained.zero(), way.change, way.truth))
    return [np.concatenate(part) for part in zip(*rows)]


def curves(told: np.ndarray, change: np.ndarray, truth: np.ndarray, measures: Measures, names: List[str],
           way: Way, network: str) -> Curves:
    """A face at rest usually reads at most way.level while its head moves mildly, and a shape that is nearly full about PEAK.

    Small movements are told, only smaller: what a dead zone would swallow is a part of most that faces do.
    """
    turn = np.hypot(*change[:, [measures.at[name] for name in TURNS[:2]]].T)
    quiet = told[(truth.max(axis=1) == 0.0) & (turn > solve.LEAST_TURN) & (turn < MILD_TURN)]
    noise = np.maximum(LEAST_NOISE, np.percentile(quiet, way.usually, axis=0))
    open_eye = truth[:, names.index("eyeBlinkRight")] < 0.25
    rows = []
    for j, k in enumerate(right_of(names)):
        full = (truth[:, k] > 0.75) & (open_eye | (not names[k].startswith("eyeLook")))
        usual = max(0.05, float(np.median(told[full, j] / truth[full, k]))) if full.any() else 1.0
        gain = min(MOST_GAIN, max(1.0, PEAK / usual))
        level = way.level * QUIETER.get((network, names[k]), 1.0)
        low, dead = min(gain, level / noise[j]), 0.0
        if low < gain:
            gain = min(MOST_GAIN, max(1.0, (PEAK - level) / max(0.05, usual - noise[j])))
            low, dead = min(low, gain), max(0.0, noise[j] - level / gain)
        rows.append((low, dead, gain))
    return Curves(*np.array(rows).T)


def right_of(names: Sequence[str]) -> List[int]:
    """Columns of the shapes that have weights of their own."""
    return [k for k, name in enumerate(names) if not name.endswith(solve.OTHER_SIDE)]


def entry(network: str, folder: str, truths: Sequence[str]) -> Dict[str, Any]:
    """What the table says of one network."""
    measures, unsupported, way = Measures(), support.UNSUPPORTED[network], WAYS[network]
    names, people = persons(folder, way.prefix, measures)
    frames, likely = [one.frames for one in people], imagined(names, truths)
    trained = solve.train(frames, likely, measures, names, way.noise)
    mean = np.mean([one.rest for one in people], axis=0)
    even = (mean + [sign * mean[measures.at[name]] for name, sign in map(mirrored, measures.names)]) / 2.0
    told, change, truth = held_out(frames, likely, measures, names, way.noise)
    curve = curves(told, change, truth, measures, names, way, network)
    shapes = {names[k]: dict({field: round(float(values[j]), 3) for field, values in curve._asdict().items()},
                             linear=rounded(trained.linear[:, j]), hidden=rounded(trained.out[:, j]))
              for j, k in enumerate(right_of(names))}
    return {"unsupported": unsupported, "coarse": list(support.COARSE[network]), "rest": rounded(even),
            "spread": rounded(trained.spread),
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
