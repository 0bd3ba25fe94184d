"""Both eyes together: blinks and winks, eyes that stay shut, and the share of a minute that they were shut."""
import math
from collections import deque
from typing import Deque, List, Optional, Tuple

from edge.core.packet import END, Eyes
from edge.face.events.dips import LONGEST_S, Dip, EyeLids
from edge.face.events.signals import LONGEST_GAP_S, Found, Lasting, Limits, Signals, beyond

SIDES = Eyes._fields
LEAST_DEPTH = 0.3  # of the other eye's dip, to be looked at beside the deeper one
OVERLAP = 0.5  # of the shorter of two dips: what overlaps less is not one blink of both eyes
WINK = 0.45  # one eye dips less than this share of the other's depth: the other winks
WINK_DEPTH = 0.7  # least of a wink: one eye alone is misread more often than both are
CLOSED, OPEN_AGAIN = 0.8, 0.6  # closure: P80 of Wierwille et al. 1994; hysteresis
OPEN_AGAIN_S = 0.1
LONGEST_BLINK_S = 0.5  # Stern, Walrath and Goldstein 1984
LONGEST_SLOW_S, SLOW_DEPTH = 1.0, 0.8  # what shuts the eyes fully may take longer; what was told as eyes_closed is no blink
WINDOW_S, BIN_S = 60.0, 0.5
ENOUGH_S = 30.0  # of the window in which an eye was seen
AWAKE_AGAIN = 0.8  # of the share at which drowsiness began


