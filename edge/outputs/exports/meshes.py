"""The faces of a frame as a mesh, PLY or OBJ in the way of 3DDFA_V2: x right, y up from the picture's lower edge, z toward the
viewer, pixels. The triangles run counterclockwise for who looks at the face, so that normals point outward.
"""
import os
from typing import Callable, List, Optional, Sequence

import numpy as np

from edge.core import clock
from edge.core.contracts import Output
from edge.core.packet import Packet
from edge.outputs.exports.surface import open_mesh, points_of
from edge.outputs.files.file import write_whole
from edge.outputs.kinds import KINDS, OutputOptions, OutputSpec
from edge.outputs.spec import PictureNames
from edge.store.canonical import CanonicalMesh

REWRITE_S = 1.0
PLY_HEAD = """ply
format ascii 1.0
element vertex {}
property float x
property float y
property float z
element face {}
property list uchar int vertex_indices
end_header
"""


class Scene:
    """The faces of a frame; `image` is None where there is no picture to take colours from."""

    def __init__(self, faces: Sequence[np.ndarray], height: int, image: Optional[np.ndarray], mesh: CanonicalMesh) -> None:
        self.faces, self.height, self.image, self.mesh = faces, height, image, mesh

    def vertices(self, points: np.ndarray) -> List[List[float]]:
        return np.column_stack([points[:, 0], self.height - points[:, 1], points[:, 2]]).tolist()

    def colours(self, points: np.ndarray) -> List[List[float]]:
        """Red, green, blue 0..1 of the pixel nearest to each; of one outside the picture, of its border."""
        assert self.image is not None
        last = np.array(self.image.shape[1::-1]) - 1
        x, y = np.round(np.clip(points[:, :2], 0, last)).astype(np.int64).T
        return (self.image[y, x, ::-1] / 255.0).tolist()

    def corners(self, first: int) -> List[List[int]]:
        """Numbers of the vertices of every triangle of every face, which are counted from `first`."""
        step = len(self.mesh.points)
        rows: List[List[int]] = []
        for number in range(len(self.faces)):
            rows += (self.mesh.triangles + (first + number * step)).tolist()
        return rows


def ply(scene: Scene, with_uv: bool) -> str:
    count = len(scene.faces)
    lines = ["{:.2f} {:.2f} {:.2f}\n".format(*row) for points in scene.faces for row in scene.vertices(points)]
    lines += ["3 {} {} {}\n".format(*row) for row in scene.corners(0)]
    return PLY_HEAD.format(count * len(scene.mesh.points), count * len(scene.mesh.triangles)) + "".join(lines)


def obj(scene: Scene, with_uv: bool) -> str:
    """Each vertex has a `vt` line of its own number; faces name it where `with_uv`."""
    lines: List[str] = []
    for points in scene.faces:
        rows = scene.vertices(points)
        if scene.image is not None:
            rows = [row + colour for row, colour in zip(rows, scene.colours(points))]
        lines += ["v {}\n".format(" ".join(map("{:.2f}".format, row))) for row in rows]
    lines += ["vt {:.6f} {:.6f}\n".format(*row) for row in scene.mesh.uv.tolist()] * len(scene.faces)
    form = "f {0}/{0} {1}/{1} {2}/{2}\n" if with_uv else "f {} {} {}\n"
    return "".join(lines + [form.format(*row) for row in scene.corners(1)])


class MeshOutput(Output):
    """A file for each frame with a face, in a folder; or the newest one, rewritten at most once a second and at the end."""

    needs_picture = True
    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, write: Callable[[Scene, bool], str]) -> None:
        self.name, self.blocking = spec.text, blocking
        self._spec, self._text = spec, write
        self._names = PictureNames(KINDS[spec.kind].each)
        self._mesh: Optional[CanonicalMesh] = None
        self._waiting: Optional[Packet] = None  # newer than the file
        self._written_at = 0.0

    def open(self) -> None:
        self._mesh = open_mesh(self._spec)
        write_whole(self._spec, self._path("", 0), None)
        self._written_at = clock.monotonic() - REWRITE_S

    def emit(self, item: Packet) -> None:
        if not points_of(item, self._spec):
            return
        self._waiting = item
        if self._spec.is_folder or clock.monotonic() - self._written_at >= REWRITE_S:
            self._write()

    def _path(self, file: str, seq: int) -> str:
        return os.path.join(self._spec.target, self._names.name(file, seq)) if self._spec.is_folder else self._spec.target

    def _write(self) -> None:
        packet, self._waiting = self._waiting, None
        if packet is None:
            return
        assert self._mesh is not None, "emit() before open()"
        frame, faces = packet.frame, points_of(packet, self._spec)
        image = frame.image if frame.recorded is None else None
        path = self._path(frame.file, frame.seq)
        stem, suffix = os.path.splitext(path)
        each = self._spec.keys.get("each", False)
        for number, group in enumerate([[points] for points in faces] if each else [faces], 1):
            text = self._text(Scene(group, frame.image.shape[0], image, self._mesh), self._spec.keys.get("uv", False))
            write_whole(self._spec, "{}_{}{}".format(stem, number, suffix) if each else path, text.encode("ascii"))
        self._written_at = clock.monotonic()

    def close(self) -> None:
        self._write()


def make_ply(spec: OutputSpec, options: OutputOptions) -> Output:
    return MeshOutput(spec, options.blocking, ply)


def make_obj(spec: OutputSpec, options: OutputOptions) -> Output:
    return MeshOutput(spec, options.blocking, obj)
