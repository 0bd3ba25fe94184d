"""Nods and shakes: the head swings up and down, or right and left, a few times and not slowly.

Symmetric cyclic movements signal yes and no (Hadar, Steiner and Rose 1985); looking around is slower and turns back late.
"""
import math
from collections import deque
from typing import Deque, List, Optional, Tuple

from edge.core.packet import END
from edge.face.events.signals import LONGEST_GAP_S, Found, Pair, Signals, beyond

NAMES = ("shake", "nod")  # of yaw, of pitch
LEAST_DEG = (6.0, 5.0)  # swing from one turn to the next
LONGEST_SWING_S = 0.6  # slower than about 0.8 Hz is looking around
LEAST_SWINGS, SURE_SWINGS = 3, 6  # two changes of direction; from where on it is beyond doubt
STILL = 0.25  # of the least swing: so near to its lowest or highest angle the head still rests there
MAIN = 1.5  # the other angle ranges less by this factor
KEPT_S = 8.0
Turn = Tuple[float, float]  # time, angle


class Swings:
    """The turns of one angle that follow each other without a pause."""

    def __init__(self, least_deg: float) -> None:
        self._least = least_deg
        self.reset()

    def reset(self) -> None:
        self._way = 0  # 1 rising, -1 falling, 0 at rest
        self._low, self._high = (0.0, math.inf), (0.0, -math.inf)
        self._turns: List[Turn] = []
        self._far = (0.0, 0.0)

    def __call__(self, time_s: float, angle: float) -> Optional[List[Turn]]:
        """The turns of a movement that is over, its two ends among them."""
        if not self._way:
            self._rest(time_s, angle)
            return None
        ahead = (angle - self._far[1]) * self._way
        if ahead > 0.0:
            self._far = time_s, angle
        elif -ahead >= self._least:
            return self._turn(time_s, angle)
        elif time_s - self._far[0] > LONGEST_SWING_S:
            return self._over(time_s, angle)
        return None

    def _rest(self, time_s: float, angle: float) -> None:
        slack = STILL * self._least
        if angle < self._low[1] + slack:
            self._low = time_s, min(angle, self._low[1])
        if angle > self._high[1] - slack:
            self._high = time_s, max(angle, self._high[1])
        for way, turned in ((1, self._low), (-1, self._high)):
            if (angle - turned[1]) * way >= self._least:
                self._way, self._turns, self._far = way, [turned], (time_s, angle)
                return

    def _turn(self, time_s: float, angle: float) -> Optional[List[Turn]]:
        over, slow = None, self._far[0] - self._turns[-1][0] > LONGEST_SWING_S
        if slow:
            over, self._turns = self._turns, []
        self._turns.append(self._far)
        self._way, self._far = -self._way, (time_s, angle)
        return over

    def end(self) -> List[Turn]:
        """The turns so far of a movement that goes on, because nothing more will be known of it."""
        turns = self._turns
        if self._way and self._far[0] - turns[-1][0] <= LONGEST_SWING_S:
            turns.append(self._far)
        self.reset()
        return turns

    def _over(self, time_s: float, angle: float) -> List[Turn]:
        turns = self.end()
        self._low = self._high = time_s, angle
        return turns


class Nods:
    """Told as `nod` and `shake`, when they are over."""

    def __init__(self) -> None:
        self._swings = [Swings(least) for least in LEAST_DEG]
        self._past: Deque[Tuple[float, Pair]] = deque()

    def __call__(self, time_s: float, signals: Signals) -> List[Found]:
        head = signals.head_deg
        if head is None:
            return []
        found = self.end() if self._past and time_s - self._past[-1][0] > LONGEST_GAP_S else []
        self._past.append((time_s, head))
        while self._past[0][0] < time_s - KEPT_S:
            self._past.popleft()
        for axis, swings in enumerate(self._swings):
            found.extend(self._told(axis, swings(time_s, head[axis]) or []))
        return found

    def end(self) -> List[Found]:
        """What is over where it was last known."""
        found = [one for axis, swings in enumerate(self._swings) for one in self._told(axis, swings.end())]
        self._past.clear()
        return found

    def _told(self, axis: int, turns: List[Turn]) -> List[Found]:
        if len(turns) <= LEAST_SWINGS:
            return []
        start_s, end_s = turns[0][0], turns[-1][0]
        other = [head[1 - axis] for t, head in self._past if start_s <= t <= end_s]
        sizes = [abs(b - a) for (_, a), (_, b) in zip(turns, turns[1:])]
        size = sum(sizes) / len(sizes)
        if other and size < MAIN * (max(other) - min(other)):
            return []
        confidence = beyond(len(sizes), LEAST_SWINGS, SURE_SWINGS)
        return [Found(NAMES[axis], END, start_s, end_s, confidence, {"swings": len(sizes), "swing_deg": size})]
