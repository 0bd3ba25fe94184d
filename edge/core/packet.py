"""The packet that travels through the pipeline. Immutable: a stage returns a new one with its field filled in.

Axes, signs and units are those of the frame record: pixels x right, y down, the centre of the top-left pixel at (0, 0);
camera frame as in OpenCV, millimetres; head frame x to the subject's left, y up, z out of the face, millimetres.
"Right" and "left" are always the subject's.
"""
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np


class Frame(NamedTuple):
    """One picture. `image` is (H, W, 3) uint8 BGR and read-only; many threads look at it."""

    seq: int  # given at capture, from 0; a gap is a dropped frame
    captured_at: float  # seconds, monotonic clock
    time_s: float  # seconds since the first frame: presentation time of a file, captured_at of a camera
    image: np.ndarray
    file: str = ""  # of a picture: its path, as it was given or found
    recorded: Any = None  # of a replay: the edge.core.records.Recorded of this frame


class Roi(NamedTuple):
    """A rotated square of the frame: what a network looks at."""

    cx: float  # pixels
    cy: float
    size: float  # side, pixels
    angle: float  # radians, clockwise in the picture: the crop's x axis is (cos, sin) in frame pixels


class Pose(NamedTuple):
    """x_C = F R x_H + t with F = diag(1, -1, -1)."""

    rotation: np.ndarray  # (3, 3)
    translation_mm: Optional[np.ndarray]  # (3,), None where no camera is known
    residual_px: Optional[float]  # rms reprojection error, None where the pose was not fitted to points
    neutral: Optional[np.ndarray] = None  # (3, 3) rotation from the resting head of the profile in use


class Iris(NamedTuple):
    """The limbus, a circle in frame pixels."""

    center: np.ndarray  # (2,)
    radius: float
    score: float  # 0..1


class Gaze(NamedTuple):
    """Line of sight. Angles in degrees in the head frame, signs as for the head; (yaw, pitch)."""

    both: Tuple[float, float]
    right: Optional[Tuple[float, float]]
    left: Optional[Tuple[float, float]]
    direction: np.ndarray  # (3,) unit vector in the camera frame; (0, 0, -1) looks into the lens


class Eyes(NamedTuple):
    """One value for each of the subject's eyes; None where it is not known."""

    right: Any
    left: Any


POINTS, CONTOUR_POINTS = 468, 71  # of a face's landmarks, and of one eye's contour
IBUG_POINTS = 68
NOTHING_MISSING: Dict[str, str] = {}
LEFT_OUT = "left out to keep the rate"  # the reason of what was not looked at in this frame


class Face(NamedTuple):
    """What is known of one face; a field that a stage could not fill stays None and `missing` says why."""

    track_id: int
    roi: Roi
    score: float
    box: Tuple[float, float, float, float]  # x0, y0, x1, y1 pixels
    landmarks: Optional[np.ndarray] = None  # (468, 3) frame pixels; z in the same scale, smaller = nearer
    pose: Optional[Pose] = None
    irises: Optional[Eyes] = None  # of Iris
    eye_contours: Optional[Eyes] = None  # of (71, 2) frame pixels
    gaze: Optional[Gaze] = None
    expression: Optional[Mapping[str, float]] = None
    missing: Mapping[str, str] = NOTHING_MISSING  # quantity -> reason; never written to in place
    steady_corners: bool = True  # of the eyes' contours; False: they follow the iris
    landmarks68: Optional[np.ndarray] = None  # (68, 2) frame pixels in iBUG's order; measured where somebody asked

    def without(self, quantity: str, reason: str) -> "Face":
        """The same face, with the reason why `quantity` is not known."""
        missing = dict(self.missing)
        missing[quantity] = reason
        return self._replace(missing=missing)


class Span(NamedTuple):
    """When a stage got a packet, started on it and was done. Monotonic seconds."""

    stage: str
    queued_at: float
    started_at: float
    finished_at: float


class Event(NamedTuple):
    """That something began, or is over: a blink, a nod, a face that came. Times are those of `Frame.time_s`."""

    name: str
    id: int  # from 1; the end has that of its start
    phase: str  # START or END
    face: Optional[int]  # track id; None where it is not of one face
    start_s: float
    end_s: Optional[float]  # None in a start
    confidence: float  # 0..1
    values: Mapping[str, Any] = NOTHING_MISSING  # what is told of this kind alone, plain numbers and texts


class ToldEvent(Event):
    """One of a replay."""

    record: Mapping[str, Any] = NOTHING_MISSING  # as it was told


START, END = "start", "end"


class Packet(NamedTuple):
    """A frame, what is known of its faces, what each stage took, and what began or ended with this frame."""

    frame: Frame
    faces: Tuple[Face, ...] = ()
    spans: Tuple[Span, ...] = ()
    events: Tuple[Event, ...] = ()

    def with_faces(self, faces: Tuple[Face, ...]) -> "Packet":
        return self._replace(faces=tuple(faces))

    def with_span(self, span: Span) -> "Packet":
        return self._replace(spans=self.spans + (span,))

    def bare(self) -> "Packet":
        """Its events and the times of its frame alone: what may be kept, as it holds no picture."""
        seq, captured_at, time_s, _, file, _ = self.frame
        return Packet(Frame(seq, captured_at, time_s, NO_IMAGE, file), (), (), self.events)


NO_IMAGE = np.zeros((0, 0, 3), np.uint8)
