"""Fit the table of the blend shapes to rendered heads with known coefficients.

    python -m calibration.shapes.fit FOLDER

FOLDER holds the train_*.npz of calibration.shapes.observe: persons with their coefficients, and what each network saw of them.
The table edge/face/blendshapes.json is written anew.
"""
import argparse
import glob
import json
import os
from typing import Any, Container, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from calibration.shapes import solve, support
from edge.core.packet import Eyes, Face, Iris, Roi
from edge.face.blendshapes import HELPER, TABLE
from edge.face.measures import IRISES, TURNS, Measures, mirrored

WAYS = {"face_attention": "attention", "face_landmark": "landmark"}  # network -> prefix of what it saw
SAME = {"facemesh_pth": "face_landmark"}  # networks whose points lie as those of another
AT_REST = 30  # first frames of a person
PARTS = ("landmarks", "contours", "irises")
OTHER_SIDE = "Left"
MEASURES_EACH = 60  # of which a shape is made
LEAST_RIVAL = 0.02
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
    return names, Person(solve.counted(change, data["coefficients"][known], names, measures), rest)


def persons(folder: str, way: str, measures: Measures) -> Tuple[List[str], List[Person]]:
    found = [person(path, way, measures) for path in sorted(glob.glob(os.path.join(folder, "train_[0-9]*[0-9].npz")))]
    if not found:
        raise SystemExit("no train_*.npz in {}: python -m calibration.shapes.observe makes them".format(folder))
    return found[0][0], [one for _, one in found]


def fitted(people: Sequence[Person], names: Sequence[str], measures: Measures) -> solve.Solution:
    """First with all measures, then with those that weigh most in each shape."""
    frames = solve.Frames(*(np.concatenate(part) for part in zip(*(one.frames for one in people))))
    useful = np.array([not name.startswith(IRISES) or name[-1] != "z" for name in measures.names])
    used = np.repeat(useful[:, None], len(names), axis=1)
    full = solve.solve(frames, measures, names, used)
    worth = np.abs(full.first) * frames.change.std(axis=0)[:, None]
    least = np.sort(worth, axis=0)[-MEASURES_EACH]
    return solve.solve(frames, measures, names, used & (worth >= least))


def rows(solution: solve.Solution, names: Sequence[str], unsupported: Container[str], measures: Measures) -> Dict[str, Any]:
    """The right and the middle shapes of the table, and what they need of others."""
    found = {}
    for k, name in enumerate(names):
        if not name.endswith(OTHER_SIDE):
            less = {other: round(float(v), 3) for other, v in zip(names, solution.less[:, k])}
            found[name] = {
                "class": HELPER if name in unsupported else "told", "gain": 1.0, "dead": round(float(solution.dead[k]), 4),
                "rivals": {other: v for other, v in less.items() if other == name or abs(v) > LEAST_RIVAL},
                "measures": {m: float("{:.3g}".format(w)) for m, w in zip(measures.names, solution.first[:, k]) if w}}
    return found


def entry(network: str, folder: str) -> Dict[str, Any]:
    """What the table says of one network."""
    measures, unsupported = Measures(), support.UNSUPPORTED[network]
    names, people = persons(folder, WAYS[network], measures)
    mean = np.mean([one.rest for one in people], axis=0)
    even = (mean + [sign * mean[measures.at[name]] for name, sign in map(mirrored, measures.names)]) / 2.0
    rest = {name: round(float(value), 3) for name, value in zip(measures.names, even)
            if " left" not in name and name not in TURNS}
    shapes = rows(fitted(people, names, measures), names, unsupported, measures)
    return {"unsupported": unsupported, "rest": rest, "shapes": shapes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--output", default=TABLE)
    args = parser.parse_args()
    table = {"same": SAME, "networks": {network: entry(network, args.folder) for network in sorted(WAYS)}}
    with open(args.output, "w", encoding="utf-8") as f:
        json.dump(table, f, indent=0, sort_keys=True)
        f.write("\n")


if __name__ == "__main__":
    main()
