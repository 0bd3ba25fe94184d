"""Rotated square regions: from points to a region, from a region to the crop's matrix, and back to the frame."""
import math
from typing import Tuple

import numpy as np

from edge.core.packet import Roi


def matrix(roi: Roi, size: float, mirror: bool = False) -> np.ndarray:
    """(2, 3) map from frame pixels to the pixels of a square input of side `size`; `mirror` swaps its left and right.

    The centre of the region goes to (size / 2, size / 2): MediaPipe's rule, which its networks were trained with.
    """
    scale = size / roi.size
    c, s = math.cos(roi.angle) * scale, math.sin(roi.angle) * scale
    half = size / 2.0
    m = np.array([[c, s, half - c * roi.cx - s * roi.cy], [-s, c, half + s * roi.cx - c * roi.cy]])
    if mirror:
        m[0] = -m[0]
        m[0, 2] += size
    return m


def invert(m: np.ndarray) -> np.ndarray:
    """The (2, 3) inverse of a (2, 3) affine map."""
    (a, b, tx), (c, d, ty) = m.tolist()
    det = a * d - b * c
    return np.array([[d, -b, b * ty - d * tx], [-c, a, c * tx - a * ty]]) / det


def apply(m: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 2) points through a (2, 3) affine map."""
    return points.dot(m[:, :2].T) + m[:, 2]


def eye_angle(right: np.ndarray, left: np.ndarray) -> float:
    """Radians clockwise by which the line from the subject's right eye to the left one is turned in the picture."""
    return math.atan2(float(left[1] - right[1]), float(left[0] - right[0]))


def bounds(points: np.ndarray) -> Tuple[float, float, float, float]:
    """x0, y0, x1, y1 of the tight upright box of (N, 2+) points."""
    x0, y0 = points.min(axis=0).tolist()[:2]
    x1, y1 = points.max(axis=0).tolist()[:2]
    return x0, y0, x1, y1


def around(box: Tuple[float, float, float, float], scale: float, angle: float) -> Roi:
    """A square of `scale` times the longer side, about the centre of an upright box."""
    x0, y0, x1, y1 = box
    return Roi((x0 + x1) / 2.0, (y0 + y1) / 2.0, scale * max(x1 - x0, y1 - y0), angle)


def shifted(roi: Roi, dx: float, dy: float) -> Roi:
    return roi._replace(cx=roi.cx + dx, cy=roi.cy + dy)


def visible_share(roi: Roi, width: int, height: int) -> float:
    """Share of the region's upright box that lies in the picture, 0..1."""
    half = roi.size / 2.0
    w = min(roi.cx + half, width) - max(roi.cx - half, 0.0)
    h = min(roi.cy + half, height) - max(roi.cy - half, 0.0)
    return max(w, 0.0) * max(h, 0.0) / (roi.size * roi.size)


def overlap(a: Tuple[float, float, float, float], b: Tuple[float, float, float, float]) -> float:
    """Intersection over union of two upright boxes x0, y0, x1, y1."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0.0 or h <= 0.0:
        return 0.0
    inside = w * h
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)
