"""The surface of MediaPipe's canonical face, which `models fetch` made: the exports of meshes and pictures lie on it."""
import os
from typing import NamedTuple

import numpy as np

from edge.core.errors import ModelError
from edge.core.packet import POINTS
from edge.host.reading import reason
from edge.store import models

CANONICAL_FACE = "canonical_face"
TRIANGLES = 898
SURFACE = np.dtype([("points", "<f4", (POINTS, 3)), ("uv", "<f4", (POINTS, 2)), ("triangles", "<i4", (TRIANGLES, 3))])


class CanonicalMesh(NamedTuple):
    """The vertices are those of a face's landmarks."""

    points: np.ndarray  # (468, 3) float32 millimetres in the head frame
    uv: np.ndarray  # (468, 2) float32, 0..1; v up
    triangles: np.ndarray  # (898, 3) int32, counterclockwise as one sees the face, with y up


def read_mesh(home: str) -> CanonicalMesh:
    """Raises ModelError with the cure."""
    entry = models.read_index(home).get(CANONICAL_FACE, {})
    file, sha256 = entry.get("mesh_file"), entry.get("mesh_sha256")
    if not isinstance(file, str) or not isinstance(sha256, str):
        raise ModelError("the canonical face's triangles are not in {}: {}".format(models.onnx_dir(home), models.cure(
            CANONICAL_FACE)))
    path = models.checked(home, CANONICAL_FACE, os.path.basename(file), sha256)
    try:
        table = np.load(path)
    except (OSError, ValueError) as e:
        raise ModelError("{} cannot be read ({}): {}".format(path, reason(e), models.cure()))
    if table.dtype != SURFACE or not 0 <= table["triangles"].min() <= table["triangles"].max() < POINTS:
        raise ModelError("{} is not the canonical face's surface: delete it and {}".format(path, models.cure()))
    return CanonicalMesh(table["points"], table["uv"], table["triangles"])
