"""From points to what a face does: lids, mouth and line of sight; then everything that is shown is smoothed.

What depends on the past (learned ranges, filters) is kept for each track and follows `time_s`.
"""
import math
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from edge.core.contracts import Stage
from edge.core.packet import Eyes, Face, Iris, Packet, Pose
from edge.core.roles import EXPRESS
from edge.face import eyes, gaze, mouth
from edge.face.blendshapes import Blendshapes
from edge.face.mesh import EYE_CORNERS, distance
from edge.geometry import rotation
from edge.geometry.camera import Camera, CameraGuess
from edge.geometry.filters import OneEuro, OneEuroNumbers, OneEuroRotation, OneEuroSettings
from edge.stages.shapes import ShapesOfTrack

SHUT = 0.2  # an eye less open than this shows no iris
LEARN_YAW_DEG, LEARN_PITCH_DEG = 30.0, 20.0  # lids are learned from eyes seen nearly from the front
HIDDEN_YAW_DEG = 50.0  # beyond it the nose hides the far eye
FORGET_AFTER_S = 5.0  # of a track that is gone
EYE_NAMES = ("right", "left")
Looks = Tuple[Optional[Tuple[float, ...]], Optional[Tuple[float, ...]]]
EYE_CLOSED, TURNED_AWAY = "eye closed", "turned away"
NO_CONTOURS = "no eye contours"
ON_NO_EYEBALL = "the iris is on no eyeball"


class ExpressSettings(NamedTuple):
    """`smoothing` None: nothing is smoothed."""

    camera: CameraGuess
    smoothing: Optional[OneEuroSettings]
    absent: Mapping[str, str] = {}  # quantities that no stage of this run fills in, and why
    points: bool = True  # smooth them too; False where nobody reads them after this stage
    learn: bool = True  # how far each eye opens; False in unrelated stills, where the usual range has to do
    shapes: Optional[Blendshapes] = None  # asked for, and made for the network that gives the points
    auto_centre: bool = True  # learn the face at rest that they are told against


class _Memory:
    """What is remembered of one track."""

    def __init__(self, settings: ExpressSettings) -> None:
        self.seen_s = 0.0
        self.ranges = (eyes.EyeRange(), eyes.EyeRange())
        self.smoother = None if settings.smoothing is None else _Smoother(settings.smoothing, settings.points)
        self.shapes = None if settings.shapes is None else ShapesOfTrack(
            settings.shapes, settings.smoothing is not None, settings.auto_centre and settings.learn)


class Express(Stage):
    """Fills `expression` and `gaze`, and smooths points, irises and pose."""

    name = EXPRESS
    fills = ("expression", "gaze")

    def __init__(self, settings: ExpressSettings) -> None:
        self._settings = settings
        self._memories: Dict[int, _Memory] = {}

    def process(self, packet: Packet) -> Packet:
        time_s, image = packet.frame.time_s, packet.frame.image
        camera = self._settings.camera.of_size(image.shape[1], image.shape[0])
        faces = tuple(self._express(face, time_s, camera) for face in packet.faces)
        if len(self._memories) > len(faces):
            self._memories = {
                i: m for i, m in self._memories.items() if abs(time_s - m.seen_s) <= FORGET_AFTER_S
            }
        return packet.with_faces(faces)

    def _express(self, face: Face, time_s: float, camera: Camera) -> Face:
        memory = self._memories.get(face.track_id)
        if memory is None:
            memory = self._memories[face.track_id] = _Memory(self._settings)
        memory.seen_s = time_s
        for quantity, reason in self._settings.absent.items():
            face = face.without(quantity, reason)
        face = _with_expression(face, memory, time_s if self._settings.learn else None)
        if memory.shapes is not None and face.expression is not None:
            face = memory.shapes(face, time_s)
        looks = _lines_of_sight(face, camera)  # before smoothing, which would move the irises against the lids
        if memory.smoother is not None:
            face = memory.smoother(face, time_s)
            looks = memory.smoother.look(looks, time_s)
        return _with_gaze(face, looks)


def _with_expression(face: Face, memory: _Memory, time_s: Optional[float]) -> Face:
    """`time_s` None: nothing is learned."""
    landmarks = face.landmarks
    if landmarks is None:
        return face.without("expression", "no landmarks")
    expression = {}
    opened = []
    yaw, pitch, _ = (0.0, 0.0, 0.0) if face.pose is None else rotation.angles(face.pose.rotation)
    frontal = abs(yaw) < LEARN_YAW_DEG and abs(pitch) < LEARN_PITCH_DEG
    for i, name in enumerate(EYE_NAMES):
        hidden = (yaw if i == 0 else -yaw) < -HIDDEN_YAW_DEG
        reason, value = _eye_open(face, i, hidden, memory.ranges[i], time_s if frontal else None)
        opened.append(value)
        if value is None:
            face = face.without("eye_open_" + name, reason)
        else:
            expression["eye_open_" + name] = value
    expression["mouth_open"] = mouth.opening(landmarks)
    return _without_shut_irises(face._replace(expression=expression), opened)


