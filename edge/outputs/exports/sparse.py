"""The 68 points of each face over the picture, joined along jaw, brows, nose, eyes and lips, as 3DDFA_V2's `2d_sparse`."""
import cv2
import numpy as np

from edge.core.contracts import Output
from edge.core.packet import Packet
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.pictures.overlay import SHIFT, finite, fixed, unit_of
from edge.outputs.pictures.painter import Painter
from edge.outputs.pictures.target import output_of

JAW, RIGHT_BROW, LEFT_BROW, BRIDGE, NOSTRILS = range(0, 17), range(17, 22), range(22, 27), range(27, 31), range(31, 36)
RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS = range(36, 42), range(42, 48), range(48, 60), range(60, 68)
OPEN = (JAW, RIGHT_BROW, LEFT_BROW, BRIDGE, NOSTRILS)
CLOSED = (RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS)
LINE, DOT, RIM = (236, 238, 230), (90, 224, 118), (34, 44, 30)  # blue, green, red
USUAL_PX = 280.0  # size of a face whose lines are as thick as those of the picture


class Sparse(Painter):
    """The frame with the points of each face, or of the first one."""

    def __init__(self, mirror: bool, first: bool) -> None:
        self._mirror, self._first = mirror, first

    def paint(self, packet: Packet) -> np.ndarray:
        canvas = packet.frame.image.copy()
        unit = unit_of(canvas.shape[1], canvas.shape[0])
        faces = packet.faces[:1 if self._first else None]
        for points in [face.landmarks68 for face in faces]:
            if points is not None and finite(points):
                draw_points(canvas, points, unit)
        return cv2.flip(canvas, 1) if self._mirror else canvas


def draw_points(canvas: np.ndarray, points: np.ndarray, unit: float) -> None:
    """In place, (68, 2) pixels. Lines lie half through on the picture, the dots on them have a dark rim: so both are seen on
    any skin."""
    scale = min(2.0 * unit, max(0.4 * unit, float(np.ptp(points, axis=0).max()) / USUAL_PX))
    height, width = canvas.shape[:2]
    low, high = points.min(axis=0) - 4.0 * scale - 2.0, points.max(axis=0) + 4.0 * scale + 3.0
    (x0, y0), (x1, y1) = (np.clip(end, 0, (width, height)).astype(int) for end in (low, high))
    if x0 >= x1 or y0 >= y1:
        return
    part = canvas[y0:y1, x0:x1]
    drawn = part.copy()
    inside = points - (x0, y0)
    for closed, lines in ((False, OPEN), (True, CLOSED)):
        cv2.polylines(drawn, [fixed(inside[list(line)]) for line in lines], closed, LINE, max(1, int(round(1.4 * scale))),
                      cv2.LINE_AA, SHIFT)
    part[...] = cv2.addWeighted(drawn, 0.6, part, 0.4, 0.0)
    for radius, colour in ((3.1 * scale, RIM), (2.3 * scale, DOT)):
        size = max(1, int(round(radius * (1 << SHIFT))))
        for x, y in fixed(inside).tolist():
            cv2.circle(part, (x, y), size, colour, -1, cv2.LINE_AA, SHIFT)


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    keys = spec.keys
    output = output_of(spec, options, Sparse(options.mirror, keys.get("faces") == "first"))
    output.landmarks68 = True
    return output
