"""Pictures of a face's surface: how near each pixel is, which part of a face it is, its texture, a shaded head.

Several faces are painted one after the other, each with a depth buffer of its own: the later one lies on top.
"""
from typing import Optional

import numpy as np

from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.core.packet import Packet
from edge.outputs.exports.raster import Seen, seen
from edge.outputs.exports.surface import open_mesh, points_of
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.pictures.painter import Painter
from edge.outputs.pictures.target import output_of
from edge.store.canonical import CanonicalMesh

BLACK = "black"  # of the key `background`
TEXTURE, OPACITY = 256, 0.6  # pixels a side; of the shaded head
LIGHT = np.array([-0.38, -0.55, 0.75])  # toward it: x right, y down, z to the viewer
AMBIENT, DIFFUSE, GLOSS, SHARPNESS = 0.28, 0.68, 0.18, 16.0
CLAY = np.array([0.86, 0.90, 0.96])  # blue, green, red


class SurfacePainter(Painter):
    """Over the frame, or over black."""

    def __init__(self, spec: OutputSpec) -> None:
        self._spec = spec
        self._mesh: Optional[CanonicalMesh] = None

    @property
    def mesh(self) -> CanonicalMesh:
        if self._mesh is None:
            self._mesh = open_mesh(self._spec)
        return self._mesh

    def open(self) -> None:
        assert self.mesh is not None

    def paint(self, packet: Packet) -> np.ndarray:
        image = packet.frame.image
        canvas = np.zeros_like(image) if self._spec.keys.get("background") == BLACK else image.copy()
        for points in points_of(packet, self._spec):
            shown = seen(points, self.mesh.triangles, image.shape[1], image.shape[0])
            flat = canvas.reshape(-1, 3)
            values = self.colours(points, shown, flat[shown.pixels])
            flat[shown.pixels] = np.clip(values, 0.0, 255.0).astype(np.uint8)
        return canvas

    def colours(self, points: np.ndarray, shown: Seen, under: np.ndarray) -> np.ndarray:
        """0..255 of each pixel that is seen, (M, 1) or (M, 3), of which the whole part is taken; `under`: (M, 3) uint8 of what
        is there."""
        raise NotImplementedError


class Depth(SurfacePainter):
    """Grey: the nearest point of a face is white, its farthest one black."""

    def colours(self, points: np.ndarray, shown: Seen, under: np.ndarray) -> np.ndarray:
        return shown.mean(255.0 * points[:, 2:] / max(points[:, 2].max(), 1e-9))


class Pncc(SurfacePainter):
    """Projected normalised coordinate code: where on the canonical face a pixel lies, x in the first channel, y, z."""

    def colours(self, points: np.ndarray, shown: Seen, under: np.ndarray) -> np.ndarray:
        low, high = self.mesh.points.min(axis=0), self.mesh.points.max(axis=0)
        return shown.mean(255.0 * (self.mesh.points - low) / (high - low))


class Shaded(SurfacePainter):
    """The head as of clay, by its normals."""

    def colours(self, points: np.ndarray, shown: Seen, under: np.ndarray) -> np.ndarray:
        normals = shown.mean(normals_of(points, self.mesh.triangles))
        normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-9)[:, None]
        light = LIGHT / np.linalg.norm(LIGHT)
        half = light + (0.0, 0.0, 1.0)
        gloss = GLOSS * np.maximum(normals.dot(half / np.linalg.norm(half)), 0.0) ** SHARPNESS
        value = AMBIENT + DIFFUSE * np.maximum(normals.dot(light), 0.0)
        opacity = self._spec.keys.get("opacity", OPACITY)
        shade = np.minimum(value[:, None] * CLAY + gloss[:, None], 1.0)
        return 255.0 * opacity * shade + (1.0 - opacity) * under + 0.5


def normals_of(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(N, 3) of the vertices, not of length 1: toward the viewer where the surface faces him. `triangles` are counterclockwise
    with y up, and y is down here."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    across, normals = np.cross(c - a, b - a), np.zeros_like(points)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(triangles[:, corner], across[:, axis], len(points))
    return normals


class Texture(SurfacePainter):
    """The face unrolled: every triangle of the texture filled from its place in the picture; several faces side by side."""

    _layout: Optional[Seen] = None

    def see(self, packet: Packet) -> None:
        if packet.frame.recorded is not None:
            raise OutputError("output {}: a recording has no pictures to take a texture from; take the film, or another "
                              "output, such as depth:".format(self._spec.text))

    def paint(self, packet: Packet) -> np.ndarray:
        size = self._spec.keys.get("size", TEXTURE)
        faces = points_of(packet, self._spec)
        canvas = np.zeros((max(1, len(faces)), size * size, 3), np.uint8)
        if self._layout is None:
            places = np.column_stack([self.mesh.uv, np.zeros(len(self.mesh.uv))]) * (size - 1.0)
            places[:, 1] = size - 1.0 - places[:, 1]
            self._layout = seen(places, self.mesh.triangles, size, size)
        for face, points in zip(canvas, faces):
            face[self._layout.pixels] = sampled(packet.frame.image, self._layout.mean(points[:, :2]))
        return np.ascontiguousarray(np.concatenate(list(canvas.reshape(-1, size, size, 3)), axis=1))


def sampled(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(M, 3) of the picture at (M, 2) x, y, between its pixels; outside of it as at its border."""
    last = np.array(image.shape[1::-1]) - 1
    places = np.clip(places, 0, last)
    low = places.astype(np.int64)
    (x, y), (fx, fy) = low.T, (places - low).T[:, :, None]
    right, below = np.minimum(low + 1, last).T
    upper = image[y, x] * (1.0 - fx) + image[y, right] * fx
    lower = image[below, x] * (1.0 - fx) + image[below, right] * fx
    return np.rint(upper * (1.0 - fy) + lower * fy).astype(np.uint8)


def make_depth(spec: OutputSpec, options: OutputOptions) -> Output:
    return output_of(spec, options, Depth(spec))


def make_pncc(spec: OutputSpec, options: OutputOptions) -> Output:
    return output_of(spec, options, Pncc(spec))


def make_texture(spec: OutputSpec, options: OutputOptions) -> Output:
    return output_of(spec, options, Texture(spec))


def make_shaded(spec: OutputSpec, options: OutputOptions) -> Output:
    return output_of(spec, options, Shaded(spec))
