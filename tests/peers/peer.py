"""Processes that are measured in turns over the same frames: the tracker in some form, MediaPipe's FaceMesh."""
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, Sequence

import numpy as np

from edge.bench.measure import JSONL
from edge.core.errors import ConfigError, EngineError
from edge.host.reading import parse_json

HERE = os.path.dirname(os.path.abspath(__file__))
TRACKER, FACEMESH = os.path.join(HERE, "tracker_rounds.py"), os.path.join(HERE, "mediapipe_facemesh.py")


class Stored:
    """Frames in a file, for as many processes as there are to be."""

    def __init__(self, frames: Sequence[np.ndarray]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nanoface-beside-")
        self.folder, self.path = self._folder.name, os.path.join(self._folder.name, "frames.npy")
        shape = (len(frames),) + frames[0].shape
        stored = np.lib.format.open_memmap(self.path, mode="w+", dtype=np.uint8, shape=shape)  # no second copy in our memory
        for i, frame in enumerate(frames):
            stored[i] = frame
        stored.flush()

    def __enter__(self) -> "Stored":
        return self

    def __exit__(self, *error: Any) -> None:
        self._folder.cleanup()


class Peer:
    """Started by the constructor, which returns when it has run one round to warm up. While one works the others wait."""

    def __init__(self, words: Sequence[str], stored: Stored) -> None:
        """`words`: the program that answers one line with one round. Raises ConfigError, EngineError."""
        # Matplotlib, which comes with MediaPipe, would leave a list of fonts in the user's home
        places = dict.fromkeys(("MPLCONFIGDIR", "XDG_CACHE_HOME", "TMPDIR"), stored.folder)
        try:
            self._process = subprocess.Popen(
                list(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                universal_newlines=True, env=dict(os.environ, **places))
        except OSError as e:
            raise ConfigError("{}: {}".format(words[0], e.strerror))
        try:
            self.about = self._answer()
        except EngineError:
            self.close()
            raise

    def round(self) -> Dict[str, Any]:
        """cpu_ms, wall_ms (a frame), peak_mb (less the frames), and what else it tells."""
        assert self._process.stdin is not None
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _answer(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EngineError("a process that is measured has ended")
        try:
            told = parse_json(line.encode("utf-8"))
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise EngineError("a process that is measured says what is no answer")
        if "error" in told:
            raise EngineError(str(told["error"]))
        return told


def facemesh(python: str, stored: Stored, *words: str) -> Peer:
    """`python` is an interpreter that has mediapipe; `words`: how many faces, where it is not one."""
    try:
        return Peer([python, FACEMESH, stored.path] + list(words), stored)
    except EngineError:
        raise EngineError("{}: it does not run MediaPipe's FaceMesh; {} -m pip install mediapipe==0.10.21".format(
            python, python))


def tracker(stored: Stored, words: Sequence[str], outputs: Sequence[str] = JSONL) -> Peer:
    return Peer([sys.executable, TRACKER, stored.path, ",".join(outputs)] + list(words), stored)
