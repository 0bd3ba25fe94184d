"""What blend shapes are made of: numbers of a face that do not depend on where it is, how large, or how it is turned.

A measure is a coordinate (x, y, z: millimetres in the head frame) of a small group of still points, or of an iris from the
middle of its eye's corners; how far the lids of an eye are apart; or how the head is turned, for which the points are a little
off.
"""
import math
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge.core.packet import Eyes, Face
from edge.face.eyes import lids_of
from edge.face.mesh import EYE_CORNERS
from edge.face.neutral import Neutral
from edge.face.still import fitted
from edge.geometry.rotation import angles

# mesh points whose mean is measured: of the right and of the left side, each as the other's mirror image
SIDED: Mapping[str, Tuple[Tuple[int, ...], Tuple[int, ...]]] = {
    "browInner": ((107, 55, 66), (336, 285, 296)), "browMiddle": ((105, 52, 65), (334, 282, 295)),
    "browOuter": ((70, 63, 46), (300, 293, 276)), "browRidge": ((53, 52, 65), (283, 282, 295)),
    "foreheadSide": ((69, 104, 68), (299, 333, 298)), "foreheadInner": ((108, 107, 109), (337, 336, 338)),
    "upperLid": ((159, 158, 160), (386, 385, 387)), "lowerLid": ((145, 144, 153), (374, 373, 380)),
    "lidFold": ((27, 28, 29), (257, 258, 259)), "underLid": ((23, 24, 22), (253, 254, 252)),
    "infraorbital": ((230, 229, 231), (450, 449, 451)), "eyeOuter": ((33, 130, 226), (263, 359, 446)),
    "eyeInner": ((133, 243, 244), (362, 463, 464)), "underEye": ((119, 118, 120), (348, 347, 349)),
    "cheekBone": ((117, 111, 116), (346, 340, 345)), "cheekUpper": ((50, 101, 36), (280, 330, 266)),
    "cheekMiddle": ((205, 207, 187), (425, 427, 411)), "cheekOuter": ((123, 147, 213), (352, 376, 433)),
    "cheekLower": ((192, 214, 212), (416, 434, 432)), "nasolabial": ((203, 206, 165), (423, 426, 391)),
    "nostril": ((98, 97, 240), (327, 326, 460)), "noseWing": ((64, 129, 102), (294, 358, 331)),
    "noseSide": ((114, 126, 217), (343, 355, 437)), "noseTop": ((198, 209, 131), (420, 429, 360)),
    "lipCorner": ((61, 76, 62), (291, 306, 292)), "innerCorner": ((78, 191, 95), (308, 415, 324)),
    "beyondCorner": ((57, 186, 43), (287, 410, 273)), "upperLipSide": ((39, 40, 74), (269, 270, 304)),
    "upperLipInner": ((81, 80, 42), (311, 310, 272)), "upperLipPeak": ((37, 72, 38), (267, 302, 268)),
    "lowerLipSide": ((181, 91, 90), (405, 321, 320)), "lowerLipInner": ((178, 88, 89), (402, 318, 319)),
    "lowerLipNear": ((84, 85, 87), (314, 315, 317)), "upperInnerNear": ((82, 41, 38), (312, 271, 268)),
    "aboveLip": ((167, 92, 165), (393, 322, 391)), "belowLip": ((182, 194, 204), (406, 418, 424)),
    "chinSide": ((176, 149, 150), (400, 378, 379)), "jaw": ((136, 172, 58), (365, 397, 288)),
    "chinNear": ((148, 171, 140), (377, 396, 369)),
}
MIDDLE: Mapping[str, Tuple[int, ...]] = {
    "forehead": (151, 9, 10), "glabella": (8, 9, 168), "noseBridge": (6, 197, 195), "noseTip": (1, 4, 5),
    "noseBase": (2, 94, 19), "philtrum": (164, 164, 164), "upperLip": (0, 11, 12), "upperInner": (13, 13, 12),
    "lowerInner": (14, 14, 15), "lowerLip": (17, 16, 15), "chinDimple": (18, 200, 18), "chinFront": (199, 175, 200),
    "chin": (152, 152, 175),
}
SIDES = Eyes._fields
AXES = ("x", "y", "z")
LIDS, IRISES = ("lids right", "lids left"), ("iris right", "iris left")
TURNS = ("yaw", "pitch", "yaw yaw", "pitch pitch", "yaw pitch")
TURN_UNIT_DEG = 20.0  # in which the head's angles count, so that they are of the size of the others
UNKNOWN = (math.nan,) * 3


