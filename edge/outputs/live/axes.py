"""Turns and places in the axes that the protocols use. One home, so that one head has the same signs in all of them.

The record: x_C = F R x_H + t, F = diag(1, -1, -1), millimetres (docs/records.md). R turns the head in axes that are, seen
from the face, x to the subject's left, y up, z out of the face; right-handed.
Unity: x right, y up, z forward, left-handed, metres. An avatar faces along z, and its right is x:
x_U = -x_H, y_U = y_H, z_U = z_H.
OpenSeeFace: a head with x to the picture's left, y up, z out of the face, seen behind a camera whose first axis is the
picture's row; in its own unit.
"""
import math
from typing import Tuple

import numpy as np

from edge.geometry.rotation import FLIP, angles, from_angles

Vector = Tuple[float, float, float]
Quaternion = Tuple[float, float, float, float]  # x, y, z, w
UNITY = np.diag([-1.0, 1.0, 1.0])
OPENSEEFACE_MM = 139.0  # of its unit: its head laid onto MediaPipe's canonical face
ROWS_FIRST = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


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


def eye_euler(sight: Tuple[float, float]) -> Vector:
    """As unity_euler(), of an eye in the head: `sight` is its (yaw, pitch) in the signs of the record."""
    yaw, pitch = sight
    return unity_euler(from_angles(yaw, pitch, 0.0))


def live2d_angles(rotation: np.ndarray) -> Vector:
    """X, Y, Z of a Live2D model, degrees: X > 0 turns it to the screen's right, as a mirror shows a nose that goes to the
    subject's right; Y > 0 up; Z > 0 leans its crown to the screen's right."""
    yaw, pitch, roll = head_angles(rotation)
    return yaw, pitch, -roll


def flight(rotation: np.ndarray, position_mm: Vector) -> Tuple[float, ...]:
    """x, y, z in centimetres and yaw, pitch, roll in degrees: x > 0 to the subject's right, y > 0 up, z > 0 away from the
    camera; the angles in the signs of the record, since no convention for them is written down anywhere."""
    x, y, z = position_mm
    yaw, pitch, roll = head_angles(rotation)
    return -x / 10.0, -y / 10.0, z / 10.0, yaw, pitch, roll


def openseeface_rotation(rotation: np.ndarray) -> np.ndarray:
    """(3, 3): N S (F R) M, with S rows before columns, N = diag(-1, -1, 1) and M = diag(-1, 1, 1): the solution with the head
    behind the camera, which its solver finds."""
    return np.diag([-1.0, -1.0, 1.0]).dot(ROWS_FIRST).dot(camera_rotation(rotation)).dot(UNITY)


def openseeface_position(position_mm: Vector) -> Vector:
    """-S t, in its unit."""
    x, y, z = position_mm
    return 0.0 - y / OPENSEEFACE_MM, 0.0 - x / OPENSEEFACE_MM, 0.0 - z / OPENSEEFACE_MM  # no -0.0


def openseeface_quaternion(turned: np.ndarray) -> Quaternion:
    """The conjugate of that of openseeface_rotation(), its largest part positive."""
    x, y, z, w = quaternion(turned)
    found = -x, -y, -z, w
    x, y, z, w = found if max(found, key=abs) > 0.0 else (x, y, z, -w)
    return x, y, z, w


def rq_angles(matrix: np.ndarray) -> Vector:
    """x, y, z in degrees of Rz Ry Rx, as OpenCV's RQDecomp3x3 gives them of a rotation."""
    (a, _, _), (b, _, _), (c, d, e) = np.asarray(matrix, np.float64).tolist()
    return math.degrees(math.atan2(d, e)), math.degrees(math.atan2(-c, math.hypot(d, e))), math.degrees(math.atan2(b, a))
