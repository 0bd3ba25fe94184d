"""Pictures that were made of frames, such as annotated ones, as an MP4 file."""
import math
import time
from collections import deque
from typing import Callable, Deque, Optional, Tuple

import cv2
import numpy as np

from edge.core import clock
from edge.core.contracts import Output
from edge.core.errors import OutputError
from edge.core.packet import Packet
from edge.host import ffmpeg
from edge.outputs.files.file import failure
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.pictures.films.encoder import Codec, Encoder, EncoderEnded, Picture, codec_of
from edge.outputs.pictures.films.film import Film
from edge.outputs.pictures.overlay import Overlay, style_of
from edge.outputs.pictures.painter import Painter

DEFAULT_FPS, MIN_FPS, MAX_FPS = 30.0, 0.001, 240.0
SHORTEST_S, LONGEST_S = 1e-4, 12 * 3600.0  # from one frame to the next; a sample's duration has 32 bits
MOST_BEHIND_S = 0.5  # of the film's time, that its end on disk may be behind the frame that was sent last
LOOK_S, CATCH_UP_S = 0.002, 5.0
SUFFIX = ".mp4"
INSTEAD = "use --output images:FOLDER"

Fps = Callable[[], Optional[float]]  # asked at the first frame: a file's own rate is known once it was opened


class VideoOutput(Output):
    """A film in the size of the first frame; frames of other sizes are fitted in, with black bars.

    Each frame is in it once, at its own time: a pause of the source is as long in the film. What was sent plays, up to half
    a second, whatever becomes of this process, of the encoder's and of the disk.
    """

    needs_picture = True
    fatal = True

    def __init__(self, spec: OutputSpec, blocking: bool, painter: Painter, fps: Fps) -> None:
        self.name, self.blocking = spec.text, blocking
        self._spec, self._painter = spec, painter
        self.shapes, self.events = painter.shapes, painter.events
        self._source_fps = fps
        self._program: Optional[ffmpeg.Ffmpeg] = None
        self._codec: Optional[Codec] = None
        self._film: Optional[Film] = None
        self._encoder: Optional[Encoder] = None
        self._picture = Picture(0, 0, 1.0 / DEFAULT_FPS)
        self._clock = FilmClock()
        self._sent = 0
        self._behind: Deque[float] = deque()  # times of the frames that do not play yet
        self._usual_behind = 1  # a muxer keeps a frame until it knows how long that stands
        self._failed = False

    def open(self) -> None:
        """Proves that a film can be written; what is there stays."""
        self._painter.open()
        self._program = ffmpeg.find()
        if self._program is None:
            raise self._error("a film needs the program ffmpeg: {}; or {}".format(ffmpeg.cure(), INSTEAD))
        self._codec = codec_of(self._program)
        if self._codec is None:
            raise self._error("{} has no encoder for films: {}; or {}".format(self._program.path, ffmpeg.cure(), INSTEAD))
        self.note = self._codec.note.format(self._program.path)
        self._film = Film(self._spec.target)
        try:
            self._film.open()
        except OSError as e:
            self.close()
            raise failure(self._spec, e)

    def emit(self, item: Packet) -> None:
        self._painter.see(item)
        picture = self._painter.paint(item)
        try:
            encoder = self._encoder or self._start(picture)
            at_s = self._clock.time(item.frame.time_s)
            encoder.write(at_s, cv2.cvtColor(fitted(picture, self._picture[:2]), cv2.COLOR_BGR2YUV_I420))
            self._sent += 1
            self._behind.append(at_s)
            self._catch_up(encoder, at_s)
        except (OSError, EncoderEnded) as e:
            self._failed = True
            raise self._output_error(e, self._film)

    def _start(self, picture: np.ndarray) -> Encoder:
        assert self._program is not None and self._codec is not None and self._film is not None, "emit() before open()"
        height, width = picture.shape[:2]
        if max(width, height) > self._codec.most:
            raise self._error("frames of {}x{} are too large for {}, which has at most {} pixels a side: {}, or make them "
                              "smaller".format(width, height, self._codec.title, self._codec.most, INSTEAD))
        fps = self._source_fps()
        if fps is None or not math.isfinite(fps) or fps <= 0:
            fps = DEFAULT_FPS
        step_s = 1.0 / min(MAX_FPS, max(MIN_FPS, fps))
        self._picture, self._clock = Picture(max(2, width & ~1), max(2, height & ~1), step_s), FilmClock(step_s)
        self._encoder = Encoder(self._program, self._codec, self._picture, self._film.begin())
        return self._encoder

    def _catch_up(self, encoder: Encoder, at_s: float) -> None:
        """Wait until what plays is near the frame that was sent last."""
        end = clock.monotonic() + CATCH_UP_S
        while True:
            frames = self._film.look() if self._film is not None else None
            if frames is None:
                self._behind.clear()
                return
            while len(self._behind) > max(0, self._sent - frames):
                self._behind.popleft()
            if len(self._behind) <= self._usual_behind or at_s - self._behind[0] <= MOST_BEHIND_S:
                return
            encoder.check()
            if clock.monotonic() > end:
                self._usual_behind = len(self._behind)  # it keeps more of them
                return
            time.sleep(LOOK_S)

    def close(self) -> None:
        """Raises OutputError where frames that were sent are not in the film. May be called twice."""
        film, encoder = self._film, self._encoder
        self._film = self._encoder = None
        if film is None:
            return
        try:
            self._finish(film, encoder)
        except (OSError, EncoderEnded) as e:
            raise self._output_error(e, film)
        finally:
            film.close()

    def _finish(self, film: Film, encoder: Optional[Encoder]) -> None:
        try:
            if encoder is not None:
                encoder.close()
        except (OSError, EncoderEnded):
            if not self._failed:  # else reported already
                raise
        finally:
            film.end(self._picture.ticks)
        if not self._failed and film.frames not in (None, self._sent):
            raise EncoderEnded("only {} of {} frames were written".format(film.frames, self._sent))

    def _output_error(self, error: Exception, film: Optional[Film]) -> OutputError:
        if isinstance(error, OSError):
            return failure(self._spec, error)
        plays = film is not None and film.frames
        return self._error("{}; {}".format(error, "what was written until then plays" if plays else INSTEAD))

    def _error(self, text: str) -> OutputError:
        return OutputError("output {}: {}".format(self._spec.text, text))


