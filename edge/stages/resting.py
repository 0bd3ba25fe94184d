"""Where a run has its neutral face from, what a capture is told of a frame, and what a neutral face changes."""
from abc import ABC, abstractmethod
from typing import Dict, List, Optional, Tuple

import numpy as np

from edge.core.packet import Face, Packet, Pose
from edge.face import eyes, gaze, mouth
from edge.face.mesh import EYE_CORNERS
from edge.face.neutral import Neutral, Signals
from edge.face.still import Placement, placement
from edge.geometry import rotation
from edge.geometry.camera import Camera

Looks = Tuple[Optional[Tuple[float, ...]], Optional[Tuple[float, ...]]]  # unit vectors of the head frame, right and left eye
EYEBALLS_MM = np.array(((-33.8, 24.6, 26.0), (33.8, 24.6, 26.0)))  # behind the middle between the corners of each
LIGHT_STEP = 8  # every so many pixels are looked at


class NeutralSource(ABC):
    """Asked in the thread of the stage."""

    @abstractmethod
    def current(self) -> Optional[Neutral]:
        """The neutral face that is in use; the same object until another one is. Cheap: asked once a frame."""

    def record(self) -> Dict[str, str]:
        """For the status record: `name` of the profile in use, `note` where something is wrong with it. From any thread."""
        return {}

    def look(self, packet: Packet, camera: Camera) -> None:
        """Every frame, before anything of it is smoothed or corrected."""


class Fixed(NeutralSource):
    def __init__(self, neutral: Optional[Neutral]) -> None:
        self._neutral = neutral

    def current(self) -> Optional[Neutral]:
        return self._neutral


def signals_of(face: Face, camera: Camera, image: np.ndarray) -> Signals:
    """`face` as the stages before Express leave it."""
    found = Signals(face.track_id, face.score, _light(face, image))
    if face.landmarks is None:
        return found
    found = found._replace(mouth=mouth.opening(face.landmarks), lids=(eyes.lids_of(face, 0), eyes.lids_of(face, 1)))
    placed = placement(face.landmarks)
    if placed is not None:
        yaw, pitch, _ = rotation.angles(placed.rotation)
        found = found._replace(still=placed.still(face.landmarks), turn=(yaw, pitch),
                               irises=(_iris(face, placed, 0), _iris(face, placed, 1)))
    if face.pose is None:
        return found
    place = face.pose.translation_mm
    right, left = (None if look is None else gaze.angles(look) for look in lines_of_sight(face, camera))
    found = found._replace(rotation=face.pose.rotation, looks=(right, left))
    if place is None:
        return found
    x, y, z = place.tolist()
    return found._replace(place_mm=(x, y, z), lens=(_lens(face.pose, 0), _lens(face.pose, 1)))


def corrected(looks: Looks, neutral: Optional[Neutral]) -> Looks:
    """Each eye's line of sight without the error that it had while the person looked into the lens."""
    if neutral is None:
        return looks
    right, left = (
        look if look is None or seen is None or true is None else gaze.turned(look, true[0] - seen[0], true[1] - seen[1])
        for look, seen, true in zip(looks, neutral.gaze, neutral.lens))
    return right, left


def with_rest(face: Face, neutral: Optional[Neutral]) -> Face:
    """How the head is turned from its rest, in its own axes: a nod is a nod, wherever the camera stands."""
    if neutral is None or face.pose is None:
        return face
    turned = neutral.rotation.T.dot(face.pose.rotation)
    return face._replace(pose=face.pose._replace(neutral=turned))


def _light(face: Face, image: np.ndarray) -> float:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (int(min(max(0.0, v), most)) for v, most in zip(face.box, (width, height, width, height)))
    seen = image[y0:y1:LIGHT_STEP, x0:x1:LIGHT_STEP]
    return float(seen.mean()) if seen.size else 0.0


def lines_of_sight(face: Face, camera: Camera) -> Looks:
    """As far as they are known."""
    if face.pose is None or face.irises is None or face.eye_contours is None:
        return None, None
    looks: List[Optional[Tuple[float, ...]]] = [None, None]
    for i, (iris, contour) in enumerate(zip(face.irises, face.eye_contours)):
        if iris is not None and contour is not None:
            looks[i] = gaze.of_eye(iris.center, eyes.middle(contour, face.steady_corners), face.pose, camera)
    return looks[0], looks[1]


def _iris(face: Face, placed: Placement, i: int) -> Optional[Tuple[float, float, float]]:
    """Its place among the still points, at the depth of its eye's corners."""
    iris = None if face.irises is None else face.irises[i]
    if iris is None or face.landmarks is None:
        return None
    depth = face.landmarks[list(EYE_CORNERS[i]), 2].mean()
    x, y, z = placed.still(np.array([[iris.center[0], iris.center[1], depth]]))[0].tolist()
    return x, y, z


def _lens(pose: Pose, i: int) -> Tuple[float, float]:
    """(yaw, pitch) of the way from an eyeball to the camera, in the head frame."""
    assert pose.translation_mm is not None, "signals_of() has looked"
    to_camera = -pose.rotation.T.dot(rotation.FLIP.dot(pose.translation_mm)) - EYEBALLS_MM[i]
    return gaze.angles(rotation.unit(to_camera.tolist()))
