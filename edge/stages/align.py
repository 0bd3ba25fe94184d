"""468 points in each region; what is no face, or one that is there already, is rejected. Commits the tracks of the frame."""
import math
from typing import Dict, List, NamedTuple, Optional, Tuple

from edge.core.contracts import Runner, Stage
from edge.core.packet import Face, Packet, Roi
from edge.core.roles import ALIGN
from edge.face.mesh import EYE_OUTER_LEFT, EYE_OUTER_RIGHT
from edge.geometry import roi as regions
from edge.models.spec import LANDMARKS, NOTHING_MORE, Aligned, Aligner
from edge.stages.tracks import Sighting, Tracks

SAME_FACE = 0.35  # IoU of the points' boxes above which two regions have found one face
MIN_SIZE_PX = 24.0  # region below which 468 points mean nothing
MAX_GROWTH, MAX_SHRINK = 1.8, 0.45  # of the region from one frame to the next
MIN_EYE_DISTANCE = 0.06  # of the region's size: a profile still has this, a collapsed mesh does not
MAX_DEPTH = 4.0  # of the region's size, to either side: a face is a third as deep as its region is wide
MIN_VISIBLE = 0.3  # share of the region that must lie in the picture


class AlignSettings(NamedTuple):
    """`presence` is the probability below which a track is lost."""

    presence: float
    points_only: bool = False  # leave out what the network gives beside the points
    found_box: bool = False  # the box stays that of the detector, in the place of that of the points


class Fit(NamedTuple):
    """What the network found in one region."""

    seen: Aligned
    box: Tuple[float, float, float, float]
    following: Roi  # where the same face is looked for next
    deepest: float  # pixels to either side of the plane in which the mesh has no depth


class Align(Stage):
    """Fills what its network gives, and score and box; drops faces that are not held."""

    name = ALIGN

    def __init__(self, runner: Runner, aligner: Aligner, tracks: Tracks, settings: AlignSettings) -> None:
        self.runners, self.fills = (runner,), (LANDMARKS,) if settings.points_only else aligner.fills
        self._runner, self._aligner = runner, aligner
        self._tracks, self._settings = tracks, settings
        self._lost = 0

    def open(self) -> None:
        self._runner.open()

    def process(self, packet: Packet) -> Packet:
        sightings = None  # type: Optional[List[Sighting]]
        try:
            faces = self._distinct([f for f in (self._align(packet, face) for face in packet.faces) if f is not None])
            sightings = [Sighting(f.track_id, f.roi, f.box) for f in faces]
        finally:
            ids = self._tracks.commit(packet.frame.time_s, sightings)
        return packet.with_faces(tuple(f._replace(track_id=i) for f, i in zip(faces, ids)))

    def _align(self, packet: Packet, face: Face) -> Optional[Face]:
        """The face with its points and its next region; None where no face is.

        A detector's box is of another size than the mesh's: a new face is fitted a second time in the mesh's own region.
        """
        found = self._fit(packet, face.roi)
        if found is not None and face.track_id == 0:
            found = self._fit(packet, found.following)
        if found is None:
            self._lost += face.track_id != 0
            return None
        seen = found.seen
        more = NOTHING_MORE if self._settings.points_only else seen.more
        box = face.box if self._settings.found_box else found.box
        return face._replace(roi=found.following, score=seen.presence, box=box, landmarks=seen.landmarks, **more)

    def _fit(self, packet: Packet, roi: Roi) -> Optional[Fit]:
        image = packet.frame.image
        if roi.size < MIN_SIZE_PX or regions.visible_share(roi, image.shape[1], image.shape[0]) < MIN_VISIBLE:
            return None
        outputs = self._runner.submit(image, (self._aligner.crop(roi),)).result()
        seen = self._aligner.decode(outputs, roi)
        if seen.presence < self._settings.presence:
            return None
        (x0, y0, near), (x1, y1, far) = seen.landmarks.min(axis=0).tolist(), seen.landmarks.max(axis=0).tolist()
        box = x0, y0, x1, y1
        fit = Fit(seen, box, self._aligner.roi_of_landmarks(seen.landmarks, box), max(far, -near))
        return fit if plausible(fit, roi) else None

    @staticmethod
    def _distinct(faces: List[Face]) -> List[Face]:
        """One face for each head: tracked ones stay before new ones, sure ones before unsure ones."""
        kept = []  # type: List[Face]
        for face in sorted(faces, key=lambda f: (f.track_id == 0, f.track_id or -f.score)):
            if all(regions.overlap(face.box, other.box) <= SAME_FACE for other in kept):
                kept.append(face)
        return kept

    def close(self) -> None:
        self._tracks.close()
        self._runner.close()

    def counters(self) -> Dict[str, int]:
        return {"lost": self._lost}


def plausible(fit: Fit, roi: Roi) -> bool:
    """Whether points can be a face: finite, not collapsed, and of about the region's size and place, not wildly deep."""
    following = fit.following
    if not math.isfinite(following.size + following.cx + following.cy + following.angle):
        return False
    if not MAX_SHRINK <= following.size / roi.size <= MAX_GROWTH:
        return False
    if not fit.deepest < MAX_DEPTH * roi.size:
        return False
    landmarks = fit.seen.landmarks
    across = (landmarks[EYE_OUTER_LEFT] - landmarks[EYE_OUTER_RIGHT]).tolist()
    moved = max(abs(following.cx - roi.cx), abs(following.cy - roi.cy))
    return math.sqrt(sum(v * v for v in across)) > MIN_EYE_DISTANCE * roi.size and moved < 0.5 * roi.size