def mate(name: str) -> str:
    """The same on the other side, of a measure or a shape; itself, where it has none."""
    for a, b in (("right", "left"), ("left", "right"), ("Right", "Left"), ("Left", "Right")):
        if a in name:
            return name.replace(a, b)
    return name


def mirrored(measure: str) -> Tuple[str, float]:
    """What a measure is in a mirror, and its sign there."""
    return mate(measure), -1.0 if measure.endswith(" x") or measure in ("yaw", "yaw pitch") else 1.0


def groups() -> Dict[str, Tuple[int, ...]]:
    """The mesh points of each group, in the order of the measures."""
    found = {name + " right": right for name, (right, _) in SIDED.items()}
    found.update({name + " left": left for name, (_, left) in SIDED.items()})
    found.update(MIDDLE)
    return found


def names() -> List[str]:
    """Of the measures, in the order of their array."""
    return [group + " " + axis for group in list(groups()) + list(IRISES) for axis in AXES] + list(LIDS + TURNS)


class Measures:
    """Takes them; knows of no face in particular."""

    def __init__(self) -> None:
        self.names = names()
        self.at: Mapping[str, int] = {name: i for i, name in enumerate(self.names)}
        self._points = np.array(list(groups().values())).T.copy()  # (3, groups)
        self._ends = np.array([[list(groups()).index(end + side) for end in ("eyeOuter ", "eyeInner ")] for side in SIDES])
        self._lids = self.at[LIDS[0]]

    def of(self, face: Face, lids: Optional[Sequence[Optional[float]]] = None) -> Optional[np.ndarray]:
        """(M,) in the order of `names`, the products of the angles left 0; NaN for what is not known of an eye.

        `lids`: their distances over the eye's width, of the right and the left one, where they are known already. None where
        the points are none of a face.
        """
        points = face.landmarks
        placed = None if points is None else fitted(points)
        if points is None or placed is None:
            return None
        near = points.take(self._points, axis=0)
        groups = np.empty((near.shape[1], 3))
        np.add(near[0], near[1], out=groups)
        groups += near[2]
        groups /= len(near)
        found = np.empty(len(self.names))
        still = found[:self._lids].reshape(-1, 3)
        placed.still(groups, still[:-2])
        still[-2:] = np.dot(self._irises(face, points, groups), placed.turn)
        yaw, pitch, _ = angles(placed.rotation)
        gaps = (lids_of(face, 0), lids_of(face, 1)) if lids is None else lids
        right, left = [math.nan if gap is None else gap for gap in gaps]
        found[self._lids:] = right, left, yaw / TURN_UNIT_DEG, pitch / TURN_UNIT_DEG, 0.0, 0.0, 0.0
        return found

    def _irises(self, face: Face, points: np.ndarray, groups: np.ndarray) -> List[Sequence[float]]:
        """From the middles of their eyes' corners, frame pixels, at the depth of those corners."""
        if face.irises is None:
            return [UNKNOWN, UNKNOWN]
        places: List[Sequence[float]] = []
        for iris, (a, b), ends in zip(face.irises, EYE_CORNERS, groups.take(self._ends, axis=0).tolist()):
            if iris is None:
                places.append(UNKNOWN)
                continue
            (ax, ay, az), (bx, by, bz) = ends
            x, y = iris.center.tolist()
            z = (points.item(a, 2) + points.item(b, 2)) / 2.0
            places.append((x - (ax + bx) / 2.0, y - (ay + by) / 2.0, z - (az + bz) / 2.0))
        return places

    def at_rest(self, neutral: Neutral, usual: np.ndarray) -> np.ndarray:
        """(M,) of a profile; an iris that it does not know lies as in a `usual` face."""
        points = neutral.still[self._points].mean(axis=0)
        middles = points[self._ends].mean(axis=1)
        irises = usual[points.size:points.size + 6].reshape(2, 3).copy()
        for i, own in enumerate(neutral.irises):
            if own is not None:
                irises[i] = np.array(own) - middles[i]
        lids = [opened for opened, _ in neutral.lids]
        turns = [angle / TURN_UNIT_DEG for angle in neutral.turn]
        return np.concatenate((points.ravel(), irises.ravel(), lids, turns, (0.0, 0.0, 0.0)))

    def change(self, measures: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """What differs from the face at rest, as the matrices take it; 0 for what is not known."""
        change, at = measures - neutral, self._lids
        right, left, _, pitch = change[at:at + 4].tolist()
        rest_right, rest_left = neutral[at:at + 2].tolist()
        yaw = measures.item(at + 2)
        change[at:] = right / rest_right, left / rest_left, yaw, pitch, yaw * yaw, pitch * pitch, yaw * pitch
        if not float(change.dot(change)) < math.inf:
            change[change != change] = 0.0
        return change
