"""A face that moves without a camera or networks: what `nanoface outputs test` sends, and the tests of the outputs.

It does one thing after the other (ACTS), each with known signs, as a person who is asked to; right and left are its own.
"""
import json
import math
import os
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.core.packet import END, Event, Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi
from edge.core.parts import SHAPES
from edge.face.mesh import INNER_LIPS, LEFT_BROW, LEFT_EYE, OUTER_LIPS, RIGHT_BROW, RIGHT_EYE
from edge.geometry.rotation import FLIP, from_angles
from edge.outputs.live.signals import LOOK_DEG

RATE = 30.0  # frames a second
WIDTH, HEIGHT, FOCAL = 640, 480, 554.0  # pixels; 60 degrees across
DISTANCE_MM = 600.0
EYEBALL_MM, BEHIND_MM = 10.5, 7.0  # from its centre to the limbus; the centre behind the corners of the lids
LIMBUS_MM = 5.9
MOUTH_MM, JAW_MM, BROW_MM, SMILE_MM = 11.0, 25.0, 6.0, 5.0  # how far lips stand apart in the table; what a whole shape moves
NEAR_MM = 15.0  # how far around the corner of the mouth or a brow skin goes along
LID_SHUT = 0.9
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "testface.json")
Point = Tuple[float, float]


