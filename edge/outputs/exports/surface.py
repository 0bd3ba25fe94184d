"""What every export is made of: the points of a frame's faces, and the canonical face's triangles."""
from typing import List

import numpy as np

from edge.core.errors import ModelError, OutputError
from edge.core.packet import Packet
from edge.outputs.kinds import OutputSpec
from edge.outputs.record import PIXEL
from edge.store.canonical import CanonicalMesh, read_mesh
from edge.store.models import home_dir

ALL, FIRST = "all", "first"  # of the key `faces`
FARTHEST = 1e6  # pixels: a stranger's recording may say more, the squares of which would be no numbers


def open_mesh(spec: OutputSpec) -> CanonicalMesh:
    """Raises OutputError with the cure where it was not fetched."""
    try:
        return read_mesh(home_dir())
    except ModelError as e:
        raise OutputError("output {}: {}".format(spec.text, e))


def points_of(packet: Packet, spec: OutputSpec) -> List[np.ndarray]:
    """(468, 3) x, y pixels and nearness of each face that has points: larger = nearer, the farthest one is 0. Rounded as in
    the records, so that both tell the same mesh."""
    found = [points for points in (face.landmarks for face in packet.faces)
             if points is not None and np.isfinite(points).all() and np.abs(points).max() <= FARTHEST]
    faces = found[:1] if spec.keys.get("faces") == FIRST else found
    rounded = [np.round(points, PIXEL) for points in faces]
    return [np.column_stack([points[:, :2], points[:, 2].max() - points[:, 2]]) for points in rounded]
