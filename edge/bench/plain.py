"""The detectors' decoding and suppression as it is usually first written: anchors made anew for each frame, one loop over all
cells, one over the boxes that are left. What the vectorised version with cached anchors is measured against, and its
independent check: both find the same boxes.

Input pixels counted from the picture's outer edge. Outputs are read as plain numbers where that is how such loops are fast.
"""
import math
from typing import Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from edge.models.detectors import faceboxes, fmr, rfb320, ssd, yunet
from edge.models.spec import MOST_GROWTH, Detector

Found = Tuple[float, Tuple[float, float, float, float]]  # score, box x0 y0 x1 y1
Anchor = Tuple[float, float, float, float]  # centre x, y, width, height


def faces(detector: Detector, outputs: Mapping[str, np.ndarray], threshold: float, limit: int) -> List[Found]:
    """At most `limit` boxes that reach the threshold, the surest first; a detector of PLAIN."""
    width, height = detector.size
    found = list(PLAIN[detector.network](detector.network, outputs, width, height, threshold))
    found.sort(key=lambda one: -one[0])
    return suppressed(found, detector.most_iou)[:limit]


def suppressed(found: Sequence[Found], most_iou: float) -> List[Found]:
    """`found` comes sorted, the surest first."""
    left, kept = list(found), []  # type: List[Found], List[Found]
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [other for other in left if overlap(best[1], other[1]) <= most_iou]
    return kept


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _retinaface(network: str, outputs: Mapping[str, np.ndarray], width: int, height: int, threshold: float) -> Iterator[Found]:
    for stride in fmr.STRIDES[network]:
        columns, rows = -(-width // stride), -(-height // stride)
        scores, moves = outputs["cls_%d" % stride][0].tolist(), outputs["bbox_%d" % stride][0].tolist()
        anchors = [[(x * stride + fmr.FIRST_CENTRE, y * stride + fmr.FIRST_CENTRE, side, side) for side in fmr.SIDES[stride]]
                   for y in range(rows) for x in range(columns)]
        for cell, (y, x) in enumerate((y, x) for y in range(rows) for x in range(columns)):
            for kind, anchor in enumerate(anchors[cell]):
                score = scores[2 + kind][y][x]
                if score >= threshold:
                    yield score, _moved(anchor, [moves[4 * kind + i][y][x] for i in range(4)])


def _yunet(network: str, outputs: Mapping[str, np.ndarray], width: int, height: int, threshold: float) -> Iterator[Found]:
    for stride in yunet.STRIDES:
        cls, obj, bbox = (outputs["%s_%d" % (kind, stride)][0].tolist() for kind in ("cls", "obj", "bbox"))
        cells = [(x * stride, y * stride) for y in range(height // stride) for x in range(width // stride)]
        for (x, y), sure, there, place in zip(cells, cls, obj, bbox):
            score = math.sqrt(sure[0] * there[0])
            if score >= threshold:
                yield score, _moved((x, y, stride, stride), place)


def _ssd(make: Callable[[int, int], List[Anchor]]) -> Callable[..., Iterator[Found]]:
    def found(network: str, outputs: Mapping[str, np.ndarray], width: int, height: int, threshold: float) -> Iterator[Found]:
        centre, size = float(ssd.CENTRE_VARIANCE), float(ssd.SIZE_VARIANCE)
        scores, moves = outputs["scores"][0].tolist(), outputs["boxes"][0].tolist()
        for anchor, (_, score), (dx, dy, dw, dh) in zip(make(width, height), scores, moves):
            if score >= threshold:
                yield score, _moved(anchor, (dx * centre, dy * centre, dw * size, dh * size))
    return found


def _rfb_anchors(width: int, height: int) -> List[Anchor]:
    return [((x + 0.5) * stride, (y + 0.5) * stride, min(side, width), min(side, height))
            for stride, sides in rfb320.SIDES
            for y in range(-(-height // stride)) for x in range(-(-width // stride)) for side in sides]


def _faceboxes_anchors(width: int, height: int) -> List[Anchor]:
    anchors = []
    for stride, kinds in faceboxes.ANCHORS:
        for y in range(-(-height // stride)):
            for x in range(-(-width // stride)):
                for side, times in kinds:
                    first = 0.5 if times == 1 else 0.0
                    anchors += [((x + i / times + first) * stride, (y + j / times + first) * stride, side, side)
                                for j in range(times) for i in range(times)]
    return anchors


def _moved(anchor: Anchor, move: Sequence[float]) -> Tuple[float, float, float, float]:
    x, y, width, height = anchor
    x, y = x + move[0] * width, y + move[1] * height
    width, height = (side * math.exp(min(grown, MOST_GROWTH)) for side, grown in ((width, move[2]), (height, move[3])))
    return x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0


PLAIN: Dict[str, Callable[..., Iterator[Found]]] = {
    "fmr_8and16": _retinaface, "fmr_16and32": _retinaface, "yunet_s": _yunet, "yunet_n": _yunet,
    "rfb320": _ssd(_rfb_anchors), "faceboxes": _ssd(_faceboxes_anchors),
}
