"""A recorded run that goes along with a report: read through before anything else is done, described, and copied beside it."""
import hashlib
import os
from typing import Any, Dict, List

from edge.core.errors import OutputError, SourceError
from edge.core.roles import RECORDING_SUFFIX
from edge.host.reading import open_regular, reason
from edge.host.safeopen import open_new
from edge.recording.format import MAGIC
from edge.recording.reading import Reader

PIECE = 1 << 16
SHOWN = ("nanoface", "source", "fps", "networks", "own_networks", "smoothing", "profile", "python", "machine")


class Along:
    """Raises SourceError for what is no recording, or a damaged one."""

    def __init__(self, path: str, report: str) -> None:
        self.copy = os.path.splitext(report)[0] + RECORDING_SUFFIX
        self._path = path
        try:
            with os.fdopen(open_regular(path), "rb") as f:
                self._read(Reader(f, path))
                f.seek(0)
                self._hash = hashlib.sha256()
                for piece in iter(lambda: f.read(PIECE), b""):
                    self._hash.update(piece)
                self._bytes = f.tell()
        except OSError as e:
            raise SourceError("the recording {} cannot be read: {}".format(path, reason(e)))

    def _read(self, reader: Reader) -> None:
        self._facts: Dict[str, Any] = reader.facts
        self._frames = self._faces = self._events = 0
        self._last_s = 0.0
        try:
            while True:
                found = reader.next()
                self._frames += 1
                self._faces += len(found.faces)
                self._events += len(found.events)
                self._last_s = found.time_s
        except EOFError:
            self._cut = reader.cut

    def lines(self) -> List[str]:
        text = ["{}: {} bytes, sha256 {}".format(os.path.basename(self.copy), self._bytes, self._hash.hexdigest()),
                "{} frames in {:.1f} s, {} faces in them, {} events".format(
                    self._frames, self._last_s, self._faces, self._events),
                "it holds points of faces and what they did, no picture, no sound, no name, no path"]
        return text + ([self._cut] if self._cut else []) + [
            "{}: {}".format(key, self._facts[key]) for key in SHOWN if key in self._facts]

    def take(self) -> None:
        """Beside the report. Raises OutputError."""
        try:
            if os.path.exists(self.copy):
                if os.path.samefile(self._path, self.copy):
                    return
                with os.fdopen(open_regular(self.copy), "rb") as f:
                    if f.read(len(MAGIC)) not in (MAGIC, b""):
                        raise OutputError("{} is there and is no recording: name another place for the report".format(
                            self.copy))
            with os.fdopen(open_regular(self._path), "rb") as source, os.fdopen(open_new(self.copy), "wb") as target:
                for piece in iter(lambda: source.read(PIECE), b""):
                    target.write(piece)
        except OSError as e:
            raise OutputError("{} cannot be written: {}".format(self.copy, reason(e)))
