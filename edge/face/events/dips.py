"""One eye's lids over time: how far it is shut, and each fast dip of its opening with its depth and times.

All of it is relative to the person: lids that a smile, a squint or a look down keep low are a lower level, not a dip.
"""
import math
from typing import List, NamedTuple, Optional, Tuple

from edge.face.events.signals import LONGEST_GAP_S, SLACK_S
from edge.face.eyes import OPEN_LIMITS, USUAL_OPEN

BEGINS, RECOVERED = 0.25, 0.45  # of the way from open to shut; of the dip's own depth
OPEN_AGAIN_S = 0.06  # lids that fall again sooner flutter: the dip goes on
FLAT, FLAT_S = 0.1, 0.3  # of the usual level: lids that move no more than this for so long have come to rest
RESTS = 0.45  # of the way from shut to open: where they rest above it, they are only lower than before
LONGEST_S = 2.0  # a longer one is no dip, but lids that stay down
RISE_S, FALL_S = 0.1, 0.6  # time constants of the level that dips are measured from
USUAL_RISE_S, USUAL_FALL_S = 1.5, 30.0  # and of the level that the eye usually has
CLOSING = 0.6  # of the usual level: below it nothing is learned of it
SHUT_SHARE = 0.15  # of the usual level where the lids are shut, before that was seen: meshes leave a gap
SHUT_LIMITS = (0.02, 0.35)
DEEPER, SHALLOWER = 0.5, 0.15  # how fast that share follows the bottom of a dip
SURELY_SHUT = 0.5  # a less deep dip teaches nothing of it


class Dip(NamedTuple):
    """Times where the opening crosses about the middle between the level before and the bottom, between frames by a line."""

    start_s: float
    end_s: float
    depth: float  # 0 open, 1 shut


class EyeLids:
    """Fed with each lid distance that is known of one eye."""

    def __init__(self) -> None:
        self.closure = 0.0  # against the usual level: 0 open, 1 shut
        self.seen_s = -math.inf
        self._usual = 0.0
        self._shut = SHUT_SHARE
        self._level = 0.0
        self._dip: List[Tuple[float, float]] = []
        self._bottom = 0.0
        self._open_s: Optional[float] = None
        self._flat = 0.0, 0.0

    @property
    def dips_since(self) -> Optional[float]:
        """When the dip began that is not over yet."""
        return self._dip[0][0] if self._dip else None

    def __call__(self, time_s: float, distance: float) -> Optional[Dip]:
        """The dip that is over with this frame."""
        dt = time_s - self.seen_s
        if dt > LONGEST_GAP_S:
            self._dip = []
            self._level = distance
        if not self._usual:
            self._usual = min(OPEN_LIMITS[1], max(CLOSING * USUAL_OPEN, distance))
        before, self.seen_s = (self.seen_s, self._level), time_s
        self._learn_usual(distance, dt)
        shut = self._shut * self._usual
        self.closure = min(1.0, max(0.0, (self._usual - distance) / (self._usual - shut)))
        if self._dip:
            return self._in_dip(time_s, distance, dt)
        if self._level - distance >= BEGINS * max(self._level - shut, 0.3 * self._usual) and dt <= LONGEST_GAP_S:
            self._flat = now = time_s, distance
            self._dip, self._bottom, self._open_s = [before, now], distance, None
        else:
            self._level += (distance - self._level) * _weight(dt, RISE_S if distance > self._level else FALL_S)
        return None

    def _learn_usual(self, distance: float, dt: float) -> None:
        if distance > CLOSING * self._usual:
            step = _weight(dt, USUAL_RISE_S if distance > self._usual else USUAL_FALL_S)
            self._usual = min(OPEN_LIMITS[1], self._usual + (distance - self._usual) * step)

    def _in_dip(self, time_s: float, distance: float, dt: float) -> Optional[Dip]:
        self._dip.append((time_s, distance))
        self._bottom = min(self._bottom, distance)
        if abs(distance - self._flat[1]) > FLAT * self._usual:
            self._flat = time_s, distance
        if distance < self._bottom + RECOVERED * (self._level - self._bottom):
            self._open_s = None
            if self.closure < 1.0 - RESTS and time_s - self._flat[0] >= FLAT_S - SLACK_S:
                return self._over(distance, distance)
            if time_s - self._dip[0][0] > LONGEST_S + 2 * LONGEST_GAP_S:
                self._dip, self._level = [], distance
            return None
        self._open_s = time_s if self._open_s is None else self._open_s
        if max(time_s - self._open_s, dt) < OPEN_AGAIN_S - SLACK_S:
            return None
        return self._over(distance, self._level)

    def _over(self, distance: float, level: float) -> Optional[Dip]:
        """Measured from `level`, that before or, where lids came to rest lower, that after it."""
        dip, self._dip, self._level = self._dip, [], distance
        shut = self._shut * self._usual
        depth = (level - self._bottom) / max(level - shut, 1e-6)
        middle = self._bottom + RECOVERED * (level - self._bottom)
        low = [i for i, (_, d) in enumerate(dip) if d < middle]
        if not low or low[-1] + 1 == len(dip):
            return None
        start_s, end_s = (_crossing(dip[i], dip[i + 1], middle) for i in (low[0] - 1, low[-1]))
        if depth >= SURELY_SHUT:
            share = self._bottom / self._usual
            self._shut += (share - self._shut) * (DEEPER if share < self._shut else SHALLOWER)
            self._shut = min(SHUT_LIMITS[1], max(SHUT_LIMITS[0], self._shut))
        return Dip(start_s, end_s, min(1.0, depth)) if end_s - start_s <= LONGEST_S else None


def _weight(dt: float, tau_s: float) -> float:
    return 1.0 - math.exp(-max(0.0, dt) / tau_s)


def _crossing(before: Tuple[float, float], after: Tuple[float, float], at: float) -> float:
    (t0, d0), (t1, d1) = before, after
    return t0 + (t1 - t0) * (at - d0) / (d1 - d0)
