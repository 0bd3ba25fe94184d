"""The annotated frames as an MP4 file."""
import math
import os
import stat
from typing import Callable, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edge.core.contracts import Output
from edge.core.packet import Packet
from edge.core.safeopen import Folder, resolve
from edge.errors import OutputError
from edge.outputs import overlay
from edge.outputs.files import failure
from edge.outputs.spec import OutputSpec
from edge.outputs.stagetimes import SteadyTimes

CODEC = "mp4v"  # MPEG-4 part 2: every OpenCV wheel has it; H.264 is left out of most for its licence
DEFAULT_FPS, MAX_FPS = 30.0, 240.0
LONGEST_HOLD_S = 2.0  # a picture that stands longer than this was a pause of the source, not a slow frame

DESCRIPTORS, FILM = "/proc/self/fd", "film.mp4"

Fps = Callable[[], Optional[float]]  # asked at the first frame: a file's own rate is known once it was opened


class Place(NamedTuple):
    """Where the film will lie, and where it is made until it is whole, if not there."""

    folder: Folder
    name: str
    own: Optional[Folder] = None


class VideoOutput(Output):
    """MPEG-4 in the size of the first frame; frames of other sizes are fitted in, with black bars.

    From a file each frame is written once. From a live source the film keeps the time: a frame is repeated where others
    were dropped, so that a minute lasts a minute. The file can be played once close() has run. OpenCV opens it by its name: in
    a folder where others could exchange it, in a folder of its own, by the descriptor of that, until it is whole.
    """

    needs_picture = True
    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, style: overlay.Style, fps: Fps) -> None:
        self.name, self.blocking = spec.text, blocking
        self._spec, self._style, self._times = spec, style, SteadyTimes()
        self._source_fps, self._fps = fps, DEFAULT_FPS
        self._writer: Optional[cv2.VideoWriter] = None
        self._size = (0, 0)  # width, height; even, as the codec wants it
        self._due_s: Optional[float] = None  # time_s at which what is written so far ends
        self._place: Optional[Place] = None
        self._path = spec.target  # what OpenCV is told

    def open(self) -> None:
        """Makes the folders that are missing and proves that the file can be written; removes an older film."""
        try:
            folder, name = resolve(self._spec.target, make=True)
            self._place = Place(folder, name)
            found = folder.check(name)
            if found is not None and not (folder.shared and stat.S_ISREG(found.st_mode)):
                os.close(folder.open(name, os.O_WRONLY))
            fd, part = folder.draft(name, "")
            os.close(fd)
            folder.unlink(part)
            if found is not None and stat.S_ISREG(found.st_mode):  # never a device
                folder.unlink(name)
            if folder.shared and os.path.isdir(DESCRIPTORS):
                own = folder.private(name)
                self._place = Place(folder, name, own)
                self._path = "{}/{}/{}".format(DESCRIPTORS, own.fd, FILM)
        except OSError as e:
            self._leave()
            raise failure(self._spec, e)

    def emit(self, item: Packet) -> None:
        picture = overlay.draw(item, self._style, self._times.update(item))
        if self._writer is None:
            self._writer = self._start(picture)
        picture = fitted(picture, self._size)
        for _ in range(self._repeats(item.frame.time_s)):
            self._writer.write(picture)

    def _start(self, picture: np.ndarray) -> cv2.VideoWriter:
        fps = self._source_fps()
        if fps is not None and math.isfinite(fps) and fps > 0:
            self._fps = min(MAX_FPS, fps)
        self._size = (max(2, picture.shape[1] & ~1), max(2, picture.shape[0] & ~1))
        writer = cv2.VideoWriter(self._path, cv2.VideoWriter.fourcc(*CODEC), self._fps, self._size)
        if not writer.isOpened():
            raise OutputError("output {}: OpenCV cannot write MP4 here; use images:FOLDER instead, or install an "
                              "OpenCV with FFmpeg (pip install opencv-python-headless)".format(self._spec.text))
        return writer

    def _repeats(self, time_s: float) -> int:
        """How often to write the frame of `time_s` so that the film's time goes with it."""
        if self.blocking:
            return 1
        late_s = 0.0 if self._due_s is None else time_s - self._due_s
        if self._due_s is None or not -LONGEST_HOLD_S < late_s < LONGEST_HOLD_S:
            self._due_s, late_s = time_s, 0.0
        count = max(0, int(round(late_s * self._fps)) + 1)
        self._due_s += count / self._fps
        return count

    def close(self) -> None:
        """Raises OutputError where the film cannot be played: OpenCV does not report a disk that fills up."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.release()
                self._finish()
        finally:
            self._leave()

    def _finish(self) -> None:
        film = cv2.VideoCapture(self._path)
        playable = film.isOpened()
        film.release()
        if not playable:
            raise OutputError("output {}: the film is not complete: free some space".format(self._spec.text))
        place = self._place
        if place is not None and place.own is not None:
            try:
                os.replace(FILM, place.name, src_dir_fd=place.own.fd, dst_dir_fd=place.folder.fd)
            except OSError as e:
                raise failure(self._spec, e)

    def _leave(self) -> None:
        place, self._place = self._place, None
        if place is None:
            return
        with place.folder as folder:
            if place.own is not None:
                folder.remove(place.own)


def fitted(picture: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """(H, W, 3) picture of exactly `size` (width, height): as it is, less an odd last row, or scaled between bars."""
    height, width = picture.shape[:2]
    if (width & ~1, height & ~1) == size:
        return np.ascontiguousarray(picture[:size[1], :size[0]])
    scale = min(size[0] / float(width), size[1] / float(height))
    w, h = max(1, int(round(width * scale))), max(1, int(round(height * scale)))
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - w) // 2, (size[1] - h) // 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[y:y + h, x:x + w] = cv2.resize(picture, (w, h), interpolation=method)
    return canvas
