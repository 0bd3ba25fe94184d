"""The rows of the live outputs, with counts that go on where one relay ends and the next one begins."""
import threading
from typing import Dict, List, Sequence

from edge.outputs.relay.messages import Row
from edge.outputs.sender import CLOSED, DOWN, FAILED, HANGING, NEW, OK, OPENING

COUNTED = ("sent", "failed", "dropped")


class Ledger:
    """For any thread."""

    def __init__(self, names: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self.names = list(names)
        self._earlier: List[Dict[str, int]] = [dict.fromkeys(COUNTED, 0) for _ in names]  # by relays that have ended
        self._now: List[Row] = [dict.fromkeys(COUNTED, 0) for _ in names]  # by the one that runs
        self._state = NEW  # of all of them, where there is one

    def become(self, state: str) -> None:
        """Of all outputs, until the relay says more."""
        with self._lock:
            self._state = state

    def told(self, rows: List[Row]) -> None:
        """Behind "closed" stays what was known of an output's receivers."""
        with self._lock:
            for row, before in zip(rows, self._now):
                word, _, known = before.get("state", NEW).partition(": ")
                known = known if word == CLOSED else before.get("state", NEW)
                if row["state"] == CLOSED and known.partition(":")[0] not in ("", OK, NEW, OPENING, DOWN, FAILED):
                    row["state"] = "{}: {}".format(CLOSED, known)
            self._now, self._state = rows, ""

    def ended(self, handed: int, state: str) -> None:
        """The relay is gone. Of the frames that it was handed, those that it did not tell of count as dropped."""
        with self._lock:
            for earlier, row in zip(self._earlier, self._now):
                lost = max(0, handed - sum(row[key] for key in COUNTED))
                for key, value in row.items():
                    if key != "state":
                        earlier[key] = earlier.get(key, 0) + value + (lost if key == "dropped" else 0)
            self._now = [dict.fromkeys(COUNTED, 0) for _ in self.names]
            self._state = state

    def close(self) -> None:
        """Nothing more comes. What the relay itself said of the end stays."""
        with self._lock:
            if self._state not in ("", HANGING):
                self._state = CLOSED
            for row in self._now:
                if row.get("state", CLOSED).partition(":")[0] not in (CLOSED, HANGING):  # behind it stands why it was down
                    row["state"] = CLOSED

    def rows(self, dropped: int) -> Dict[str, Row]:
        """By name. `dropped`: frames that no relay was handed."""
        with self._lock:
            found = {}
            for name, earlier, row in zip(self.names, self._earlier, self._now):
                counts = {key: row.get(key, 0) + earlier.get(key, 0) for key in list(row) + list(earlier) if key != "state"}
                counts["dropped"] += dropped
                found[name] = dict(counts, state=self._state or row["state"])
            return found
