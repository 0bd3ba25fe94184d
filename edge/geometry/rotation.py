"""Rotations of the head: angles in the 300W-LP / AFLW2000-3D convention, and distances.

R = Rx(pitch) Ry(yaw) Rz(roll) with Rx = [[1,0,0],[0,c,s],[0,-s,c]], Ry = [[c,0,-s],[0,1,0],[s,0,c]],
Rz = [[c,s,0],[-s,c,0],[0,0,1]]; yaw > 0 turns the nose to the image's left, pitch > 0 up, roll > 0 the crown to the right.
A point of the head reaches the camera as x_C = FLIP R x_H + t.
"""
import math
from typing import Iterable, Tuple

import numpy as np

Vector = Tuple[float, float, float]
FLIP = np.diag([1.0, -1.0, -1.0])  # head axes (x to the subject's left, y up, z out) against OpenCV's camera axes


def length(vector: Iterable[float]) -> float:
    """Of a vector of three."""
    x, y, z = vector
    return math.sqrt(x * x + y * y + z * z)


def unit(vector: Iterable[float]) -> Vector:
    """The vector of length 1 in the same direction."""
    x, y, z = vector
    far = length((x, y, z))
    return x / far, y / far, z / far


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
    (a, b, c), (_, _, f), (_, _, i) = rotation.tolist()
    yaw, pitch, roll = -math.asin(min(1.0, max(-1.0, c))), math.atan2(f, i), math.atan2(b, a)
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def seen_along(rotation: np.ndarray, place: Iterable[float]) -> np.ndarray:
    """The rotation of a head on the optical axis that is seen as the one at `place` (3,) in the camera frame is."""
    return FLIP.dot(toward(place)).dot(FLIP).T.dot(rotation)


def angles_of_3ddfa(seen: np.ndarray) -> Tuple[float, float, float]:
    """(yaw, pitch, roll) in degrees as 3DDFA_V2 takes them of a head that is seen along its line of sight.

    Its order of the three turns is the other way round, and so are the signs of pitch and roll.
    """
    (a, _, _), (d, _, _), (g, h, i) = seen.tolist()
    yaw, pitch, roll = math.asin(min(1.0, max(-1.0, g))), math.atan2(h, i), math.atan2(d, a)
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def nearest(matrix: np.ndarray) -> np.ndarray:
    """The rotation nearest to a (3, 3) matrix in the Frobenius norm (polar decomposition).

    OpenCV's decomposition of so few numbers takes a sixth of LAPACK's time; the two agree within 1e-6 of a degree.
    """
    import cv2  # the relay's process, which turns heads, does without it

    _, u, vt = cv2.SVDecomp(np.ascontiguousarray(matrix, np.float64))
    found = u.dot(vt)
    return found if _determinant(found) > 0.0 else (u * (1.0, 1.0, -1.0)).dot(vt)


def _determinant(matrix: np.ndarray) -> float:
    """Of (3, 3): LAPACK takes longer than these nine products."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def exp(vector: Iterable[float]) -> np.ndarray:
    """Rotation by |vector| radians about `vector` (Rodrigues' formula)."""
    x, y, z = (float(v) for v in vector)
    angle = length((x, y, z))
    if angle < 1e-9:
        return np.array([[1.0, -z, y], [z, 1.0, -x], [-y, x, 1.0]])
    s, c = math.sin(angle) / angle, (1.0 - math.cos(angle)) / (angle * angle)
    xy, xz, yz = c * x * y, c * x * z, c * y * z
    return np.array([[1.0 - c * (y * y + z * z), xy - s * z, xz + s * y],
                     [xy + s * z, 1.0 - c * (x * x + z * z), yz - s * x],
                     [xz - s * y, yz + s * x, 1.0 - c * (x * x + y * y)]])


def log(rotation: np.ndarray) -> Vector:
    """Rotation vector in radians, the inverse of `exp` for angles below pi (through the unit quaternion)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    w2 = max(0.0, 1.0 + xx + yy + zz)  # (2 w)^2
    if w2 > 1e-6:
        half = 2.0 * math.sqrt(w2)
        x, y, z = (zy - yz) / half, (xz - zx) / half, (yx - xy) / half  # of the quaternion
        sine = length((x, y, z))
        stretch = 2.0 if sine < 1e-9 else 2.0 * math.atan2(sine, math.sqrt(w2) / 2.0) / sine
        return x * stretch, y * stretch, z * stretch
    # half a turn: the axis is the column of (R + 1) / 2 with the largest diagonal
    outer = (rotation + np.eye(3)) / 2.0
    i = int(np.argmax(np.diag(outer)))
    x, y, z = (outer[:, i] / math.sqrt(max(outer[i, i], 1e-12)) * math.pi).tolist()
    return x, y, z


def distance_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Angle of the rotation from a to b, degrees; exact near zero too (|a - b|_F = 2 sqrt(2) sin(angle / 2))."""
    d = a - b
    return 2.0 * math.degrees(math.asin(min(1.0, math.sqrt(float((d * d).sum()) / 8.0))))


def in_plane(angle: float) -> np.ndarray:
    """Head rotation that turns the picture by `angle` radians clockwise: R of the turned head is in_plane(angle) R."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def toward(ray: Iterable[float]) -> np.ndarray:
    """The smallest rotation of the camera frame that carries the optical axis (0, 0, 1) to `ray` (3,), z > 0."""
    x, y, z = unit(ray)
    c = -1.0 / (1.0 + z)
    return np.array([[1.0 + c * x * x, c * x * y, x], [c * x * y, 1.0 + c * y * y, y], [-x, -y, z]])
