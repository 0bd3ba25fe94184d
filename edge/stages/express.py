"""From points to what a face does: lids, mouth and line of sight; then everything that is shown is smoothed.

What depends on the past (learned ranges, filters) is kept for each track and follows `time_s`.
"""
from typing import AbstractSet, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from edge.core.contracts import Stage
from edge.core.packet import Event, Eyes, Face, Iris, Packet, Pose
from edge.core.roles import EXPRESS
from edge.face import eyes, gaze, mouth
from edge.face.blendshapes import Blendshapes
from edge.face.events.signals import Limits, of_face
from edge.face.events.watch import Events
from edge.face.neutral import Neutral
from edge.geometry import rotation
from edge.geometry.camera import Camera, CameraGuess
from edge.geometry.filters import OneEuro, OneEuroNumbers, OneEuroRotation, OneEuroSettings
from edge.stages.resting import Looks, NeutralSource, corrected, lines_of_sight, with_rest
from edge.stages.shapes import ShapesOfTrack

SHUT = 0.2  # an eye less open than this shows no iris
LEARN_YAW_DEG, LEARN_PITCH_DEG = 30.0, 20.0  # lids are learned from eyes seen nearly from the front
HIDDEN_YAW_DEG = 50.0  # beyond it the nose hides the far eye
FORGET_AFTER_S = 5.0  # of a track that is gone
EYE_NAMES = ("right", "left")
EYE_CLOSED, BLINKS, TURNED_AWAY = "eye closed", "eye blinks", "turned away"
LIDS_DOWN = (EYE_CLOSED, BLINKS)
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
    events: bool = False  # tell what begins and ends; never in unrelated stills
    limits: Limits = Limits()  # of the events
    neutral: Optional[NeutralSource] = None  # whose face it is


class _Memory:
    """What is remembered of one track."""

    def __init__(self, settings: ExpressSettings, neutral: Optional[Neutral]) -> None:
        self.seen_s = 0.0
        self.shapes = None if settings.shapes is None else ShapesOfTrack(
            settings.shapes, settings.smoothing is not None, settings.auto_centre and settings.learn)
        self.rest(neutral)
        self.motions = (eyes.LidMotion(), eyes.LidMotion())
        self.apart = gaze.EyesApart()
        self.lids: List[Optional[float]] = [None, None]  # lid distances of this frame, over the eye's width
        self.smoother = None if settings.smoothing is None else _Smoother(settings.smoothing, settings.points)

    def rest(self, neutral: Optional[Neutral]) -> None:
        """Another neutral face, or none, is in use from now on."""
        self.neutral = neutral
        right, left = (None, None) if neutral is None else neutral.lids
        self.ranges = (eyes.EyeRange(right), eyes.EyeRange(left))
        if self.shapes is not None:
            self.shapes.use(neutral)


class Express(Stage):
    """Fills `expression` and `gaze`, and smooths points, irises and pose."""

    name = EXPRESS
    fills = ("expression", "gaze")

    def __init__(self, settings: ExpressSettings) -> None:
        self._settings, self.neutral = settings, settings.neutral
        self._memories: Dict[int, _Memory] = {}
        self._events = Events(settings.limits) if settings.events and settings.learn else None

    def process(self, packet: Packet) -> Packet:
        time_s, image = packet.frame.time_s, packet.frame.image
        camera = self._settings.camera.of_size(image.shape[1], image.shape[0])
        neutral = None
        if self.neutral is not None:
            self.neutral.look(packet, camera)
            neutral = self.neutral.current()
        faces = tuple(self._express(face, time_s, camera, neutral) for face in packet.faces)
        if len(self._memories) > len(faces):
            self._memories = {
                i: m for i, m in self._memories.items() if abs(time_s - m.seen_s) <= FORGET_AFTER_S
            }
        packet = packet.with_faces(faces)
        if self._events is None:
            return packet
        signals = [(face.track_id, of_face(face, self._memories[face.track_id].lids)) for face in faces]
        events = self._events(time_s, signals)
        return packet._replace(events=packet.events + events) if events else packet

    @property
    def coarse(self) -> AbstractSet[str]:
        """The shapes that the points tell roughly, where they are told at all."""
        return frozenset() if self._settings.shapes is None else self._settings.shapes.coarse

    def last_events(self) -> Tuple[Event, ...]:
        """At the end of a run: the ends of what still goes on, marked as cut."""
        return () if self._events is None else self._events.last()

    def _express(self, face: Face, time_s: float, camera: Camera, neutral: Optional[Neutral]) -> Face:
        memory = self._memories.get(face.track_id)
        if memory is None:
            memory = self._memories[face.track_id] = _Memory(self._settings, neutral)
        if memory.neutral is not neutral:
            memory.rest(neutral)
        memory.seen_s = time_s
        for quantity, reason in self._settings.absent.items():
            face = face.without(quantity, reason)
        face = _with_expression(face, memory, time_s if self._settings.learn else None)
        if memory.shapes is not None and face.expression is not None:
            face = memory.shapes(face, time_s, memory.lids)
        looks = lines_of_sight(face, camera)  # before smoothing, which would move the irises against the lids
        looks = corrected(looks, neutral)
        if memory.smoother is not None:
            face = memory.smoother(face, time_s)
            looks = memory.smoother.look(looks, time_s)
        led = memory.apart.both(looks[0], looks[1], time_s) if self._settings.learn else looks
        return _with_gaze(with_rest(face, neutral), looks, led)


