"""Taking the resting face: which frames count, why others do not, and when it is enough. A pure state machine."""
from collections import Counter, deque
from typing import Deque, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.face.mesh import INNER_LIPS, LEFT_BROW, OUTER_LIPS, RIGHT_BROW
from edge.face.neutral import Signals, Taken, neutral_of
from edge.geometry import rotation as rotations

NOBODY, SEVERAL, ANOTHER = "no face is seen", "there is more than one face", "another face came"
DARK, UNSURE, NO_POSE = "it is too dark", "the face is not seen clearly", "the head's pose is not known"
TURNED, MOVING = "the head is turned away: face the camera", "the head moves: hold it still"
SHUT, ONE_SHUT, NO_LIDS = "the eyes are shut", "one eye is shut", "the eyelids are not seen"
OPEN_MOUTH, GRIMACE = "the mouth is open", "the face moves: relax it"
WANDERING, SLOW = "the eyes wander: look into the lens", "too few pictures a second"
WARMING = "it begins"  # no refusal
RESTARTS = (SEVERAL, ANOTHER)  # what was taken may be of somebody else

WARM_UP_S = 0.25  # the first crop of a track is the detector's, and the exposure settles
GOOD_SCORE, DARK_LIGHT = 0.8, 20.0
MAX_YAW_DEG, MAX_PITCH_DEG, MAX_ROLL_DEG = 25.0, 25.0, 25.0
WINDOW_S = 0.33  # over which speeds are taken. Of people who rest before webcams 95 of 100 frames lie below the limits
MAX_TURN_DEG_S, MAX_MOVE_PER_S = 8.0, 0.06  # the second: of the distance from the camera
MAX_LIPS_MM, MAX_BROWS_MM = 1.6, 2.0  # mean way of these points within the window
MAX_OFF_MM, MAX_OFF_DEG = 3.0, 5.0  # from the median of what was taken so far
SHUT_LIDS, SHUT_SHARE = 0.09, 0.65  # lid distance over width; share of the open level so far
MAX_MOUTH = 0.3
MAX_GAZE_DEG = 6.0  # from the median of the frames taken so far
MAX_OFF_LENS_DEG = 25.0  # the error of a line of sight, of any eye that was measured, lies far below
LEAST_FPS, LONGEST_GAP_S = 5.0, 0.25
STUCK_S = 1.5  # a face that was taken wrong is off from then on: begin again with the one that is there now
SETTLED = 8  # frames from which a median is compared with
LEAST_FRAMES, LEAST_S = 10, 0.5  # of a film that ends
LEAST_SHARE = 0.5  # of its frames
TOLD, TOLD_SHARE = 3, 0.2  # reasons, where they are not much rarer than the commonest
GIVE_UP_S, GIVE_UP_TIMES = 20.0, 4.0
LIPS, BROWS = list(OUTER_LIPS + INNER_LIPS), list(RIGHT_BROW + LEFT_BROW)


class Progress(NamedTuple):
    """After a frame."""

    done: float  # 0..1
    reason: str  # why this frame does not count; "" where it does
    taken: Optional[Taken] = None  # at the end
    failed: str = ""  # why there is none


def told(progress: Progress) -> str:
    """What its user is told of a frame."""
    return "" if progress.reason == WARMING else progress.reason


