"""The rigid head that the mesh is fitted to: which mesh points, where they are on the head, their weights."""
from typing import NamedTuple

import numpy as np

from edge.face import measured_head
from edge.face.mesh import POINTS
from edge.geometry.rotation import nearest

EVERY = 9  # of the mesh's points: every ninth covers the face, at a ninth of the cost
TO_HEAD_AXES = np.array([1.0, -1.0, -1.0])  # mesh: y down, z away from the camera; head: y up, z out of the face


class HeadModel(NamedTuple):
    """Two sets of points of one head, millimetres in the head frame."""

    name: str
    spread: np.ndarray  # (N,) mesh points all over the face, for PnP
    spread_points: np.ndarray  # (N, 3)
    stable: np.ndarray  # (M,) mesh points that expressions move little, for the fit of the mesh's own three dimensions
    stable_moments: np.ndarray  # (M, 3) weight times distance from the weighted mean


def _moments(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    weights = weights / weights.sum()
    return weights[:, None] * (points - weights.dot(points))


def of_canonical(table: np.ndarray) -> HeadModel:
    """From the (468, 4) table of MediaPipe's canonical face: x y z in mm and its own Procrustes weight (0: not used)."""
    table = table.astype(np.float64)
    spread, stable = np.arange(0, POINTS, EVERY), np.flatnonzero(table[:, 3] > 0.0)
    return HeadModel("canonical face", spread, table[spread, :3], stable, _moments(table[stable, :3], table[stable, 3]))


def measured() -> HeadModel:
    """The head that calibration/head measured, where there is no canonical face."""
    table = np.array(measured_head.TABLE)
    indices = table[:, 0].astype(int)
    stable = np.array([i not in measured_head.EXPRESSIVE for i in indices])
    moments = _moments(table[stable, 1:], np.ones(int(stable.sum())))
    return HeadModel("measured head", indices, table[:, 1:], indices[stable], moments)


def rotation_of_mesh(head: HeadModel, landmarks: np.ndarray) -> np.ndarray:
    """(3, 3) rotation of the head as seen along its own line of sight, from (468, 3) points with the mesh's own depth.

    The rotation of the least-squares similarity (Umeyama 1991): that nearest to the points' weighted covariance, for which
    it is enough that one of the two sets is taken from its mean.
    """
    return nearest((landmarks[head.stable].T.dot(head.stable_moments)) * TO_HEAD_AXES[:, None])