def _eye_open(face: Face, i: int, hidden: bool, learned: eyes.EyeRange,
              time_s: Optional[float]) -> Tuple[str, Optional[float]]:
    """Reason and value for the subject's right (0) or left (1) eye; the one is empty where the other is known."""
    contour = None if face.eye_contours is None else face.eye_contours[i]
    if contour is None or face.landmarks is None:
        return face.missing.get("iris", NO_CONTOURS), None
    if hidden:
        return TURNED_AWAY, None
    lids = eyes.lid_distance(contour, distance(face.landmarks, EYE_CORNERS[i]))
    if lids is None or not math.isfinite(lids):
        return NO_CONTOURS, None
    if time_s is not None:
        learned.learn(lids, time_s)
    return "", learned.openness(lids)


def _without_shut_irises(face: Face, opened: List[Optional[float]]) -> Face:
    """An eye whose lids are not known keeps its iris."""
    if face.irises is None or face.eye_contours is None:
        return face
    kept = []
    for iris, contour, value, name in zip(face.irises, face.eye_contours, opened, EYE_NAMES):
        shut = contour is not None and (value is None or value < SHUT)
        if shut:
            face = face.without("iris." + name, TURNED_AWAY if value is None else EYE_CLOSED)
        kept.append(None if shut else iris)
    if kept == [None, None]:
        face = face.without("iris", "no eye is open toward the camera")
    return face._replace(irises=Eyes(*kept))


def _lines_of_sight(face: Face, camera: Camera) -> Looks:
    """Unit vectors of the head frame for the subject's right and left eye, as far as they are known."""
    if face.pose is None or face.irises is None or face.eye_contours is None:
        return None, None
    looks: List[Optional[Tuple[float, ...]]] = [None, None]
    for i, (iris, contour) in enumerate(zip(face.irises, face.eye_contours)):
        if iris is not None and contour is not None:
            looks[i] = gaze.of_eye(iris.center, eyes.middle(contour, face.steady_corners), face.pose, camera)
    return looks[0], looks[1]


def _with_gaze(face: Face, looks: Looks) -> Face:
    if face.pose is None or face.pose.translation_mm is None:
        return face.without("gaze", "no head pose" if "pose" not in face.missing else "no head pose: " + face.missing["pose"])
    if face.irises is None:
        return face.without("gaze", face.missing.get("iris", "no irises"))
    if face.irises.right is None and face.irises.left is None:
        closed = face.missing.get("iris.right") == face.missing.get("iris.left") == EYE_CLOSED
        return face.without("gaze", "both eyes closed" if closed else face.missing.get("iris", "no irises"))
    if face.eye_contours is None:
        return face.without("gaze", NO_CONTOURS)
    found = gaze.combine(looks[0], looks[1], face.pose)
    if found is None:
        return face.without("gaze", ON_NO_EYEBALL)
    for name, look in zip(EYE_NAMES, looks):
        if look is None:
            unseen = face.missing.get("eye_open_" + name, ON_NO_EYEBALL)
            face = face.without("gaze." + name, face.missing.get("iris." + name, unseen))
    return face._replace(gaze=found)


class _Smoother:
    """One-Euro filters of one track. Points and irises move in units of the face's size, the pose in radians and metres."""

    def __init__(self, settings: OneEuroSettings, points: bool) -> None:
        self._points = OneEuro(settings) if points else None
        self._irises = (OneEuroNumbers(settings), OneEuroNumbers(settings))
        self._looks = (OneEuroNumbers(settings), OneEuroNumbers(settings))
        self._rotation = OneEuroRotation(settings)
        self._translation = OneEuroNumbers(settings)

    def __call__(self, face: Face, time_s: float) -> Face:
        size = face.roi.size
        if face.landmarks is not None and self._points is not None:
            face = face._replace(landmarks=self._points(face.landmarks, time_s, size))
        if face.irises is not None:
            face = face._replace(irises=Eyes(*(
                self._iris(f, iris, time_s, size) for f, iris in zip(self._irises, face.irises)
            )))
        if face.pose is not None:
            face = face._replace(pose=self._pose(face.pose, time_s))
        return face

    def look(self, looks: Looks, time_s: float) -> Looks:
        """The lines of sight; an eye that was shut for a while starts afresh."""
        right, left = (None if d is None else f(d, time_s) for f, d in zip(self._looks, looks))
        return right, left

    @staticmethod
    def _iris(smooth: OneEuroNumbers, iris: Optional[Iris], time_s: float, size: float) -> Optional[Iris]:
        if iris is None:
            return None
        x, y, radius = smooth(iris.center.tolist() + [iris.radius], time_s, size)
        return Iris(np.array([x, y]), radius, iris.score)

    def _pose(self, pose: Pose, time_s: float) -> Pose:
        t = pose.translation_mm
        if t is not None:
            place = t.tolist()
            t = np.array(self._translation(place, time_s, abs(place[2])))
        return pose._replace(rotation=self._rotation(pose.rotation, time_s), translation_mm=t)
