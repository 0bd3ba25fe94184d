"""Pictures: one file, a folder in the natural order of its names, or a list in its own order."""
from typing import Dict, List, Optional, Sequence

import numpy as np

from edge.core.errors import SourceError
from edge.sources.pictures import still
from edge.sources.recorded import SAME_TIME_S, Recording

NAMED = 3  # how many files a warning names


class Pictures(Recording):
    """Frame i is the i-th picture, at i / fps; one that cannot be read keeps its number and is named in `warning`, once all
    were seen: `passed` is the line about other files in the folder.
    """

    stills = True

    def __init__(self, name: str, paths: Sequence[str], fps: Optional[float], most_pixels: int, passed: str = "") -> None:
        self.name, self._paths = name, list(paths)
        self._most_pixels, self._passed = most_pixels, passed
        self.fps = fps or Recording.fps
        self.count = len(self._paths)
        self.lost = 0  # pictures that could not be read, or not wholly
        self._index = -1
        self._first: Optional[still.Still] = None  # of a single picture, which open() has read
        self._bad: Dict[str, str] = {}
        self._cut: Dict[str, float] = {}
        self._several: Dict[str, int] = {}

    def open(self) -> None:
        """A single picture must be readable."""
        self._index = -1
        still.need_pillow()
        if len(self._paths) == 1:
            try:
                self._first = still.read(self._paths[0], self._most_pixels)
            except SourceError as e:
                raise SourceError("{} {}".format(self._paths[0], e)) from e

    def advance(self) -> float:
        if self._index + 1 >= len(self._paths):
            self._set_warning()
            raise EOFError(self.name)
        self._index += 1
        self.file = self._paths[self._index]
        return self._index / self.fps

    def picture(self) -> Optional[np.ndarray]:
        """8 bits BGR, turned upright by its EXIF entry."""
        path, (found, self._first) = self.file, (self._first, None)
        try:
            found = found or still.read(path, self._most_pixels)
        except SourceError as e:
            self._bad[path] = str(e)
            self.lost = len(self._bad) + len(self._cut)
            return None
        if found.cut:
            self._cut[path] = found.missing
            self.lost = len(self._bad) + len(self._cut)
        if found.pictures > 1:
            self._several[path] = found.pictures
        return found.image

    def rewind(self) -> None:
        self._set_warning()
        self._index = -1

    def seek(self, time_s: float) -> None:
        self._index = max(-1, int(np.ceil((time_s - SAME_TIME_S) * self.fps)) - 1)

    def close(self) -> None:
        self._set_warning()
        self._first = None

    def _set_warning(self) -> None:
        bad = ["{} {}".format(path, why) if len(self._bad) <= NAMED else path for path, why in self._bad.items()]
        cut = ["{} is cut off{}".format(path, _share(missing)) for path, missing in self._cut.items()]
        several = ["{} holds {}: the first is read".format(path, "several pictures" if count == 2 else
                   "{} pictures".format(count)) for path, count in self._several.items()]
        parts = []
        if bad:
            parts.append("{} of {} pictures cannot be read: {}".format(len(bad), self.count, _named(bad)))
        parts += [_named(found) for found in (cut, several) if found] + ([self._passed] if self._passed else [])
        self.warning = "; ".join(parts)


def _share(missing: float) -> str:
    return ": {:.0f} % of it are missing".format(100 * missing) if missing >= 0.01 else ""


def _named(lines: List[str]) -> str:
    more = len(lines) - NAMED
    return ", ".join(lines[:NAMED]) + (" and {} more".format(more) if more > 0 else "")
