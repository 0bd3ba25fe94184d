"""The head of ICT-FaceKit with an identity, an expression and eyes that look somewhere, in the head frame and on the picture.

Read from `ict_head.npz`: `neutral` (N, 3) mm, `triangles`, `parts`, 51 `shapes` and 24 `identities` (N, 3) in hundredths of a
millimetre. Its axes are those of the head frame; the origin is fitted to the canonical face model.
"""
from typing import Dict, List, NamedTuple, Tuple
from zipfile import BadZipFile

import numpy as np

from edge.core.errors import ModelError
from edge.geometry.rotation import FLIP, from_angles

KEYS = ("neutral", "triangles", "part_names", "part_bounds", "shape_names", "shapes", "identities")
STORED_MM = 0.01
WIDTH, HEIGHT, FOCAL_PX = 640, 480, 600.0
CENTRE_PX = ((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0)
# name in the truth -> vertex, and the place of that point in the canonical face model (mm, head frame)
POINTS = (
    ("nose_tip", 4857, (0.0, -11.27, 74.76)), ("chin", 966, (0.0, -94.03, 42.64)),
    ("eyeR_out", 1507, (-44.46, 26.64, 31.73)), ("eyeR_in", 1528, (-18.56, 25.85, 37.58)),
    ("eyeL_in", 3742, (18.56, 25.85, 37.58)), ("eyeL_out", 3721, (44.46, 26.64, 31.73)),
    ("mouthR", 5708, (-24.56, -43.43, 42.84)), ("mouthL", 6213, (24.56, -43.43, 42.84)),
)
EYE_CORNERS = ((1507, 1528), (3721, 3742))  # outer and inner, of the subject's right and left eye
EYEBALL_FROM_CORNERS_MM = (0.65, 0.8, -7.7)  # outward, up, out of the face, from the corners' middle
EYEBALL_MM, IRIS_MM = 12.5, 5.9  # radii; the iris is a flat disc of the ball
LOOK_SIDE_DEG, LOOK_UP_DEG, LOOK_DOWN_DEG = 30.0, 22.0, 26.0  # how far an eye turns for a coefficient of 1
MODEL_PITCH_DEG = -0.943  # of the model in the head frame, as in the shared clips
SIDES = ("Right", "Left")


class Pose(NamedTuple):
    """Degrees in the convention of the frame record, and where the head's origin is in the camera frame."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    translation_mm: Tuple[float, float, float] = (0.0, 10.0, 520.0)

    @property
    def rotation(self) -> np.ndarray:
        return from_angles(self.yaw, self.pitch, self.roll)


class Seen(NamedTuple):
    """A head with an expression, in the head frame."""

    vertices: np.ndarray  # (N, 3) float32 mm
    eyeballs: Tuple[np.ndarray, np.ndarray]  # (3,) mm, centre of the right one and of the left one
    gaze: Tuple[np.ndarray, np.ndarray]  # (3, 3) each, carries (0, 0, 1) onto the line of sight


class IctHead:
    """The geometry that every identity shares."""

    def __init__(self, path: str) -> None:
        """Raises ModelError for a file that is no such head."""
        try:
            with np.load(path) as file:
                stored = {name: file[name] for name in KEYS}
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as e:  # numpy's
            raise ModelError("{}: not the ICT-FaceKit head, an .npz with {}: {}".format(path, ", ".join(KEYS), e))
        self.neutral = stored["neutral"].astype(np.float32)
        self.triangles = stored["triangles"].astype(np.int32)
        self.part_bounds = dict(zip(stored["part_names"].tolist(), zip(*(
            stored["part_bounds"][a:b].tolist() for a, b in ((0, -1), (1, None))))))
        self.names: List[str] = stored["shape_names"].tolist()
        self._shapes = stored["shapes"].astype(np.float32) * np.float32(STORED_MM)
        self._identities = stored["identities"].astype(np.float32) * np.float32(STORED_MM)

    @property
    def identity_count(self) -> int:
        return len(self._identities)

    def lash_lengths(self) -> np.ndarray:
        """How far each vertex of the lashes is from the skin, mm."""
        skin = self.neutral[slice(*self.part_bounds["skin"])]
        lids = skin[(np.abs(skin[:, 1] - 33.0) < 15.0) & (skin[:, 2] > 70.0)]
        lashes = self.neutral[slice(*self.part_bounds["lashes"])]
        return np.array([np.linalg.norm(lids - point, axis=1).min() for point in lashes], np.float32)

    def person(self, identity: np.ndarray) -> "Person":
        """`identity`: (24,), a coefficient for each of the modes; 1 is one standard deviation."""
        neutral = self.neutral + np.tensordot(np.asarray(identity, np.float32), self._identities, 1)
        return Person(neutral, self.names, self._shapes)


class Person:
    """One identity, shifted onto the canonical face model."""

    def __init__(self, neutral: np.ndarray, names: List[str], shapes: np.ndarray) -> None:
        source = neutral[[index for _, index, _ in POINTS]].astype(float)
        target = np.array([place for _, _, place in POINTS])
        self._rotation = from_angles(0.0, MODEL_PITCH_DEG, 0.0)
        self._translation = target.mean(axis=0) - self._rotation.dot(source.mean(axis=0))
        moved = source.dot(self._rotation.T) + self._translation
        self.fit_rms_mm = float(np.sqrt(((moved - target) ** 2).sum(axis=1).mean()))
        self.names, self._neutral, self._shapes = names, neutral, shapes
        self._index = {name: i for i, name in enumerate(names)}
        self._eyeballs = [self._in_head(neutral[list(corners)].mean(axis=0) + np.array(EYEBALL_FROM_CORNERS_MM) * (side, 1, 1))
                          for side, corners in zip((-1, 1), EYE_CORNERS)]

    def _in_head(self, points: np.ndarray) -> np.ndarray:
        return points.dot(self._rotation.T.astype(points.dtype)) + self._translation.astype(points.dtype)

    def with_expression(self, coefficients: np.ndarray) -> Seen:
        """`coefficients`: (51,) in the order of `names`."""
        used = np.flatnonzero(coefficients)
        moved = self._neutral + np.tensordot(coefficients[used].astype(np.float32), self._shapes[used], 1)
        right, left = (self._rotation.dot(_eye_rotation(*self.eye_angles(coefficients, i))) for i in (0, 1))
        return Seen(self._in_head(moved), (self._eyeballs[0], self._eyeballs[1]), (right, left))

    def eye_angles(self, coefficients: np.ndarray, eye: int) -> Tuple[float, float]:
        """Yaw and pitch in degrees of the right (0) or left (1) eye, against straight ahead of the model."""
        look = {way: float(coefficients[self._index["eyeLook" + way + SIDES[eye]]]) for way in ("In", "Out", "Up", "Down")}
        outward = LOOK_SIDE_DEG * (look["Out"] - look["In"])
        return (outward if eye == 0 else -outward), LOOK_UP_DEG * look["Up"] - LOOK_DOWN_DEG * look["Down"]


def _eye_rotation(yaw: float, pitch: float) -> np.ndarray:
    """Of an eye: the pitch first, so that both are those of its line of sight."""
    return from_angles(yaw, 0.0, 0.0).dot(from_angles(0.0, pitch, 0.0))


def on_picture(points: np.ndarray, pose: Pose) -> np.ndarray:
    """(N, 3) mm of the head frame -> (N, 2) pixels."""
    camera = points.dot(FLIP.dot(pose.rotation).T) + np.array(pose.translation_mm)
    return FOCAL_PX * camera[:, :2] / camera[:, 2:] + CENTRE_PX


def truth_row(person: Person, coefficients: np.ndarray, pose: Pose) -> Dict[str, float]:
    """Everything that is known of a frame, by the column names of the shared clips."""
    seen = person.with_expression(coefficients)
    row = dict(zip(("yaw", "pitch", "roll", "tx", "ty", "tz"), (pose.yaw, pose.pitch, pose.roll) + tuple(pose.translation_mm)))
    to_plane = (EYEBALL_MM ** 2 - IRIS_MM ** 2) ** 0.5
    for side, centre, turned in zip("RL", seen.eyeballs, seen.gaze):
        line = turned[:, 2]
        row["gaze" + side + "_yaw_head"] = float(np.degrees(np.arctan2(-line[0], line[2])))
        row["gaze" + side + "_pitch_head"] = float(np.degrees(np.arcsin(line[1])))
        row.update(zip(("gaze" + side + "_cam_" + k for k in "xyz"), FLIP.dot(pose.rotation).dot(line)))
        row.update(zip(("iris" + side + "_x", "iris" + side + "_y"), on_picture((centre + to_plane * line)[None], pose)[0]))
    for name, index, _ in POINTS:
        row.update(zip((name + "_x", name + "_y"), on_picture(seen.vertices[[index]].astype(float), pose)[0]))
    face = on_picture(seen.vertices[FACE_VERTICES].astype(float), pose)
    row.update(zip(("box_x0", "box_y0", "box_x1", "box_y1"), np.concatenate((face.min(axis=0), face.max(axis=0)))))
    row.update(zip(person.names, coefficients))
    return {name: round(float(value), 4) for name, value in row.items()}


FACE_VERTICES = slice(0, 6706)  # the front of the face, without ears, neck and cranium
