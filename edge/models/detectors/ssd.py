"""The box coding of SSD (Liu et al. 2016), which RFB-320 and FaceBoxes share.

Outputs: `scores` (1, N, 2), background and face, probabilities; `boxes` (1, N, 4), moves of the anchors.
"""
from typing import Mapping, Tuple

import numpy as np

from edge.models.spec import Detector, around, grown, shaped, surest

CENTRE_VARIANCE, SIZE_VARIANCE = np.float32(0.1), np.float32(0.2)


class SsdDetector(Detector):
    """A subclass makes the anchors: (N, 2) centres and (N, 2) sides, float32 input pixels."""

    def __init__(self, network: str, centres: np.ndarray, sides: np.ndarray) -> None:
        super().__init__(network)
        self._centres, self._sides = centres, sides

    def _surest(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, np.ndarray]:
        faces = shaped(outputs, "scores", (len(self._centres), 2), self.network)[:, 1]
        anchors = surest(faces, threshold)
        return anchors, faces[anchors]

    def _places(self, outputs: Mapping[str, np.ndarray], anchors: np.ndarray) -> Tuple[np.ndarray, None]:
        moves = shaped(outputs, "boxes", (len(self._centres), 4), self.network)[anchors]
        sides = self._sides[anchors]
        centres = moves[:, :2] * CENTRE_VARIANCE * sides + self._centres[anchors]
        return around(centres, grown(moves[:, 2:] * SIZE_VARIANCE) * sides), None
