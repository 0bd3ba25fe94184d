"""The 14 features of OpenSeeFace: measures of its 66 points, told against what is usual for this face."""
import math
from typing import List, Optional, Sequence, Tuple

import numpy as np

from edge.outputs.live.openseeface.points import BRIDGE, CORNERS, NOSE_TIP

NAMES = ("eye_l", "eye_r", "eyebrow_steepness_l", "eyebrow_updown_l", "eyebrow_quirk_l", "eyebrow_steepness_r",
         "eyebrow_updown_r", "eyebrow_quirk_r", "mouth_corner_updown_l", "mouth_corner_inout_l", "mouth_corner_updown_r",
         "mouth_corner_inout_r", "mouth_open", "mouth_wide")
LIDS = (((37, 38), (40, 41)), ((43, 44), (46, 47)))  # upper and lower, of the right and of the left eye
BROWS = ((21, 17), (22, 26))  # inner and outer end
# Share of the median by which a measure must differ from it for its range to begin, and the smallest number that counts as
# the median there: an angle, and the gap of a mouth that is shut, may well be 0.
STEEPNESS, USUAL, SMALL, SIDEWAYS, GAP = (0.05, 10.0), (0.15, 0.05), (0.05, 0.05), (0.02, 0.05), (0.15, 0.3)
BEGINS, FLOOR = np.array([USUAL, USUAL] + [STEEPNESS, USUAL, SMALL] * 2 + [USUAL, SIDEWAYS] * 2 + [GAP, SIDEWAYS]).T
INSIDE = 0.15  # of the range: how far an extreme that does not come again moves toward the median
DECAY = 0.001  # of that way, an update
SMOOTH = 0.2  # of the last value, that stays in the next
FREEZE_S = 900.0
BASE, LEVELS = 15, 5  # of the median: the last level, of 15 ** 4 updates each, is hours long


def measures(head: np.ndarray) -> Optional[np.ndarray]:
    """(14,) of (70, 3) points, in the order of NAMES; None where the face has no width or height."""
    p = head[:, :2].tolist()
    width = (p[0][0] - p[16][0] + p[1][0] - p[15][0]) / 2.0
    height = (p[BRIDGE][1] - p[NOSE_TIP][1]) / 3.0
    if not (width > 0.0 and height > 0.0):
        return None
    lines = [(36, 39), (42, 45), (0, 16), (31, 35)]
    tilt = sum(_slope(p[a], p[b]) for a, b in lines) / len(lines)
    right, left = (_eye(p, corners, lids) / height for corners, lids in zip(CORNERS, LIDS))
    mouth_y = (p[49][1] + p[50][1] + p[51][1]) / 3.0
    middle_x = sum(p[i][0] for i in (50, 60, 27, 30, 64, 55)) / 6.0
    corners = [((mouth_y - p[i][1]) / height, abs(middle_x - p[i][0]) / width) for i in (62, 58)]
    opened = abs(sum(p[i][1] for i in (59, 60, 61)) - sum(p[i][1] for i in (63, 64, 65))) / 3.0
    brows = [_brow(p, inner, outer, turn * tilt, height) for (inner, outer), turn in zip(BROWS, (-1.0, 1.0))]
    return np.array((left, right) + brows[1] + brows[0] + corners[0] + corners[1]
                    + (opened / height, abs(p[58][0] - p[62][0]) / width))


def _slope(right: Sequence[float], left: Sequence[float]) -> float:
    """Degrees by which a line to the subject's left rises."""
    return math.degrees(math.atan2(left[1] - right[1], right[0] - left[0]))


def _eye(p: Sequence[Sequence[float]], corners: Tuple[int, int], lids: Sequence[Tuple[int, int]]) -> float:
    """Between the lids, across the line of the corners."""
    (a, b), (c, d) = lids
    return abs(_across(p[corners[0]], p[corners[1]], (p[a][0] + p[b][0] - p[c][0] - p[d][0],
                                                      p[a][1] + p[b][1] - p[c][1] - p[d][1]))) / 2.0


def _across(start: Sequence[float], end: Sequence[float], way: Sequence[float]) -> float:
    """The part of a way that goes across a line."""
    x, y = end[0] - start[0], end[1] - start[1]
    length = math.hypot(x, y)
    return (x * way[1] - y * way[0]) / length if length > 0.0 else 0.0


