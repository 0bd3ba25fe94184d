"""Rotations of the head: angles in the 300W-LP / AFLW2000-3D convention, and distances.

R = Rx(pitch) Ry(yaw) Rz(roll) with Rx = [[1,0,0],[0,c,s],[0,-s,c]], Ry = [[c,0,-s],[0,1,0],[s,0,c]],
Rz = [[c,s,0],[-s,c,0],[0,0,1]]; yaw > 0 turns the nose to the image's left, pitch > 0 up, roll > 0 the crown to the right.
A point of the head reaches the camera as x_C = FLIP R x_H + t.
"""
import math
from typing import Tuple

import numpy as np

FLIP = np.diag([1.0, -1.0, -1.0])  # head axes (x to the subject's left, y up, z out) against OpenCV's camera axes


def from_angles(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) rotation from degrees."""
    y, p, r = math.radians(yaw), math.radians(pitch), math.radians(roll)
    cy, sy, cp, sp, cr, sr = math.cos(y), math.sin(y), math.cos(p), math.sin(p), math.cos(r), math.sin(r)
    rx = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    ry = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    rz = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return rx.dot(ry).dot(rz)


def angles(rotation: np.ndarray) -> Tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees, yaw within +-90."""
    yaw = -math.asin(min(1.0, max(-1.0, float(rotation[0, 2]))))
    pitch = math.atan2(rotation[1, 2], rotation[2, 2])
    roll = math.atan2(rotation[0, 1], rotation[0, 0])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def nearest(matrix: np.ndarray) -> np.ndarray:
    """The rotation nearest to a (3, 3) matrix in the Frobenius norm (polar decomposition)."""
    u, _, vt = np.linalg.svd(matrix)
    found = u.dot(vt)
    return found if _determinant(found) > 0.0 else (u * np.array([1.0, 1.0, -1.0])).dot(vt)


def _determinant(matrix: np.ndarray) -> float:
    """Of (3, 3): LAPACK takes longer than these nine products."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def exp(vector: np.ndarray) -> np.ndarray:
    """Rotation by |vector| radians about `vector` (Rodrigues' formula)."""
    x, y, z = (float(v) for v in vector)
    angle = math.sqrt(x * x + y * y + z * z)
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    if angle < 1e-9:
        return np.eye(3) + k
    return np.eye(3) + math.sin(angle) / angle * k + (1.0 - math.cos(angle)) / (angle * angle) * k.dot(k)


def log(rotation: np.ndarray) -> np.ndarray:
    """Rotation vector in radians, the inverse of `exp` for angles below pi (through the unit quaternion)."""
    r = rotation
    w2 = max(0.0, 1.0 + r[0, 0] + r[1, 1] + r[2, 2])  # (2 w)^2
    axis = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])  # 4 w (x, y, z)
    if w2 > 1e-6:
        vector = axis / (2.0 * math.sqrt(w2))  # (x, y, z) of the quaternion
        sine = math.sqrt(float(vector.dot(vector)))
        if sine < 1e-9:
            return vector * 2.0
        return vector * (2.0 * math.atan2(sine, math.sqrt(w2) / 2.0) / sine)
    # half a turn: the axis is the column of (R + 1) / 2 with the largest diagonal
    outer = (r + np.eye(3)) / 2.0
    i = int(np.argmax(np.diag(outer)))
    return outer[:, i] / math.sqrt(max(outer[i, i], 1e-12)) * math.pi


def distance_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Angle of the rotation from a to b, degrees; exact near zero too (|a - b|_F = 2 sqrt(2) sin(angle / 2))."""
    d = a - b
    return 2.0 * math.degrees(math.asin(min(1.0, math.sqrt(float((d * d).sum()) / 8.0))))


def in_plane(angle: float) -> np.ndarray:
    """Head rotation that turns the picture by `angle` radians clockwise: R of the turned head is in_plane(angle) R."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def toward(ray: np.ndarray) -> np.ndarray:
    """The smallest rotation of the camera frame that carries the optical axis (0, 0, 1) to `ray` (3,), z > 0."""
    x, y, z = (float(v) for v in ray)
    return exp(np.array([-y, x, 0.0]) * (math.atan2(math.hypot(x, y), z) / max(math.hypot(x, y), 1e-12)))
