"""Which values are told again, and when: a home's recorder keeps every change for years."""
from typing import Any, Dict, Mapping, Optional

from edge.outputs.live.mqtt.quantities import Quantity

EVERY_S = 5.0
SHORTEST_S = 0.2  # between two messages, whatever happens


class Told:
    """What the readers of one topic know.

    A state (a quantity without a band) is told at once when it changes. A number is told when it has left its band, at most
    once in `every_s`; all that left theirs go together. Where `whole` changes, everything is told with it.
    """

    def __init__(self, quantities: Mapping[str, Quantity], every_s: float = EVERY_S, factor: float = 1.0,
                 whole: str = "") -> None:
        """`factor` widens the bands; 0: every change of the rounded value counts."""
        self._quantities, self._every_s, self._factor, self._whole = quantities, every_s, factor, whole
        self._told: Dict[str, Any] = {}
        self._told_at: Dict[str, float] = {}
        self._numbers_at = self._message_at = float("-inf")

    def forget(self) -> None:
        """The next message is whole."""
        self._told = {}
        self._told_at = {}
        self._numbers_at = self._message_at = float("-inf")

    def next(self, values: Mapping[str, Any], now: float) -> Optional[Dict[str, Any]]:
        """The message to send now, rounded, with all values; None: there is none to send."""
        if now - self._message_at < SHORTEST_S:
            return None
        changed = {key for key, value in values.items() if self._left_band(key, value)}
        if not changed:
            return None
        all_of_it = not self._told or self._whole in changed
        states = {key for key in changed if self._quantities[key].band is None}
        if all_of_it:
            due = set(values)
        elif states or now - self._numbers_at >= self._every_s:
            due = states | {key for key in changed - states if now - self._told_at[key] >= self._every_s}
        else:
            return None
        if not due:
            return None
        for key in due:
            self._told[key], self._told_at[key] = self._rounded(key, values[key]), now
        if due - states:
            self._numbers_at = now
        self._message_at = now
        return dict(self._told)

    def _left_band(self, key: str, value: Any) -> bool:
        if key not in self._told:
            self._told_at.setdefault(key, float("-inf"))
            return True
        told, band = self._told[key], self._quantities[key].band
        if band is None or value is None or told is None:
            return bool(value != told)
        return abs(value - told) >= self._factor * band and self._rounded(key, value) != told

    def _rounded(self, key: str, value: Any) -> Any:
        quantity = self._quantities[key]
        return value if value is None or quantity.band is None else round(float(value), quantity.decimals) + 0.0
