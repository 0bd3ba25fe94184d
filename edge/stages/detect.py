"""Where faces are: from the tracks that hold, and from the detector only when it has something to find."""
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from edge.core.contracts import Crop, Runner, Stage
from edge.core.packet import Face, Packet, Roi
from edge.core.roles import DETECT
from edge.geometry import roi as regions
from edge.models.detectors.tiles import merge, tile_crops
from edge.models.spec import Aligner, Detections, Detector
from edge.stages.tracks import Tracks

IDLE_LIMIT_S = 0.34  # from one look to the next while there is no face: three a second, whatever the source's rate
SAME_FACE = 0.3  # IoU of a detection with a tracked region's face above which it is that face


class DetectSettings(NamedTuple):
    """`threshold` None takes the network's own."""

    max_faces: int
    threshold: Optional[float]
    refresh_s: float  # how often to look for more faces while fewer than max_faces are tracked
    idle_after_s: Optional[float] = None  # without a face, until only IDLE_LIMIT_S is kept; None: each frame is looked at
    closer_look: bool = False  # also at overlapping tiles of the frame: for stills, where small faces count and time does not


class Detect(Stage):
    """Fills `faces` with regions: tracked ones with their id, new ones with id 0.

    Where the network is due, only every `interval`-th time, which another thread may change.
    """

    name = DETECT
    fills = ("roi", "score", "box")

    def __init__(self, runner: Runner, detector: Detector, aligner: Aligner, tracks: Tracks, settings: DetectSettings):
        self.runners = (runner,)
        self._runner, self._detector, self._aligner = runner, detector, aligner
        self._tracks, self._settings = tracks, settings
        self.interval = 1
        self._looked_at_s = None  # type: Optional[float]
        self._held_at_s = None  # type: Optional[float]  # when a track was last held, at first when the run began
        self._before_s = None  # type: Optional[float]  # time of the frame before
        self._frames_since = 0  # the last look
        self._skipped = 0

    def open(self) -> None:
        self._runner.open()

    def crop(self, image: np.ndarray) -> Crop:
        """What the network sees of a whole frame."""
        return self._detector.crop(image.shape[1], image.shape[0])

    def process(self, packet: Packet) -> Packet:
        time_s = packet.frame.time_s
        held = self._tracks.regions_at(time_s)
        faces = [Face(track_id, roi, 0.0, face_box(roi)) for track_id, roi in held]
        if held or self._held_at_s is None or time_s < self._held_at_s:
            self._held_at_s = time_s
        self._frames_since += 1
        step_s, self._before_s = 0.0 if self._before_s is None else time_s - self._before_s, time_s
        if self._due(len(held), time_s, step_s):
            self._looked_at_s, self._frames_since = time_s, 0
            faces += self._candidates(self._detect(packet), faces)
        else:
            self._skipped += 1
        self._tracks.hand_over()
        return packet.with_faces(tuple(faces))

    def _due(self, tracked: int, time_s: float, step_s: float) -> bool:
        """`step_s`: since the frame before; taken for that to the next one, too."""
        if tracked >= self._settings.max_faces:
            return False
        last = self._looked_at_s
        if last is None or time_s < last:
            return True
        if tracked:
            return time_s - last >= self._settings.refresh_s * self.interval
        if self._idle(time_s):
            return time_s + step_s - last > IDLE_LIMIT_S  # the next frame would be too late
        return self._frames_since >= self.interval

    def _idle(self, time_s: float) -> bool:
        """Nobody has been there for long. Ends with the first track that is held."""
        after_s = self._settings.idle_after_s
        return after_s is not None and self._held_at_s is not None and time_s - self._held_at_s >= after_s

    def _detect(self, packet: Packet) -> Detections:
        threshold = self._detector.threshold if self._settings.threshold is None else self._settings.threshold
        return detected(self._runner, self._detector, packet.frame.image, threshold, self._settings.max_faces,
                        self._settings.closer_look)

    def _candidates(self, found: Detections, tracked: List[Face]) -> List[Face]:
        """New faces, the surest first, as many as there is room for."""
        new = []
        for i in range(len(found.boxes)):
            x0, y0, x1, y1 = found.boxes[i].tolist()
            box = (x0, y0, x1, y1)
            if any(regions.overlap(box, face.box) > SAME_FACE for face in tracked):
                continue
            angle = 0.0 if found.keypoints is None else regions.eye_angle(found.keypoints[i, 0], found.keypoints[i, 1])
            new.append(Face(0, self._aligner.roi_of_detection(box, angle), float(found.scores[i]), box))
        return new[: self._settings.max_faces - len(tracked)]

    def close(self) -> None:
        self._runner.close()

    def counters(self) -> Dict[str, int]:
        return {"skipped": self._skipped}


def detected(runner: Runner, detector: Detector, image: np.ndarray, threshold: float, limit: int,
             closer_look: bool) -> Detections:
    """What the network sees in a whole frame, and with `closer_look` in its tiles, too."""
    def look(crop: Crop) -> Detections:
        return detector.decode(runner.submit(image, (crop,)).result(), crop, threshold, limit)

    height, width = image.shape[:2]
    crop = detector.crop(width, height)
    found = look(crop)
    if not closer_look:
        return found
    tiles = tile_crops(width, height, detector.input)
    return merge([found] + [look(tile) for tile in tiles], (crop,) + tiles, (width, height), limit)


def face_box(roi: Roi) -> Tuple[float, float, float, float]:
    """About where the face is inside its region: the middle, without the margin."""
    half = roi.size / 3.0
    return roi.cx - half, roi.cy - half, roi.cx + half, roi.cy + half
