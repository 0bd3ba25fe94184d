"""OpenSeeFace's 66 points, two pupils and two eyeballs, of the 468 of the mesh.

0-16 jaw, 17-21 right brow, 22-26 left brow, 27-30 bridge of the nose to its tip, 31-35 nostrils, 36-41 right eye, 42-47 left
eye, 48-57 outer lips, 58 right corner, 59-61 inner upper lip, 62 left corner, 63-65 inner lower lip, 66 and 67 pupils, right
first; of the 3D points 68 and 69 the centres of the eyeballs. All but the corners run as in the picture: lines from the
subject's right to the left, lower lips back.
"""
import math
from typing import Any, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from edge.core.packet import Eyes
from edge.face.still import Placement, placement
from edge.geometry.rotation import from_angles
from edge.outputs.live.axes import OPENSEEFACE_MM

MESH = np.array((
    127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356, 70, 63, 105, 66, 107, 336, 296, 334,
    293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 39, 37, 0, 267,
    269, 405, 314, 17, 84, 181, 61, 82, 13, 312, 291, 317, 14, 87))
POINTS, LANDMARKS, POINTS_3D = len(MESH), len(MESH) + 2, len(MESH) + 4
NOSE_TIP, BRIDGE = 30, 27
PUPILS, EYEBALLS = (66, 67), (68, 69)
CORNERS = ((36, 39), (42, 45))  # of the right and of the left eye
AHEAD = np.array([0.0, 0.0, 1.0])
TO_UNITS = np.array([-1.0, 1.0, 1.0]) / OPENSEEFACE_MM
EYEBALL_DEPTH = 0.385  # of the distance of the corners, behind their middle
# what each point is in a mirror
MIRRORED = np.array(tuple(range(16, -1, -1)) + tuple(range(26, 16, -1)) + (27, 28, 29, 30, 35, 34, 33, 32, 31)
                    + (45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40) + (52, 51, 50, 49, 48, 57, 56, 55, 54, 53)
                    + (62, 61, 60, 59, 58, 65, 64, 63) + (67, 66, 69, 68))


class Points(NamedTuple):
    picture: np.ndarray  # (68, 2) x, y, frame pixels; (0, 0) for a pupil that is not known
    confidence: np.ndarray  # (68,) 0 for a pupil that is not known
    head: Optional[np.ndarray]  # (70, 3) units of OpenSeeFace, from the tip of the nose; None where the points are no face


class _Lens(NamedTuple):
    """What brings points to where they would be seen from far away: near ones are nearer to the picture's middle there."""

    middle: np.ndarray  # (2,) frame pixels
    nearer: float  # by which share for a pixel of depth

    def flat(self, points: np.ndarray) -> np.ndarray:
        """Of (N, 3) pixels with their depth."""
        found = points.copy()
        found[:, :2] += (points[:, :2] - self.middle) * (points[:, 2:] * self.nearer)
        return found


def points_of(face: Mapping[str, Any], landmarks: np.ndarray, size: Sequence[float]) -> Points:
    """`landmarks`: (468, 3) frame pixels, of a frame of that size."""
    irises = [(face.get("iris") or {}).get(side) for side in Eyes._fields]
    picture, confidence = np.zeros((LANDMARKS, 2)), np.zeros(LANDMARKS)
    chosen = landmarks[MESH]
    picture[:POINTS], confidence[:POINTS] = chosen[:, :2], face.get("score", 1.0)
    for at, iris in zip(PUPILS, irises):
        if iris is not None:
            picture[at], confidence[at] = iris["center"], iris["score"]
    lens = _lens(face, placement(landmarks), size)
    placed = None if lens is None else placement(lens.flat(landmarks))
    head = None if lens is None or placed is None else _head(face, chosen, picture, lens, placed)
    return Points(picture, confidence, head)


def _lens(face: Mapping[str, Any], placed: Optional[Placement], size: Sequence[float]) -> Optional[_Lens]:
    """None where the points are no face. Without a place nothing is known of the lens, and all is left as it is."""
    if placed is None:
        return None
    away_mm = ((face.get("pose") or {}).get("translation_mm") or (0.0, 0.0, 0.0))[2]
    pixel_mm = float(np.linalg.norm(placed.turn[0]))
    return _Lens(np.array([size[0] - 1.0, size[1] - 1.0]) / 2.0, pixel_mm / away_mm if away_mm > 0.0 else 0.0)


def mirrored(points: Points, width: float) -> Points:
    """As in a mirror that is the picture, `width` pixels wide."""
    known = points.confidence[:, None] > 0.0
    picture = np.where(known, points.picture * (-1.0, 1.0) + (width - 1.0, 0.0), points.picture)[MIRRORED[:LANDMARKS]]
    head = None if points.head is None else (points.head * (-1.0, 1.0, 1.0))[MIRRORED]
    return Points(picture, points.confidence[MIRRORED[:LANDMARKS]], head)


def _head(face: Mapping[str, Any], chosen: np.ndarray, picture: np.ndarray, lens: _Lens, placed: Placement) -> np.ndarray:
    """(70, 3), the nose upright as in OpenSeeFace's own."""
    head = np.empty((POINTS_3D, 3))
    placed.still(lens.flat(chosen), head[:POINTS])
    for i, (a, b) in enumerate(CORNERS):
        middle, apart = (head[a] + head[b]) / 2.0, float(np.linalg.norm(head[a] - head[b]))
        depth = EYEBALL_DEPTH * apart
        head[EYEBALLS[i]] = middle - (0.0, 0.0, depth)
        iris, sight = _iris(face, i, chosen, picture), _sight(face, Eyes._fields[i])
        if iris is not None and sight is None:
            head[PUPILS[i]] = placed.still(lens.flat(iris))[0]
        else:  # told by the gaze, which is better; and so that an eye that shuts looks where the other one does
            head[PUPILS[i]] = head[EYEBALLS[i]] + depth * (AHEAD if sight is None else sight)
    head = (head - head[NOSE_TIP]) * TO_UNITS
    x, y = head[BRIDGE, :2].tolist()
    length = math.hypot(x, y)
    if length > 0.0:
        s, c = x / length, y / length
        head[:, :2] = head[:, :2].dot(((c, s), (-s, c)))
    return head


def _iris(face: Mapping[str, Any], eye: int, chosen: np.ndarray, picture: np.ndarray) -> Optional[np.ndarray]:
    """(1, 3) frame pixels, at the depth that the line of its eye's corners has there."""
    if (face.get("iris") or {}).get(Eyes._fields[eye]) is None:
        return None
    (ax, ay, az), (bx, by, bz) = (chosen[at].tolist() for at in CORNERS[eye])
    x, y = picture[PUPILS[eye]].tolist()
    square = (bx - ax) ** 2 + (by - ay) ** 2
    share = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / square if square > 0.0 else 0.5
    return np.array([[x, y, az + (bz - az) * min(1.0, max(0.0, share))]])


def _sight(face: Mapping[str, Any], side: str) -> Optional[np.ndarray]:
    """A unit vector in the head frame: of the eye, else of both."""
    gaze = face.get("gaze") or {}
    sight = gaze.get(side) or gaze
    return from_angles(sight["yaw"], sight["pitch"], 0.0)[:, 2] if sight else None