def make(spec: OutputSpec, options: OutputOptions) -> Output:
    return VideoOutput(spec, options.blocking, Overlay(style_of(options)), options.fps)


class FilmClock:
    """From the times of a source to those of a film, which begins at 0 and never goes back."""

    def __init__(self, step_s: float = 1.0 / DEFAULT_FPS) -> None:
        self._step_s = step_s
        self._last_s: Optional[float] = None
        self._offset_s = 0.0

    def time(self, time_s: float) -> float:
        """Of the next frame. A source that begins anew, or comes back after half a day, goes on one step later."""
        if self._last_s is None:
            self._offset_s, self._last_s = -time_s, 0.0
            return 0.0
        step_s = time_s + self._offset_s - self._last_s
        if not 0.0 < step_s < LONGEST_S:
            self._offset_s += self._step_s - step_s
            step_s = self._step_s
        self._last_s += max(SHORTEST_S, step_s)
        return self._last_s


def fitted(picture: np.ndarray, size: Tuple[int, ...]) -> np.ndarray:
    """(H, W, 3) picture of exactly `size` (width, height): as it is, less an odd last row, or scaled between bars."""
    height, width = picture.shape[:2]
    if (width & ~1, height & ~1) == tuple(size):
        return np.ascontiguousarray(picture[:size[1], :size[0]])
    scale = min(size[0] / float(width), size[1] / float(height))
    w, h = max(1, int(round(width * scale))), max(1, int(round(height * scale)))
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - w) // 2, (size[1] - h) // 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[y:y + h, x:x + w] = cv2.resize(picture, (w, h), interpolation=method)
    return canvas
