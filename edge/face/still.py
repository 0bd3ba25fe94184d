"""The mesh's points as those of a head that stands still: turned to the front, at one size and place.

What is left of them is the person and the expression. The similarity (Umeyama 1991) is fitted on points that expressions move
little, spread over the whole face: a few on the nose alone would tremble, and pose would leak into all the others.
"""
import math
from typing import NamedTuple, Optional

import numpy as np

from edge.face.head import TO_HEAD_AXES
from edge.geometry.rotation import nearest

# Number of the mesh point; x, y, z in mm in the head frame; weight. Made by calibration/shapes from the resting faces of
# rendered heads, laid onto the canonical face.
ANCHORS = np.array((
    (4, 0.0, -4.4, 78.5, 14), (6, 0.0, 25.6, 56.9, 6), (10, 0.0, 85.2, 44.7, 2),
    (33, -49.1, 25.2, 29.6, 12), (54, -66.9, 62.7, 11.5, 2), (67, -39.7, 81.3, 36.6, 2),
    (117, -56.8, 7.8, 30.1, 2), (119, -36.2, 6.8, 39.3, 3), (121, -19.7, 13.0, 42.4, 4),
    (127, -74.5, 18.3, -24.4, 1), (129, -21.1, -11.3, 48.4, 24), (132, -66.5, -27.6, -24.4, 1),
    (133, -18.4, 24.0, 36.1, 11), (136, -47.8, -64.2, 7.8, 13), (143, -66.7, 20.6, 13.7, 3),
    (147, -63.1, -19.9, 17.7, 3), (198, -14.4, 1.8, 57.9, 5), (205, -42.2, -15.9, 44.0, 9),
    (263, 49.1, 25.2, 29.6, 12), (284, 66.9, 62.7, 11.5, 2), (297, 39.7, 81.3, 36.6, 2),
    (346, 56.8, 7.8, 30.1, 2), (348, 36.2, 6.8, 39.3, 3), (350, 19.7, 13.0, 42.4, 4),
    (356, 74.5, 18.3, -24.4, 1), (358, 21.1, -11.3, 48.4, 24), (361, 66.5, -27.6, -24.4, 1),
    (362, 18.4, 24.0, 36.1, 11), (365, 47.8, -64.2, 7.8, 13), (372, 66.7, 20.6, 13.7, 3),
    (376, 63.1, -19.9, 17.7, 3), (420, 14.4, 1.8, 57.9, 5), (425, 42.2, -15.9, 44.0, 9),
))
FLAT = 1e-12  # of the squared distance from the corner of the frame: points so near each other are one
_POINTS = ANCHORS[:, 0].astype(int)
_WEIGHTS = ANCHORS[:, 4] / ANCHORS[:, 4].sum()
_MIDDLE = _WEIGHTS.dot(ANCHORS[:, 1:4])
_MOMENTS = _WEIGHTS[:, None] * (ANCHORS[:, 1:4] - _MIDDLE)  # sum to 0: the anchors need not be taken from their mean
_SUMS = np.concatenate((_WEIGHTS[None], _MOMENTS.T))
_EACH = np.repeat(_WEIGHTS, 3)


class Placement(NamedTuple):
    """Still points are (landmarks - middle).dot(turn) + origin."""

    middle: np.ndarray  # (3,) frame pixels
    turn: np.ndarray  # (3, 3) millimetres of the head frame per pixel
    rotation: np.ndarray  # (3, 3) of the head as seen along its own line of sight, as that of a Pose

    def still(self, landmarks: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """(N, 3) millimetres in the head frame, of any (N, 3) of the points; written to `out` where it is given."""
        found = (landmarks - self.middle).dot(self.turn, out)
        found += _MIDDLE
        return found


def placement(landmarks: np.ndarray) -> Optional[Placement]:
    """Of (468, 3) frame pixels; None where they are not finite, or no face."""
    with np.errstate(all="ignore"):
        return fitted(landmarks)


def fitted(landmarks: np.ndarray) -> Optional[Placement]:
    """As `placement`, for who has silenced NumPy's warnings already."""
    anchors = landmarks.take(_POINTS, axis=0).astype(np.float64)
    sums = _SUMS.dot(anchors)
    x, y, z = sums[0].tolist()
    far = x * x + y * y + z * z
    flat = anchors.ravel()
    spread = float(_EACH.dot(flat * flat)) - far
    if not FLAT * far < spread < math.inf:
        return None
    covariance = sums[1:]
    back = nearest(covariance)  # from the head to the picture, in its axes
    scale = float(back.ravel().dot(covariance.ravel())) / spread
    if not 0.0 < scale < math.inf:
        return None
    return Placement(sums[0], back.T * scale, (back * TO_HEAD_AXES).T)


def still_points(landmarks: np.ndarray) -> Optional[np.ndarray]:
    """(468, 3) millimetres of the canonical face in the head frame, pose and size removed; None as `placement`."""
    if not np.isfinite(landmarks).all():
        return None
    placed = placement(landmarks)
    return None if placed is None else placed.still(landmarks)
