"""The points of one face, or its box, as a stream of samples that stand at n / rate seconds.

A sample whose confidence is above 0 was measured in a frame of its time. In every other one, where no face was found or no
frame came, the values before it stand again, with confidence 0.
"""
import math
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge.core.contracts import Output
from edge.core.parts import POINTS_ONLY
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.record import encode
from edge.outputs.ssi.pair import Pair
from edge.ssi.boxes import square
from edge.ssi.header import MIN_RATE, Chunk, Header, header_text

DEFAULT_FPS = 30.0  # where the source does not know its rate
NEAR = 0.75  # of a period: so far a frame may be from its sample, so that a camera's jitter makes no holes
MOST_FILLED = 18000  # samples; beyond that what follows is a chunk of its own, which says its time
PIECE = 256  # samples written at once
FARTHEST = 1e30  # a stranger's recording may say more, which is no number in 32 bits
FIRST = "first"
CERTAIN = 1.0 - 2.0 ** -53  # the largest below 1
LANDMARKS, BOX = "feature;face;landmarks;facemesh", "feature;face;boundingbox"
KEYPOINTS = "feature;face;landmarks;blazeface"
# right eye, left eye, nose, mouth, right ear, left ear: the points of the mesh whose middle each is
PARTS = ((33, 133), (362, 263), (1, 1), (13, 14), (234, 234), (454, 454))
WHOLE_FRAME = (0.0, 0.0, 1.0, 1.0, 0.0)

Record = Dict[str, Any]
Values = Callable[[Record, Sequence[int], float], Optional[Sequence[float]]]


