"""Pictures that were made of frames, such as annotated ones: a folder of all of them, or the newest one with a face."""
import os
from typing import Optional

import cv2
import numpy as np

from edge.core import clock
from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.core.packet import Packet
from edge.outputs.files.file import write_whole
from edge.outputs.kinds import QUALITY, OutputOptions, OutputSpec
from edge.outputs.pictures.overlay import Overlay, style_of
from edge.outputs.pictures.painter import Painter
from edge.outputs.spec import FORMATS, PictureNames

REWRITE_S = 1.0


class FolderOutput(Output):
    """FOLDER/IMG_1.jpg for the picture IMG_1.jpg, FOLDER/000012.jpg for frame 12 of anything else."""

    needs_picture = True
    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, painter: Painter) -> None:
        self.name, self.blocking = spec.text, blocking
        self._spec, self._painter = spec, painter
        self.shapes, self.events = painter.shapes, painter.events
        self._names = PictureNames(*spec.naming)

    def open(self) -> None:
        self._painter.open()
        write_whole(self._spec, os.path.join(self._spec.target, self._names.name("", 0)), None)

    def emit(self, item: Packet) -> None:
        self._painter.see(item)
        path = os.path.join(self._spec.target, self._names.name(item.frame.file, item.frame.seq))
        write_whole(self._spec, path, encoded(self._spec, path, self._painter.paint(item)))

    def close(self) -> None:
        """Every picture is complete when emit() returns."""


class PictureOutput(Output):
    """The newest frame with a face, rewritten at most once a second and at the end; never half a picture.

    A run that never saw a face leaves its newest frame at the end, so that one sees what the camera sees.
    """

    needs_picture = True
    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, painter: Painter) -> None:
        self.name, self.blocking = spec.text, blocking
        self._spec, self._painter = spec, painter
        self.shapes, self.events = painter.shapes, painter.events
        self._waiting: Optional[Packet] = None  # newer than the file
        self._seen_face = False
        self._written_at = -REWRITE_S

    def open(self) -> None:
        self._painter.open()
        write_whole(self._spec, self._spec.target, None)
        self._written_at = clock.monotonic() - REWRITE_S

    def emit(self, item: Packet) -> None:
        self._painter.see(item)
        if item.faces or not self._seen_face:
            self._waiting = item
        self._seen_face = self._seen_face or bool(item.faces)
        if item.faces and clock.monotonic() - self._written_at >= REWRITE_S:
            self._write()

    def _write(self) -> None:
        packet, self._waiting = self._waiting, None
        if packet is not None:
            write_whole(self._spec, self._spec.target, encoded(self._spec, self._spec.target, self._painter.paint(packet)))
            self._written_at = clock.monotonic()

    def close(self) -> None:
        self._write()


def make_folder(spec: OutputSpec, options: OutputOptions) -> Output:
    return FolderOutput(spec, options.blocking, Overlay(style_of(options)))


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return PictureOutput(spec, options.blocking, Overlay(style_of(options)))


def encoded(spec: OutputSpec, path: str, picture: np.ndarray) -> bytes:
    """The bytes of a picture file, in the format of the extension."""
    extension = FORMATS[os.path.splitext(path)[1].lower()]
    key = {".jpg": cv2.IMWRITE_JPEG_QUALITY, ".webp": cv2.IMWRITE_WEBP_QUALITY}.get(extension)
    quality = [] if key is None else [key, spec.keys.get("quality", QUALITY)]
    ok, data = cv2.imencode(extension, picture, quality)
    if not ok:
        raise OutputError("output {}: OpenCV cannot write {} files here; use .jpg".format(spec.text, extension))
    return data.tobytes()
