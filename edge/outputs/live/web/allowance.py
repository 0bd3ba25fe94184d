"""How much another end may say."""


class Allowance:
    """So many messages a second for long, some more at once."""

    def __init__(self, at_once: float, a_second: float, now: float) -> None:
        self._most, self._a_second = at_once, a_second
        self._spare, self._before = at_once, now

    def spend(self, now: float) -> bool:
        """One more. False: that is too much."""
        self._spare = min(self._most, self._spare + self._a_second * (now - self._before)) - 1.0
        self._before = now
        return self._spare >= 0.0