class Places:
    """Which sample a frame is."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.next = 0

    def place(self, time_s: Optional[float]) -> Optional[int]:
        """From `next` on; None where the sample of this time is there already."""
        at = float(self.next) if time_s is None else time_s * self._rate
        if abs(at - self.next) < NEAR:
            return self.next
        return int(round(at)) if at > self.next else None


class SsiStream(Output):
    """One stream of one face: the one that came first as long as it is there, then the next; or that of an id."""

    fatal = True
    arrays = True

    def __init__(self, spec: OutputSpec, options: OutputOptions, media: str, before: Sequence[float], values: Values) -> None:
        """`before`: the sample before any face. `values` makes one of a face, the size of the picture and a confidence."""
        self.name, self.blocking = spec.text, options.blocking
        self._fps, self._values = options.fps, values
        self._media = spec.keys.get("media", media)
        self._repeats = spec.keys.get("repeat_last", True)
        face = spec.keys.get("face", FIRST)
        self._wanted = None if face == FIRST else int(face)
        self._followed: Optional[int] = None
        self._pair = Pair(spec)
        self._rate, self._size = DEFAULT_FPS, (0, 0)
        self._places = Places(DEFAULT_FPS)
        self._chunks: List[Tuple[float, int]] = []  # time and first sample
        self._written = self._skipped = 0
        self._last = np.array(before, "<f4")

    def open(self) -> None:
        self._pair.prove()

    def emit(self, item: Record) -> None:
        self._take(item, {face["id"]: face.get("score") for face in item["faces"]})

    def _take(self, record: Record, scores: Dict[int, Optional[float]]) -> None:
        if not self._pair.began:
            self._begin(record)
        place = record["frame"] if "file" in record else self._places.place(record.get("time_s"))
        if place is None or place < self._places.next:
            self._skipped += 1
            return
        self._fill(place)
        face = self._choose(record["faces"])
        score = None if face is None else scores.get(face["id"])
        sample = None if face is None or score is None else self._values(face, record["size"], score)
        seen = sample is not None and all(-FARTHEST < value < FARTHEST for value in sample)
        if seen:
            self._last = np.array(sample, "<f4")
        self._write(self._last if seen else self._repeated(), 1)
        self._places.next = place + 1

    def _begin(self, record: Record) -> None:
        fps = self._fps()
        if fps is not None and math.isfinite(fps) and fps > 0:
            self._rate = max(MIN_RATE, round(fps, 3))  # as the header says it
        self._places, self._size = Places(self._rate), record["size"]
        self._chunks = [(0.0, 0)]
        self._pair.begin(self._header(()))

    def _header(self, numbers: Sequence[int]) -> bytes:
        """`numbers`: how many samples each chunk has; none while they are written."""
        chunks = [Chunk(from_s, num) for (from_s, _), num in zip(self._chunks, numbers)] or [Chunk(0.0, 0)]
        return header_text(Header(self._rate, len(self._last), tuple(chunks), media=self._media),
                           [("size", "{}:{}".format(*self._size))])

    def _fill(self, place: int) -> None:
        missing = place - self._places.next
        if missing > MOST_FILLED:
            if self._written == self._chunks[-1][1]:
                self._chunks.pop()
            self._chunks.append((place / self._rate, self._written))
            return
        while missing:
            count = min(PIECE, missing)
            self._write(self._repeated(), count)
            missing -= count

    def _repeated(self) -> np.ndarray:
        again = self._last.copy()
        again[-1 if self._repeats else slice(None)] = 0.0
        return again

    def _write(self, sample: np.ndarray, times: int) -> None:
        self._pair.write(sample.tobytes() * times)
        self._written += times

    def _choose(self, faces: Sequence[Record]) -> Optional[Record]:
        wanted = self._wanted
        if wanted is None:
            ids = [face["id"] for face in faces]
            if ids and self._followed not in ids:
                self._followed = min(ids)
            wanted = self._followed
        return next((face for face in faces if face["id"] == wanted), None)

    def more_counts(self) -> Dict[str, int]:
        return {"skipped": self._skipped} if self._skipped else {}

    def close(self) -> None:
        if self._pair.began:
            self._pair.began = False
            ends = [first for _, first in self._chunks[1:]] + [self._written]
            self._pair.close()
            self._pair.head(self._header([end - first for (_, first), end in zip(self._chunks, ends)]))


class LogitStream(SsiStream):
    """The same with DISCOVER's confidence: a hundredth of the network's own number, which records have rounded away."""

    needs_picture = True

    def emit(self, item: Any) -> None:
        self._take(encode(item, item.frame.captured_at, POINTS_ONLY, as_lists=False),
                   {face.track_id: logit_share(face.score) for face in item.faces})


def logit_share(probability: float) -> Optional[float]:
    if not 0.0 < probability <= 1.0:
        return 0.0 if probability == 0.0 else None
    sure = min(probability, CERTAIN)
    return max(0.0, math.log(sure / (1.0 - sure)) / 100.0)


def make_points(spec: OutputSpec, options: OutputOptions) -> Output:
    kind = LogitStream if spec.keys.get("confidence") == "logit" else SsiStream
    few = spec.keys.get("points") == "blazeface"
    output = kind(spec, options, KEYPOINTS, (0.0,) * 13, _keypoints) if few else kind(
        spec, options, LANDMARKS, (0.0,) * 937, _points)
    output.landmarks = True
    return output


def make_box(spec: OutputSpec, options: OutputOptions) -> Output:
    return SsiStream(spec, options, BOX, WHOLE_FRAME, _box if spec.keys.get("square", True) else _found_box)


def _points(face: Record, size: Sequence[int], confidence: float) -> Optional[Sequence[float]]:
    if "landmarks" not in face:
        return None
    shares = np.asarray(face["landmarks"], np.float64)[:, 1::-1] / (size[1], size[0])
    return shares.ravel().tolist() + [confidence]


def _box(face: Record, size: Sequence[int], confidence: float) -> Optional[Sequence[float]]:
    return square(face["box"], size[0], size[1], confidence) if "box" in face else None


def _keypoints(face: Record, size: Sequence[int], confidence: float) -> Optional[Sequence[float]]:
    if "landmarks" not in face:
        return None
    points = np.asarray(face["landmarks"], np.float64)
    shares = points[np.array(PARTS)].mean(axis=1)[:, 1::-1] / (size[1], size[0])
    return shares.ravel().tolist() + [confidence]


def _found_box(face: Record, size: Sequence[int], confidence: float) -> Optional[Sequence[float]]:
    if "box" not in face:
        return None
    x0, y0, x1, y1 = face["box"]
    return [y0 / size[1], x0 / size[0], y1 / size[1], x1 / size[0], confidence]
