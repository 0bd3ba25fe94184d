"""What is tracked between frames: the loop from align back to detect.

Two threads may meet here: detect asks where the faces of the next frame will be, align commits what it found. Detect waits
until align has committed the frame that detect handed over last, so that two runs over a file agree whatever the threads do.
"""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from edge.core.packet import Roi
from edge.geometry import roi as regions
from edge.host.waiting import Condition

REACQUIRE_OVERLAP = 0.3  # IoU with the last box of a lost track that gives a new face its old id
GAP = 1.5  # frames further apart than this many of the last interval have others missing between them
MAX_SHIFT = 0.5  # of the region's size: an extrapolation beyond this is a guess

Box = Tuple[float, float, float, float]


class Sighting(NamedTuple):
    """What align found of one face: `track_id` 0 for one that is new."""

    track_id: int
    roi: Roi  # where to look next
    box: Box


class Track(NamedTuple):
    """A face that is held."""

    track_id: int
    roi: Roi
    box: Box
    time_s: float
    step_s: float  # time between its last two sightings, 0 after the first
    velocity: Tuple[float, float]  # pixels per second of the region's centre

    def region_at(self, time_s: float) -> Roi:
        """The last region; moved on by the frames that are missing between, where there are any."""
        gap = time_s - self.time_s
        if self.step_s <= 0.0 or gap <= GAP * self.step_s:
            return self.roi
        missing_s, limit = gap - self.step_s, MAX_SHIFT * self.roi.size
        dx, dy = (min(limit, max(-limit, v * missing_s)) for v in self.velocity)
        return regions.shifted(self.roi, dx, dy)


class Tracks:
    """Held and recently lost tracks. Ids start at 1 and are never used again in one run."""

    def __init__(self, lost_after_s: float, memory: bool = True) -> None:
        """`memory` False: every frame is a picture of its own and nothing is held."""
        self._lost_after_s = lost_after_s
        self._memory = memory
        self._held: Dict[int, Track] = {}
        self._lost: Dict[int, Track] = {}
        self._last_id = 0
        self._open_frames = 0
        self._closed = False
        self._committed = Condition()

    def regions_at(self, time_s: float) -> List[Tuple[int, Roi]]:
        """Id and region of every held track. Waits until every frame handed over was committed."""
        with self._committed:
            while self._open_frames and not self._closed:
                self._committed.wait()
            return [(t.track_id, t.region_at(time_s)) for t in self._held.values()]

    def hand_over(self) -> None:
        """Detect is done with a frame and align will get it."""
        with self._committed:
            self._open_frames += 1

    def commit(self, time_s: float, sightings: Optional[Sequence[Sighting]]) -> List[int]:
        """Align is done with a frame: the ids of its faces, in order. None: the frame failed and changes nothing."""
        with self._committed:
            ids = [] if sightings is None else self._update(time_s, sightings)
            self._open_frames = max(0, self._open_frames - 1)
            self._committed.notify_all()
            return ids

    def close(self) -> None:
        """Nothing will be committed any more: wake the waiting thread."""
        with self._committed:
            self._closed = True
            self._committed.notify_all()

    def _update(self, time_s: float, sightings: Sequence[Sighting]) -> List[int]:
        before, self._held = self._held, {}
        self._lost = {i: t for i, t in self._lost.items() if time_s - t.time_s <= self._lost_after_s}
        ids = []
        for sighting in sightings:
            track_id = sighting.track_id or self._id_of(sighting)
            ids.append(track_id)
            if self._memory:
                self._held[track_id] = _moved(before.get(track_id), sighting, track_id, time_s)
        self._lost.update((i, t) for i, t in before.items() if i not in self._held)
        return ids

    def _id_of(self, sighting: Sighting) -> int:
        """The id of the lost track that was last seen here, else a new one."""
        overlaps = [(regions.overlap(t.box, sighting.box), -i) for i, t in self._lost.items()]
        best, i = max(overlaps) if overlaps else (0.0, 0)
        if best >= REACQUIRE_OVERLAP:
            del self._lost[-i]
            return -i
        self._last_id += 1
        return self._last_id


def _moved(last: Optional[Track], now: Sighting, track_id: int, time_s: float) -> Track:
    step_s = time_s - last.time_s if last is not None else 0.0
    velocity = (0.0, 0.0)
    if last is not None and step_s > 0.0:
        velocity = ((now.roi.cx - last.roi.cx) / step_s, (now.roi.cy - last.roi.cy) / step_s)
    return Track(track_id, now.roi, now.box, time_s, step_s, velocity)
