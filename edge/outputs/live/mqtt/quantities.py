"""What a home is told: a few slow values of one face. One table, read by what measures, rounds and announces them."""
from collections import deque
from typing import Any, Deque, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from edge.core.packet import START
from edge.core.parts import SHAPES

Record = Mapping[str, Any]
HOLD_S = 2.0  # a face that is lost for less is there, a value that is absent for less is known: a blink is no news
MINUTE_S = 60.0
MOST_OPEN = 64  # events that last
SHAPE_BAND = 0.1
CENTER = "center"


class Quantity(NamedTuple):
    """`band`: a number is told again once it moved so far; None: a state, told at once. A `binary` one is true or false."""

    name: str  # in Home Assistant
    band: Optional[float] = None
    decimals: int = 0
    unit: str = ""
    device_class: str = ""
    options: Tuple[str, ...] = ()
    binary: bool = False
    shown: bool = True  # False: Home Assistant keeps it switched off until somebody wants it


QUANTITIES: Mapping[str, Quantity] = {
    "presence": Quantity("Presence", device_class="occupancy", binary=True),
    "faces": Quantity("Faces"),
    "attention": Quantity("Attention", device_class="enum", options=(CENTER, "left", "right", "up", "down")),
    "eyes_closed": Quantity("Eyes closed", binary=True),
    "drowsy": Quantity("Drowsy", binary=True),
    "yaw": Quantity("Head yaw", 3.0, 1, "°"),
    "pitch": Quantity("Head pitch", 3.0, 1, "°"),
    "roll": Quantity("Head roll", 3.0, 1, "°", shown=False),
    "gaze_yaw": Quantity("Gaze yaw", 4.0, 1, "°", shown=False),
    "gaze_pitch": Quantity("Gaze pitch", 4.0, 1, "°", shown=False),
    "eye_open_right": Quantity("Right eye open", 0.15, 2, shown=False),
    "eye_open_left": Quantity("Left eye open", 0.15, 2, shown=False),
    "mouth_open": Quantity("Mouth open", 0.15, 2, shown=False),
    "distance_mm": Quantity("Distance", 50.0, -1, "mm", "distance"),
    "blinks_per_minute": Quantity("Blinks", 3.0, 0, "/min"),
    "perclos": Quantity("PERCLOS", 2.0, 1, "%"),
}
SHAPE = Quantity("", SHAPE_BAND, 2)
STATES = tuple(key for key, quantity in QUANTITIES.items() if quantity.band is None)


class Reading:
    """From records and events to the values now; None where one is not known."""

    def __init__(self, smooth_s: float) -> None:
        """`smooth_s`: numbers are averaged over about so long, so that one that is told rarely is no accident."""
        self._smooth_s = smooth_s
        self._face: Optional[int] = None
        self._counts: Deque[Tuple[float, int]] = deque()  # (seen at, faces), of the last HOLD_S; counts fall
        self._numbers: Dict[str, Tuple[float, float]] = {}  # (value, seen at)
        self._open: Dict[Any, Record] = {}  # event id -> the start of what goes on
        self._blinks: Deque[float] = deque(maxlen=1000)
        self._watched_from: Optional[float] = None
        self._frame_at = float("-inf")

    def take(self, record: Optional[Record], events: Iterable[Record], now: float) -> None:
        """`record` None: no frame came."""
        faces = [] if record is None else record.get("faces") or []
        if record is not None:
            self._frame_at = now
            self._count(len(faces), now)
        if faces:
            face = next((f for f in faces if f.get("id") == self._face), faces[0])
            self._face = face.get("id")
            for key, value in numbers_of(face).items():
                self._smooth(key, value, now)
        for event in events:
            self._note(event, now)
        if not self._there(now):
            self._watched_from = None
            self._open.clear()
            self._blinks.clear()
        elif self._watched_from is None:
            self._watched_from = now

    def values(self, now: float) -> Dict[str, Any]:
        """All of QUANTITIES. While no frame comes for HOLD_S nothing is known."""
        values: Dict[str, Any] = dict.fromkeys(QUANTITIES)
        if now - self._frame_at > HOLD_S:
            return values
        there = self._there(now)
        values.update(presence=there, faces=self._counts[0][1] if there else 0)
        if not there:
            return values
        for key, (value, seen_at) in self._numbers.items():
            if key in values and now - seen_at <= HOLD_S:
                values[key] = value
        going = list(self._open.values())
        zones = [event.get("zone") for event in going if event["event"] == "away"]
        values.update(
            attention=zones[-1] if zones and zones[-1] in QUANTITIES["attention"].options else CENTER,
            eyes_closed=any(event["event"] == "eyes_closed" for event in going))
        drowsy = [event for event in going if event["event"] == "perclos"]
        share = drowsy[-1].get("perclos") if drowsy else None
        values.update(drowsy=bool(drowsy), perclos=None if share is None else 100.0 * float(share))
        if self._watched_from is not None and now - self._watched_from >= MINUTE_S:
            values["blinks_per_minute"] = float(sum(now - at <= MINUTE_S for at in self._blinks))
        return values

    def shapes(self, now: float) -> Dict[str, Optional[float]]:
        """Those that the records tell."""
        known = ((name, self._numbers[name]) for name in SHAPES if name in self._numbers)
        return {name: value if self._there(now) and now - at <= HOLD_S else None for name, (value, at) in known}

    def _count(self, faces: int, now: float) -> None:
        while self._counts and self._counts[-1][1] <= faces:
            self._counts.pop()
        self._counts.append((now, faces))
        while now - self._counts[0][0] > HOLD_S:
            self._counts.popleft()

    def _there(self, now: float) -> bool:
        return bool(self._counts) and self._counts[0][1] > 0 and now - self._frame_at <= HOLD_S

    def _smooth(self, key: str, value: float, now: float) -> None:
        before = self._numbers.get(key)
        if before is not None and 0.0 <= now - before[1] < HOLD_S:
            share = (now - before[1]) / (now - before[1] + self._smooth_s) if self._smooth_s else 1.0
            value = before[0] + share * (value - before[0])
        self._numbers[key] = (value, now)

    def _note(self, event: Record, now: float) -> None:
        if event.get("phase") == START:
            if len(self._open) < MOST_OPEN:
                self._open[event.get("id")] = event
        else:
            self._open.pop(event.get("id"), None)
            if event.get("event") == "blink" and event.get("side") == "both":
                self._blinks.append(now)


def numbers_of(face: Record) -> Dict[str, float]:
    """What a face of a record tells, by the names of QUANTITIES and SHAPES."""
    found: Dict[str, Any] = {}
    pose, gaze, expression = face.get("pose"), face.get("gaze"), face.get("expression") or {}
    if pose:
        found.update((name, pose[name]) for name in ("yaw", "pitch", "roll"))
        if pose.get("translation_mm"):
            x, y, z = pose["translation_mm"]
            found["distance_mm"] = (x * x + y * y + z * z) ** 0.5
    if gaze:
        found.update(gaze_yaw=gaze["yaw"], gaze_pitch=gaze["pitch"])
    names: List[str] = ["eye_open_right", "eye_open_left", "mouth_open"]
    found.update((name, expression[name]) for name in names + list(SHAPES) if name in expression)
    return {name: float(value) for name, value in found.items()}