def _brow(p: Sequence[Sequence[float]], inner: int, outer: int, tilt: float, height: float) -> Tuple[float, float, float]:
    """Steepness (degrees by which the inner end is higher than on the tilted head), how high it is, how bent."""
    step = 1 if outer > inner else -1
    (ix, iy), (ox, oy) = p[inner], p[outer]
    bent = [abs(_across(p[inner], p[outer], (p[i][0] - ix, p[i][1] - iy))) for i in range(inner + step, outer, step)]
    return (math.degrees(math.atan2(iy - oy, abs(ix - ox))) + tilt, ((iy + oy) / 2.0 - p[BRIDGE][1]) / height,
            max(bent) / height)


class RunningMedian:
    """Of several series at once, in little memory: a remedian (Rousseeuw and Bassett 1990), each buffer's median going one
    level up."""

    def __init__(self, series: int) -> None:
        self._levels: List[np.ndarray] = [np.empty((BASE, series)) for _ in range(LEVELS)]
        self._held = [0] * LEVELS

    @property
    def bytes(self) -> int:
        return sum(rows.nbytes for rows in self._levels)

    def add(self, values: np.ndarray) -> np.ndarray:
        """The median with these."""
        for level in range(LEVELS):
            if self._held[level] == BASE:  # the last one: half of it, the older one, is forgotten
                kept = BASE // 2
                self._levels[level][:kept] = self._levels[level][BASE - kept:]
                self._held[level] = kept
            self._levels[level][self._held[level]] = values
            self._held[level] += 1
            if self._held[level] < BASE or level == LEVELS - 1:
                break
            values = np.sort(self._levels[level], axis=0)[BASE // 2]
            self._held[level] = 0
        return self._median()

    def _median(self) -> np.ndarray:
        values = np.concatenate([rows[:held] for rows, held in zip(self._levels, self._held)])
        weights = np.repeat([float(BASE) ** level for level in range(LEVELS)], self._held)
        order = values.argsort(axis=0)
        reached = weights[order].cumsum(axis=0)
        at = (reached >= reached[-1] / 2.0).argmax(axis=0)
        columns = np.arange(values.shape[1])
        found: np.ndarray = values[order[at, columns], columns]
        return found


class Usual:
    """What is usual for one face: medians, and the extremes on either side, which are learnt for `freeze_s`."""

    def __init__(self, freeze_s: float = FREEZE_S) -> None:
        """`freeze_s` 0: it never ends."""
        self._freeze_s, self._since = freeze_s, None  # type: float, Optional[float]
        self._medians = RunningMedian(len(NAMES))
        self._median = np.zeros(len(NAMES))
        # below and above the median: the extreme, and where it decays to; NaN before they are known
        self._extremes = np.full((2, len(NAMES)), math.nan)
        self._inner = np.full((2, len(NAMES)), math.nan)
        self.values = np.zeros(len(NAMES))  # -1 to 1, in the order of NAMES; 0 is usual

    def update(self, found: np.ndarray, now: float) -> np.ndarray:
        """`found`: of measures(). `now`: seconds of any clock that goes on."""
        if self._since is None:
            self._since = now
        learning = self._freeze_s == 0.0 or now - self._since < self._freeze_s
        if learning:
            self._median = self._medians.add(found)
        with np.errstate(invalid="ignore", divide="ignore"):
            told = self._told(found, learning)
        self.values = SMOOTH * self.values + (1.0 - SMOOTH) * told
        return self.values

    def _told(self, found: np.ndarray, learning: bool) -> np.ndarray:
        median, away = self._median, found - self._median
        far = abs(away) > BEGINS * np.maximum(abs(median), FLOOR)
        told = np.zeros(len(found))
        for side, sign in enumerate((-1.0, 1.0)):
            extreme, inner = self._extremes[side], self._inner[side]
            here = away * sign > 0.0
            beyond = here & (np.isnan(extreme) & far | ((found - extreme) * sign > 0.0))
            if learning:
                extreme[beyond] = found[beyond]
                inner[beyond] = (extreme + INSIDE * (median - extreme))[beyond]
                decays = ~beyond & ((extreme - inner) * sign > 0.0)
                extreme[decays] += (DECAY * (inner - extreme))[decays]
            share = away / abs(extreme - median)
            known = here & ~beyond & (share == share)
            told[known] = np.clip(share[known], -1.0, 1.0)
            told[beyond] = sign
        return told
