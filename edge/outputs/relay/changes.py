"""Which changes of the outputs' states a run says on its screen or in its log."""
from typing import List, Sequence, Tuple

from edge.outputs.relay.messages import NOTE, WARNING, Row
from edge.outputs.sender import CLOSED, DOWN, FAILED, HANGING, NEW, OK, OPENING

MOST_AT_ONCE = 20  # of one output; then
PAUSE_S = 60.0  # lies between two of its lines: what comes and goes all day fills no log
PASSING = (NEW, OPENING, CLOSED, HANGING)


class Changes:
    """An output that is down, one that works again, and who receives it; not that one works from the start."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._said = [OK for _ in names]  # the newest state that was said
        self._lines = [0 for _ in names]
        self._said_at = [float("-inf") for _ in names]

    def lines(self, rows: Sequence[Row], now: float) -> List[Tuple[str, str]]:
        """WARNING or NOTE, and the line. One that has no room now is said later, if the state is still so."""
        found = []
        for i, row in enumerate(rows):
            state = str(row["state"])
            word, _, why = state.partition(": ")
            if word in PASSING or state == self._said[i]:
                continue
            if self._lines[i] >= MOST_AT_ONCE and now - self._said_at[i] < PAUSE_S:
                continue
            self._said[i], self._said_at[i] = state, now
            self._lines[i] += 1
            found.append((WARNING, _line(self._names[i], why)) if word in (DOWN, FAILED) else
                         (NOTE, _line(self._names[i], "works" if state == OK else state)))
        return found


def _line(name: str, text: str) -> str:
    return text if text.startswith("output ") else "output {}: {}".format(name, text)
