"""The 68 points beside labels that people made, and beside the points of the mesh that lie where they do.

With -s it prints the table of docs/measurements.md.
"""
import os

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")

from labelled import aflw_points, dlib_points

from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from nanoface import Tracker

DLIB, AFLW = "media/stills/dlib", "media/stills/aflw"
# the point of the mesh that is nearest to each in what it means
MESH = (127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356, 70, 63, 105, 66, 107, 336, 296,
        334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, EYE_OUTER_RIGHT, 160, 158, 133, 153, 144, 362, 385, 387,
        EYE_OUTER_LEFT, 373, 380, 61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87)
ESTIMATES = {"landmarks68": lambda face: face.landmarks68, "the mesh": lambda face: face.landmarks[list(MESH), :2]}


@pytest.fixture
def errors(models_home, shared, monkeypatch):
    """Set -> estimate -> for each labelled face the distance of each point, % of sqrt(w h) of the box around the labels."""
    monkeypatch.setenv("NANOFACE_HOME", models_home)
    with Tracker(landmarks=68) as tracker:
        return {name: _errors(tracker, os.path.join(shared, path), labels) for name, path, labels in (
            ("AFLW2000-3D", AFLW, aflw_points), ("dlib", DLIB, dlib_points))}


def _errors(tracker, folder, labels):
    seen, found = {}, {name: [] for name in ESTIMATES}
    for name, points in labels(folder):
        if name not in seen:
            seen[name] = tracker(cv2.imread(os.path.join(folder, name)), still=True)
        size = np.sqrt(np.prod(points.max(axis=0) - points.min(axis=0)))
        off = {key: [np.linalg.norm(of(face) - points, axis=1) / size * 100.0 for face in seen[name]]
               for key, of in ESTIMATES.items()}
        at = int(np.argmin([each.mean() for each in off["the mesh"]]))
        if off["the mesh"][at].mean() < 30.0:  # else this face was not found
            for key in ESTIMATES:
                found[key].append(off[key][at])
    return {key: np.array(each) for key, each in found.items()}


@pytest.mark.shared(AFLW, DLIB)
def test_the_68_points_are_nearer_to_labels_than_the_mesh(errors):
    print("\n| labels | faces | landmarks68: 68 / inner 51, % | the mesh: 68 / inner 51, % |\n| --- | ---: | ---: | ---: |")
    for name, of in errors.items():
        print("| {} | {} | {} | {} |".format(name, len(of["the mesh"]), *(
            "{:.1f} / {:.1f}".format(of[key].mean(), of[key][:, 17:].mean()) for key in ESTIMATES)))
    aflw, dlib = errors["AFLW2000-3D"], errors["dlib"]
    assert len(aflw["landmarks68"]) == 8 and len(dlib["landmarks68"]) == 18
    assert aflw["landmarks68"].mean() < 2.6 < 3.8 < aflw["the mesh"].mean()
    assert aflw["landmarks68"][:, 17:].mean() < 2.2 and dlib["landmarks68"][:, 17:].mean() < 3.3
    assert dlib["landmarks68"].mean() < 4.3 and dlib["landmarks68"].mean() < dlib["the mesh"].mean()
    assert aflw["landmarks68"].mean(axis=0).max() < 6.0, "each in its place"
    assert dlib["landmarks68"].mean(axis=0)[17:].max() < 6.0  # their jaw is the edge that is seen, ours the one in depth
