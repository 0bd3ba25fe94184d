"""What a face does: its strongest blend shapes as bars, left and right beside each other, and the last second's events."""
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from edge.core.packet import END, Event, Packet
from edge.core.parts import SHAPES
from edge.outputs.pictures import text

WHITE, GREY, INK = (250, 250, 250), (178, 176, 172), (28, 24, 22)  # blue, green, red
BAR, TROUGH = (128, 226, 214), (96, 90, 86)
ROWS, LINES = 8, 4  # of bars; of events
SHOWN_S = 1.0  # of an event
LASTING_S = 0.5  # an event that was so long tells how long
MOST = 0.45  # of the picture's sides: where the panel would take more, the face is worth more
LEFT, RIGHT = "Left", "Right"
SIDES = {"left": " L", "right": " R", "both": ""}


class Row(NamedTuple):
    """One shape, or the two of a pair."""

    label: str
    values: Tuple[float, ...]  # one, or the subject's right and left


def _pairs() -> Dict[str, Tuple[str, ...]]:
    """Label -> the one or two shapes of a row, in the order of the names."""
    rows: Dict[str, Tuple[str, ...]] = {}
    for name in SHAPES:
        stem = name[:-len(LEFT)] if name.endswith(LEFT) else ""
        if stem and stem + RIGHT in SHAPES:
            rows[stem if stem not in ("jaw", "mouth") else stem + " side"] = (stem + RIGHT, name)
        elif not name.endswith(RIGHT):
            rows[name] = (name,)
    return rows


PAIRS = _pairs()


def rows_of(expression: Mapping[str, float]) -> List[Row]:
    """The strongest in the order of their names, so that a row seldom changes its place; a side that is not known is NaN."""
    rows = [Row(label, tuple(float(expression.get(name, np.nan)) for name in names)) for label, names in PAIRS.items()
            if any(name in expression for name in names)]
    strongest = sorted(rows, key=lambda row: -max((v for v in row.values if np.isfinite(v)), default=0.0))[:ROWS]
    return [row for row in rows if row in strongest]


def draw_shapes(canvas: np.ndarray, expression: Mapping[str, Any], unit: float, mirror: bool) -> None:
    """In the top right corner of `canvas`, in place, where there is room. The bars stand as the picture shows the sides."""
    rows = rows_of(expression)
    cap = max(6.0, 7.5 * unit)
    edge, pad, pitch = int(round(0.7 * cap)), int(round(1.2 * cap)), int(round(2.1 * cap))
    names, bar = max(text.width_of(label, cap) for label in PAIRS), int(round(5.0 * cap))  # the panel must keep its size
    width, height = 2 * pad + names + int(cap) + 2 * bar + int(0.6 * cap), pad + pitch * ROWS
    if not rows or width > MOST * canvas.shape[1] or height > MOST * canvas.shape[0]:
        return
    left = canvas.shape[1] - edge - width
    text.plate(canvas, (left, edge, left + width, edge + height), int(0.8 * cap), INK, 0.66)
    for i, row in enumerate(rows):
        foot = edge + pad // 2 + int(round(1.6 * cap)) + pitch * i
        text.put(canvas, row.label, (left + pad, foot), cap, GREY)
        values = row.values[::-1] if mirror else row.values
        full = bar if len(values) == 2 else 2 * bar + int(0.6 * cap)
        for side, value in enumerate(values):
            begin = left + pad + names + int(cap) + side * (bar + int(0.6 * cap))
            _bar(canvas, (begin, foot - int(round(0.8 * cap)), full, max(2, int(round(0.5 * cap)))), value)


def _bar(canvas: np.ndarray, place: Tuple[int, int, int, int], value: float) -> None:
    """`place`: left, top, length of 1, thickness. What is not known has no trough."""
    left, top, length, thick = place
    if np.isfinite(value):
        full = int(round(length * min(1.0, max(0.0, value))))
        text.plate(canvas, (left, top, left + length, top + thick), thick // 2, TROUGH, 0.8)
        text.plate(canvas, (left, top, left + full, top + thick), thick // 2, BAR, 0.95)


class Recent:
    """The events of the last second of the frames' time."""

    def __init__(self) -> None:
        self._told: List[Tuple[float, str]] = []

    def update(self, packet: Packet) -> List[str]:
        """Take in one packet's events; returns what is to be shown, the newest last."""
        now_s = packet.frame.time_s
        self._told += [(now_s, words_of(event)) for event in packet.events]
        self._told = [(at_s, words) for at_s, words in self._told if 0.0 <= now_s - at_s < SHOWN_S][-LINES:]
        return self.lines()

    def lines(self) -> List[str]:
        return [words for _, words in self._told]


def words_of(event: Event) -> str:
    """Such as "blink L", "away left", "eyes closed 1.2 s"."""
    words = event.name.replace("_", " ")
    side, zone = event.values.get("side"), event.values.get("zone")
    words += SIDES.get(str(side), "") + (" {}".format(zone) if zone is not None else "")
    lasted_s = 0.0 if event.phase != END or event.end_s is None else event.end_s - event.start_s
    return words + (" {:.1f} s".format(lasted_s) if lasted_s >= LASTING_S else "")


def draw_events(canvas: np.ndarray, lines: Sequence[str], unit: float) -> None:
    """In the bottom left corner, the newest lowest."""
    cap = float(round(max(6.0, 9.0 * unit)))
    for i, words in enumerate(reversed(lines)):
        text.tag(canvas, words, (0.7 * cap, canvas.shape[0] - (0.7 + 2.4 * i) * cap - 2.1 * cap), cap, (WHITE, INK))
