"""MediaPipe's canonical face: 468 vertices, which of them a Procrustes fit should trust how much, and its surface."""
import io
import re
from typing import List, Sequence

import numpy as np

from edge.core.errors import ModelError
from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT, POINTS
from edge.store.canonical import SURFACE, TRIANGLES

_MM_PER_CM = 10.0
_BASIS = re.compile(r"procrustes_landmark_basis\s*\{\s*landmark_id:\s*(\d+)\s+weight:\s*([0-9.eE+-]+)\s*\}")


def _text(files: Sequence[str], ending: str) -> str:
    found = [f for f in files if f.endswith(ending)]
    if not found:
        raise ModelError("the head model needs a {} file beside {}".format(ending, ", ".join(files)))
    with open(found[0], encoding="utf-8") as f:
        return f.read()


def _lines(files: Sequence[str]) -> List[List[str]]:
    return [line.split() for line in _text(files, ".obj").splitlines()]


def _vertices_mm(lines: Sequence[Sequence[str]]) -> np.ndarray:
    return np.array([[float(v) for v in line[1:4]] for line in lines if line[:1] == ["v"]]) * _MM_PER_CM


def face_model(files: Sequence[str]) -> bytes:
    """See engines.convert.canonical_face. The file's axes are ours (x to the subject's left, y up, z toward the
    camera), its unit is the centimetre; both are checked.
    """
    points = _vertices_mm(_lines(files))
    if points.shape != (POINTS, 3):
        raise ValueError("not 468 vertices")
    width = points[EYE_OUTER_LEFT, 0] - points[EYE_OUTER_RIGHT, 0]
    if not 60 < width < 120:  # mm; a mirrored or rescaled head would turn every pose
        raise ModelError("the head model has its eye corners {:.1f} mm apart, which is no head".format(width))
    weights = np.zeros((POINTS, 1))
    for vertex, weight in _BASIS.findall(_text(files, ".pbtxt")):
        weights[int(vertex)] = float(weight)
    if not weights.any():
        raise ValueError("no weights")
    return _saved(np.hstack([points, weights]).astype("<f4"))


def surface(files: Sequence[str]) -> bytes:
    """See engines.convert.canonical_mesh. The file numbers its texture coordinates otherwise than its vertices; each vertex
    has one, which its triangles tell.
    """
    lines = _lines(files)
    points = _vertices_mm(lines)
    places = np.array([[float(v) for v in line[1:3]] for line in lines if line[:1] == ["vt"]])
    faces = [line[1:] for line in lines if line[:1] == ["f"]]
    corners = np.array([[[int(n) for n in corner.split("/")] for corner in face] for face in faces]) - 1
    if points.shape != (POINTS, 3) or places.shape != (POINTS, 2) or corners.shape != (TRIANGLES, 3, 2):
        raise ValueError("not 468 vertices, 468 places in the texture and 898 triangles")
    if corners.min() < 0 or corners.max() >= POINTS:
        raise ValueError("a triangle of a vertex that is not there")
    pairs = np.array(sorted(set(map(tuple, corners.reshape(-1, 2).tolist()))))
    if pairs[:, 0].tolist() != list(range(POINTS)):
        raise ValueError("not one place in the texture for each vertex")
    table = np.zeros((), SURFACE)
    table["points"], table["uv"], table["triangles"] = points, places[pairs[:, 1]], corners[:, :, 0]
    return _saved(table)


def _saved(table: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, table)
    return buffer.getvalue()
