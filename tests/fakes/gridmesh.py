"""A surface of 468 points in the place of the canonical face, and a slow rasteriser to hold that of the exports against."""
import math

import numpy as np

from edge.core.packet import Face, Frame, Packet, Roi
from edge.outputs.exports import surface
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.spec import parse_output
from edge.store.canonical import CanonicalMesh

ROWS, COLUMNS = 26, 18
OPTIONS = OutputOptions(landmarks=False, mirror=False, blocking=True, fps=lambda: 30.0)


def grid_mesh():
    """A bent sheet, 18 x 26 points, as the canonical face lies: x right, y up, z toward the viewer, millimetres."""
    row, column = (axis.ravel() for axis in np.mgrid[0:ROWS, 0:COLUMNS])
    u, v = column / (COLUMNS - 1.0), 1.0 - row / (ROWS - 1.0)
    x, y = 140.0 * (u - 0.5), 180.0 * (v - 0.5)
    points = np.column_stack([x, y, 60.0 - 0.008 * x * x - 0.004 * y * y])
    at = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = (part.ravel() for part in (at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]))
    triangles = np.vstack([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    return CanonicalMesh(points.astype(np.float32), np.column_stack([u, v]).astype(np.float32), triangles.astype(np.int32))


MESH = grid_mesh()


def install(monkeypatch):
    monkeypatch.setattr(surface, "read_mesh", lambda home: MESH)


def landmarks(cx, cy, scale=0.5, yaw_deg=20.0):
    """(468, 3) as a face has them: y down, smaller z = nearer."""
    turn = math.radians(yaw_deg)
    x, y, z = (scale * MESH.points.astype(np.float64)).T
    x, z = x * math.cos(turn) + z * math.sin(turn), z * math.cos(turn) - x * math.sin(turn)
    return np.round(np.column_stack([cx + x, cy - y, -z]), 2)  # as records tell them


def face(points, track_id=1):
    return Face(track_id, Roi(80.0, 60.0, 90.0, 0.0), 0.9, (50.0, 30.0, 110.0, 90.0), points)


def packet(faces, image, seq=0, file="", recorded=None):
    return Packet(Frame(seq, 10.0 + seq / 30.0, seq / 30.0, image, file, recorded), tuple(faces))


def written(text, *packets):
    output = make_output(parse_output(text), OPTIONS)
    output.open()
    try:
        for item in packets:
            output.emit(item)
    finally:
        output.close()


def rasterised(points, triangles, colours, canvas):
    """The canvas with the triangles drawn into it, pixel by pixel: `points` (N, 3) with larger z = nearer, colours (N, C)
    0..1. A pixel whose weights are all at least 0 is inside; the nearest wins, of equals the first; values are cut to whole
    ones."""
    height, width = canvas.shape[:2]
    depth, drawn = np.full((height, width), -1e8), canvas.copy()
    for corners in triangles.tolist():
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = points[corners].tolist()
        whole = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
        if whole == 0:
            continue
        rows = range(max(0, math.ceil(min(ay, by, cy))), min(height - 1, math.floor(max(ay, by, cy))) + 1)
        columns = range(max(0, math.ceil(min(ax, bx, cx))), min(width - 1, math.floor(max(ax, bx, cx))) + 1)
        for y in rows:
            for x in columns:
                first = ((by - cy) * (x - cx) + (cx - bx) * (y - cy)) / whole
                second = ((cy - ay) * (x - cx) + (ax - cx) * (y - cy)) / whole
                weights = (first, second, 1.0 - first - second)
                near = weights[0] * az + weights[1] * bz + weights[2] * cz
                if min(weights) >= 0 and near > depth[y, x]:
                    depth[y, x] = near
                    drawn[y, x] = np.clip(255.0 * np.dot(weights, colours[corners]), 0, 255)
    return drawn
