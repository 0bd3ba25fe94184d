"""FaceBoxes (Zhang et al. 2017): SSD anchors, the smaller ones several times in a cell."""
from typing import Tuple

import numpy as np

from edge.core.contracts import BGR
from edge.models.detectors.ssd import SsdDetector
from edge.models.spec import Input, grid

# stride: the side of an anchor in pixels and how often it stands along each axis of a cell
ANCHORS = ((32, ((32.0, 4), (64.0, 2), (128.0, 1))), (64, ((256.0, 1),)), (128, ((512.0, 1),)))
MINUS_MEAN_BGR = (-104.0, -117.0, -123.0)


class FaceBoxes(SsdDetector):
    threshold = 0.6

    def __init__(self, network: str = "faceboxes", width: int = 320, height: int = 240) -> None:
        self.input = Input((width, height), BGR, 1.0, MINUS_MEAN_BGR)
        levels = [_level(width, height, stride, kinds) for stride, kinds in ANCHORS]
        super().__init__(network, *(np.concatenate(parts) for parts in zip(*levels)))


def _level(width: int, height: int, stride: int, kinds: Tuple[Tuple[float, int], ...]) -> Tuple[np.ndarray, np.ndarray]:
    """Centres and sides (N, 2) of one stride: cell by cell, in it kind by kind, in that row by row."""
    inside, sides = [], []
    for side, times in kinds:
        # a lone anchor stands in the middle of its cell, several begin at its corner: so it was trained
        first = 0.5 if times == 1 else 0.0
        inside.append(grid(times, times) / np.float32(times) + np.float32(first))
        sides += [side] * times * times
    places = np.concatenate(inside)
    cells = grid(-(-width // stride), -(-height // stride))
    centres = (cells[:, None] + places[None]).reshape(-1, 2) * np.float32(stride)
    return centres, np.tile(np.array(sides, np.float32)[:, None], (len(cells), 2))
