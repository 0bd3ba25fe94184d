"""MediaPipe's attention mesh: the face mesh, and lips, lids and irises seen again from closer by, in one network.

"Left" in the network's own order is the eye at the picture's left, the subject's right one. Depth is the mesh's alone.
"""
from typing import Mapping, Optional

import numpy as np

from edge.core.packet import CONTOUR_POINTS, Eyes, Iris, Roi
from edge.face.mesh import POINTS
from edge.models.face_landmark import FaceLandmark, probability, to_frame
from edge.models.iris_landmark import IRIS_POINTS, NONSENSE, circle
from edge.models.spec import LANDMARKS, Aligned, shaped

PARTS, PLANE = 5, 80  # of `refined`: lips, right eye, left eye, right iris, left iris; x and y, each filled up to 80
ONE = np.ones(1, np.float32)
MOST_OFF = 2.0  # sides of the region that an iris may lie from its middle, or its radius measure
# the points of the mesh that the refined ones replace, in their order; those of an eye are its contour
LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409, 78, 95, 88, 178, 87, 14, 317,
    402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415, 76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73,
    72, 11, 302, 303, 304, 408, 62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407)
RIGHT_EYE = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 130, 25, 110, 24, 23, 22, 26, 112, 243, 247,
    30, 29, 27, 28, 56, 190, 226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189, 35, 124, 46, 53,
    52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193)
LEFT_EYE = (
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 359, 255, 339, 254, 253, 252, 256, 341,
    463, 467, 260, 259, 257, 258, 286, 414, 446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413,
    265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336, 285, 417)
RIGHT_CONTOUR = POINTS, POINTS + CONTOUR_POINTS  # columns of what decode() gathers
LEFT_CONTOUR = RIGHT_CONTOUR[1], RIGHT_CONTOUR[1] + CONTOUR_POINTS
RIGHT_IRIS = LEFT_CONTOUR[1], LEFT_CONTOUR[1] + IRIS_POINTS
LEFT_IRIS = RIGHT_IRIS[1], RIGHT_IRIS[1] + IRIS_POINTS


class FaceAttention(FaceLandmark):
    """The crop and the tracking rules are those of the plain mesh."""

    fills = (LANDMARKS, "irises", "eye_contours")

    def __init__(self, network: str = "face_attention") -> None:
        super().__init__(network)
        self._sources = _sources()

    def decode(self, outputs: Mapping[str, np.ndarray], roi: Roi) -> Aligned:
        """One point of mesh, lips or lids that is no number makes none of them one. An iris that is none is left out."""
        with np.errstate(over="ignore", invalid="ignore"):
            rows = to_frame(roi).dot(self.seen(outputs))
        flat = rows[:2].T
        irises = [_iris(flat[start:end], roi) for start, end in (RIGHT_IRIS, LEFT_IRIS)]
        more = {"irises": Eyes(*irises), "eye_contours": Eyes(*(flat[a:b] for a, b in (RIGHT_CONTOUR, LEFT_CONTOUR))),
                "steady_corners": False}
        if None in irises:
            sides = zip(("right", "left"), irises)
            more["missing"] = {"iris." + side: NONSENSE for side, iris in sides if iris is None}  # type: ignore
        logit = float(shaped(outputs, "flag", (1,), self.network)[0])
        return Aligned(rows[:, :POINTS].T, probability(logit), more)

    def seen(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """(4, 620) pixels of the input and ones: the points of the face, of the right and the left contour, of both irises."""
        mesh = shaped(outputs, "mesh", (3 * POINTS,), self.network)
        refined = shaped(outputs, "refined", (PARTS * 2 * PLANE,), self.network)
        return np.concatenate((mesh, refined, ONE)).take(self._sources)


def _iris(points: np.ndarray, roi: Roi) -> Optional[Iris]:
    """The limbus; None where it is no circle, or nowhere near the face."""
    iris, most = circle(points), MOST_OFF * roi.size
    if iris is None or iris.radius > most:
        return None
    x, y = iris.center.tolist()
    return iris if abs(x - roi.cx) < most and abs(y - roi.cy) < most else None


def _sources() -> np.ndarray:
    """(4, 468 + 71 + 71 + 5 + 5) for x, y and z of each point, and then of both contours and irises, where it stands in the
    mesh's numbers with the refined ones behind them; in the last row where the one behind those stands. What has no depth of
    its own takes that of the first point.
    """
    points = np.arange(3 * POINTS).reshape(POINTS, 3).T.copy()
    parts = [len(points.T) * 3 + part * 2 * PLANE + np.arange(2)[:, None] * PLANE + np.arange(count)
             for part, count in enumerate((len(LIPS), CONTOUR_POINTS, CONTOUR_POINTS, IRIS_POINTS, IRIS_POINTS))]
    for replaced, part in zip((LIPS, RIGHT_EYE, LEFT_EYE), parts):
        points[:2, list(replaced)] = part
    more = np.concatenate(parts[1:], axis=1)
    places = np.concatenate([points, np.concatenate([more, np.full((1, more.shape[1]), 2)])], axis=1)
    return np.concatenate([places, np.full((1, places.shape[1]), 3 * POINTS + PARTS * 2 * PLANE)])
