"""Whether a face is the one that a profile was made of, by the proportions that no expression changes."""
from collections import deque
from typing import Deque, Optional

import numpy as np

from edge.face.neutral import Neutral
from edge.geometry.rotation import distance_deg

# brow ridge, nose, cheekbones, temples, forehead and the eyes' corners
RIGID = np.array((
    33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358, 234, 454, 127, 356, 10, 151, 9, 8,
    21, 251, 54, 284, 103, 332, 67, 297, 109, 338, 162, 389, 93, 323, 132, 361, 50, 280, 116, 345, 117, 346, 118, 347,
))
# Ten films, each against the first three seconds of each: none was taken for somebody else's of its own, and 70 of 71 of the
# others were (of the mesh 69 of 72). Of seven rendered people who grimace all the time two were, and 36 of 42 of the others.
OTHER_MM, SAME_MM = 2.6, 2.2
LOOKS = 10
QUARTILE = 25.0  # of the looks, in percent: those at which the face came nearest to its rest
LOOK_S = 0.5  # between two
NEAR_DEG = 12.0  # from the head of the profile: the mesh of a turned head has other proportions


class Owner:
    """Feed it what still_points() gives of one face."""

    def __init__(self, neutral: Neutral) -> None:
        self._neutral = neutral
        self._off_mm: Deque[float] = deque(maxlen=LOOKS)
        self._next_s: Optional[float] = None
        self.other = False  # it is somebody else

    def due(self, time_s: float, rotation: np.ndarray) -> bool:
        """Whether this frame is worth its points."""
        if self._next_s is not None and 0.0 < self._next_s - time_s <= LOOK_S:
            return False
        return distance_deg(self._neutral.rotation, rotation) <= NEAR_DEG

    def look(self, time_s: float, still: np.ndarray) -> None:
        self._next_s = time_s + LOOK_S
        off = (still - self._neutral.still)[RIGID]
        self._off_mm.append(float(np.sqrt((off * off).sum(axis=1).mean())))
        if len(self._off_mm) == LOOKS:
            self.other = float(np.percentile(self._off_mm, QUARTILE)) > (SAME_MM if self.other else OTHER_MM)

    def forget(self) -> None:
        """Another face came, or the same one again: what was said of the last one stays until this one is known."""
        self._off_mm.clear()