class Moves(NamedTuple):
    """What the face does in one frame. Angles in degrees, in the signs of the record."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    right_mm: float = 0.0  # to its own right
    up_mm: float = 0.0
    nearer_mm: float = 0.0
    gaze: Point = (0.0, 0.0)  # yaw, pitch
    shut: Point = (0.0, 0.0)  # right eye, left eye, 0..1
    shapes: Mapping[str, float] = {}
    there: bool = True


class Act(NamedTuple):
    text: str  # what a viewer is to see
    lasts_s: float
    at: Callable[[float], Moves]  # of 0..1


def _swing(u: float, part: int = 0, parts: int = 1) -> float:
    """From 0 to 1 and back within one of `parts` of the act, else 0."""
    inside = u * parts - part
    return math.sin(math.pi * inside) if 0.0 <= inside <= 1.0 else 0.0


def _both_ways(u: float) -> float:
    return math.sin(2.0 * math.pi * u)


def _sides(name: str, value: float) -> Dict[str, float]:
    return {name + "Left": value, name + "Right": value}


ACTS: Tuple[Act, ...] = (
    Act("turns its head to its right, then to its left", 2.4, lambda u: Moves(yaw=25.0 * _both_ways(u))),
    Act("looks up, then down", 2.4, lambda u: Moves(pitch=15.0 * _both_ways(u))),
    Act("leans its head to its left, then to its right", 2.4, lambda u: Moves(roll=15.0 * _both_ways(u))),
    Act("blinks", 0.6, lambda u: Moves(shut=(_swing(u, 1, 3),) * 2)),
    Act("looks with its eyes to its right, then to its left, then up and down", 3.2, lambda u: Moves(gaze=(
        20.0 * (_swing(u, 0, 4) - _swing(u, 1, 4)), 15.0 * (_swing(u, 2, 4) - _swing(u, 3, 4))))),
    Act("winks with its left eye, then with its right", 1.6, lambda u: Moves(shut=(_swing(u, 3, 4), _swing(u, 1, 4)))),
    Act("opens its mouth twice", 1.6, lambda u: Moves(shapes={"jawOpen": 0.8 * max(_swing(u, 0, 2), _swing(u, 1, 2))})),
    Act("smiles, then raises its brows", 2.4, lambda u: Moves(shapes=dict(
        _sides("mouthSmile", 0.9 * _swing(u, 0, 2)), browInnerUp=0.9 * _swing(u, 1, 2),
        **_sides("browOuterUp", 0.9 * _swing(u, 1, 2))))),
    Act("moves to its right, up, then nearer", 2.4, lambda u: Moves(
        right_mm=60.0 * _swing(u, 0, 3), up_mm=40.0 * _swing(u, 1, 3), nearer_mm=150.0 * _swing(u, 2, 3))),
    Act("is gone for a second", 1.0, lambda u: Moves(there=False)),
)
CYCLE_S = sum(act.lasts_s for act in ACTS)


def act_at(time_s: float) -> Tuple[Act, float]:
    """What it does, and how far it is with it, 0..1; after the last act it begins again."""
    left = time_s % CYCLE_S
    for act in ACTS:
        if left < act.lasts_s:
            return act, left / act.lasts_s
        left -= act.lasts_s
    return ACTS[0], 0.0


class MovingFace:
    """Its packets, one after the other. Two of them give the same ones but for the clock."""

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        with open(TABLE, encoding="utf-8") as f:
            self._rest = np.array(json.load(f)["points"], np.float64).reshape(-1, 3) / 10.0  # mm, head axes
        self._lips = _lip_weights(self._rest)
        self._picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        self._picture.flags.writeable = False
        self._frame = self._id = self._track = 0
        self._was_there = False
        self._shut_since: Dict[str, Optional[float]] = {"right": None, "left": None}

    def packet(self, captured_at: float) -> Packet:
        """The next one; `captured_at` on the monotonic clock."""
        time_s = self._frame / self._rate
        act, u = act_at(time_s)
        moves = act.at(u)
        if moves.there and not self._was_there:
            self._track += 1
        self._was_there = moves.there
        faces = (self._face(moves),) if moves.there else ()
        packet = Packet(Frame(self._frame, captured_at, time_s, self._picture), faces, (), tuple(self._blinks(moves, time_s)))
        self._frame += 1
        return packet

    def _blinks(self, moves: Moves, time_s: float) -> List[Event]:
        """Those that are over."""
        over: Dict[str, float] = {}
        for side, shut in zip(Eyes._fields, moves.shut):
            since = self._shut_since[side]
            if shut > 0.3:
                self._shut_since[side] = time_s if since is None else since
            elif since is not None:
                over[side], self._shut_since[side] = since, None
        if not over:
            return []
        self._id += 1
        side = "both" if len(over) == 2 else next(iter(over))
        return [Event("blink", self._id, END, self._track, min(over.values()), time_s, 1.0, {"side": side, "closure": 1.0})]

    def _face(self, moves: Moves) -> Face:
        rotation = from_angles(moves.yaw, moves.pitch, moves.roll)
        place = np.array([-moves.right_mm, -moves.up_mm, DISTANCE_MM - moves.nearer_mm])

        def seen(points: np.ndarray) -> np.ndarray:
            """(N, 3) mm of the head -> pixels, and z in their scale, 0 at the head's origin."""
            c = points.dot((FLIP.dot(rotation)).T) + place
            flat = FOCAL * c[:, :2] / c[:, 2:] + (0.5 * WIDTH - 0.5, 0.5 * HEIGHT - 0.5)
            return np.column_stack([flat, (c[:, 2] - place[2]) * FOCAL / place[2]])

        points = self._shape(moves)
        mesh = seen(points)
        x0, y0, x1, y1 = (float(v) for v in np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)]))
        irises = Eyes(*(self._iris(points, ring, shut, moves.gaze, seen)
                        for ring, shut in zip((RIGHT_EYE, LEFT_EYE), moves.shut)))
        contours = Eyes(*(seen(_contour(points, ring, brow))[:, :2]
                          for ring, brow in ((RIGHT_EYE, RIGHT_BROW), (LEFT_EYE, LEFT_BROW))))
        sight = tuple(moves.gaze if iris is not None else None for iris in irises)
        gaze = None if sight == (None, None) else Gaze(
            moves.gaze, sight[0], sight[1], FLIP.dot(rotation).dot(_direction(moves.gaze)))
        lost = {} if gaze is not None else {"iris": "both eyes closed", "gaze": "both eyes closed"}
        return Face(self._track, Roi(0.5 * (x0 + x1), 0.5 * (y0 + y1), 1.5 * (y1 - y0), 0.0), 1.0, (x0, y0, x1, y1), mesh,
                    Pose(rotation, place, 0.0), irises if gaze is not None else None, contours, gaze, _expression(moves), lost)

    def _shape(self, moves: Moves) -> np.ndarray:
        """(468, 3) mm of the head, with what the face does."""
        points, shapes = self._rest.copy(), moves.shapes
        points[:, 1] += self._lips * (MOUTH_MM - JAW_MM * shapes.get("jawOpen", 0.0))
        for corner, side in ((OUTER_LIPS[0], "Right"), (OUTER_LIPS[10], "Left")):
            smile = SMILE_MM * shapes.get("mouthSmile" + side, 0.0)
            outward = math.copysign(1.0, self._rest[corner, 0])
            points += np.outer(_around(self._rest, (corner,)), (outward * smile, smile, 0.0))
        for brow, side in ((RIGHT_BROW, "Right"), (LEFT_BROW, "Left")):
            points[:, 1] += BROW_MM * shapes.get("browOuterUp" + side, 0.0) * _around(self._rest, brow)
        for ring, shut in zip((RIGHT_EYE, LEFT_EYE), moves.shut):
            for upper, lower in zip(ring[9:], reversed(ring[1:8])):
                points[upper] += LID_SHUT * shut * (points[lower] - points[upper])
        return points

    def _iris(self, points: np.ndarray, ring: Sequence[int], shut: float, gaze: Point,
              seen: Callable[[np.ndarray], np.ndarray]) -> Optional[Iris]:
        if shut > 0.6:
            return None
        middle = 0.5 * (self._rest[ring[0]] + self._rest[ring[8]]) - (0.0, 0.0, BEHIND_MM)
        found = seen((middle + EYEBALL_MM * _direction(gaze))[None])[0]
        return Iris(found[:2], LIMBUS_MM * FOCAL / DISTANCE_MM, 1.0)


