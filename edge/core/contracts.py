"""What a stage, a runner, a source and an output promise each other. The pipeline knows nothing else of them."""
from abc import ABC, abstractmethod
from typing import AbstractSet, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.core.packet import Frame, Packet
from edge.core.parts import Parts

CONSTANT, REPLICATE = "constant", "replicate"
BGR, RGB = "bgr", "rgb"


class Crop(NamedTuple):
    """Which part of the frame goes into a network, and the arithmetic on its pixels.

    A model asks for it; the runtime fills its own input buffer from it: value = pixel * scale + offset.
    """

    matrix: np.ndarray  # (2, 3) float64, frame pixels -> input pixels
    size: Tuple[int, int]  # width, height of the input
    colour: str  # BGR or RGB
    scale: float
    offset: Tuple[float, float, float]  # per channel, in the order of `colour`
    border: str = CONSTANT  # CONSTANT (black pixels, before the arithmetic) or REPLICATE


class Tensor(NamedTuple):
    """Name and static shape of one input or output; all are float32."""

    name: str
    shape: Tuple[int, ...]


class Ticket(ABC):
    """A submitted inference."""

    @abstractmethod
    def result(self) -> Dict[str, np.ndarray]:
        """Wait and return the outputs by name. The arrays are views, valid until the next submit of the runner."""


