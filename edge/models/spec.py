"""What every face detector and every aligner have in common: their crops of a frame, and their results."""
from abc import ABC, abstractmethod
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from edge.core.contracts import Crop
from edge.core.errors import FrameError
from edge.core.packet import Roi
from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from edge.geometry import boxes as upright
from edge.geometry import roi as regions

MOST_CANDIDATES = 300  # a threshold near zero must not make the suppression quadratic in thousands of anchors
MOST_GROWTH = 4.0  # of exp(): a side is at most 55 times its anchor's
FAR_OUT = 1e5  # input pixels; no face is there
LANDMARKS = "landmarks"  # the field of Face that every aligner fills
NOTHING_MORE: Dict[str, Any] = {}


class Detections(NamedTuple):
    """Faces, the surest first."""

    boxes: np.ndarray  # (N, 4) float32 x0 y0 x1 y1
    scores: np.ndarray  # (N,) float32, 0..1
    keypoints: Optional[np.ndarray]  # (N, K, 2) float32; the first two are the subject's right and left eye

    def rows(self, index: Union[Sequence[int], np.ndarray]) -> "Detections":
        """Some of the faces, in the order of `index`."""
        keypoints = None if self.keypoints is None else self.keypoints[index]
        return Detections(self.boxes[index], self.scores[index], keypoints)


class Input(NamedTuple):
    """The picture that a network expects: input value = pixel * scale + offset."""

    size: Tuple[int, int]  # width, height
    colour: str  # BGR or RGB
    scale: float
    offset: Tuple[float, float, float]  # per channel, in the order of `colour`
    centred: bool = False  # the frame in the middle of what is left over, else at the top left
    stretched: bool = False  # the frame fills it, whatever its aspect


class Detector(ABC):
    """A face detector without its runner: pure arithmetic, from a frame's size to a Crop and from outputs to faces.

    Used by one thread. A subclass sets the attributes and decodes the network's tensors.
    """

    input = Input((0, 0), "", 1.0, (0.0, 0.0, 0.0))
    threshold = 0.5  # score from which a detection is a face, unless the user wants another
    most_iou = 0.3  # two faces overlap no more than this
    keypoint_count = 0

    def __init__(self, network: str) -> None:
        """`network` is the name in the manifest."""
        self.network = network
        keypoints = np.zeros((0, self.keypoint_count, 2), np.float32) if self.keypoint_count else None
        self._none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), keypoints)
        self._frame_size = (0, 0)
        self._crop = None  # type: Optional[Crop]

    @property
    def size(self) -> Tuple[int, int]:
        """Width and height of the input in pixels."""
        return self.input.size

    def crop(self, width: int, height: int) -> Crop:
        """The whole frame, its aspect kept unless the input is stretched. The same object while the frames' size stays."""
        if self._crop is None or self._frame_size != (width, height):
            self._frame_size, self._crop = (width, height), whole_frame_crop(width, height, self.input)
        return self._crop

    def decode(self, outputs: Mapping[str, np.ndarray], crop: Crop, threshold: float, limit: int) -> Detections:
        """At most `limit` faces with a score of at least `threshold`, in frame pixels. Copies what it keeps.

        Raises FrameError where the outputs are not the network's.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            anchors, scores = self._surest(outputs, threshold)
            if not len(anchors):
                return self._none
            boxes, keypoints = self._places(outputs, anchors)
            found = self._suppress(_sane(Detections(boxes, scores, keypoints)), limit)
        return _on_frame(found, crop)

    def anchors(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, Detections]:
        """The surest anchors that reach the threshold and the face each sees, input pixels: nothing is suppressed."""
        with np.errstate(over="ignore", invalid="ignore"):
            anchors, scores = self._surest(outputs, threshold)
            boxes, keypoints = self._places(outputs, anchors)
        return anchors, Detections(boxes, scores, keypoints)

    @abstractmethod
    def _surest(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, np.ndarray]:
        """Anchors that reach the threshold and their scores, the surest first. Only these are decoded."""

    @abstractmethod
    def _places(
        self, outputs: Mapping[str, np.ndarray], anchors: np.ndarray
    ) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """Boxes (N, 4) and keypoints (N, K, 2) of some anchors, input pixels counted from the picture's outer edge.

        That is how the networks count: over 80 faces and their mirror images the centres agree within 0.2 pixel.
        """

    def _suppress(self, found: Detections, limit: int) -> Detections:
        return found.rows(upright.nms(found.boxes, self.most_iou, limit))


class Aligned(NamedTuple):
    """What an aligner sees in one region."""

    landmarks: np.ndarray  # (468, 3) float64 frame pixels; z in the same scale, smaller is nearer
    presence: float  # 0..1, the probability that a face is there
    more: Mapping[str, Any] = NOTHING_MORE  # the other fields of Face that it fills -> their values; None where unknown


class Aligner(ABC):
    """An aligner without its runner: from the region of a face to a Crop, from outputs to points, and to the next region.

    Used by several threads: it has no state. A subclass sets the attributes and decodes the tensors.
    """

    fills = (LANDMARKS,)  # type: Tuple[str, ...]  # the fields of Face that decode() gives values of
    margin = 1.5  # side of a region over the longer side of the face's box

    def __init__(self, network: str) -> None:
        """`network` is the name in the manifest."""
        self.network = network

    @abstractmethod
    def crop(self, roi: Roi) -> Crop:
        """The network's crop of a region."""

    @abstractmethod
    def decode(self, outputs: Mapping[str, np.ndarray], roi: Roi) -> Aligned:
        """What the network found there. Copies what it keeps. Raises FrameError where the outputs are not the network's."""

    def roi_of_detection(self, box: Tuple[float, float, float, float], angle: float) -> Roi:
        """Where to look after a detection; `angle` is that of the eye line."""
        return regions.around(box, self.margin, angle)

    def roi_of_landmarks(self, landmarks: np.ndarray, box: Tuple[float, float, float, float]) -> Roi:
        """Where to look for the same face in the next frame; (468, 3) frame pixels and their upright box."""
        angle = regions.eye_angle(landmarks[EYE_OUTER_RIGHT], landmarks[EYE_OUTER_LEFT])
        return regions.around(box, self.margin, angle)


