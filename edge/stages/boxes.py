"""Where the face of a film is, from a file of boxes: in the place of the detector."""
import os
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from edge.core.contracts import Crop, Runner, Stage, Ticket
from edge.core.errors import ModelError
from edge.core.packet import Face, Frame, Packet, Roi
from edge.core.roles import DETECT
from edge.models.spec import Aligner
from edge.ssi.boxes import Boxes
from edge.stages.tracks import Tracks

BACKEND = "boxes"
LIKE = 3.0  # how many times larger or smaller than a box the face of a track may be that is the box's


class Given(NamedTuple):
    """`name`: of the file. `first`: the sample of the source's first frame, or picture, that is wanted."""

    boxes: Boxes
    name: str
    first_sample: int = 0
    first_picture: int = 0


class OfFile(Runner):
    """What the status shows in a runtime's place. Nothing runs."""

    backend = BACKEND

    def __init__(self, name: str) -> None:
        self.model = os.path.basename(name)

    def open(self) -> None:
        pass

    def submit(self, image: np.ndarray, crops: Sequence[Crop]) -> Ticket:
        raise ModelError("boxes of a file are no network")

    def infer(self, feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        raise ModelError("boxes of a file are no network")

    def close(self) -> None:
        pass


class FromBoxes(Stage):
    """Fills `faces` as Detect does: with the region of the track that is in the box, else with the box's own, id 0.

    The box says which face, and where one is at all; the region of a track fits it better, and is turned as the head is.
    """

    name = DETECT
    fills = ("roi", "score", "box")

    def __init__(self, given: Given, aligner: Aligner, tracks: Tracks, note: Callable[[str], Any]) -> None:
        """`note` is called once, with a line, where the boxes end before the film."""
        self.runners = (OfFile(given.name),)
        self._given, self._aligner, self._tracks, self._note = given, aligner, tracks, note
        self._without = 0
        self._over = False

    def process(self, packet: Packet) -> Packet:
        height, width = packet.frame.image.shape[:2]
        found = self._given.boxes.box(self._sample(packet.frame))
        held = self._tracks.regions_at(packet.frame.time_s)
        faces = []
        if found is None:
            self._without += 1
        else:
            box = found.x0 * width, found.y0 * height, found.x1 * width, found.y1 * height
            track_id, roi = next(((i, roi) for i, roi in held if _is_of(roi, box)), (0, None))
            faces.append(Face(track_id, roi or self._aligner.roi_of_detection(box, 0.0), found.confidence, box))
        self._tracks.hand_over()
        return packet.with_faces(tuple(faces))

    def _sample(self, frame: Frame) -> Optional[int]:
        given, stream = self._given, self._given.boxes.stream
        if frame.file:
            row: Optional[int] = frame.seq + given.first_picture
            over = frame.seq + given.first_picture >= len(given.boxes)
        else:
            time_s = frame.time_s + given.first_sample / stream.header.rate
            row, over = stream.row_at(time_s), time_s >= stream.end_s
        if over and not self._over:
            self._over = True
            self._note("the boxes of {} end at {}; behind that there is no face".format(
                given.name, "picture {}".format(len(given.boxes)) if frame.file else "{:.3f} s".format(stream.end_s)))
        return row

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._without}


def _is_of(roi: Roi, box: Sequence[float]) -> bool:
    """Whether a track's face is that of the box."""
    size = max(box[2] - box[0], box[3] - box[1])
    return box[0] <= roi.cx <= box[2] and box[1] <= roi.cy <= box[3] and size / LIKE <= roi.size / 1.5 <= size * LIKE
