"""What was found, drawn on a copy of the picture: mesh, contours, irises, head axes, lines of sight, box, stage times.

Everything that is measured is drawn in frame pixels first; then the picture is flipped where a mirror is wanted; then
come the texts, so that they stay readable. Lines and letters follow the size of the picture, 320x240 to 1920x1080.
"""
import math
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from edge.core.packet import Eyes, Face, Packet
from edge.core.roles import DOTS
from edge.face import mesh
from edge.geometry.rotation import FLIP, angles
from edge.outputs.kinds import OutputOptions
from edge.outputs.pictures import text
from edge.outputs.pictures.painter import Painter
from edge.outputs.pictures.shapepanel import Recent, draw_events, draw_shapes
from edge.outputs.pictures.stagetimes import FrameRate, StageTime, SteadyTimes, draw_panel, draw_rate, of_packet

SHIFT = 4  # OpenCV's fixed-point coordinates: sixteenths of a pixel
FAR = 20000.0  # pixels; what lies further out is drawn there, before it overflows
WHITE, INK = (250, 250, 250), (28, 24, 22)  # blue, green, red, as all colours here
MESH, LINE = (236, 240, 232), (214, 226, 128)
AXES = ((84, 84, 240), (112, 205, 92), (246, 152, 72))  # x red, y green, z blue
DOT = (96, 232, 120)
IRIS, SIGHT = (255, 255, 255), (64, 190, 255)


class Style(NamedTuple):
    """What is drawn, apart from the faces."""

    mirror: bool = False  # flip the picture and the drawing, not the texts
    stage_times: bool = True  # the panel
    shapes: bool = False  # those of the first face, as bars
    events: bool = False  # those of the last second
    dots: bool = False  # every point alone; `stage_times` is the time of the networks, and the rate


def style_of(options: OutputOptions) -> Style:
    return Style(options.mirror, options.draw_times, options.shapes, options.events, options.style == DOTS)


class Overlay(Painter):
    """The annotated frame."""

    def __init__(self, style: Style = Style()) -> None:
        self._style, self._times, self._told, self._rate = style, SteadyTimes(), Recent(), FrameRate()
        self.shapes, self.events = style.shapes, style.events

    def see(self, packet: Packet) -> None:
        self._times.update(packet)
        self._told.update(packet)
        self._rate.update(packet)

    def paint(self, packet: Packet) -> np.ndarray:
        return draw(packet, self._style, self._times.means(packet), self._told.lines(), self._rate.fps)


class _Pen(NamedTuple):
    """Where and how heavily one face is drawn."""

    canvas: np.ndarray
    unit: float  # about 1 for a face that fills a 640x480 picture well
    size: float  # longer side of the face's box, pixels

    def width(self, weight: float) -> int:
        return max(1, int(round(self.unit * weight)))


def draw(packet: Packet, style: Style = Style(), times: Optional[Sequence[StageTime]] = None,
         told: Sequence[str] = (), fps: Optional[float] = None) -> np.ndarray:
    """A new (H, W, 3) picture; the packet's own is not touched. `times` in the panel instead of this one packet's; `told`
    are lines of events."""
    canvas = packet.frame.image.copy()
    height, width = canvas.shape[:2]
    unit = unit_of(width, height)
    faces = [face for face in packet.faces if finite(face.box)]
    for face in faces:
        (_draw_points if style.dots else _draw_face)(canvas, face, unit)
    if style.mirror:
        canvas = cv2.flip(canvas, 1)
    times = of_packet(packet) if times is None else times
    if style.stage_times and style.dots:
        draw_rate(canvas, times, fps, unit)
    elif style.stage_times:
        draw_panel(canvas, times, unit)
    for face in [] if style.dots else faces:
        _label(canvas, face, unit, style.mirror)
    if style.shapes and faces:
        draw_shapes(canvas, faces[0].expression or {}, unit, style.mirror)
    if style.events:
        draw_events(canvas, told, unit)
    return canvas


def unit_of(width: int, height: int) -> float:
    """How large what is drawn is: 1 in a picture of 640x480."""
    return max(0.5, min(height, width * 0.75) / 480.0)


def finite(values: Any) -> bool:
    return bool(np.isfinite(np.asarray(values, np.float64)).all())


def fixed(points: np.ndarray) -> np.ndarray:
    """(N, 2) pixels as OpenCV's fixed-point numbers."""
    return np.rint(np.clip(points, -FAR, FAR) * (1 << SHIFT)).astype(np.int32)


