"""A first line of sight: where the iris stands on an eyeball that is fixed in the head.

The centre of the eyeball lies behind the middle of the eye's opening; the limbus is carried on a sphere around it. The
offset of the iris from the projected centre, in millimetres at the eye's depth, gives the direction.
"""
import math
from typing import Optional, Sequence, Tuple

import numpy as np

from edge.core.packet import Gaze, Pose
from edge.geometry.camera import Camera
from edge.geometry.rotation import Vector, unit

LIMBUS_DISTANCE_MM = 10.5  # from the centre of the eyeball to that of the limbus; adults vary by half a millimetre
BEHIND_CORNERS_MM = 7.0  # from the line between the corners back to the centre of the eyeball
MAX_ANGLE_DEG = 50.0  # no eye turns further in its socket
Direction = Tuple[float, ...]
APART_S = 1.0  # time constant of how far the lines of sight of the two eyes are apart


def of_eye(iris: Sequence[float], middle: Sequence[float], pose: Pose, camera: Camera) -> Optional[Vector]:
    """Unit direction in the HEAD frame of one eye, or None where the points cannot be on an eyeball.

    `iris` (2,) its centre and `middle` (2,) that of its opening, frame pixels. The ray through the iris meets the
    sphere that the limbus runs on; the nearer meeting is the one that is seen.
    """
    if pose.translation_mm is None:
        return None
    depth = float(pose.translation_mm[2])
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = pose.rotation.tolist()  # y and z run against the camera's
    x, y, z = camera.ray(middle)
    x, y, z = x * depth - BEHIND_CORNERS_MM * cx, y * depth + BEHIND_CORNERS_MM * cy, z * depth + BEHIND_CORNERS_MM * cz
    u, v, w = unit(camera.ray(iris))
    along = u * x + v * y + w * z
    inside = along * along - (x * x + y * y + z * z) + LIMBUS_DISTANCE_MM ** 2
    if not inside >= 0.0:
        return None
    nearer = along - math.sqrt(inside)
    x, y, z = ((to - of) / LIMBUS_DISTANCE_MM for to, of in ((nearer * u, x), (nearer * v, y), (nearer * w, z)))
    direction = ax * x - ay * y - az * z, bx * x - by * y - bz * z, cx * x - cy * y - cz * z
    yaw, pitch = angles(direction)
    return direction if max(abs(yaw), abs(pitch)) <= MAX_ANGLE_DEG else None


def angles(direction: Sequence[float]) -> Tuple[float, float]:
    """(yaw, pitch) in degrees of a unit vector of the head frame; 0, 0 is straight ahead."""
    x, y, z = direction
    return math.degrees(math.atan2(-x, z)), math.degrees(math.asin(min(1.0, max(-1.0, y))))


def turned(direction: Sequence[float], by_yaw: float, by_pitch: float) -> Vector:
    """A unit vector of the head frame, its angles changed by degrees."""
    yaw, pitch = angles(direction)
    yaw, pitch = math.radians(yaw + by_yaw), math.radians(pitch + by_pitch)
    return -math.cos(pitch) * math.sin(yaw), math.sin(pitch), math.cos(pitch) * math.cos(yaw)


def combine(right: Optional[Sequence[float]], left: Optional[Sequence[float]], pose: Pose) -> Optional[Gaze]:
    """The gaze of both eyes from the head-frame directions of each, of about unit length; one is enough."""
    right, left = (None if d is None else unit(d) for d in (right, left))
    known = [d for d in (right, left) if d is not None]
    if not known:
        return None
    mean = x, y, z = unit([sum(axis) for axis in zip(*known)])
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = pose.rotation.tolist()
    direction = np.array([ax * x + bx * y + cx * z, -ay * x - by * y - cy * z, -az * x - bz * y - cz * z])
    return Gaze(angles(mean), right and angles(right), left and angles(left), direction)


class EyesApart:
    """How the lines of sight of one person's eyes differ, as measured: they converge, and each has an error of its own.

    So the gaze does not jump to the side where one eye alone is seen, as in a wink.
    """

    def __init__(self) -> None:
        self._apart = None  # type: Optional[Vector]  # the right eye's less the left one's
        self._time_s = 0.0

    def both(self, right: Optional[Direction], left: Optional[Direction],
             time_s: float) -> Tuple[Optional[Direction], Optional[Direction]]:
        """The two directions; an eye that is not seen looks where the other one leads it."""
        if right is not None and left is not None:
            now = _sum(right, left, -1.0)
            if self._apart is not None:
                step = 1.0 - math.exp(-max(0.0, time_s - self._time_s) / APART_S)
                now = _sum(self._apart, _sum(now, self._apart, -1.0), step)
            self._apart, self._time_s = now, time_s
        elif self._apart is not None:
            if left is not None:
                right = _sum(left, self._apart, 1.0)
            elif right is not None:
                left = _sum(right, self._apart, -1.0)
        return right, left


def _sum(one: Direction, other: Direction, weight: float) -> Vector:
    return one[0] + weight * other[0], one[1] + weight * other[1], one[2] + weight * other[2]
