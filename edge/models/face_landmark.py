"""MediaPipe's face mesh: 468 points with depth, and the probability that a face is there.

The crop and tracking rules are those of MediaPipe's face_landmark graphs: a square of 1.5 times the longer side of the
points' upright box, turned by the line between the outer eye corners, RGB in 0..1.
"""
import math
from typing import Mapping

import numpy as np

from edge.core.contracts import RGB, Crop
from edge.core.packet import Roi
from edge.face.mesh import POINTS
from edge.geometry import roi as regions
from edge.models.spec import Aligned, Aligner, shaped

SIZE = 192


class FaceLandmark(Aligner):
    """`network` is face_landmark or facemesh_pth: the same weights from two sources."""

    def __init__(self, network: str = "face_landmark") -> None:
        super().__init__(network)

    def crop(self, roi: Roi) -> Crop:
        return Crop(regions.matrix(roi, SIZE), (SIZE, SIZE), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0))

    def decode(self, outputs: Mapping[str, np.ndarray], roi: Roi) -> Aligned:
        """One point that is no number makes none of them one."""
        points = shaped(outputs, "landmarks", (POINTS, 3), self.network)
        logit = float(shaped(outputs, "presence", (1,), self.network)[0])
        turn = to_frame(roi)
        with np.errstate(over="ignore", invalid="ignore"):
            rows = turn[:, :3].dot(points.T)  # (3, N): later a minimum over x runs over neighbours in memory
            rows += turn[:, 3:]
        return Aligned(rows.T, probability(logit))


def to_frame(roi: Roi) -> np.ndarray:
    """(3, 4) map from x, y, z of the input and 1 to frame pixels, z in the same scale."""
    scale, half = roi.size / SIZE, SIZE / 2.0
    c, s = math.cos(roi.angle) * scale, math.sin(roi.angle) * scale
    return np.array([[c, -s, 0.0, roi.cx - half * (c - s)], [s, c, 0.0, roi.cy - half * (s + c)], [0.0, 0.0, scale, 0.0]])


def probability(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(60.0, max(-60.0, logit))))