class Runner(ABC):
    """Runs one network. Opened, used and closed in one thread."""

    inputs = ()  # type: Tuple[Tensor, ...]
    outputs = ()  # type: Tuple[Tensor, ...]
    backend = ""  # what the status shows, e.g. "onnxruntime", "openvino f32", "tensorrt fp16"
    model = ""  # name of the network, e.g. "yunet_s"
    own = ""  # of a network of the user's own: what it is like, and the hash of its file
    note = ""  # why it is this runtime, or works in this way, where that is not what one would expect
    run_s = 0.0  # processor time of the calling thread since open(), in the network or enqueuing and waiting for it

    @abstractmethod
    def open(self) -> None:
        """Load the network, allocate, warm up. Raises ModelError or EngineError."""

    @abstractmethod
    def submit(self, image: np.ndarray, crops: Sequence[Crop]) -> Ticket:
        """Fill the (N, 3, H, W) input from `image` (H, W, 3 uint8 BGR), one crop for each of the N, and start.

        Raises ModelError for a network that has other inputs: that is run with infer().
        """

    @abstractmethod
    def infer(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Run on ready-made float32 tensors, one for each of `inputs`, of any number and shape. Waits.

        For a network that sees numbers instead of pictures, and for verification. The arrays that come back are views,
        valid until the next submit or infer of the runner. Raises ModelError that names what does not fit.
        """

    @abstractmethod
    def close(self) -> None:
        """Free what open() took; may be called twice."""

    def take_device_ms(self) -> Sequence[float]:
        """How long the device was busy with each submit since the last call, in any thread. Empty where it is not measured."""
        return ()


class Stage(ABC):
    """One step of the work on a packet. Knows no thread, queue, clock or metric."""

    name = ""
    fills = ()  # type: Tuple[str, ...]  # fields of Face; a stage that fills nothing new is left out of a run
    interval = 1  # of a stage that may work on every n-th frame only: n; may be set from another thread
    runners = ()  # type: Tuple[Runner, ...]  # what the status lists as backend and model of the stage
    holds = False  # True: process() keeps packets and returns earlier ones, None while there are too few
    note = ""  # for the status: what one would not expect of it

    def open(self) -> None:
        """Called once, in the thread that will call process()."""

    @abstractmethod
    def process(self, packet: Packet) -> Optional[Packet]:
        """The packet with this stage's fields filled in; None swallows it, or holds it. FrameError drops it and is counted."""

    def last(self) -> Sequence[Packet]:
        """Called in the same thread when nothing comes any more: what one that holds still has, in order."""
        return ()

    def close(self) -> None:
        """Called once in the same thread, also after a failure."""

    def counters(self) -> Dict[str, int]:
        """Cumulative counts for the status record, such as {"skipped": 12}."""
        return {}


class Source(ABC):
    """Where frames come from."""

    live = False  # a live source drops the oldest frame when the pipeline is busy; a recorded one waits
    name = ""  # what the status shows
    frame_count = None  # type: Optional[int]  # for progress, where it is known
    fps = None  # type: Optional[float]  # nominal, where it is known
    stills = False  # unrelated pictures: nothing is tracked from one to the next
    facts = None  # type: Optional[Mapping[str, Any]]  # of a replay: what made it; its frames hold their faces, and no picture
    warning = ""  # one line for the user, while something is not as it should be
    doubt = ""  # what is wrong with the pictures that come
    trouble = ""  # why none come
    lost_since = None  # type: Optional[float]  # monotonic time of the last picture of a live source that gives none
    absent = False  # no picture came yet, and opening failed; it is tried again
    lost = 0  # frames of a recording so far that could not be read
    taken = None  # type: Optional[int]  # frames of a recording so far, with those; None where they are not counted from 0

    @abstractmethod
    def open(self) -> None:
        """Raises SourceError with the cure."""

    @abstractmethod
    def read(self, timeout_s: float) -> Optional[Frame]:
        """The next frame; None when none came within `timeout_s`. EOFError at the end of a recorded source."""

    @abstractmethod
    def close(self) -> None:
        """Free the device; may be called twice and from another thread than read()."""


class Asking:
    """What an output wants to know, and its sender with it. What nobody wants is not made."""

    needs_picture = False  # True: it gets the Packet; False: the frame record (a dict)
    encodes = False  # True: it makes the record itself, of a Packet with event records in the place of its events
    landmarks = False  # the frame record is to have the points and eye contours
    shapes = False  # the faces' expression is to have the blend shapes
    coarse = False  # with the shapes those that the points tell roughly, which is better for an avatar than none
    events = False  # the frame record is to have "events", a list of event records; also what a picture shows
    landmarks68 = False  # the faces are to have the 68 points, which cost a network more in each frame
    arrays = False  # points and eye contours of the record are to be arrays, not lists

    @property
    def parts(self) -> Parts:
        return Parts(self.landmarks, self.shapes, self.events, self.shapes and self.coarse, self.landmarks68)

    def ask(self, parts: Parts) -> None:
        """For these and no other."""
        self.landmarks, self.shapes, self.events, self.coarse, self.landmarks68 = parts


class Output(Asking, ABC):
    """Where results go. Called from one thread, its own."""

    name = ""  # the option that made it, e.g. "jsonl:out/demo.jsonl"
    fatal = False  # True: its failure ends the run; else it is opened again
    closed = False  # True once its user asks the run to stop; for any thread
    blocking = False  # True: never drop; the pipeline waits (a file written from a file)
    note = ""  # after open(): what one would not expect of what it writes
    over = False  # True once it wants no more, which is no failure
    tick_s = None  # type: Optional[float]  # call tick() when nothing came for so long
    condition = ""  # what the status says instead of "ok", such as that nobody receives it; for any thread

    @abstractmethod
    def open(self) -> None:
        """Raises OutputError with the cure."""

    @abstractmethod
    def emit(self, item: Any) -> None:
        """Write one frame. Raises OutputError.

        One that asked for events, and needs no picture, may at the end get a record of nothing but "schema" and "events":
        those that no frame came for any more. The events of an item that was dropped, or raised OutputError, come with the
        next one.
        """

    def tick(self) -> None:
        """Nothing came for `tick_s`: go on with what does not wait for a frame. Raises OutputError."""

    def more_counts(self) -> Dict[str, int]:
        """Cumulative counts for the status record beside those of the sender, such as {"refused": 3}. For any thread."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Flush and close; may be called twice."""


class Sender(Asking, ABC):
    """What the pipeline and the status use of an output: with a queue and a thread of its own, or written at once. It asks
    for what its output asks for."""

    name = ""
    fatal = False  # as the output
    error = None  # type: Optional[BaseException]  # what ended a fatal output, or the last failure of another
    stop_wanted = False  # the user of the output, such as a window, asks the run to stop
    reader_left = False  # its reader has closed; a run ends when that is so of all outputs
    note = ""  # as the output

    @abstractmethod
    def start(self) -> None:
        """Returns when the output is open. Raises what open() raised, an OutputError."""

    def know(self, coarse: AbstractSet[str]) -> None:
        """Before the first put(): which shapes are told roughly, for one that leaves parts out of records itself."""

    @abstractmethod
    def put(self, item: Any) -> bool:
        """Hand over one packet or record; waits only where the output is blocking. False: it was not taken."""

    def put_last(self, item: Any) -> bool:
        """Hand over one of the run's last frames, or the events that no frame comes for any more. Drops nothing that waits."""
        return self.put(item)

    @abstractmethod
    def close(self, timeout_s: float) -> bool:
        """Write what waits, close the output. False where that takes longer. May be called twice."""

    @abstractmethod
    def stats(self) -> Dict[str, Any]:
        """Cumulative counts "sent", "failed", "dropped", and the "state": "ok", or what is wrong."""

    def rows(self) -> Dict[str, Dict[str, Any]]:
        """stats() by name, for the status record; of one that serves several outputs, those of each."""
        return {self.name: self.stats()}

    def down(self) -> List[str]:
        """The names of those that the run does without at present."""
        return [self.name] if not self.fatal and self.error is not None and self.stats()["state"] != "ok" else []
