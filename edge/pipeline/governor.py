"""What is given up, in a declared order, so that the rate is kept; and when it is taken back.

The decision is pure: the time and what the workers took come in, a level comes out. Level 0 gives up nothing, level n the
first n steps. Busy time decides and not dropped frames: a camera may give fewer frames than are wanted, and of one
that gives more some are dropped.
"""
import logging
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

log = logging.getLogger(__name__)

WINDOW_S = 0.5  # over which the workers' time is taken
FULL = 0.95  # share of a frame's time from which a worker does not keep up: frames do not all take the same time
ROOMY = 0.85  # share that a worker may take after a step is taken back
SURELY_ROOMY = 0.6  # share at which it is tried, whatever the step seemed to save
GIVE_UP_AFTER_S, TAKE_BACK_AFTER_S = 1.0, 5.0
LONGEST_WAIT_S = 300.0
RELAPSE_S = 60.0  # a step that is given up again so soon after it was taken back: the next time it takes twice as long
THROTTLED = "the board throttles"


class Load(NamedTuple):
    """What a window came to."""

    busy_s: float  # that the slowest worker takes for a frame
    source_fps: float  # that the source gives, whether or not they were all taken
    throttled: bool = False


class Work(NamedTuple):
    """Cumulative since the run began."""

    at: float  # seconds of the pipeline's clock
    offered: int  # frames that the source gave, those that were lost in front of the pipeline too
    workers: Mapping[str, Tuple[int, float]]  # frames that each took, and how long it was busy with them


class Step(NamedTuple):
    """Something that can be given up."""

    text: str  # for people, such as "iris every second frame"
    apply: Callable[[bool], None]  # True: give it up


class Switch:
    """On or off: set by one thread, asked by another."""

    def __init__(self) -> None:
        self._on = False

    def set(self, on: bool) -> None:
        self._on = on

    def __call__(self) -> bool:
        return self._on


class Governor:
    """decide() once a window. Times are seconds of one monotonic clock."""

    def __init__(self, target_fps: float, steps: int) -> None:
        self.level = 0
        self.reason = ""  # why something is given up
        self._target_fps, self._steps = target_fps, steps
        self._behind_since: Optional[float] = None
        self._roomy_since: Optional[float] = None
        self._fresh = False  # the level has just changed: this window is of both
        self._share_before: List[Optional[float]] = [None] * steps  # just before a step was given up
        self._saved = [0.0] * steps  # share of a frame's time that a step saved
        self._taken_back_at: List[Optional[float]] = [None] * steps
        self._wait_s = [TAKE_BACK_AFTER_S] * steps

    def decide(self, now: float, load: Load) -> int:
        """The level from now on."""
        wanted_fps = min(self._target_fps, load.source_fps)
        share = load.busy_s * wanted_fps
        if self._fresh:
            self._fresh = False
            return self.level
        if self.level and self._share_before[self.level - 1] is not None:
            self._saved[self.level - 1] = max(0.0, self._share_before[self.level - 1] - share)  # type: ignore[operator]
            self._share_before[self.level - 1] = None
        behind = share > FULL
        cooling = load.throttled and self.level == 0
        self._behind_since = _since(self._behind_since, behind or cooling, now)
        roomy = self.level > 0 and not load.throttled and share <= self._limit()
        self._roomy_since = _since(self._roomy_since, roomy, now)
        if behind or cooling:
            self._reason_of(load, wanted_fps, behind)
        if self._lasted(self._behind_since, now, GIVE_UP_AFTER_S) and self.level < self._steps:
            self._give_up(now, share)
        elif self._lasted(self._roomy_since, now, self._wait_s[self.level - 1] if self.level else 0.0):
            self._take_back(now)
        return self.level

    def pause(self) -> None:
        """No frame came: the load is not known."""
        self._behind_since = self._roomy_since = None

    def _limit(self) -> float:
        return max(SURELY_ROOMY, ROOMY - self._saved[self.level - 1])

    @staticmethod
    def _lasted(since: Optional[float], now: float, long_s: float) -> bool:
        return since is not None and now - since >= long_s

    def _give_up(self, now: float, share: float) -> None:
        taken_back_at = self._taken_back_at[self.level]
        relapsed = taken_back_at is not None and now - taken_back_at < RELAPSE_S
        wait_s = 2.0 * self._wait_s[self.level] if relapsed else TAKE_BACK_AFTER_S
        self._wait_s[self.level] = min(LONGEST_WAIT_S, wait_s)
        self._share_before[self.level] = share
        self.level += 1
        self._changed()

    def _take_back(self, now: float) -> None:
        self.level -= 1
        self._taken_back_at[self.level] = now
        if not self.level:
            self.reason = ""
        self._changed()

    def _changed(self) -> None:
        self._behind_since = self._roomy_since = None
        self._fresh = True

    def _reason_of(self, load: Load, wanted_fps: float, behind: bool) -> None:
        slow = "a frame takes {:.1f} ms, {:.3g} frames per second leave {:.1f}".format(
            load.busy_s * 1e3, wanted_fps, 1e3 / wanted_fps) if behind else ""
        if self.level < self._steps:  # what brought on the next step; it stands while that is given up
            self.reason = ", ".join(text for text in (THROTTLED if load.throttled else "", slow) if text)


def _since(before: Optional[float], holds: bool, now: float) -> Optional[float]:
    """Since when something holds without a break."""
    if not holds:
        return None
    return now if before is None else before


class Steering:
    """Gives a governor what the pipeline counts, and applies its decisions. Used by the thread that runs the pipeline.

    record() is for any thread.
    """

    def __init__(self, governor: Governor, steps: Sequence[Step], throttled: Callable[[], bool] = lambda: False,
                 on_change: Callable[[], None] = lambda: None) -> None:
        """`on_change` is called after something was given up or taken back."""
        self._governor, self._steps, self._throttled, self._on_change = governor, tuple(steps), throttled, on_change
        self._level = 0
        self._begin: Optional[Work] = None

    def on_work(self, work: Work) -> None:
        """Called a few times a second."""
        begin = self._begin
        if begin is None:
            self._begin = work
            return
        if work.at - begin.at < WINDOW_S:
            return
        load = load_of(begin, work, self._throttled())
        if load is None:
            if work.offered == begin.offered:
                self._governor.pause()
                self._begin = work
            return
        self._begin = work
        self._set(self._governor.decide(work.at, load))

    def record(self) -> Dict[str, Any]:
        """For the status record."""
        level = self._level
        return {"level": level, "given_up": [step.text for step in self._steps[:level]],
                "reason": self._governor.reason if level else ""}

    def _set(self, level: int) -> None:
        if level == self._level:
            return
        for i, step in enumerate(self._steps):
            if (i < level) != (i < self._level):
                step.apply(i < level)
        more, self._level = level > self._level, level
        step = self._steps[level - 1 if more else level]
        log.info("governor: %s %s (level %d)%s", "gives up:" if more else "takes back:", step.text, level,
                 ": " + self._governor.reason if more else "")
        self._on_change()


def load_of(begin: Work, end: Work, throttled: bool) -> Optional[Load]:
    """What happened between; None where no frame was offered, or none was done."""
    per_frame = []
    for name, (frames, busy_s) in end.workers.items():
        frames_then, busy_then_s = begin.workers.get(name, (0, 0.0))
        if frames > frames_then:
            per_frame.append((busy_s - busy_then_s) / (frames - frames_then))
    if not per_frame or end.offered == begin.offered:
        return None
    return Load(max(per_frame), (end.offered - begin.offered) / (end.at - begin.at), throttled)
