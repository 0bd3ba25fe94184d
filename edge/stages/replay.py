"""In the place of all stages, where the source is a recorded run: what was found in a frame then."""
from typing import AbstractSet, Dict, Optional, Tuple

from edge.core import records
from edge.core.contracts import Stage
from edge.core.packet import END, START, Event, Eyes, Face, Gaze, Packet, Pose, Roi
from edge.core.roles import REPLAY

UNKNOWN = (0.0, 0.0, 0.0, 0.0)  # the box of a face that was recorded without one


class Replayed(Stage):
    """Fills in every field, and tells the events."""

    name = REPLAY
    fills = Face._fields
    neutral = None  # no profile is used anew

    def __init__(self, coarse: AbstractSet[str] = frozenset()) -> None:
        """`coarse`: the shapes that the points told roughly when it was recorded."""
        self.coarse = coarse
        self._open: Dict[int, Event] = {}  # by their id
        self._time_s = 0.0

    def process(self, packet: Packet) -> Optional[Packet]:
        recorded = packet.frame.recorded
        self._time_s = packet.frame.time_s
        for event in recorded.events:
            if event.phase == START:
                self._open[event.id] = event
            else:
                self._open.pop(event.id, None)
        return packet._replace(faces=tuple(map(face_of, recorded.faces)), events=recorded.events)

    def last_events(self) -> Tuple[Event, ...]:
        """The ends, marked as cut, of what goes on in the recording after the last frame that was replayed."""
        ends = tuple(event._replace(phase=END, end_s=max(event.start_s, self._time_s), values=dict(event.values, cut=True))
                     for event in self._open.values())
        self._open = {}
        return ends


def face_of(told: records.Face) -> Face:
    """As a stage would have left it; for drawing."""
    box = told.box or UNKNOWN
    roi = Roi((box[0] + box[2]) / 2.0, (box[1] + box[3]) / 2.0, max(box[2] - box[0], box[3] - box[1]), 0.0)
    pose = told.pose and Pose(told.pose.rotation, told.pose.translation_mm, told.pose.residual_px)
    gaze = told.gaze and Gaze((told.gaze.yaw, told.gaze.pitch), *_each(told.gaze), direction=told.gaze.direction)
    score = float("nan") if told.score is None else told.score
    return Face(told.id, roi, score, box, told.landmarks, pose, told.irises, told.eye_contours, gaze, told.expression,
                told.missing, landmarks68=told.landmarks68)


def _each(gaze: records.Gaze) -> Eyes:
    return Eyes(*(None if look is None else (look.yaw, look.pitch) for look in (gaze.right, gaze.left)))
