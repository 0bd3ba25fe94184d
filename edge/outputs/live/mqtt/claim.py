"""Two boxes with one name would overwrite each other for ever (Home Assistant core #157435): who came first keeps it.

On a topic of its own a run says, retained, that it is the owner. Whoever comes later asks, and an owner that is alive answers
by saying it again. No answer: what is retained is left from a run that is over. Pure: payloads and times in, payloads out.
"""
import re
from typing import List, NamedTuple, Optional

ANSWER_S = 2.0  # an owner that is alive answers within
# one that was refused asks again after so long, or up to half as long again: of two that both gave way one is the first
AGAIN_S = 30.0
ASKED_S = 90.0  # so long is told that another asks
PAYLOAD = re.compile(rb"(owner|ask):([0-9a-f]{16})\Z")
ASKING, OURS, ANOTHERS = "asking", "ours", "another's"


class Saying(NamedTuple):
    payload: bytes
    retain: bool


RELEASE = Saying(b"", True)  # nothing is retained there any more


class Claim:
    """To one topic. Feed it what comes there, and step() some times a second; each gives what to publish there."""

    def __init__(self, run: str) -> None:
        """`run`: 16 hexadecimal digits that are no other run's."""
        self._run, self._again_s = run, AGAIN_S * (1.0 + int(run[:4], 16) / 131072.0)
        self.state = ASKING
        self._began = self._changed_at = self._answered_at = self._asked_at = float("-inf")
        self._echoed = False  # what was retained has come before
        self._unanswered = False
        self._other: Optional[str] = None

    def begin(self, now: float) -> List[Saying]:
        self.state, self._began, self._echoed, self._other = ASKING, now, False, None
        return [Saying("ask:{}".format(self._run).encode("ascii"), False)]

    def asked(self, now: float) -> bool:
        """Another has asked for it of late."""
        return now - self._asked_at < ASKED_S

    def take(self, payload: bytes, retained: bool, now: float) -> List[Saying]:
        found = PAYLOAD.match(payload)
        if found is None:  # RELEASE: by one that gave way
            return [self._owner()] if payload == RELEASE.payload and not retained and self.state == OURS else []
        word, run = found.group(1).decode("ascii"), found.group(2).decode("ascii")
        if run == self._run:
            self._echoed = self._echoed or word == "ask"
        elif word == "ask":
            if self.state == OURS:
                self._asked_at, self._unanswered = now, True
        elif retained:
            self._other = run
        elif self.state == OURS:  # both began at the same time
            self._asked_at = now
            if run > self._run:
                return [self._owner()]
            self._become(ANOTHERS, now)
        elif self.state == ASKING:
            self._become(ANOTHERS, now)
        return []

    def step(self, now: float) -> List[Saying]:
        if self.state == ANOTHERS and now - self._changed_at >= self._again_s:
            return self.begin(now)
        if self.state == ASKING and (self._echoed and self._other is None or now - self._began >= ANSWER_S):
            self._become(OURS, now)
            return [self._owner()]
        # once a second at most: a flood of questions is not answered by one of answers
        if self._unanswered and now - self._answered_at >= 1.0:
            self._unanswered, self._answered_at = False, now
            return [self._owner()]
        return []

    def give_up(self, now: float) -> List[Saying]:
        """Where another has a name that goes with this one."""
        said = [RELEASE] if self.state == OURS else []
        if self.state != ANOTHERS:
            self._become(ANOTHERS, now)
        return said

    def own(self, now: float) -> None:
        """Without asking: nothing is read of this broker."""
        self._become(OURS, now)

    def _become(self, state: str, now: float) -> None:
        self.state, self._changed_at, self._unanswered = state, now, False

    def _owner(self) -> Saying:
        return Saying("owner:{}".format(self._run).encode("ascii"), True)
