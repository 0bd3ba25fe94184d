"""Upright boxes as arrays: (N, 4) rows x0 y0 x1 y1, where x1 and y1 lie beyond the box: its width is x1 - x0."""
from typing import List, Tuple

import numpy as np

LEAST_WEIGHT = np.float32(1e-6)  # so that boxes without any score still have an average


def areas(boxes: np.ndarray) -> np.ndarray:
    """(N,) areas; zero for a box whose edges are crossed."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]


def shared_areas(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) areas that each of the N boxes has in common with each of the M."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    return sides[..., 0] * sides[..., 1]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union; zero where both boxes are empty."""
    shared = shared_areas(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return shared / np.maximum(union, np.finfo(shared.dtype).tiny)


def shared_of_smaller(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) intersection over the smaller of the two: one where a box lies inside the other."""
    smaller = np.minimum(areas(a)[:, None], areas(b)[None, :])
    shared = shared_areas(a, b)
    return shared / np.maximum(smaller, np.finfo(shared.dtype).tiny)


def suppress(clash: np.ndarray, limit: int) -> List[int]:
    """Rows that stay, in order, at most `limit`: they clash with none before them that stays. `clash` is (N, N)."""
    free = np.ones(len(clash), bool)
    kept = []  # type: List[int]
    for i in range(len(clash)):
        if free[i] and len(kept) < limit:
            kept.append(i)
            free &= ~clash[i]
    return kept


def nms(boxes: np.ndarray, most_iou: float, limit: int) -> List[int]:
    """Greedy non-maximum suppression: rows of the boxes that stay, in order, at most `limit`.

    The boxes come sorted, the surest first. The table of all pairs is made at once, which for the few dozen candidates
    that a detector leaves is faster than a row for every box that stays; the caller keeps their number small.
    """
    return suppress(iou(boxes, boxes) > most_iou, limit)


def weighted_nms(rows: np.ndarray, scores: np.ndarray, most_iou: float, limit: int) -> Tuple[np.ndarray, np.ndarray]:
    """Averages, weighted by score, of the rows that overlap the surest one: (K, C) rows and the surest scores.

    `rows` is (N, C): a box, then any other coordinates that are averaged with it; sorted, the surest first. The rule is
    that of MediaPipe's BlazeFace graphs (Bazarevsky et al. 2019, "BlazeFace"): it jitters less than plain suppression.
    """
    together = iou(rows[:, :4], rows[:, :4]) > most_iou
    free = np.ones(len(rows), bool)
    merged, best = [], []  # type: List[np.ndarray], List[float]
    for i in range(len(rows)):
        if free[i] and len(merged) < limit:
            group = together[i] & free
            group[i] = True
            weights = np.maximum(scores[group], LEAST_WEIGHT)
            merged.append(weights.dot(rows[group]) / weights.sum())
            best.append(scores[i])
            free &= ~group
    return np.array(merged, np.float32).reshape(-1, rows.shape[1]), np.array(best, np.float32)
