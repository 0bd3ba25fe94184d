"""Measure a mean head from frame records: `python -m calibration.head.measure_head PERSON.jsonl ... > table`.

Each file holds one person, written by `nanoface run --output jsonl:PERSON.jsonl --landmarks`. The mesh's three dimensions
of frames seen nearly from the front are laid over each other (generalised Procrustes), first for each person, then over the
persons; the mean is made symmetric and laid onto MediaPipe's canonical face, which gives the head frame its origin, attitude
and scale (the shape stays the measured one).
"""
import argparse
import json
import sys
from typing import Iterable, List

import numpy as np

from calibration.head.procrustes import fit
from edge.face.head import TO_HEAD_AXES
from edge.face.mesh import EYE_INNER_LEFT, EYE_INNER_RIGHT, EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from edge.store import models

VIEWED_FROM_MM = 550.0  # usual distance of a face before a webcam or a laptop
MAX_TURN_DEG = 12.0
EYES = (EYE_OUTER_RIGHT, EYE_OUTER_LEFT)
MIDLINE = (1, 2, 4, 5, 6, 8, 9, 10, 151, 152, 168, 195, 197)
PAIRS = (EYES, (EYE_INNER_RIGHT, EYE_INNER_LEFT), (127, 356), (234, 454), (98, 327), (129, 358), (50, 280),
         (116, 345), (103, 332), (54, 284),
         (21, 251), (162, 389), (109, 338), (67, 297), (58, 288), (172, 397), (136, 365), (150, 379), (149, 378), (176, 400),
         (148, 377), (70, 300), (105, 334), (107, 336), (61, 291))
POINTS = MIDLINE + tuple(i for pair in PAIRS for i in pair)


def frontal_meshes(lines: Iterable[str]) -> List[np.ndarray]:
    """(468, 3) points in head axes of the frames in which the head is hardly turned."""
    found = []
    for line in lines:
        for face in json.loads(line)["faces"]:
            pose, landmarks = face.get("pose"), face.get("landmarks")
            if pose and landmarks and max(abs(pose["yaw"]), abs(pose["pitch"])) < MAX_TURN_DEG:
                found.append(np.array(landmarks) * TO_HEAD_AXES)
    return found


def mean_shape(shapes: List[np.ndarray], rounds: int = 5) -> np.ndarray:
    """Generalised Procrustes mean of (N, 3) shapes, in the size and attitude of the first."""
    mean = shapes[0]
    for _ in range(rounds):
        laid = []
        for shape in shapes:
            s = fit(shape, mean)
            laid.append(s.scale * shape.dot(s.rotation.T) + s.translation)
        mean = np.mean(laid, axis=0)
    return mean


def symmetric(shape: np.ndarray) -> np.ndarray:
    """Mean of a shape and its mirror image; the plane of symmetry becomes x = 0."""
    partner = np.arange(len(shape))
    for a, b in PAIRS:
        partner[a], partner[b] = b, a
    used = np.array(POINTS)
    mirrored = shape[partner] * (-1.0, 1.0, 1.0)
    s = fit(mirrored[used], shape[used])
    both = (shape + s.scale * mirrored.dot(s.rotation.T) + s.translation) / 2.0
    return both


def in_head_frame(shape: np.ndarray, canonical: np.ndarray) -> np.ndarray:
    """Millimetres in the head frame; `canonical` is the (468, 3+) table of the canonical face."""
    shape = symmetric(shape)
    shape = shape - shape[list(EYES)].mean(axis=0)
    shape = shape * fit(shape[list(POINTS)], canonical[list(POINTS), :3]).scale
    # the mesh's x and y are those of the picture: what lies behind the eyes was seen smaller than it is
    shape[:, :2] *= 1.0 - shape[:, 2:] / VIEWED_FROM_MM
    s = fit(shape[list(POINTS)], canonical[list(POINTS), :3])
    return s.scale * shape.dot(s.rotation.T) + s.translation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+")
    persons = []
    for path in parser.parse_args().records:
        with open(path) as f:
            meshes = frontal_meshes(f)
        if not meshes:
            print("{}: no frontal face".format(path), file=sys.stderr)
            return 1
        persons.append(mean_shape(meshes))
    canonical = np.load(models.locate(models.home_dir(), "canonical_face").file)
    head = in_head_frame(mean_shape(persons), canonical)
    for i in sorted(POINTS):
        print("    ({:d}, {:.1f}, {:.1f}, {:.1f}),".format(i, *head[i]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
