"""How heads are turned: around each a box that widens toward where the face looks, and its angles."""
from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edge.core.contracts import Output
from edge.core.packet import Face, Packet
from edge.face import mesh
from edge.geometry.camera import Camera, CameraGuess, from_fov
from edge.geometry.rotation import FLIP, angles
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.pictures import text
from edge.outputs.pictures.overlay import SHIFT, finite, fixed, unit_of
from edge.outputs.pictures.painter import Painter
from edge.outputs.pictures.target import output_of

# millimetres in the head frame: a square behind the face, and a larger one before it
BACK_MM, FRONT_MM = -40.0, 70.0
BACK_SIDE_MM, FRONT_SIDE_MM = 85.0, 113.0  # half of each
MIDDLE_MM = -5.0  # height of both
NEAREST_MM = 30.0  # before the lens: what comes nearer is not drawn
PIECES = 12  # of a line: lenses bend it, and it may end at the lens
USUAL_MM = 160.0  # width of a face, where no camera tells how far it is
SIDE, FRONT = (212, 180, 60), (90, 200, 255)  # blue, green, red
WHITE, GREY, INK = (250, 250, 250), (178, 176, 172), (28, 24, 22)
NAMES = ("yaw", "pitch", "roll")
Plate = Tuple[int, int, int, int]  # left, top, right, foot


class Edge(NamedTuple):
    """Of the box: from corner to corner, how heavily, and its colour."""

    start: int
    end: int
    weight: float
    colour: text.Colour


