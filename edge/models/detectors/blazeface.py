"""MediaPipe's BlazeFace, short range (128 px) and full range (192 px): a box and six points for each anchor.

Every anchor is as large as the picture, so the regressors are plain pixels of the input from the anchor's centre.
"""
import math
from typing import Mapping, NamedTuple, Tuple

import numpy as np

from edge.core.contracts import RGB
from edge.geometry import boxes as upright
from edge.models.spec import Detections, Detector, Input, around, grid, shaped, surest

MOST_LOGIT = 100.0  # where MediaPipe clips, so that exp() cannot overflow


class Range(NamedTuple):
    """One of the two networks."""

    side: int  # of the square input, pixels
    grids: Tuple[Tuple[int, int], ...]  # cells along a side, anchors in a cell
    threshold: float  # MediaPipe's own


RANGES = {
    "blazeface_short": Range(128, ((16, 2), (8, 6)), 0.5),
    "blazeface_full": Range(192, ((48, 1),), 0.6),
}


class BlazeFace(Detector):
    """`network` is a key of RANGES. Keypoints: right eye, left eye, nose, mouth, right ear, left ear."""

    keypoint_count = 6

    def __init__(self, network: str = "blazeface_short") -> None:
        super().__init__(network)
        side, grids, self.threshold = RANGES[network]
        self.input = Input((side, side), RGB, 2.0 / 255.0, (-1.0, -1.0, -1.0), centred=True)
        centres = [(grid(n, n, per_cell) + np.float32(0.5)) * np.float32(side / float(n)) for n, per_cell in grids]
        self._centres = np.concatenate(centres)

    def _surest(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, np.ndarray]:
        logits = shaped(outputs, "scores", (len(self._centres),), self.network)
        anchors = surest(logits, _logit(threshold))
        clipped = np.clip(logits[anchors], np.float32(-MOST_LOGIT), np.float32(MOST_LOGIT)).astype(np.float64)
        return anchors, (1.0 / (1.0 + np.exp(-clipped))).astype(np.float32)

    def _places(self, outputs: Mapping[str, np.ndarray], anchors: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        shape = (len(self._centres), 4 + 2 * self.keypoint_count)
        rows = shaped(outputs, "regressors", shape, self.network)[anchors]
        centres = self._centres[anchors]
        boxes = around(rows[:, :2] + centres, rows[:, 2:4])
        return boxes, rows[:, 4:].reshape(-1, self.keypoint_count, 2) + centres[:, None]

    def _suppress(self, found: Detections, limit: int) -> Detections:
        columns = 2 * self.keypoint_count
        rows = np.concatenate([found.boxes, found.keypoints.reshape(-1, columns)], axis=1)  # type: ignore
        merged, scores = upright.weighted_nms(rows, found.scores, self.most_iou, limit)
        return Detections(merged[:, :4], scores, merged[:, 4:].reshape(-1, self.keypoint_count, 2))


def _logit(probability: float) -> float:
    """The logit of a probability; clipped where MediaPipe clips the scores."""
    if not 0.0 < probability < 1.0:
        return math.copysign(MOST_LOGIT, probability - 0.5)
    return math.log(probability / (1.0 - probability))
