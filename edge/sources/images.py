"""Pictures: one file, a folder in the order of its names, or a list in its own order."""
from typing import List, Optional, Sequence

import cv2
import numpy as np

from edge.errors import SourceError
from edge.sources.recorded import SAME_TIME_S, Recording

NAMED = 3  # how many bad files a warning names


class Pictures(Recording):
    """Frame i is the i-th picture, at i / fps; one that cannot be read keeps its number and is named in `warning`."""

    stills = True

    def __init__(self, name: str, paths: Sequence[str], fps: Optional[float]) -> None:
        self.name, self._paths = name, list(paths)
        self.fps = fps or Recording.fps
        self.count = len(self._paths)
        self._index = -1
        self._bad: List[str] = []

    def open(self) -> None:
        """A single picture must be readable."""
        self._index = -1
        if len(self._paths) == 1:
            reason = _unreadable(self._paths[0])
            if reason:
                raise SourceError("{} {}".format(self._paths[0], reason))

    def advance(self) -> float:
        if self._index + 1 >= len(self._paths):
            raise EOFError(self.name)
        self._index += 1
        return self._index / self.fps

    def picture(self) -> Optional[np.ndarray]:
        """8 bits BGR, turned upright by its EXIF entry."""
        path = self._paths[self._index]
        image = _decoded(path)
        if image is None and path not in self._bad:
            self._bad.append(path)
            more = len(self._bad) - NAMED
            names = ", ".join(self._bad[:NAMED]) + (" and {} more".format(more) if more > 0 else "")
            self.warning = "{} of {} pictures cannot be read: {}".format(len(self._bad), self.count, names)
        return image

    def rewind(self) -> None:
        self._index = -1

    def seek(self, time_s: float) -> None:
        self._index = max(-1, int(np.ceil((time_s - SAME_TIME_S) * self.fps)) - 1)

    def close(self) -> None:
        """Nothing stays open between two pictures."""


def _decoded(path: str) -> Optional[np.ndarray]:
    try:
        return cv2.imread(path, cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV accepts
        return None


def _unreadable(path: str) -> str:
    """Why, or "" where it can be read."""
    try:
        with open(path, "rb") as f:
            if not f.read(1):
                return "is empty"
    except OSError as e:
        return "cannot be read: {}".format(e.strerror)
    return "" if _decoded(path) is not None else "is damaged, or no picture that OpenCV can read"
