"""MediaPipe's iris network: for each eye the iris (centre and four points of the limbus) and 71 points of lid and brow.

It was trained on the subject's right eye; the left one is shown mirrored.
Both eyes are one batch of two. A crop is a square of 2.3 times the distance of the eye's corners, turned by the eye.
"""
import math
from typing import Mapping, NamedTuple, Optional, Tuple

import numpy as np

from edge.core.contracts import REPLICATE, RGB, Crop
from edge.core.packet import CONTOUR_POINTS, Eyes, Iris, Roi
from edge.face.mesh import EYE_CORNERS
from edge.geometry import roi as regions
from edge.models.spec import shaped

SIZE = 64
MARGIN = 2.3
IRIS_POINTS = 5  # of one eye
NONSENSE = "the network's answer is no eye"
FAR_OUT = 10.0 * SIZE  # input pixels; no part of an eye is there


class EyePoints(NamedTuple):
    """What the network sees of one eye, frame pixels."""

    iris: np.ndarray  # (5, 2): centre, then four points of the limbus
    contour: np.ndarray  # (71, 2): 16 of the lid opening, then lids and brow


class IrisLandmark:
    """Regions, crops and decoding for the eyes of one face."""

    network = "iris_landmark"

    def rois(self, landmarks: np.ndarray) -> Tuple[Roi, Roi]:
        """Regions of the subject's right and left eye from (468, 3) frame pixels."""
        right, left = (self._roi(landmarks[a], landmarks[b]) for a, b in EYE_CORNERS)
        return right, left

    @staticmethod
    def _roi(a: np.ndarray, b: np.ndarray) -> Roi:
        (ax, ay), (bx, by) = a[:2].tolist(), b[:2].tolist()
        return Roi((ax + bx) / 2.0, (ay + by) / 2.0, MARGIN * math.hypot(bx - ax, by - ay), math.atan2(by - ay, bx - ax))

    def crops(self, rois: Tuple[Roi, Roi]) -> Tuple[Crop, Crop]:
        right, left = (regions.matrix(roi, SIZE, mirror) for roi, mirror in zip(rois, (False, True)))
        return self._crop(right), self._crop(left)

    @staticmethod
    def _crop(matrix: np.ndarray) -> Crop:
        return Crop(matrix, (SIZE, SIZE), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0), REPLICATE)

    def decode(self, outputs: Mapping[str, np.ndarray], crops: Tuple[Crop, Crop]) -> Optional[Eyes]:
        """EyePoints of both eyes; the crop's own matrix takes the mirroring back.

        None where a point is no number or far outside the crop. Raises FrameError where the outputs are not the network's.
        """
        irises = shaped(outputs, "iris", (2, IRIS_POINTS, 3), self.network)
        contours = shaped(outputs, "contour", (2, CONTOUR_POINTS, 3), self.network)
        with np.errstate(over="ignore", invalid="ignore"):
            if not (np.abs(irises).max() < FAR_OUT and np.abs(contours).max() < FAR_OUT):
                return None
        eyes = []
        for iris, contour, crop in zip(irises, contours, crops):
            back = regions.invert(crop.matrix)
            points = regions.apply(back, np.concatenate((iris[:, :2], contour[:, :2])))
            eyes.append(EyePoints(points[:IRIS_POINTS], points[IRIS_POINTS:]))
        return Eyes(*eyes)


def circle(points: np.ndarray) -> Optional[Iris]:
    """The limbus from its centre and four points, (5, 2) frame pixels; the score is how well the four agree on one radius."""
    (x, y), limbus = points[0].tolist(), points[1:].tolist()
    radii = [math.hypot(a - x, b - y) for a, b in limbus]
    radius = sum(radii) / len(radii)
    if not math.isfinite(radius) or radius <= 0.0:
        return None
    spread = math.sqrt(sum((r - radius) ** 2 for r in radii) / len(radii))
    return Iris(points[0], radius, max(0.0, 1.0 - spread / radius))
