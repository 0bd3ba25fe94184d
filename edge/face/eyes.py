"""How far an eye is open, from the contour of its lids.

The contour's first 16 points run around the opening: 0 the outer corner, 1 to 7 the lower lid, 8 the inner corner, 9 to 15
the upper lid, so that k and k + 8 stand above each other.
"""
import math
from typing import Optional

import numpy as np

OUTER, INNER = 0, 8
LOWER, UPPER = slice(2, 7), slice(10, 15)  # the middle of the lids: their ends say little


def opening(contour: np.ndarray) -> Optional[float]:
    """Mean distance of the lids over the eye's width, from (71, 2) points; None for an eye without width."""
    across = contour[INNER] - contour[OUTER]
    width = math.hypot(float(across[0]), float(across[1]))
    if width < 1e-6:
        return None
    down = np.array([-across[1], across[0]]) / width
    gap = (contour[LOWER] - contour[UPPER]).dot(down)
    return abs(float(gap.mean())) / width
