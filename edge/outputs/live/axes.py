"""Turns and places in the axes that the protocols use. One home, so that one head has the same signs in all of them.

The record: x_C = F R x_H + t, F = diag(1, -1, -1), millimetres (docs/records.md). R turns the head in axes that are, seen
from the face, x to the subject's left, y up, z out of the face; right-handed.
Unity: x right, y up, z forward, left-handed, metres. An avatar faces along z, and its right is x:
x_U = -x_H, y_U = y_H, z_U = z_H.
"""
import math
from typing import Tuple

import numpy as np

from edge.geometry.rotation import FLIP, angles

Vector = Tuple[float, float, float]
Quaternion = Tuple[float, float, float, float]  # x, y, z, w
UNITY = np.diag([-1.0, 1.0, 1.0])


def quaternion(rotation: np.ndarray) -> Quaternion:
    """x, y, z, w of a (3, 3) rotation, w >= 0 (Shepperd's method: the largest of the four is taken from the diagonal)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation, np.float64).tolist()
    squares = (1.0 + xx - yy - zz, 1.0 - xx + yy - zz, 1.0 - xx - yy + zz, 1.0 + xx + yy + zz)
    i = max(range(4), key=lambda k: squares[k])
    largest = math.sqrt(max(0.0, squares[i]))
    scale = 0.5 / largest
    x, y, z, w = ((largest / 2, (xy + yx) * scale, (xz + zx) * scale, (zy - yz) * scale),
                  ((xy + yx) * scale, largest / 2, (yz + zy) * scale, (xz - zx) * scale),
                  ((xz + zx) * scale, (yz + zy) * scale, largest / 2, (yx - xy) * scale),
                  ((zy - yz) * scale, (xz - zx) * scale, (yx - xy) * scale, largest / 2))[i]
    return (x, y, z, w) if w >= 0.0 else (-x, -y, -z, -w)


def unity_quaternion(rotation: np.ndarray) -> Quaternion:
    """Of an avatar's bone in Unity, by the record's R: an avatar's own left is the subject's own left."""
    x, y, z, w = quaternion(rotation)
    return x, -y, -z, w  # the axis is mirrored, and so is the sense of the turn


def unity_euler(rotation: np.ndarray) -> Vector:
    """x, y, z in degrees for Unity's Quaternion.Euler, which turns about z first, then x, then y: Ry Rx Rz.

    x > 0: the nose down; y > 0: the nose to the subject's right; z > 0: the crown to the subject's left.
    """
    u = UNITY.dot(np.asarray(rotation, np.float64)).dot(UNITY)
    # U is a proper matrix whose entries follow the same formulas in either handedness
    x = math.asin(min(1.0, max(-1.0, -float(u[1, 2]))))
    y = math.atan2(float(u[0, 2]), float(u[2, 2]))
    z = math.atan2(float(u[1, 0]), float(u[1, 1]))
    return math.degrees(x), math.degrees(y), math.degrees(z)


def unity_position(position_mm: Vector) -> Vector:
    """Metres from the camera, in axes of a subject that faces it: x to the subject's right, y up, z toward the camera, so
    that who sits before the camera has z < 0."""
    x, y, z = position_mm
    return -x / 1000.0, -y / 1000.0, -z / 1000.0


def head_angles(rotation: np.ndarray) -> Vector:
    """(yaw, pitch, roll), degrees, in the signs of the record: yaw > 0 the nose toward the image's left, pitch > 0 up,
    roll > 0 the crown toward the image's right."""
    return angles(np.asarray(rotation, np.float64))


def camera_rotation(rotation: np.ndarray) -> np.ndarray:
    """F R: from head axes to OpenCV's camera axes, x right, y down, z forward."""
    return FLIP.dot(np.asarray(rotation, np.float64))


def flight(rotation: np.ndarray, position_mm: Vector) -> Tuple[float, ...]:
    """x, y, z in centimetres and yaw, pitch, roll in degrees, as a pilot calls them: x > 0 to the subject's right, y > 0 up,
    z > 0 away from the camera; yaw > 0 the nose to the subject's right, pitch > 0 up, roll > 0 the crown to the right."""
    x, y, z = position_mm
    yaw, pitch, roll = head_angles(rotation)
    return -x / 10.0, -y / 10.0, z / 10.0, yaw, pitch, -roll