def _direction(gaze: Point) -> np.ndarray:
    """Unit vector of the head frame."""
    yaw, pitch = (math.radians(angle) for angle in gaze)
    return np.array([-math.cos(pitch) * math.sin(yaw), math.sin(pitch), math.cos(pitch) * math.cos(yaw)])


def _around(points: np.ndarray, centres: Sequence[int]) -> np.ndarray:
    """(468,) 1 at the centres, falling to 0 around them."""
    apart = np.min([((points - points[centre]) ** 2).sum(1) for centre in centres], axis=0)
    return np.exp(-apart / (2.0 * NEAR_MM ** 2))


def _lip_weights(points: np.ndarray) -> np.ndarray:
    """(468,) how far each point goes with the jaw: the lower lip less toward the corners, the chin wholly."""
    line = 0.5 * (points[OUTER_LIPS[0], 1] + points[OUTER_LIPS[10], 1])
    weights = np.clip((line - 12.0 - points[:, 1]) / 15.0, 0.0, 1.0)
    for ring in (INNER_LIPS, OUTER_LIPS):
        weights[list(ring)] = 0.0
        weights[list(ring[1:10])] = np.sin(np.pi * np.arange(1, 10) / 10.0)
    return weights


def _contour(points: np.ndarray, ring: Sequence[int], brow: Sequence[int]) -> np.ndarray:
    """(71, 3): the lids' opening, three rings of skin around it, the brow."""
    opening = points[list(ring)]
    middle = opening.mean(0)
    rings: List[Any] = [middle + grown * (opening - middle) for grown in (1.0, 1.3, 1.6, 2.0)]
    ends = points[list(brow)]
    return np.concatenate(rings + [ends, 0.5 * (ends[:2] + ends[1:3])])


def _expression(moves: Moves) -> Dict[str, float]:
    shapes = {name: 0.0 for name in SHAPES}
    shapes.update(moves.shapes)
    yaw, pitch = (angle / LOOK_DEG for angle in moves.gaze)
    for side, shut, outward in (("Right", moves.shut[0], yaw), ("Left", moves.shut[1], -yaw)):
        shapes["eyeBlink" + side] = shut
        for name, value in (("Up", pitch), ("Down", -pitch), ("Out", outward), ("In", -outward)):
            shapes["eyeLook" + name + side] = max(0.0, value)
    return dict(shapes, eye_open_right=1.0 - moves.shut[0], eye_open_left=1.0 - moves.shut[1],
                mouth_open=moves.shapes.get("jawOpen", 0.0))