def _with_expression(face: Face, memory: _Memory, time_s: Optional[float]) -> Face:
    """`time_s` None: nothing is learned."""
    landmarks = face.landmarks
    if landmarks is None:
        return face.without("expression", "no landmarks")
    expression = {}
    unseen = []
    yaw, pitch, _ = (0.0, 0.0, 0.0) if face.pose is None else rotation.angles(face.pose.rotation)
    frontal = abs(yaw) < LEARN_YAW_DEG and abs(pitch) < LEARN_PITCH_DEG
    for i, name in enumerate(EYE_NAMES):
        hidden = (yaw if i == 0 else -yaw) < -HIDDEN_YAW_DEG
        reason, lids = _lids(face, i, hidden)
        memory.lids[i] = lids
        if lids is None:
            face = face.without("eye_open_" + name, reason)
        else:
            reason, expression["eye_open_" + name] = _eye_open(memory, i, lids, time_s, frontal)
        unseen.append(reason)
    expression["mouth_open"] = mouth.opening(landmarks)
    return _without_unseen_irises(face._replace(expression=expression), unseen)


def _lids(face: Face, i: int, hidden: bool) -> Tuple[str, Optional[float]]:
    """Reason and lid distance of the subject's right (0) or left (1) eye; the one is empty where the other is known."""
    if face.eye_contours is None or face.eye_contours[i] is None:
        return face.missing.get("iris", NO_CONTOURS), None
    if hidden:
        return TURNED_AWAY, None
    lids = eyes.lids_of(face, i)
    if lids is None:
        return NO_CONTOURS, None
    return "", lids


def _eye_open(memory: _Memory, i: int, lids: float, time_s: Optional[float], frontal: bool) -> Tuple[str, float]:
    """Why the iris of an eye whose lids are known is not seen or is misread, else "", and how far the eye is open."""
    learned, blinks = memory.ranges[i], False
    if time_s is not None:
        if frontal:
            learned.learn(lids, time_s)
        blinks = memory.motions[i].blinks(learned.share(lids), time_s)
    value = learned.openness(lids)
    return EYE_CLOSED if value < SHUT else BLINKS if blinks else "", value


def _without_unseen_irises(face: Face, unseen: List[str]) -> Face:
    """An eye whose lids are not known keeps its iris."""
    if face.irises is None or face.eye_contours is None:
        return face
    kept = []
    for iris, contour, reason, name in zip(face.irises, face.eye_contours, unseen, EYE_NAMES):
        hidden = contour is not None and reason != ""
        if hidden:
            face = face.without("iris." + name, reason if reason in LIDS_DOWN else TURNED_AWAY)
        kept.append(None if hidden else iris)
    if kept == [None, None]:
        face = face.without("iris", "no eye is open toward the camera")
    return face._replace(irises=Eyes(*kept))


def _with_gaze(face: Face, looks: Looks, led: Looks) -> Face:
    """`led`: an eye that is not seen follows the other one."""
    if face.pose is None or face.pose.translation_mm is None:
        return face.without("gaze", "no head pose" if "pose" not in face.missing else "no head pose: " + face.missing["pose"])
    if face.irises is None:
        return face.without("gaze", face.missing.get("iris", "no irises"))
    if face.irises.right is None and face.irises.left is None:
        reasons = {face.missing.get("iris.right"), face.missing.get("iris.left")}
        lids_down = "both eyes closed" if reasons == {EYE_CLOSED} else "both eyes blink" if reasons <= set(LIDS_DOWN) else None
        return face.without("gaze", lids_down or face.missing.get("iris", "no irises"))
    if face.eye_contours is None:
        return face.without("gaze", NO_CONTOURS)
    found = gaze.combine(led[0], led[1], face.pose)
    if found is None:
        return face.without("gaze", ON_NO_EYEBALL)
    for name, look in zip(EYE_NAMES, looks):
        if look is None:
            unseen = face.missing.get("eye_open_" + name, ON_NO_EYEBALL)
            face = face.without("gaze." + name, face.missing.get("iris." + name, unseen))
            found = found._replace(right=None) if name == "right" else found._replace(left=None)
    return face._replace(gaze=found)


class _Smoother:
    """One-Euro filters of one track. Points and irises move in units of the face's size, the pose in radians and metres."""

    def __init__(self, settings: OneEuroSettings, points: bool) -> None:
        self._points = OneEuro(settings) if points else None
        self._points68 = OneEuro(settings)
        self._irises = (OneEuroNumbers(settings), OneEuroNumbers(settings))
        self._looks = (OneEuroNumbers(settings), OneEuroNumbers(settings))
        self._rotation = OneEuroRotation(settings)
        self._translation = OneEuroNumbers(settings)

    def __call__(self, face: Face, time_s: float) -> Face:
        size = face.roi.size
        if face.landmarks is not None and self._points is not None:
            face = face._replace(landmarks=self._points(face.landmarks, time_s, size))
        if face.landmarks68 is not None:
            face = face._replace(landmarks68=self._points68(face.landmarks68, time_s, size))
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
