"""The tracker for programs of others: a picture in, faces out, in the caller's thread."""
import math
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, overload

import numpy as np

from edge.core import clock
from edge.core.errors import InputError, InputTypeError, StateError
from edge.core.packet import Frame
from edge.core.records import Event, Face
from edge.library.chain import Report, StageChain, reporter
from edge.library.fetching import fetch_missing
from edge.library.options import Options, tracker_config
from edge.library.stream import Stream, StreamFrame

LONGEST_SIDE = 32766  # pixels: OpenCV cannot crop from a larger picture
STILL_STEP_S = 1.0 / 30.0  # between unrelated pictures, as between those of a folder


class Tracker:
    """Finds faces and follows them from picture to picture.

    A tracker belongs to the thread of its first picture; several may work side by side.
    """

    _chains: Dict[bool, StageChain] = {}  # before the constructor has made its own

    def __init__(self, config: Optional[Any] = None, options: Optional[Options] = None, report: Optional[Report] = None,
                 fetch: bool = False, **keywords: Any) -> None:
        """`keywords` and `options` are keys of the configuration, by their last parts and as a whole; `config` is the path
        of a YAML file with others. `fetch` gets networks that are not there. `report(event, text)` gets the
        messages instead of the log.

        Raises ConfigError, ModelError for networks that are not there, EngineError where nothing runs them.
        """
        self._lock = threading.Lock()  # held while a picture is looked at
        self._chains = {}  # by whether it is for unrelated pictures
        self._config, self._report = tracker_config(config, options, keywords), reporter(report)
        self._seq, self._first_at, self._last_s = 0, 0.0, -math.inf
        self._timed: Optional[bool] = None  # whether the pictures come with times
        if fetch:
            fetch_missing(self._config.models, self._report)
        self._chain(still=False)

    def __call__(self, image: np.ndarray, time_s: Optional[float] = None, still: bool = False) -> List[Face]:
        """The faces of a picture, (H, W, 3) uint8 BGR; it is neither kept nor changed.

        `time_s`: seconds, of a recording; never less than that of the picture before. Without it, a picture is of now.
        `still`: the picture has nothing to do with others; faces are found anew, small ones too, and nothing is smoothed.
        Raises InputError for what is no picture or time, StateError for a tracker that is closed or another thread's.
        """
        picture = checked(image)
        with self._alone():
            chain = self._chain(still)
            chain.open()
            now = clock.monotonic()
            at_s = self._seq * STILL_STEP_S if still else self._time_of(time_s, now)
            frame = Frame(self._seq, now, at_s, picture)
            self._seq += 1
            found = chain.found(frame)
            assert found is not None, "tracker_config() has refused what waits for later pictures"
            return found[1]

    @overload
    @classmethod
    def stream(cls, source: Any = ..., config: Optional[Any] = ..., options: Optional[Options] = ...,
               report: Optional[Report] = ..., fetch: bool = ..., timeout_s: None = ...,
               **keywords: Any) -> Stream[StreamFrame]:
        """Each step has a frame."""

    @overload
    @classmethod
    def stream(cls, source: Any = ..., config: Optional[Any] = ..., options: Optional[Options] = ...,
               report: Optional[Report] = ..., fetch: bool = ..., *, timeout_s: float,
               **keywords: Any) -> Stream[Optional[StreamFrame]]:
        """Or none, where a live source gave nothing for so long."""

    @classmethod
    def stream(cls, source: Any = None, config: Optional[Any] = None, options: Optional[Options] = None,
               report: Optional[Report] = None, fetch: bool = False, timeout_s: Optional[float] = None,
               **keywords: Any) -> Any:
        """(frame, faces) of any source of the command line: a camera, film, picture, folder, address, or "portrait".

        Takes what Tracker() takes, and the keys of a source. With `timeout_s`, (None, []) comes whenever a live source gave
        nothing for so long.
        """
        return Stream(source, config, options, keywords, reporter(report), fetch, timeout_s)

    def open(self, still: bool = False) -> "Tracker":
        """Load and warm up now what the first picture would: seconds on a Nano. In the thread that gives the pictures."""
        with self._alone():
            self._chain(still).open()
        return self

    def close(self) -> None:
        """Free the networks; may be called twice. On a GPU only the thread that gave the pictures can."""
        with self._alone():
            for chain in self._chains.values():
                chain.close()

    def take_events(self) -> List[Event]:
        """What began or ended since the last call, with `events=True`; after close() also the ends of what was still going."""
        return self._chains[False].take_events()

    @property
    def closed(self) -> bool:
        """No picture can be given any more."""
        return any(chain.over for chain in self._chains.values())

    @property
    def backends(self) -> Dict[str, str]:
        """Stage -> its network and what runs it, once a picture was given: {"align": "face_landmark openvino 2024.6 f32"}."""
        return self._chains[False].backends() or self._chain(True).backends()

    def __enter__(self) -> "Tracker":
        if self.closed:
            self._chains[False].open()  # raises
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def __del__(self) -> None:
        for chain in self._chains.values():
            chain.close()

    def __reduce__(self) -> Any:
        raise StateError("a tracker cannot be copied or sent to another process: make one there")

    def _chain(self, still: bool) -> StageChain:
        still = bool(still)
        if still not in self._chains:
            self._chains[still] = StageChain(self._config, still, False, self._report)
        return self._chains[still]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(False):
            raise StateError("the tracker is at work in another thread: make one for each thread")
        try:
            yield
        finally:
            self._lock.release()

    def _time_of(self, given_s: Optional[float], now: float) -> float:
        timed = given_s is not None
        if self._timed is not None and self._timed != timed:
            raise InputError("the pictures before came {} time_s: give it with each of them, or with none".format(
                "with" if self._timed else "without"))
        if self._timed is None:
            self._first_at = now
        at_s = now - self._first_at if given_s is None else seconds(given_s)
        if at_s < self._last_s:
            raise InputError("time_s {:g} lies before that of the picture before, {:g}: make a new tracker for another "
                             "recording, and pass still=True for unrelated pictures".format(at_s, self._last_s))
        self._timed, self._last_s = timed, at_s
        return at_s


