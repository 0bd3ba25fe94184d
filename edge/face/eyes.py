"""How far an eye is open, from the contour of its lids, and the range that one person's eyes have.

The contour's first 16 points run around the opening: 0 the outer corner, 1 to 7 the lower lid, 8 the inner corner, 9 to 15
the upper lid, so that k and k + 8 stand above each other.
"""
import math
from typing import List, Optional, Tuple

import numpy as np

from edge.core.packet import Face
from edge.face.mesh import EYE_CORNERS, distance

LID_POINTS = 16
OUTER, INNER = 0, 8
LOWER, UPPER = slice(2, 7), slice(10, 15)  # the middle of the lids: their ends hardly move
AROUND = slice(16, 32)  # a ring of skin around the opening
TOWARD_SKIN = 0.5  # of the way across the eye from its corners to that ring's middle

USUAL_OPEN = 0.24  # lid distance over the eye's width when open; 0.17 to 0.33 were seen
OPEN_LIMITS = (0.12, 0.45)
CLOSED_SHARE = 0.25  # of the open level, before a closed eye was seen; lashes keep the contour from closing fully
CLOSED_LEAST = 0.05
OPEN_SHARE = 0.6  # of the open level: an eye below it is closing, and its open level is not learned
RISE_S, FALL_S = 1.5, 6.0  # time constants with which the open level follows
CLOSED_FORGET_S = 60.0
NEAR_LEAST, NEAR_MOST = 0.9, 1.15  # of the open level of a profile
FAST_PER_S = 2.0  # of the open level: lids that move so fast blink; those that follow the gaze down are there at once
BLINKING_SHARE = 0.8  # of the open level: above it the iris is seen well all the same
AFTER_S = 0.05  # an eye that has just opened
LONGEST_STEP_S = 0.3  # how fast lids moved between frames further apart is not known


def lid_distance(contour: np.ndarray, width: float) -> Optional[float]:
    """Mean distance of the lids over the eye's `width`, from (71, 2) points; None for an eye without width.

    `width` is the distance of the corners in the mesh's three dimensions, in pixels: it does not shrink when the head turns.
    """
    lids = contour[:LID_POINTS].tolist()  # plain numbers: sixteen points are too few for array operations
    (ax, ay), (bx, by) = lids[OUTER], lids[INNER]
    seen = math.hypot(bx - ax, by - ay)
    if not seen > 1e-6 or not width > 1e-6:
        return None
    down_x, down_y = (ay - by) / seen, (bx - ax) / seen
    gaps = [(low[0] - up[0]) * down_x + (low[1] - up[1]) * down_y for low, up in zip(lids[LOWER], lids[UPPER])]
    return abs(sum(gaps)) / len(gaps) / width


def lids_of(face: Face, i: int) -> Optional[float]:
    """Lid distance over the width of the subject's right (0) or left (1) eye."""
    contour = None if face.eye_contours is None else face.eye_contours[i]
    if contour is None or face.landmarks is None:
        return None
    lids = lid_distance(contour, distance(face.landmarks, EYE_CORNERS[i]))
    return lids if lids is not None and math.isfinite(lids) else None


def middle(contour: np.ndarray, steady_corners: bool) -> Tuple[float, float]:
    """The middle of the eye's opening, which the iris does not move, from (71, 2) points and in their pixels.

    That of the corners, where the network holds them still. The attention mesh's follow the iris: there the place along the
    eye is that of the lids, and across it, where lids follow the gaze, it is half way from the corners to the middle of the
    skin around. Chosen on two rendered heads with exact lines of sight (and seen mirrored, small, wide and dark), and in
    four films of people because up and down the two eyes then agree best.
    """
    (ax, ay), (bx, by) = contour[OUTER].tolist(), contour[INNER].tolist()
    x, y, across_x, across_y = (ax + bx) / 2.0, (ay + by) / 2.0, bx - ax, by - ay
    square = across_x * across_x + across_y * across_y
    if steady_corners or not square > 1e-12:
        return x, y
    points = contour[:AROUND.stop].tolist()
    (lids_x, lids_y), (skin_x, skin_y) = _mean(points[LOWER] + points[UPPER]), _mean(points[AROUND])
    along = ((lids_x - x) * across_x + (lids_y - y) * across_y) / square
    aside = TOWARD_SKIN * ((skin_y - y) * across_x - (skin_x - x) * across_y) / square
    return x + along * across_x - aside * across_y, y + along * across_y + aside * across_x


def _mean(points: List[List[float]]) -> Tuple[float, float]:
    xs, ys = zip(*points)
    return sum(xs) / len(points), sum(ys) / len(points)


class EyeRange:
    """Learns what open and closed are for one eye of one person, and gives how far it is open between the two."""

    def __init__(self, known: Optional[Tuple[float, float]] = None) -> None:
        """`known`: (open, closed) as they were measured of this eye. It begins with them and stays near."""
        opened, self._closed = known or (USUAL_OPEN, CLOSED_SHARE * USUAL_OPEN)
        self._open = opened
        self._limits = OPEN_LIMITS if known is None else (NEAR_LEAST * opened, NEAR_MOST * opened)
        self._age_s = 0.0 if known is None else FALL_S
        self._time_s = None  # type: Optional[float]

    def learn(self, distance: float, time_s: float) -> None:
        """Take a lid distance seen nearly from the front into account."""
        dt = 0.0 if self._time_s is None else min(1.0, max(0.0, time_s - self._time_s))
        first, self._time_s = self._time_s is None and self._age_s == 0.0, time_s
        self._age_s += dt
        if first and distance > OPEN_SHARE * self._open:
            self._open = distance
        elif distance > self._open:
            self._open += (distance - self._open) * self._weight(dt, RISE_S)
        elif distance > OPEN_SHARE * self._open:
            self._open += (distance - self._open) * self._weight(dt, FALL_S)
        self._open = min(self._limits[1], max(self._limits[0], self._open))
        usual = CLOSED_SHARE * self._open
        self._closed += (usual - self._closed) * self._weight(dt, CLOSED_FORGET_S)
        self._closed = min(usual, max(CLOSED_LEAST * self._open, min(self._closed, distance)))

    def _weight(self, dt: float, tau_s: float) -> float:
        """Of a new value: that of a running mean at first, later of an exponential filter."""
        return 1.0 - math.exp(-dt / max(1e-6, min(tau_s, self._age_s)))

    def openness(self, distance: float) -> float:
        """0 closed, 1 as open as this eye usually is."""
        return min(1.0, max(0.0, (distance - self._closed) / (self._open - self._closed)))

    def share(self, distance: float) -> float:
        """Of the open level."""
        return distance / self._open


class LidMotion:
    """Whether one eye blinks just now: its lids move fast, so that its iris is half covered, blurred and misread."""

    def __init__(self) -> None:
        self._share = 1.0
        self._time_s = None  # type: Optional[float]
        self._until_s = -math.inf

    def blinks(self, share: float, time_s: float) -> bool:
        """`share`: lid distance over the open level. Asked in each frame in which the lids are known."""
        before, self._share = self._share, share
        dt = LONGEST_STEP_S if self._time_s is None else time_s - self._time_s
        self._time_s = time_s
        if not 0.0 < dt < LONGEST_STEP_S:
            return False
        if abs(share - before) > FAST_PER_S * dt and min(share, before) < BLINKING_SHARE:
            self._until_s = time_s + AFTER_S
        return time_s < self._until_s and share < BLINKING_SHARE
