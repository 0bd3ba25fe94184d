"""Smoothing by a centred mean: each frame with those before and behind it, for which it has to wait.

At the run's two ends the first and the last frame stand in for those that there are not.
"""
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Sequence, Tuple

import numpy as np

from edge.core.contracts import Stage
from edge.core.packet import Eyes, Face, Gaze, Iris, Packet, Pose
from edge.core.parts import SHAPES
from edge.core.roles import SMOOTH
from edge.geometry import rotation

MEANT = frozenset(SHAPES)  # of the expression; how far eyes and mouth are open is told as it is, as without this stage
Faces = Tuple[Face, ...]


class Mean(Stage):
    """The plain mean over `n_pre` frames before, the frame itself and `n_next` behind, of each track by itself, over those of
    them in which its face, or what of it is averaged, is there. What the frame itself lacks is not made up."""

    name = SMOOTH
    holds = True

    def __init__(self, n_pre: int, n_next: int, points: bool = True) -> None:
        """`points` False: nobody reads them behind this stage."""
        self._n_pre, self._n_next, self._points = n_pre, n_next, points
        self._before: Deque[Faces] = deque(maxlen=n_pre)  # of the frames that were passed on
        self._held: Deque[Packet] = deque()
        self.note = "mean of {} frames, {} later".format(n_pre + 1 + n_next, n_next)

    def process(self, packet: Packet) -> Optional[Packet]:
        if not self._held and not self._before:
            self._before.extend([packet.faces] * self._n_pre)
        self._held.append(packet)
        return self._next(()) if len(self._held) > self._n_next else None

    def last(self) -> List[Packet]:
        rest, missing = [], self._n_next + 1 - len(self._held)
        final = self._held[-1].faces if self._held else ()
        while self._held:
            rest.append(self._next([final] * missing))
            missing += 1
        self._before.clear()
        return rest

    def _next(self, behind: Sequence[Faces]) -> Packet:
        """The oldest packet that is held."""
        window = list(self._before) + [held.faces for held in self._held] + list(behind)
        packet = self._held.popleft()
        self._before.append(packet.faces)
        return packet.with_faces(tuple(self._smoothed(face, window) for face in packet.faces))

    def _smoothed(self, face: Face, window: Sequence[Faces]) -> Face:
        same = [other for faces in window for other in faces if other.track_id == face.track_id]
        if self._points:
            face = face._replace(landmarks=_array(face.landmarks, [other.landmarks for other in same]),
                                 eye_contours=_of_eyes(face.eye_contours, [other.eye_contours for other in same], _array))
        return face._replace(
            irises=_of_eyes(face.irises, [other.irises for other in same], _iris),
            pose=_pose(face.pose, [other.pose for other in same]),
            gaze=_gaze(face.gaze, [other.gaze for other in same]),
            expression=face.expression and {
                name: _number([other.expression[name] for other in same if other.expression and name in other.expression])
                if name in MEANT else value for name, value in face.expression.items()})


def _number(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _array(own: Optional[np.ndarray], others: Sequence[Optional[np.ndarray]]) -> Optional[np.ndarray]:
    """None where the frame's own is not known, as of all below."""
    if own is None:
        return None
    known = [other for other in others if other is not None]
    total = np.array(known[0], np.float64)
    for other in known[1:]:
        total += other
    total /= len(known)
    return total


def _of_eyes(own: Optional[Eyes], others: Sequence[Optional[Eyes]], mean: Callable[[Any, Any], Any]) -> Optional[Eyes]:
    if own is None:
        return None
    return Eyes(*(mean(eye, [other[i] for other in others if other is not None]) for i, eye in enumerate(own)))


def _iris(own: Optional[Iris], others: Sequence[Optional[Iris]]) -> Optional[Iris]:
    if own is None:
        return None
    known = [other for other in others if other is not None]
    center = _array(own.center, [other.center for other in known])
    assert center is not None
    return Iris(center, _number([other.radius for other in known]), own.score)


def _turn(own: Optional[np.ndarray], others: Sequence[Optional[np.ndarray]]) -> Optional[np.ndarray]:
    """The rotation with the least sum of squared distances, in the Frobenius norm, from all."""
    total = _array(own, others)
    return None if total is None else rotation.nearest(total)


def _pose(own: Optional[Pose], others: Sequence[Optional[Pose]]) -> Optional[Pose]:
    if own is None:
        return None
    known = [other for other in others if other is not None]
    turn = _turn(own.rotation, [other.rotation for other in known])
    assert turn is not None
    return Pose(turn, _array(own.translation_mm, [other.translation_mm for other in known]), own.residual_px,
                _turn(own.neutral, [other.neutral for other in known]))


def _gaze(own: Optional[Gaze], others: Sequence[Optional[Gaze]]) -> Optional[Gaze]:
    if own is None:
        return None
    known = [other for other in others if other is not None]
    both, right, left = (_look(getattr(own, name), [getattr(other, name) for other in known])
                         for name in ("both", "right", "left"))
    ahead = np.sum([other.direction for other in known], axis=0)
    assert both is not None
    return Gaze(both, right, left, own.direction if not ahead.any() else np.array(rotation.unit(ahead.tolist())))


def _look(own: Optional[Tuple[float, float]], others: Sequence[Optional[Tuple[float, float]]]
          ) -> Optional[Tuple[float, float]]:
    """(yaw, pitch)"""
    if own is None:
        return None
    known = [other for other in others if other is not None]
    return _number([look[0] for look in known]), _number([look[1] for look in known])
