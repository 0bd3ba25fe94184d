"""MediaPipe's FaceMesh in a process of its own, to be measured beside the pipeline on the same frames."""
import os
import subprocess
import tempfile
from typing import Any, Dict, Sequence

import numpy as np

from edge.core.errors import ConfigError, EngineError
from edge.host.reading import parse_json

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mediapipe_facemesh.py")


class Peer:
    """Started by the constructor, which returns when it has run one round to warm up."""

    def __init__(self, python: str, frames: Sequence[np.ndarray]) -> None:
        """`python` is an interpreter that has mediapipe. Raises ConfigError, EngineError."""
        self._folder = tempfile.TemporaryDirectory(prefix="nanoface-beside-")
        path = os.path.join(self._folder.name, "frames.npy")
        shape = (len(frames),) + frames[0].shape
        stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)  # no second copy in our memory
        for i, frame in enumerate(frames):
            stored[i] = frame
        stored.flush()
        del stored
        try:
            # its Matplotlib would leave a list of fonts in the user's home
            places = dict.fromkeys(("MPLCONFIGDIR", "XDG_CACHE_HOME", "TMPDIR"), self._folder.name)
            self._process = subprocess.Popen(
                [python, SCRIPT, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                universal_newlines=True, env=dict(os.environ, **places))
        except OSError as e:
            self._folder.cleanup()
            raise ConfigError("{}: {}".format(python, e.strerror))
        try:
            self.name = "MediaPipe {} FaceMesh".format(self._answer()["version"])
        except EngineError:
            self.close()
            raise EngineError("{}: it does not run MediaPipe's FaceMesh; {} -m pip install mediapipe==0.10.21".format(
                python, python))

    def round(self) -> Dict[str, float]:
        """cpu_ms, wall_ms (a frame), faces (frames with one), peak_mb (less the frames)."""
        assert self._process.stdin is not None
        self._process.stdin.write("round\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()
        self._folder.cleanup()

    def _answer(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EngineError("MediaPipe's process has ended")
        try:
            told = parse_json(line.encode("utf-8"))
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise EngineError("MediaPipe's process says what is no answer")
        return told
