"""A detector whose last layer makes boxes of its anchors and suppresses those that are alike itself, as OpenVINO's
DetectionOutput does: face-detection-0200, -0202, -0204, -adas and -retail of Intel's Open Model Zoo, and Caffe's SSD300.

Output `detections` (1, 1, N, 7), a row for each box: number of the picture, label, score, x0, y0, x1, y1 as shares of the
input. A negative number of the picture ends them. They were trained on pictures that fill the input, whatever their aspect.
"""
from typing import Mapping, Tuple

import numpy as np

from edge.core.contracts import BGR
from edge.core.roles import SSD300X7
from edge.models.spec import Detector, Input, shaped, surest

COLUMNS, SCORE, BOX = 7, 2, slice(3, 7)


class Ssd300x7(Detector):
    """BGR 0..255. Labels are not looked at: they are 0 or 1, as these networks know nothing but faces."""

    most_iou = 0.45  # as theirs: what they have left stays

    def __init__(self, network: str = SSD300X7, width: int = 300, height: int = 300) -> None:
        super().__init__(network)
        self.input = Input((width, height), BGR, 1.0, (0.0, 0.0, 0.0), stretched=True)
        self._sides = np.array([width, height, width, height], np.float32)

    def _surest(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, np.ndarray]:
        rows = shaped(outputs, "detections", (-1, COLUMNS), self.network)
        ends = np.flatnonzero(rows[:, 0] < 0)
        scores = rows[:ends[0] if len(ends) else len(rows), SCORE]
        found = surest(scores, threshold)
        return found, scores[found]

    def _places(self, outputs: Mapping[str, np.ndarray], anchors: np.ndarray) -> Tuple[np.ndarray, None]:
        rows = shaped(outputs, "detections", (-1, COLUMNS), self.network)
        return rows[anchors, BOX] * self._sides, None