class NeutralCapture:
    """Feed it every frame; `taken` or `failed` of the last Progress ends it."""

    def __init__(self, name: str, network: str, seconds: float, stills: bool = False) -> None:
        """`seconds` of good frames make a face. `stills`: unrelated pictures, in which nothing moves."""
        self._name, self._network, self._seconds, self._stills = name, network, seconds, stills
        self._began_s: Optional[float] = None
        self._last_s = 0.0
        self._face: Optional[int] = None
        self._window: Deque[Tuple[float, Signals]] = deque()
        self._taken: List[Signals] = []
        self._shut: List[Signals] = []
        self._good_s = 0.0
        self._off_since: Optional[float] = None
        self._reasons: Counter = Counter()  # type: ignore[type-arg]
        self._frames = 0

    def feed(self, faces: Sequence[Signals], time_s: float) -> Progress:
        """`time_s` never runs backward."""
        if self._began_s is None:
            self._began_s = self._last_s = time_s
        gap_s, self._last_s = time_s - self._last_s, time_s
        reason = self._reason(faces, time_s, gap_s)
        if reason in RESTARTS:
            self._begin_again(faces[0].face if len(faces) == 1 else None)
        if reason:
            if reason != WARMING:
                self._reasons[reason] += 1
        else:
            self._taken.append(faces[0])
            self._good_s += 0.0 if self._stills else min(gap_s, LONGEST_GAP_S)
        self._frames += reason != WARMING
        if self._good_s >= self._seconds and not self._stills:
            return self._whole()
        if time_s - self._began_s > GIVE_UP_S + GIVE_UP_TIMES * self._seconds and not self._stills:
            return self._failed(reason)
        return Progress(min(1.0, self._good_s / self._seconds), reason)

    def finish(self) -> Progress:
        """The source has ended: what there is has to do, if it is enough."""
        if self._stills and self._taken:
            return self._whole()
        enough = len(self._taken) >= LEAST_FRAMES and self._good_s >= min(LEAST_S, self._seconds)
        if enough and len(self._taken) >= LEAST_SHARE * self._frames:
            return self._whole()
        return self._failed("")

    @property
    def why(self) -> str:
        """The commonest reasons so far."""
        found = self._reasons.most_common(TOLD)
        return "; ".join(reason for reason, count in found if count >= TOLD_SHARE * found[0][1])

    def _whole(self) -> Progress:
        return Progress(1.0, "", neutral_of(self._name, self._network, self._taken, self._shut, self._good_s))

    def _failed(self, reason: str) -> Progress:
        short = "only {:.1f} s of it could be used".format(self._good_s) if self._frames else "there are too few frames"
        return Progress(min(1.0, self._good_s / self._seconds), reason, None, self.why or short)

    def _begin_again(self, face: Optional[int]) -> None:
        self._face, self._good_s, self._off_since = face, 0.0, None
        del self._taken[:], self._shut[:]
        self._window.clear()

    def _reason(self, faces: Sequence[Signals], time_s: float, gap_s: float) -> str:
        if not faces:
            return NOBODY
        if len(faces) > 1:
            return SEVERAL
        one = faces[0]
        if self._face is None:
            self._face = one.face
        if one.face != self._face and not self._stills:
            return ANOTHER
        found = next(_unfit(one), "") or self._blink(one)
        if found or self._stills:
            return found
        if self._began_s is not None and time_s - self._began_s < WARM_UP_S:
            return WARMING
        while self._window and time_s - self._window[0][0] > WINDOW_S + 1e-6:
            self._window.popleft()
        self._window.append((time_s, one))
        if gap_s > 1.0 / LEAST_FPS:
            return SLOW
        return self._motion(time_s, one) or self._off(time_s, one)

    def _blink(self, one: Signals) -> str:
        """Against the open level of the frames so far; the median heeds no blink that was taken."""
        found = []
        for i, lids in enumerate(one.lids):
            opened = float(np.median([taken.lids[i] for taken in self._taken])) if len(self._taken) >= SETTLED else 0.0
            found.append(lids is not None and lids < max(SHUT_LIDS, SHUT_SHARE * opened))
        if all(found):
            self._shut.append(one)
        return SHUT if all(found) else ONE_SHUT if any(found) else ""

    def _motion(self, time_s: float, one: Signals) -> str:
        since_s, before = self._window[0]
        past_s = time_s - since_s
        if past_s < 0.5 * WINDOW_S:
            return ""
        turned_deg = rotations.distance_deg(before.rotation, one.rotation)
        if turned_deg > MAX_TURN_DEG_S * past_s or _moved(before, one) > MAX_MOVE_PER_S * past_s:
            return MOVING
        lips, brows = _way(before.still, one.still, LIPS), _way(before.still, one.still, BROWS)
        return GRIMACE if lips > MAX_LIPS_MM or brows > MAX_BROWS_MM else ""

    def _off(self, time_s: float, one: Signals) -> str:
        """From what was taken so far."""
        if len(self._taken) < SETTLED:
            return ""
        reason = self._off_median(one)
        if not reason:
            self._off_since = None
        elif self._off_since is None:
            self._off_since = time_s
        elif time_s - self._off_since > STUCK_S:
            self._begin_again(self._face)
        return reason

    def _off_median(self, one: Signals) -> str:
        recent = self._taken[::max(1, len(self._taken) // SETTLED)]
        middle = np.median([taken.still for taken in recent], axis=0)
        if rotations.distance_deg(recent[len(recent) // 2].rotation, one.rotation) > MAX_OFF_DEG:
            return MOVING
        if max(_way(middle, one.still, LIPS), _way(middle, one.still, BROWS)) > MAX_OFF_MM:
            return GRIMACE
        for i, look in enumerate(one.looks):
            known = [found for found in (taken.looks[i] for taken in recent) if found is not None]
            if look is not None and known and np.abs(np.median(known, axis=0) - np.array(look)).max() > MAX_GAZE_DEG:
                return WANDERING
        return ""


def _unfit(one: Signals) -> Iterator[str]:
    """What is wrong with one frame, whatever came before it."""
    if one.light < DARK_LIGHT:
        yield DARK
    if not one.score >= GOOD_SCORE or one.still is None:
        yield UNSURE
    if one.rotation is None:
        yield NO_POSE
        return
    yaw, pitch, roll = map(abs, rotations.angles(one.rotation))
    if yaw > MAX_YAW_DEG or pitch > MAX_PITCH_DEG or roll > MAX_ROLL_DEG:
        yield TURNED
    if None in one.lids:
        yield NO_LIDS
    if one.mouth > MAX_MOUTH:
        yield OPEN_MOUTH
    if any(look and lens and max(abs(look[0] - lens[0]), abs(look[1] - lens[1])) > MAX_OFF_LENS_DEG
           for look, lens in zip(one.looks, one.lens)):
        yield WANDERING


def _moved(before: Signals, one: Signals) -> float:
    """Way of the head over its distance from the camera; 0 where no camera is known."""
    if before.place_mm is None or one.place_mm is None:
        return 0.0
    way = rotations.length(a - b for a, b in zip(before.place_mm, one.place_mm))
    return way / max(1.0, rotations.length(one.place_mm))


def _way(before: np.ndarray, after: np.ndarray, points: List[int]) -> float:
    """Mean way of some points in the plane of the face, mm: their depth is the least certain."""
    moved = (after[points] - before[points])[:, :2]
    return float(np.sqrt((moved * moved).sum(axis=1)).mean())
