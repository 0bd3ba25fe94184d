"""The mesh's points by number: how many, the corners of the eyes, and which follow each other along the lines of a face.

"Right" and "left" are the subject's.
"""
import math
from typing import Tuple

import numpy as np

from edge.core import packet

POINTS = packet.POINTS
EYE_OUTER_RIGHT, EYE_INNER_RIGHT, EYE_INNER_LEFT, EYE_OUTER_LEFT = 33, 133, 362, 263
EYE_CORNERS = ((EYE_OUTER_RIGHT, EYE_INNER_RIGHT), (EYE_INNER_LEFT, EYE_OUTER_LEFT))  # as they lie in the picture

FACE_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
             152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
RIGHT_BROW = (70, 63, 105, 66, 107)
LEFT_BROW = (300, 293, 334, 296, 336)

CLOSED = (RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS)
OPEN = (RIGHT_BROW, LEFT_BROW)
NOSE_TIP = 1


def distance(landmarks: np.ndarray, pair: Tuple[int, int]) -> float:
    """Pixels between two of the (468, 3) points, in three dimensions."""
    (ax, ay, az), (bx, by, bz) = landmarks[pair[0]].tolist(), landmarks[pair[1]].tolist()
    return math.sqrt((ax - bx) ** 2 + (ay - by) ** 2 + (az - bz) ** 2)
