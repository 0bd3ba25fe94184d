"""YuNet (Wu et al. 2023): a box and five points for each cell of three grids, no anchors.

Output `KIND_STRIDE` is (1, cells, n), cells row by row; cls and obj are already probabilities.
"""
from typing import Mapping, Tuple

import numpy as np

from edge.core.contracts import BGR
from edge.models.spec import Detector, Input, around, grid, grown, shaped, surest

STRIDES = (8, 16, 32)


class YuNet(Detector):
    """`network` is yunet_s or yunet_n. Keypoints: right eye, left eye, nose, right and left corner of the mouth."""

    # over 2000 frames faces have 0.85 to 0.95, dim ones 0.63, and what is no face at most 0.24
    threshold = 0.6
    keypoint_count = 5

    def __init__(self, network: str = "yunet_s", width: int = 320, height: int = 256) -> None:
        """The sides are multiples of 32."""
        super().__init__(network)
        self.input = Input((width, height), BGR, 1.0, (0.0, 0.0, 0.0))
        grids = [grid(width // s, height // s) * np.float32(s) for s in STRIDES]
        self._corners = np.concatenate(grids)  # a cell's corner, not its middle, is what the outputs are relative to
        self._cells = tuple(zip(STRIDES, [len(g) for g in grids]))
        self._strides = np.repeat(np.array(STRIDES, np.float32), [len(g) for g in grids])[:, None]

    def _surest(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, np.ndarray]:
        squared = self._joined(outputs, "cls", 1)[:, 0] * self._joined(outputs, "obj", 1)[:, 0]
        cells = surest(squared, threshold * threshold)
        return cells, np.sqrt(squared[cells])

    def _places(self, outputs: Mapping[str, np.ndarray], anchors: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        strides, corners = self._strides[anchors], self._corners[anchors]
        place = self._joined(outputs, "bbox", 4)[anchors]
        boxes = around(place[:, :2] * strides + corners, grown(place[:, 2:]) * strides)
        points = self._joined(outputs, "kps", 2 * self.keypoint_count)[anchors].reshape(-1, self.keypoint_count, 2)
        return boxes, points * strides[:, None] + corners[:, None]

    def _joined(self, outputs: Mapping[str, np.ndarray], kind: str, columns: int) -> np.ndarray:
        """(cells of all strides, columns)."""
        return np.concatenate([shaped(outputs, "{}_{}".format(kind, s), (cells, columns), self.network)
                               for s, cells in self._cells])