CORNERS = np.array([(x * half, MIDDLE_MM + y * half, z) for half, z in ((BACK_SIDE_MM, BACK_MM), (FRONT_SIDE_MM, FRONT_MM))
                    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
EDGES = [Edge(i, (i + 1) % 4, 1.3, SIDE) for i in range(4)] + [Edge(i, i + 4, 1.3, SIDE) for i in range(4)] + [
    Edge(4 + i, 4 + (i + 1) % 4, 2.2, FRONT) for i in range(4)]


class PoseBox(Painter):
    """The frame with a box for each face, or for the first one."""

    def __init__(self, options: OutputOptions, first: bool = False) -> None:
        self._mirror, self._first, self._camera_of = options.mirror, first, options.camera
        self._camera: Optional[CameraGuess] = None

    def paint(self, packet: Packet) -> np.ndarray:
        canvas = packet.frame.image.copy()
        height, width = canvas.shape[:2]
        if self._camera is None and self._camera_of is not None:
            self._camera = self._camera_of()
        camera = from_fov(width, height, 60.0) if self._camera is None else self._camera.of_size(width, height)
        unit = unit_of(width, height)
        faces = [face for face in packet.faces[:1 if self._first else None]
                 if face.pose is not None and finite(face.pose.rotation) and finite(face.box)]
        for face in sorted(faces, key=lambda face: face.box[2] - face.box[0]):  # the nearest one last
            draw_box(canvas, face, camera, unit)
        if self._mirror:
            canvas = cv2.flip(canvas, 1)
        plates: List[Plate] = []
        for face in faces:
            plates.append(_label(canvas, face, self._mirror, float(round(max(6.0, 7.0 * unit))), plates))
        return canvas


def draw_box(canvas: np.ndarray, face: Face, camera: Camera, unit: float) -> None:
    """In place; the parts that lie farther away first."""
    share = np.linspace(0.0, 1.0, PIECES + 1)[:, None]
    whole, depth = seen_at(face, camera, CORNERS)
    weight = min(2.0 * unit, max(0.6 * unit, (face.box[2] - face.box[0]) / 220.0))
    for edge in sorted(EDGES, key=lambda edge: -depth[edge.start] - depth[edge.end]):
        start, end = CORNERS[edge.start], CORNERS[edge.end]
        points, depths = seen_at(face, camera, start + share * (end - start))
        chain = points[depths > NEAREST_MM]
        if len(chain) > 1:
            cv2.polylines(canvas, [fixed(chain)], False, edge.colour, max(1, int(round(edge.weight * weight))), cv2.LINE_AA,
                          SHIFT)
    if (depth[4:] > NEAREST_MM).all():
        _tint(canvas, whole[4:])


def seen_at(face: Face, camera: Camera, points_mm: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """(N, 2) pixels of (N, 3) points in the head frame, and how far they are before the lens, millimetres; of a pose without
    a place as from afar, around the middle of the face."""
    assert face.pose is not None
    rotation, place = np.asarray(face.pose.rotation, np.float64), face.pose.translation_mm
    turned = points_mm.dot(FLIP.dot(rotation).T)
    if place is None or not finite(place):
        x0, y0, x1, y1 = face.box
        nose = np.array([x0 + x1, y0 + y1]) / 2.0 if face.landmarks is None else face.landmarks[mesh.NOSE_TIP, :2]
        return nose + turned[:, :2] * max(x1 - x0, y1 - y0) / USUAL_MM, turned[:, 2] + 1000.0
    in_camera = turned + place
    before = np.maximum(in_camera[:, 2:], 1.0)
    lens = np.array(camera.distortion) if any(camera.distortion) else None
    pixels, _ = cv2.projectPoints(np.concatenate([in_camera[:, :2], before], axis=1), np.zeros(3), np.zeros(3),
                                  camera.matrix(), lens)
    return pixels.reshape(-1, 2), in_camera[:, 2]


def _tint(canvas: np.ndarray, corners: np.ndarray) -> None:
    """The front of the box, faintly."""
    height, width = canvas.shape[:2]
    (x0, y0), (x1, y1) = (np.clip(found, 0, (width, height)).astype(int)
                          for found in (np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1))
    if x0 < x1 and y0 < y1:
        part = canvas[y0:y1, x0:x1]
        drawn = part.copy()
        cv2.fillConvexPoly(drawn, fixed(corners - (x0, y0)), FRONT, cv2.LINE_AA, SHIFT)
        part[...] = cv2.addWeighted(drawn, 0.14, part, 0.86, 0.0)


def _label(canvas: np.ndarray, face: Face, mirror: bool, cap: float, taken: List[Plate]) -> Plate:
    """The angles beside the face, where there is room for them between those of `taken`; where they are now."""
    assert face.pose is not None
    degrees = ["{:+.1f}".format(angle) for angle in angles(np.asarray(face.pose.rotation, np.float64))]
    pitch, gap = int(round(1.9 * cap)), int(round(0.8 * cap))
    names, numbers = (max(text.width_of(word, cap) for word in column) for column in (NAMES, degrees))
    width, height = 3 * gap + names + numbers, 3 * pitch + gap
    x0, y0, x1, y1 = (int(round(side)) for side in face.box)
    if mirror:
        x0, x1 = canvas.shape[1] - 1 - x1, canvas.shape[1] - 1 - x0
    most_x, most_y = max(0, canvas.shape[1] - width), max(0, canvas.shape[0] - height)
    places = [(x1 + gap, y0), (x0 - gap - width, y0), (x1 + gap, y1 - height), (x0 - gap - width, y1 - height),
              ((x0 + x1 - width) // 2, y1 + gap), ((x0 + x1 - width) // 2, y0 - gap - height)]
    free = [(x, y) for x, y in places if 0 <= x <= most_x and 0 <= y <= most_y
            and not any(x < right and left < x + width and y < foot and top < y + height for left, top, right, foot in taken)]
    left, top = free[0] if free else (min(max(places[0][0], 0), most_x), min(max(places[0][1], 0), most_y))
    text.plate(canvas, (left, top, left + width, top + height), gap, INK, 0.66)
    for row, (name, number) in enumerate(zip(NAMES, degrees)):
        foot = top + int(round(1.6 * cap)) + pitch * row
        text.put(canvas, name, (left + gap, foot), cap, GREY)
        text.put(canvas, number, (left + width - gap - text.width_of(number, cap), foot), cap, WHITE)
    return left, top, left + width, top + height


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return output_of(spec, options, PoseBox(options, spec.keys.get("faces") == "first"))
