"""A first line of sight: where the iris stands on an eyeball that is fixed in the head.

The centre of the eyeball lies behind the middle of the eye's corners; the limbus is carried on a sphere around it. The
offset of the iris from the projected centre, in millimetres at the eye's depth, gives the direction.
"""
import math
from typing import Optional, Tuple

import numpy as np

from edge.core.packet import Gaze, Pose
from edge.geometry.camera import Camera
from edge.geometry.rotation import FLIP

LIMBUS_DISTANCE_MM = 10.5  # from the centre of the eyeball to that of the limbus; adults vary by half a millimetre
BEHIND_CORNERS_MM = 7.0  # from the line between the corners back to the centre of the eyeball
MAX_ANGLE_DEG = 50.0  # no eye turns further in its socket


def of_eye(iris: np.ndarray, middle: np.ndarray, pose: Pose, camera: Camera) -> Optional[np.ndarray]:
    """Unit direction in the HEAD frame of one eye, or None where the points cannot be on an eyeball.

    `iris` (2,) its centre and `middle` (2,) that of the eye's corners, frame pixels. The ray through the iris meets the
    sphere that the limbus runs on; the nearer meeting is the one that is seen.
    """
    if pose.translation_mm is None:
        return None
    to_camera = FLIP.dot(pose.rotation)
    center = camera.ray(middle) * pose.translation_mm[2] - BEHIND_CORNERS_MM * to_camera[:, 2]
    ray = camera.ray(iris)
    ray = ray / math.sqrt(float(ray.dot(ray)))
    along = float(ray.dot(center))
    inside = along * along - float(center.dot(center)) + LIMBUS_DISTANCE_MM ** 2
    if inside < 0.0:
        return None
    direction = to_camera.T.dot((along - math.sqrt(inside)) * ray - center) / LIMBUS_DISTANCE_MM
    yaw, pitch = angles(direction)
    return direction if max(abs(yaw), abs(pitch)) <= MAX_ANGLE_DEG else None


def angles(direction: np.ndarray) -> Tuple[float, float]:
    """(yaw, pitch) in degrees of a unit vector of the head frame; 0, 0 is straight ahead."""
    return (
        math.degrees(math.atan2(-direction[0], direction[2])),
        math.degrees(math.asin(min(1.0, max(-1.0, float(direction[1]))))),
    )


def combine(right: Optional[np.ndarray], left: Optional[np.ndarray], pose: Pose) -> Optional[Gaze]:
    """The gaze of both eyes from the head-frame directions of each, of about unit length; one is enough."""
    right, left = (None if d is None else d / math.sqrt(float(d.dot(d))) for d in (right, left))
    known = [d for d in (right, left) if d is not None]
    if not known:
        return None
    mean = np.sum(known, axis=0)
    mean = mean / math.sqrt(float(mean.dot(mean)))
    each = [None if d is None else angles(d) for d in (right, left)]
    return Gaze(angles(mean), each[0], each[1], FLIP.dot(pose.rotation).dot(mean))
