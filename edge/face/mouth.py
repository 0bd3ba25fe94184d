"""How far the mouth is open, from the mesh."""
import numpy as np

INNER_LIPS = ((13, 14), (82, 87), (312, 317))  # upper, lower: the middle and a third to each side
EYES_OUTER = (33, 263)
WIDE_OPEN = 0.5  # gap of the inner lips over the distance of the outer eye corners: a wide yawn


def opening(landmarks: np.ndarray) -> float:
    """0 (lips meet) to 1 (wide open) from (468, 3) points; measured in three dimensions, so the head may turn."""
    gaps = landmarks[[u for u, _ in INNER_LIPS]] - landmarks[[d for _, d in INNER_LIPS]]
    across = landmarks[EYES_OUTER[1]] - landmarks[EYES_OUTER[0]]
    width = float(np.sqrt(across.dot(across)))
    if width < 1e-6:
        return 0.0
    gap = float(np.sqrt((gaps * gaps).sum(axis=1)).mean())
    return min(1.0, max(0.0, gap / width / WIDE_OPEN))