def _draw_face(canvas: np.ndarray, face: Face, unit: float) -> None:
    x0, y0, x1, y1 = face.box
    size = max(x1 - x0, y1 - y0, 1.0)
    pen = _Pen(canvas, min(2.0 * unit, max(0.4 * unit, size / 280.0)), size)
    landmarks = None
    if face.landmarks is not None and finite(face.landmarks):
        landmarks = np.clip(face.landmarks, -FAR, FAR)
        _draw_mesh(pen, landmarks)
    _draw_corners(pen, face.box)
    if face.pose is not None and finite(face.pose.rotation):
        origin = landmarks[mesh.NOSE_TIP, :2] if landmarks is not None else np.array([x0 + x1, y0 + y1]) / 2.0
        _draw_axes(pen, origin, np.asarray(face.pose.rotation, np.float64))
    _draw_eyes(pen, face, landmarks)


def _draw_points(canvas: np.ndarray, face: Face, unit: float) -> None:
    """Each a dot, all alike."""
    x0, y0, x1, y1 = face.box
    if face.landmarks is not None and finite(face.landmarks):
        radius = min(1.6 * unit, max(0.55, max(x1 - x0, y1 - y0) / 220.0))
        points = np.clip(face.landmarks[:, :2], -FAR, FAR)
        _dots(canvas, points, radius, np.ones(len(points)), DOT)


def _draw_mesh(pen: _Pen, landmarks: np.ndarray) -> None:
    """Dots, the nearer the brighter, under fine lines."""
    nearness = 0.55 - landmarks[:, 2] / pen.size
    _dots(pen.canvas, landmarks[:, :2], max(0.6, 0.95 * pen.unit), np.clip(nearness, 0.25, 0.8), MESH)
    lines = (((mesh.FACE_OVAL,), True, 0.55), (mesh.CLOSED, True, 0.85), (mesh.OPEN, False, 0.7))
    for paths, closed, opacity in lines:
        _fine_lines(pen, [landmarks[list(path), :2] for path in paths], closed, opacity)


def _fine_lines(pen: _Pen, chains: List[np.ndarray], closed: bool, opacity: float) -> None:
    """Translucent lines through (N, 2) points: OpenCV's thinnest, of one pixel, is too much for a small face."""
    every = np.concatenate(chains)
    height, width = pen.canvas.shape[:2]
    x0, y0 = np.clip(np.floor(every.min(axis=0)) - 4, 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(every.max(axis=0)) + 5, 0, (width, height)).astype(int)
    if x0 >= x1 or y0 >= y1:
        return
    part = pen.canvas[y0:y1, x0:x1]
    drawn = part.copy()
    inside = [fixed(chain - (x0, y0)) for chain in chains]
    cv2.polylines(drawn, inside, closed, LINE, pen.width(1.0), cv2.LINE_AA, SHIFT)
    part[...] = cv2.addWeighted(drawn, opacity, part, 1.0 - opacity, 0.0)


def _dots(canvas: np.ndarray, points: np.ndarray, radius: float, opacity: np.ndarray, colour: text.Colour) -> None:
    """Round dots at (N, 2) points with (N,) opacities, placed to a fraction of a pixel.

    All dots at once, pixel by pixel of a dot: OpenCV's circles of this size are crosses, and a call for each is slow.
    """
    reach = int(math.ceil(radius + 0.5))
    height, width = canvas.shape[:2]
    nearest = np.rint(points).astype(np.int64)
    inside = ((nearest >= reach) & (nearest < (width - reach, height - reach))).all(axis=1)
    nearest, offset, opacity = nearest[inside], (points - np.rint(points))[inside], opacity[inside]
    ink = np.array(colour, np.float64)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            distance = np.hypot(offset[:, 0] - dx, offset[:, 1] - dy)
            cover = (np.clip(radius + 0.5 - distance, 0.0, 1.0) * opacity)[:, None]
            x, y = nearest[:, 0] + dx, nearest[:, 1] + dy
            below = canvas[y, x]
            canvas[y, x] = (below + cover * (ink - below) + 0.5).astype(np.uint8)


