"""All detectors of all faces: what a frame brings goes in, the events that began or ended with it come out."""
from typing import Dict, List, Optional, Sequence, Tuple

from edge.core.packet import END, START, Event
from edge.face.events.lids import Lids
from edge.face.events.nods import Nods
from edge.face.events.signals import Found, Lasting, Limits, Signals, beyond
from edge.face.events.zones import Away, Distance

HERE_S = 0.5  # so long somebody must have been seen to be there
WIDE, NARROW = 0.5, 0.4  # of mouth_open: a yawn's, and where it is over
MOUTH_SHUT_S, MOUTH_HOLD_S = 0.3, 0.5


class _Face:
    """The detectors of one track."""

    def __init__(self, limits: Limits) -> None:
        self.seen_s = 0.0
        self._here = Lasting("presence", HERE_S, 0.0, limits.lost_after_s)
        self._lids, self._nods = Lids(limits), Nods()
        self._yawn = Lasting("yawn", limits.yawn_s, MOUTH_SHUT_S, MOUTH_HOLD_S)
        self._away, self._distance = Away(limits), Distance(limits)

    def __call__(self, time_s: float, signals: Signals) -> List[Found]:
        self.seen_s = time_s
        found = list(self._here(time_s, True))
        found += self._lids(time_s, signals) + self._nods(time_s, signals)
        mouth = signals.mouth_open
        if mouth is None:
            found += self._yawn(time_s, None)
        else:
            wide = mouth >= (NARROW if self._yawn.holding else WIDE)
            found += self._yawn(time_s, wide, beyond(mouth, WIDE, 1.0) if wide else 0.0)
        return found + self._away(time_s, signals) + self._distance(time_s, signals)

    def end(self) -> List[Found]:
        return (self._lids.end() + self._nods.end() + list(self._yawn.end()) + self._away.end() + self._distance.end()
                + list(self._here.end()))


class Events:
    """Asked once a frame, in the order of time. A face that is gone ends what it had open, at the time it was last seen."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._faces: Dict[int, _Face] = {}
        self._somebody = Lasting("presence", HERE_S, limits.gone_s, limits.gone_s)
        self._ids = 0
        self._open: Dict[Tuple[Optional[int], str, float], int] = {}
        self._time_s: Optional[float] = None

    def __call__(self, time_s: float, faces: Sequence[Tuple[int, Signals]]) -> Tuple[Event, ...]:
        """`faces`: track ids and what is known of them. Time that stands still brings nothing; where it goes back, all that
        was open is over."""
        if self._time_s is not None and time_s <= self._time_s:
            if time_s == self._time_s:
                return ()
            events = self.last()
        else:
            events = ()
        self._time_s = time_s
        events += self._gone(time_s)
        events += self._events(None, self._somebody(time_s, bool(faces)))
        for track_id, signals in faces:
            face = self._faces.get(track_id)
            if face is None:
                face = self._faces[track_id] = _Face(self._limits)
            events += self._events(track_id, face(time_s, signals))
        return events

    def last(self) -> Tuple[Event, ...]:
        """The ends of what is still open, at the end of a run; nothing is open after it."""
        events = ()  # type: Tuple[Event, ...]
        for track_id, face in self._faces.items():
            events += self._events(track_id, face.end(), cut=True)
        events += self._events(None, self._somebody.end(), cut=True)
        self._faces, self._time_s = {}, None
        return events

    def _gone(self, time_s: float) -> Tuple[Event, ...]:
        events = ()  # type: Tuple[Event, ...]
        late = [i for i, face in self._faces.items() if time_s - face.seen_s > self._limits.lost_after_s]
        for track_id in late:
            events += self._events(track_id, self._faces.pop(track_id).end())
        return events

    def _events(self, track_id: Optional[int], found: Sequence[Found], cut: bool = False) -> Tuple[Event, ...]:
        return () if not found else tuple([self._event(track_id, one.having(cut=True) if cut else one) for one in found])

    def _event(self, track_id: Optional[int], found: Found) -> Event:
        key = track_id, found.name, found.start_s
        number = self._open.pop(key, None) if found.phase == END else None
        if number is None:
            self._ids += 1
            number = self._ids
        if found.phase == START:
            self._open[key] = number
        return Event(found.name, number, found.phase, track_id, found.start_s, found.end_s, found.confidence, found.values)
