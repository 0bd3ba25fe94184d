"""How far the mouth is open, from the mesh."""
import numpy as np

from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT, distance

INNER_LIPS = ((13, 14), (82, 87), (312, 317))  # upper, lower: the middle and a third to each side
WIDE_OPEN = 0.5  # gap of the inner lips over the distance of the outer eye corners: a wide yawn


def opening(landmarks: np.ndarray) -> float:
    """0 (lips meet) to 1 (wide open) from (468, 3) points; measured in three dimensions, so the head may turn."""
    width = distance(landmarks, (EYE_OUTER_RIGHT, EYE_OUTER_LEFT))
    if not width > 1e-6:
        return 0.0
    gap = sum(distance(landmarks, pair) for pair in INNER_LIPS) / len(INNER_LIPS)
    return min(1.0, max(0.0, gap / width / WIDE_OPEN))
