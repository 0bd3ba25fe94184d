"""The packet: 1785 bytes a face, little-endian, without gaps, the faces of a frame one behind the other.

time f8, id i4, width height f4, eye open right left f4, success u1, PnP error f4, quaternion x y z w f4, Euler angles f4 * 3,
translation f4 * 3, confidence f4 * 68, landmarks x y f4 * 136, 3D points X -Y -Z f4 * 210, features f4 * 14.
"""
import struct
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from edge.outputs.live import axes
from edge.outputs.live.openseeface.features import FREEZE_S, NAMES, Usual, measures
from edge.outputs.live.openseeface.points import POINTS_3D, Points, mirrored, points_of

HEAD = struct.Struct("<diffffBf")
FACE_BYTES = HEAD.size + 4 * (4 + 3 + 3 + 68 + 136 + 210 + len(NAMES))
MOST_FACES = 36  # of 65507 bytes, which a datagram holds
FAILED_PX = 99999.0  # the error of a pose that is not known
WIRE = np.array([1.0, -1.0, -1.0])  # of the 3D points
NO_POINTS = np.zeros((POINTS_3D, 3))
Record = Mapping[str, Any]


class Pose(NamedTuple):
    """On the wire; `turned` is the matrix of the quaternion and the angles."""

    success: bool
    error_px: float
    turned: np.ndarray  # (3, 3)
    quaternion: Tuple[float, ...]
    euler: Tuple[float, ...]  # degrees
    translation: Tuple[float, ...]  # units of OpenSeeFace


FAILED = Pose(False, FAILED_PX, np.zeros((3, 3)), (0.0,) * 4, (0.0,) * 3, (0.0,) * 3)


class WireFace(NamedTuple):
    """What a packet and a row of the table hold of one face."""

    id: int
    eye_open: Tuple[float, float]  # right, left
    pose: Pose
    confidence: np.ndarray  # (68,)
    landmarks: np.ndarray  # (68, 2)
    points: np.ndarray  # (70, 3) as on the wire
    features: np.ndarray  # (14,)


def pose_of(pose: Any, mirror: bool = False) -> Pose:
    """Of a face's pose in the record; FAILED where it, or the place, is not known."""
    if not pose or pose.get("translation_mm") is None:
        return FAILED
    rotation, (x, y, z) = np.asarray(pose["rotation"], np.float64), pose["translation_mm"]
    if mirror:
        rotation, x = axes.UNITY.dot(rotation).dot(axes.UNITY), -x
    turned = axes.openseeface_rotation(rotation)
    return Pose(True, pose.get("residual_px", 0.0), turned, axes.openseeface_quaternion(turned), axes.rq_angles(turned),
                axes.openseeface_position((x, y, z)))


def pack(face: WireFace, wall_s: float, size: Sequence[float]) -> bytes:
    pose = face.pose
    numbers = np.concatenate((pose.quaternion, pose.euler, pose.translation, face.confidence, face.landmarks.ravel(),
                              face.points.ravel(), face.features))
    with np.errstate(over="ignore"):
        right, left, error = np.array(face.eye_open + (pose.error_px,), np.float32).tolist()
        return HEAD.pack(wall_s, face.id, size[0], size[1], right, left, pose.success, error) + numbers.astype("<f4").tobytes()


class Encoder:
    """Knows the faces of a run: their ids on the wire, and what is usual for each."""

    def __init__(self, mirror: bool = False, id_offset: int = 0, freeze_s: float = FREEZE_S) -> None:
        self._mirror, self._offset, self._freeze_s = mirror, id_offset, freeze_s
        self._slots: Dict[int, int] = {}  # the track that has each id
        self._usual: Dict[int, Usual] = {}
        self.left_out = 0  # faces so far that a datagram had no room for

    def faces(self, record: Record) -> List[WireFace]:
        """By their ids. Of a face that has no points nothing can be told."""
        seen = [face for face in record["faces"] if face.get("landmarks") is not None]
        slots = self._take_slots([face["id"] for face in seen])
        return [self._face(face, slot, record) for slot, face in sorted(zip(slots, seen), key=lambda pair: pair[0])]

    def datagram(self, record: Record, wall_s: float) -> bytes:
        """Of one frame; empty where there is no face."""
        faces = self.faces(record)
        self.left_out += max(0, len(faces) - MOST_FACES)
        return b"".join(pack(face, wall_s, record["size"]) for face in faces[:MOST_FACES])

    def _take_slots(self, tracks: Sequence[int]) -> List[int]:
        """OpenSeeFace counts places, from 0, and its receivers ask for number 0: a face that comes takes the first place that
        nobody in the picture has."""
        here = {slot for slot, track in self._slots.items() if track in tracks}
        self._slots = {slot: track for slot, track in self._slots.items() if slot in here or slot < MOST_FACES}
        by_track = {self._slots[slot]: slot for slot in here}
        for track in tracks:
            if track not in by_track:
                slot = next(slot for slot in range(len(here) + 1) if slot not in here)
                here.add(slot)
                by_track[track], self._slots[slot] = slot, track
        return [by_track[track] for track in tracks]

    def _face(self, face: Record, slot: int, record: Record) -> WireFace:
        points = points_of(face, np.asarray(face["landmarks"], np.float64), record["size"])
        if self._mirror:
            points = mirrored(points, record["size"][0])
        features = self._features(slot, points, record.get("captured_at", 0.0))
        head = points.head
        pose = FAILED if head is None else pose_of(face.get("pose"), self._mirror)
        points_3d = NO_POINTS if head is None or not pose.success else head * WIRE
        expression = face.get("expression") or {}
        sides = ("left", "right") if self._mirror else ("right", "left")
        opened = [expression.get("eye_open_" + side, 1.0 - min(1.0, max(0.0, -float(features[i]))))
                  for side, i in zip(sides, (NAMES.index("eye_r"), NAMES.index("eye_l")))]
        return WireFace(slot + self._offset, (opened[0], opened[1]), pose, points.confidence, points.picture, points_3d,
                        features)

    def _features(self, slot: int, points: Points, now: float) -> np.ndarray:
        usual = self._usual.get(slot)
        if usual is None:
            usual = self._usual[slot] = Usual(self._freeze_s)
        found = None if points.head is None else measures(points.head)
        return usual.values if found is None else usual.update(found, now)
