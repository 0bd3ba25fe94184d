"""The rigid head that points are fitted to: which mesh points, where they are on the head, how far they are to be trusted."""
from typing import NamedTuple

import numpy as np


class HeadModel(NamedTuple):
    """Points of a head in its own frame."""

    indices: np.ndarray  # (N,) numbers of mesh points
    points: np.ndarray  # (N, 3) millimetres, head frame
    weights: np.ndarray  # (N,) for a weighted fit, > 0
    name: str


# Points that lie on bone or cartilage and hardly move with lids, lips, brows or jaw: the bridge and sides of the nose, the
# corners of the eyes, forehead, temples, cheekbones.
RIGID = np.array([1, 4, 5, 6, 8, 9, 10, 33, 133, 168, 195, 197, 263, 362, 98, 327, 2, 129, 358, 67, 297, 103, 332, 54, 284,
                  21, 251, 162, 389, 127, 356, 234, 454, 227, 447, 116, 345, 117, 346, 50, 280, 109, 338, 151, 108, 337])


def of_canonical(table: np.ndarray) -> HeadModel:
    """From the (468, 4) table of MediaPipe's canonical face: x y z in mm (head frame) and its own Procrustes weight."""
    return HeadModel(RIGID, table[RIGID, :3].astype(np.float64), np.ones(len(RIGID)), "canonical face")