def _draw_corners(pen: _Pen, box: Tuple[float, float, float, float]) -> None:
    """Only the corners of the box: the face stays free."""
    x0, y0, x1, y1 = box
    arm = 0.11 * min(x1 - x0, y1 - y0)
    chains = []
    for x, inward_x in ((x0, arm), (x1, -arm)):
        for y, inward_y in ((y0, arm), (y1, -arm)):
            chains.append(fixed(np.array([[x + inward_x, y], [x, y], [x, y + inward_y]])))
    cv2.polylines(pen.canvas, chains, False, WHITE, pen.width(1.1), cv2.LINE_AA, SHIFT)


def _draw_axes(pen: _Pen, origin: np.ndarray, rotation: np.ndarray) -> None:
    """The head's axes as they are seen from afar (no perspective); the one that points away is drawn first."""
    seen = FLIP.dot(rotation)  # column i: axis i in the camera frame
    for i in sorted(range(3), key=lambda k: -seen[2, k]):
        _arm(pen, origin, origin + seen[:2, i] * 0.4 * pen.size, AXES[i], 1.8)


def _arm(pen: _Pen, start: np.ndarray, end: np.ndarray, colour: text.Colour, weight: float) -> None:
    """A line that ends in a disc, so that it shows its end also where it points at the viewer."""
    chain = [fixed(np.stack([start, end]))]
    cv2.polylines(pen.canvas, chain, False, colour, pen.width(weight), cv2.LINE_AA, SHIFT)
    cv2.fillPoly(pen.canvas, [fixed(_circle(end, max(1.5, 1.5 * weight * pen.unit)))], colour, cv2.LINE_AA, SHIFT)


def _circle(center: np.ndarray, radius: float) -> np.ndarray:
    """(N, 2) points around a circle."""
    turn = np.linspace(0.0, 2.0 * math.pi, 40, endpoint=False)
    return np.asarray(center, np.float64)[:2] + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _draw_eyes(pen: _Pen, face: Face, landmarks: Optional[np.ndarray]) -> None:
    irises = [iris for iris in face.irises or () if iris is not None and finite([*iris.center, iris.radius])]
    circles = [fixed(_circle(iris.center, iris.radius)) for iris in irises if iris.radius > 0]
    if circles:
        cv2.polylines(pen.canvas, circles, True, IRIS, pen.width(1.0), cv2.LINE_AA, SHIFT)
    if face.gaze is None or not finite(face.gaze.direction):
        return
    toward = np.asarray(face.gaze.direction, np.float64)[:2] * 0.9 * pen.size
    for start in _gazing(face, landmarks):
        _arm(pen, start, start + toward, SIGHT, 1.2)


def _gazing(face: Face, landmarks: Optional[np.ndarray]) -> List[np.ndarray]:
    """Where the line of sight of each eye that took part in the gaze begins: at its iris, else between its corners."""
    starts = []
    each = Eyes(None, None) if face.gaze is None else Eyes(face.gaze.right, face.gaze.left)
    for turned, iris, corners in zip(each, face.irises or (None, None), mesh.EYE_CORNERS):
        if turned is not None and iris is not None and finite(iris.center):
            starts.append(np.asarray(iris.center, np.float64)[:2])
        elif turned is not None and landmarks is not None:
            starts.append(landmarks[list(corners), :2].mean(axis=0))
    return starts


def _label(canvas: np.ndarray, face: Face, unit: float, mirror: bool) -> None:
    """Number and score above the box, the head's angles below it where there is room for them."""
    x0, y0, x1, y1 = face.box
    if mirror:
        x0, x1 = canvas.shape[1] - 1 - x1, canvas.shape[1] - 1 - x0
    cap = float(round(max(6.0, min(8.0 * unit, max(0.06 * (x1 - x0), 5.0 * unit)))))  # whole: letters must keep their size
    score = "  {:.2f}".format(face.score) if math.isfinite(face.score) else ""
    text.tag(canvas, "{}{}".format(face.track_id, score), (x0, y0 - 2.6 * cap), cap, (WHITE, INK))
    if face.pose is None or not finite(face.pose.rotation):
        return
    degrees = [int(round(angle)) for angle in angles(np.asarray(face.pose.rotation, np.float64))]
    words, small = "yaw {:+d}  pitch {:+d}  roll {:+d}".format(*degrees), max(6.0, round(0.85 * cap))
    if x1 - x0 > 0.8 * text.width_of(words, small):
        text.tag(canvas, words, (x0, y1 + 0.7 * small), small, (WHITE, INK))