def checked(image: Any) -> np.ndarray:
    """A contiguous, read-only view of a picture, or copy where its pixels do not lie in a row. Raises InputError."""
    if not isinstance(image, np.ndarray):
        raise InputTypeError("a picture must be a numpy array (height, width, 3) of uint8, not {}: {}".format(
            type(image).__name__, "numpy.asarray(picture)[:, :, ::-1] makes one of a Pillow picture, "
            "cv2.imread(path) of a file"))
    if image.dtype != np.uint8:
        raise InputTypeError("a picture must be of uint8, 0 to 255, not {}: convert it, as in {}".format(
            image.dtype, "(255 * image).astype('uint8') where 1.0 is white"))
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError("a picture must be (height, width, 3) BGR, not {}{}".format(image.shape, _cure(image.shape)))
    height, width = image.shape[:2]
    if not image.size:
        raise InputError("a picture of {}x{} has no pixels".format(width, height))
    if max(height, width) > LONGEST_SIDE:
        raise InputError("a picture of {}x{} is larger than {} pixels: scale it down".format(width, height, LONGEST_SIDE))
    picture = np.ascontiguousarray(image).view(np.ndarray)
    picture.setflags(write=False)
    return picture


def _cure(shape: Any) -> str:
    if len(shape) == 2 or len(shape) == 3 and shape[2] == 1:
        return ": cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) makes one of a grey picture"
    if len(shape) == 3 and shape[2] == 4:
        return ": image[:, :, :3] leaves the alpha channel out"
    if len(shape) == 3 and shape[0] == 3:
        return ": image.transpose(1, 2, 0) puts the channels last"
    if len(shape) == 4:
        return ": give one picture at a time"
    return ""


def seconds(value: Any) -> float:
    """Raises InputError."""
    if isinstance(value, (bool, np.bool_)):
        raise InputTypeError("time_s must be a number of seconds, not {}: still=True says that a picture has nothing to do "
                             "with others".format(value))
    try:
        if isinstance(value, (str, bytes)) or np.ndim(value):
            raise TypeError
        found = float(value)
    except OverflowError:
        found = math.inf
    except (TypeError, ValueError):
        raise InputTypeError("time_s must be a number of seconds, not {!r}".format(value))
    if not math.isfinite(found):
        raise InputError("time_s must be a finite number of seconds, not {}".format(found))
    return found