def shaped(outputs: Mapping[str, np.ndarray], name: str, shape: Tuple[int, ...], network: str) -> np.ndarray:
    """The output in this shape. Raises FrameError where it is absent or has another number of values."""
    found = outputs.get(name)
    if found is None:
        raise FrameError("network {} gave no output {}".format(network, name))
    try:
        return found.reshape(shape)
    except ValueError:
        raise FrameError("network {} gave {} values in its output {}, not {}".format(
            network, found.size, name, int(np.prod(shape))))


def fit(width: int, height: int, look: Input) -> float:
    """Input pixels for a frame pixel when the whole frame is shown as large as the input allows."""
    return min(look.size[0] / float(width), look.size[1] / float(height))


def whole_frame_crop(width: int, height: int, look: Input, resized: Optional[float] = None) -> Crop:
    """The whole frame in the input, as large as it fits or `resized` by so much, black around it.

    input = scale * (frame + 0.5) - 0.5, plus whole pixels where it is centred. The frame's edges are put on whole
    input pixels, so that the runtime may resize instead of warp, which is five times faster; the scales of the two axes
    differ by the half pixel that this takes.
    """
    largest = fit(width, height, look) if resized is None else resized
    matrix = np.zeros((2, 3))
    for axis, (length, room) in enumerate(zip((width, height), look.size)):
        shown = room if look.stretched else max(1, int(round(length * largest)))
        scale = shown / float(length)
        matrix[axis, axis] = scale
        matrix[axis, 2] = 0.5 * scale - 0.5 + ((room - shown) // 2 if look.centred else 0)
    matrix.flags.writeable = False  # one object serves many frames
    return Crop(matrix, look.size, look.colour, look.scale, look.offset)


def surest(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the scores (N,) that reach the threshold, the surest first, no more than MOST_CANDIDATES."""
    index = np.flatnonzero(scores >= threshold)
    order = np.argsort(-scores[index], kind="mergesort")  # stable: equal scores stay in the network's order
    return index[order[:MOST_CANDIDATES]]


def grid(columns: int, rows: int, per_cell: int = 1) -> np.ndarray:
    """(rows * columns * per_cell, 2) float32 x, y of the cells, row by row, each `per_cell` times in a row."""
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    cells = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    return np.repeat(cells, per_cell, axis=0)


def grown(exponent: np.ndarray) -> np.ndarray:
    """exp() of a network's output for a side, limited."""
    return np.exp(np.minimum(exponent, np.float32(MOST_GROWTH)))


def around(centre: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """(N, 4) boxes from (N, 2) centres and (N, 2) widths and heights."""
    half = sides * np.float32(0.5)
    return np.concatenate([centre - half, centre + half], axis=1)


def _sane(found: Detections) -> Detections:
    """Without the faces of which an output was no number, or a wild one, as float16 overflows give."""
    good = (np.abs(found.boxes) < FAR_OUT).all(axis=1) & (found.scores < FAR_OUT)
    if found.keypoints is not None:
        good &= (np.abs(found.keypoints) < FAR_OUT).all(axis=(1, 2))
    return found if good.all() else found.rows(np.flatnonzero(good))


def _on_frame(found: Detections, crop: Crop) -> Detections:
    """From input pixels counted from the edge to the frame's, whose centres are at integers; the crop is upright."""
    scale = np.array([crop.matrix[0, 0], crop.matrix[1, 1]], np.float32)
    shift = (crop.matrix[:, 2] + 0.5).astype(np.float32)
    boxes = (found.boxes.reshape(-1, 2, 2) - shift) / scale
    keypoints = None if found.keypoints is None else (found.keypoints - shift) / scale
    return Detections(boxes.reshape(-1, 4), found.scores, keypoints)
