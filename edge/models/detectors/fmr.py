"""faster-mobile-retinaface: RetinaFace without its points, two square anchors for each cell of two grids.

It was trained on RGB; its own program feeds BGR, which costs it faces.
"""
from typing import Mapping, Tuple

import numpy as np

from edge.core.contracts import RGB
from edge.models.spec import Detector, Input, around, grid, grown, shaped, surest

# stride: sides of the two anchors in pixels
SIDES = {8: (32.0, 16.0), 16: (128.0, 64.0), 32: (512.0, 256.0)}
FIRST_CENTRE = 8.0  # of the first cell at every stride: the middle of the base anchor, which is 16 pixels wide
STRIDES = {"fmr_8and16": (8, 16), "fmr_16and32": (16, 32)}


class FasterMobileRetinaFace(Detector):
    """`network` is a key of STRIDES; fmr_16and32 misses faces below 40 pixels of the input."""

    threshold = 0.6
    most_iou = 0.4

    def __init__(self, network: str = "fmr_8and16", width: int = 320, height: int = 240) -> None:
        super().__init__(network)
        self.input = Input((width, height), RGB, 1.0, (0.0, 0.0, 0.0))
        self._levels = STRIDES[network]
        centres, sides = zip(*(_anchors(s, width, height) for s in self._levels))
        self._cells = tuple(zip(self._levels, [len(c) // 2 for c in centres]))
        self._centres, self._sides = np.concatenate(centres), np.concatenate(sides)

    def _surest(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, np.ndarray]:
        # channels: two anchors' background, then the two anchors' face
        faces = np.concatenate([shaped(outputs, "cls_{}".format(s), (4, cells), self.network)[2:].reshape(-1)
                                for s, cells in self._cells])
        anchors = surest(faces, threshold)
        return anchors, faces[anchors]

    def _places(self, outputs: Mapping[str, np.ndarray], anchors: np.ndarray) -> Tuple[np.ndarray, None]:
        # channels: dx dy dw dh of one anchor, then of the other
        moves = [shaped(outputs, "bbox_{}".format(s), (2, 4, cells), self.network).transpose(0, 2, 1).reshape(-1, 4)
                 for s, cells in self._cells]
        place, sides = np.concatenate(moves)[anchors], self._sides[anchors]
        return around(place[:, :2] * sides + self._centres[anchors], grown(place[:, 2:]) * sides), None


def _anchors(stride: int, width: int, height: int) -> Tuple[np.ndarray, np.ndarray]:
    """(2 * cells, 2) centres and (2 * cells, 1) sides, in the order of the scores: anchor by anchor, then cells."""
    centres = grid(-(-width // stride), -(-height // stride)) * np.float32(stride) + np.float32(FIRST_CENTRE)
    sides = np.repeat(np.array(SIDES[stride], np.float32), len(centres))
    return np.concatenate([centres, centres]), sides[:, None]
