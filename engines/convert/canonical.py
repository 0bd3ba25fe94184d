"""MediaPipe's canonical face: 468 vertices, and which of them a Procrustes fit should trust how much."""
import io
import re
from typing import Sequence

import numpy as np

from edge.core.errors import ModelError
from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT, POINTS

_MM_PER_CM = 10.0
_BASIS = re.compile(r"procrustes_landmark_basis\s*\{\s*landmark_id:\s*(\d+)\s+weight:\s*([0-9.eE+-]+)\s*\}")


def _text(files: Sequence[str], ending: str) -> str:
    found = [f for f in files if f.endswith(ending)]
    if not found:
        raise ModelError("the head model needs a {} file beside {}".format(ending, ", ".join(files)))
    with open(found[0], encoding="utf-8") as f:
        return f.read()


def face_model(files: Sequence[str]) -> bytes:
    """See engines.convert.canonical_face. The file's axes are ours (x to the subject's left, y up, z toward the
    camera), its unit is the centimetre; both are checked.
    """
    lines = [line.split() for line in _text(files, ".obj").splitlines()]
    points = np.array([[float(v) for v in line[1:4]] for line in lines if line[:1] == ["v"]]) * _MM_PER_CM
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
    buffer = io.BytesIO()
    np.save(buffer, np.hstack([points, weights]).astype("<f4"))
    return buffer.getvalue()
