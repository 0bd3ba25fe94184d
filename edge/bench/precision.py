"""Average precision of a detector, as WIDER FACE's evaluation has it (Yang et al. 2016): boxes that lie on a face that is to
be ignored count neither for nor against it.
"""
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.bench.wider import Boxes, Faces
from edge.geometry import boxes as upright

LEAST_IOU = 0.5
AT_ONCE = 256  # boxes whose shares of all faces are held


class Judged(NamedTuple):
    """The boxes of all pictures that count."""

    scores: np.ndarray  # (N,)
    hits: np.ndarray  # (N,) bool: on a face that no surer box of its picture lies on
    faces: int  # that were to be found


def judge(pictures: Sequence[Tuple[Boxes, Faces]], least_height: float) -> Judged:
    """Faces below `least_height` pixels are ignored, too. Each box is for the face that it shares most with."""
    scores, hits, faces = [], [], 0
    for found, truth in pictures:
        ignored = truth.ignored | (truth.boxes[:, 3] - truth.boxes[:, 1] < least_height)
        faces += int((~ignored).sum())
        hit, counts = _outcomes(found.boxes, truth.boxes, ignored)
        scores.append(found.scores[counts])
        hits.append(hit[counts])
    return Judged(np.concatenate(scores or [np.zeros(0)]), np.concatenate(hits or [np.zeros(0, bool)]), faces)


def _outcomes(boxes: np.ndarray, faces: np.ndarray, ignored: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Of each box, whether it finds a face, and whether it counts at all."""
    hit, counts = np.zeros(len(boxes), bool), np.ones(len(boxes), bool)
    if not len(faces) or not len(boxes):
        return hit, counts
    free = ~ignored
    for first in range(0, len(boxes), AT_ONCE):
        table = upright.iou(boxes[first:first + AT_ONCE], faces)
        for row, face in enumerate(table.argmax(axis=1)):
            if table[row, face] < LEAST_IOU:
                continue
            counts[first + row] = not ignored[face]
            hit[first + row] = free[face]
            free[face] = False
    return hit, counts


def average_precision(judged: Judged) -> Optional[float]:
    """The area below the precision that is reached at each recall or a higher one; None where there is no face. Boxes of the
    same score are taken together: their order is nobody's."""
    if not judged.faces:
        return None
    order = np.argsort(-judged.scores, kind="mergesort")
    scores, hits = judged.scores[order], np.cumsum(judged.hits[order])
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.zeros(0, int)
    recall = hits[last] / float(judged.faces)
    precision = hits[last] / (last + 1.0)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(np.append(0.0, recall)) * best).sum())


def at_threshold(judged: Judged, threshold: float) -> Tuple[Optional[float], int]:
    """Recall (None: there is no face) and wrong boxes, of those that reach the threshold."""
    sure = judged.scores >= threshold
    found = int((sure & judged.hits).sum())
    return (found / float(judged.faces) if judged.faces else None), int(sure.sum()) - found
