"""3DDFA_V2 mb05: 62 parameters of a morphable face, of which the first 12 are a 3x4 projection matrix: the pose.

No morphable model is needed for it. The second output, unused upstream, is 68 points in the order of iBUG. Facts of the
network: Guo et al., "Towards Fast, Accurate and Stable 3D Dense Face Alignment", ECCV 2020; the layout of the second head
was found by regression against ground truth.
"""
import math
from typing import Any, Mapping, Optional, Sequence

import numpy as np

from edge.core.contracts import BGR, Crop
from edge.core.errors import ModelError
from edge.core.packet import IBUG_POINTS, Roi
from edge.geometry import roi as regions
from edge.geometry.rotation import length
from edge.host import commands
from edge.models.spec import shaped

SIZE = 120
PARAMETERS = 62
DAMAGED = "mb05 lacks the numbers that came with its weights: {}"
MARGIN, DOWN = 1.4, 0.07  # of the face's size: side of the region, and how far its centre is moved down
# mesh points at the edge of what the 68 points cover: brows, temples, jaw, chin
OUTLINE = np.array([70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397,
                    288, 361, 323, 454, 356])


class Mb05:
    """`decode_numbers` holds the mean and standard deviation of the 12 pose parameters that came with the weights.

    Raises ModelError where it does not.
    """

    network = "mb05"

    def __init__(self, decode_numbers: Mapping[str, Any]) -> None:
        try:
            self._mean, self._std = (np.array(decode_numbers[key], np.float64)[:12] for key in ("mean", "std"))
        except (KeyError, TypeError, ValueError, IndexError):
            raise ModelError(DAMAGED.format(commands.run("models fetch --force mb05")))
        if self._mean.shape != (12,) or self._std.shape != (12,):
            raise ModelError(DAMAGED.format(commands.run("models fetch --force mb05")))

    def roi(self, landmarks: np.ndarray, angle: float) -> Roi:
        """The region from (468, 3) mesh points in frame pixels, turned by the eye line so that the head is upright."""
        c, s = math.cos(angle), math.sin(angle)
        x0, y0, x1, y1 = regions.bounds(landmarks[OUTLINE, :2].dot(np.array([[c, -s], [s, c]])))
        size = (x1 - x0 + y1 - y0) / 2.0
        x, y = (x0 + x1) / 2.0, (y0 + y1) / 2.0 + DOWN * size
        return Roi(c * x - s * y, s * x + c * y, MARGIN * size, angle)

    def crop(self, roi: Roi) -> Crop:
        return Crop(regions.matrix(roi, SIZE), (SIZE, SIZE), BGR, 1.0 / 128.0, (-127.5 / 128.0,) * 3)

    def decode(self, outputs: Mapping[str, np.ndarray]) -> Optional[np.ndarray]:
        """(3, 3) rotation of the head as the crop shows it, our signs; None where the parameters are degenerate.

        Raises FrameError where the outputs are not the network's.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            p = shaped(outputs, "params", (PARAMETERS,), self.network)[:12] * self._std + self._mean
        return _completed(p[0:3].tolist(), p[4:7].tolist())

    def decode_points(self, outputs: Mapping[str, np.ndarray], roi: Roi) -> np.ndarray:
        """(68, 2) frame pixels; the network tells all x and then all y, from -1 to 1 across the region.

        Raises FrameError where the outputs are not the network's.
        """
        c, s = (0.5 * roi.size * turned for turned in (math.cos(roi.angle), math.sin(roi.angle)))
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.array([[c, -s], [s, c]]).dot(shaped(outputs, "landmarks", (2, IBUG_POINTS), self.network))
        return found.T + (roi.cx, roi.cy)


def _completed(x: Sequence[float], y: Sequence[float]) -> Optional[np.ndarray]:
    """The rotation whose first two rows are nearest to the directions x and y; None where those are parallel, or none.

    Both give way by the same angle: sum and difference of unit vectors stand at right angles.
    """
    a, b = length(x), length(y)
    if not (1e-12 <= a < math.inf and 1e-12 <= b < math.inf):
        return None
    along, across = [p / a + q / b for p, q in zip(x, y)], [p / a - q / b for p, q in zip(x, y)]
    a, b = math.sqrt(2.0) * length(along), math.sqrt(2.0) * length(across)
    if min(a, b) < 1e-6:
        return None
    x0, x1, x2 = (p / a + q / b for p, q in zip(along, across))
    y0, y1, y2 = (p / a - q / b for p, q in zip(along, across))
    return np.array([[x0, x1, x2], [y0, y1, y2], [x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0]])