class Lids:
    """Told as `blink` and `eyes_closed`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._eyes = (EyeLids(), EyeLids())
        self._dips: List[Optional[Dip]] = [None, None]
        self._closed = Lasting("eyes_closed", limits.closed_s, OPEN_AGAIN_S, LONGEST_GAP_S)
        self._closed_for: Deque[Tuple[float, float]] = deque(maxlen=4)  # closures that were told
        self._perclos = Perclos(limits)
        self._over_s = -math.inf  # the end of the last blink of both eyes

    def __call__(self, time_s: float, signals: Signals) -> List[Found]:
        closures = []
        for i, (eye, distance) in enumerate(zip(self._eyes, signals.lids)):
            if distance is not None:
                dip = eye(time_s, distance)
                if dip is not None and dip.depth >= LEAST_DEPTH:
                    self._dips[i] = dip
                closures.append(eye.closure)
        least = CLOSED if not self._closed.holding else OPEN_AGAIN
        closure = min(closures) if closures else None
        shut = None if closure is None else closure >= least
        found = list(self._closed(time_s, shut, beyond(closure, CLOSED, 1.0) if closure is not None and shut else 0.0))
        for one in found:
            if one.end_s is not None:
                self._closed_for.pop()
            self._closed_for.append((one.start_s, math.inf if one.end_s is None else one.end_s))
        blinks = [] if self._dips == [None, None] else [
            blink for blink in self._blinks(time_s) if not self._was_closed(blink)]
        return found + blinks + self._perclos(time_s, None if closure is None else closure >= CLOSED, len(blinks))

    def end(self) -> List[Found]:
        """What is not over yet; a dip that is not over is no blink."""
        return list(self._closed.end()) + self._perclos.end()

    def _was_closed(self, blink: Found) -> bool:
        return any(blink.start_s < end and blink.end_s is not None and blink.end_s > begin for begin, end in self._closed_for)

    def _blinks(self, time_s: float) -> List[Found]:
        """A dip waits for that of the other eye as long as this may still belong to it."""
        found = []
        for i in (0, 1):
            dip, other = self._dips[i], self._dips[1 - i]
            if dip is None:
                continue
            eye = self._eyes[1 - i]
            going = eye.dips_since if time_s - eye.seen_s <= LONGEST_GAP_S else None
            if other is None and going is not None and going < dip.end_s and time_s - going <= LONGEST_S:
                continue
            if other is not None and _overlap(dip, other) < OVERLAP:
                other = None
            self._dips[i] = None
            if other is not None:
                self._dips[1 - i] = None
            found.extend(self._told(i, dip, other))
        return found

    def _told(self, i: int, dip: Dip, other: Optional[Dip]) -> List[Found]:
        if other is not None and other.depth > dip.depth:
            i, dip, other = 1 - i, other, dip
        eye = self._eyes[1 - i]
        lost = eye.dips_since is not None and eye.seen_s < dip.end_s  # while its lids fell
        blind = other is None and (lost or eye.seen_s < dip.start_s - LONGEST_GAP_S)
        both = blind or (other is not None and other.depth >= WINK * dip.depth)
        start_s, end_s = dip.start_s, dip.end_s  # of the eye that shut further
        if both:  # the last one may have been measured on the other eye
            start_s = max(start_s, self._over_s)
        longest = LONGEST_S if not both else LONGEST_SLOW_S if dip.depth >= SLOW_DEPTH else LONGEST_BLINK_S
        least = self._limits.blink_closure if both else max(WINK_DEPTH, self._limits.blink_closure)
        if dip.depth < least or not 0.0 < end_s - start_s <= longest:
            return []
        self._over_s = end_s if both else self._over_s
        values = {"side": "both" if both else SIDES[i], "closure": dip.depth}
        if blind:
            values["seen"] = SIDES[i]
        return [Found("blink", END, start_s, end_s, beyond(dip.depth, least, max(0.9, least + 0.01)), values)]


class Perclos:
    """The share of the last minute, as far as an eye was seen, in which the eyes were shut; told from a limit on."""

    def __init__(self, limits: Limits) -> None:
        self._least = limits.perclos
        self._drowsy = Lasting("perclos", 0.0, 0.0, WINDOW_S)
        self._bins: Deque[Tuple[float, float, float, int]] = deque()
        self._now = (0.0, 0.0, 0.0, 0)  # begin, seen s, shut s, blinks
        self._sums = (0.0, 0.0, 0)
        self._seen_s: Optional[float] = None

    def __call__(self, time_s: float, shut: Optional[bool], blinks: int) -> List[Found]:
        dt = 0.0 if self._seen_s is None else time_s - self._seen_s
        self._seen_s = time_s
        if dt > LONGEST_GAP_S or shut is None:
            dt = 0.0
        begin, seen, closed, blinked = self._now
        if time_s - begin >= BIN_S:
            self._bins.append(self._now)
            begin, seen, closed, blinked = time_s, 0.0, 0.0, 0
        self._now = begin, seen + dt, closed + (dt if shut else 0.0), blinked + blinks
        a, b, n = self._sums
        self._sums = a + dt, b + (dt if shut else 0.0), n + blinks
        while self._bins and self._bins[0][0] <= time_s - WINDOW_S:
            _, seen, closed, blinked = self._bins.popleft()
            a, b, n = self._sums
            self._sums = a - seen, b - closed, n - blinked
        return self._told(time_s)

    def _told(self, time_s: float) -> List[Found]:
        seen = self._sums[0]
        if seen < ENOUGH_S:
            return self._with_values(self._drowsy(time_s, None)) if self._drowsy.holding else []
        share = self._sums[1] / seen
        least = self._least * (AWAKE_AGAIN if self._drowsy.holding else 1.0)
        confidence = 0.0
        if share >= least:
            clear = beyond(share, self._least, 2.0 * self._least) - 0.5
            confidence = max(0.0, 0.5 + clear * min(1.0, seen / WINDOW_S))
        return self._with_values(self._drowsy(time_s, share >= least, confidence))

    def _with_values(self, found: Tuple[Found, ...]) -> List[Found]:
        if not found:
            return []
        seen, shut, blinks = self._sums
        return [one.having(perclos=max(0.0, shut / seen), blinks_per_minute=60.0 * blinks / seen) if seen > 0.0 else one
                for one in found]

    def end(self) -> List[Found]:
        return self._with_values(self._drowsy.end())


def _overlap(one: Dip, other: Dip) -> float:
    """Of the shorter."""
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return shared / max(1e-6, min(one.end_s - one.start_s, other.end_s - other.start_s))
