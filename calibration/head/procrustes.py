"""The similarity that carries one point set onto another."""
from typing import NamedTuple, Optional

import numpy as np

from edge.geometry.rotation import nearest


class Similarity(NamedTuple):
    """target = scale * rotation source + translation."""

    scale: float
    rotation: np.ndarray  # (D, D)
    translation: np.ndarray  # (D,)


def fit(source: np.ndarray, target: np.ndarray, weights: Optional[np.ndarray] = None) -> Similarity:
    """Least-squares similarity from (N, 3) `source` to (N, 3) `target`, `weights` (N,) >= 0.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991, with weights.
    """
    w = np.ones(len(source)) if weights is None else weights
    w = w / w.sum()
    mean_s, mean_t = w.dot(source), w.dot(target)
    s, t = source - mean_s, target - mean_t
    covariance = (t * w[:, None]).T.dot(s)
    rotation = nearest(covariance)
    variance = float((w[:, None] * s * s).sum())
    scale = float((rotation * covariance).sum()) / max(variance, 1e-12)
    return Similarity(scale, rotation, mean_t - scale * rotation.dot(mean_s))
