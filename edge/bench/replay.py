"""The frames of a measurement: decoded up front, and given over and over."""
from typing import Callable, List, Sequence

import numpy as np

from edge.app.ends import source_options
from edge.config.load import Config
from edge.core import clock
from edge.core.contracts import Source
from edge.core.errors import SourceError
from edge.core.packet import Frame
from edge.sources.choose import make_source


def decoded(config: Config, count: int) -> List[np.ndarray]:
    """The first frames of a recorded source. Raises SourceError, also where a camera was asked for."""
    source = make_source(source_options(config))
    if source.facts is not None:
        raise SourceError("bench needs pictures, and a recording has points alone: give a film, or --source portrait")
    if source.live:
        raise SourceError("bench needs frames that can be repeated: give a file, or --source portrait")
    frames = []  # type: List[np.ndarray]
    source.open()
    try:
        while len(frames) < count:
            frame = source.read(1.0)
            if frame is not None:
                frames.append(frame.image)
    except EOFError:
        pass
    finally:
        source.close()
    if len(set(f.shape for f in frames)) != 1:
        raise SourceError("bench needs frames of one size: {} has several".format(source.name))
    return frames


class Replay(Source):
    """Frames from memory, over and over; `between` is called with the number of rounds done while the pipeline is empty."""

    live = False
    name = "frames in memory"
    fps = 30.0

    def __init__(self, frames: Sequence[np.ndarray], rounds: int, between: Callable[[int], None]) -> None:
        self._frames, self._rounds, self._between = frames, rounds, between
        self._seq = 0

    def open(self) -> None:
        """Nothing to open."""

    def read(self, timeout_s: float) -> Frame:
        done, i = divmod(self._seq, len(self._frames))
        if i == 0:
            self._between(done)
        if done == self._rounds:
            raise EOFError()
        frame = Frame(self._seq, clock.monotonic(), self._seq / self.fps, self._frames[i])
        self._seq += 1
        return frame

    def close(self) -> None:
        """Nothing to close."""
