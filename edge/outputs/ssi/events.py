"""The events that are over as one tier of an SSI annotation."""
from typing import Any, Dict, List, Optional

from edge import __version__
from edge.core.contracts import Output
from edge.core.packet import END
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.ssi.pair import Pair
from edge.ssi.annotation import COLOURS, Segment, annotation_text, one_at_a_time


class SsiEvents(Output):
    """While it runs, a line as each event ends; at the end sorted, and at each moment one label: the shortest event's."""

    fatal = True
    events = True

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        self.name, self.blocking = spec.text, options.blocking
        only = spec.keys.get("event")
        self._names = list(COLOURS) if only is None else [only]
        self._scheme = only or "events"
        self._face: Optional[int] = int(spec.keys["face"]) if spec.keys.get("face", "all") != "all" else None
        self._pair = Pair(spec)
        self._segments: List[Segment] = []
        self._cut: List[str] = []  # what was still going when the run ended

    def open(self) -> None:
        self._pair.prove()

    def emit(self, item: Dict[str, Any]) -> None:
        if not self._pair.began:
            self._pair.begin(self._header(0))
        ended = [event for event in item.get("events", ()) if event["phase"] == END and event["event"] in self._names
                 and self._face in (None, event.get("face")) and {"start_s", "end_s"} <= set(event)]
        new = [_segment(event, self._names.index(event["event"])) for event in ended]
        for event, one in zip(ended, new):
            text = "{} {:.3f} to {:.3f}".format(event["event"], one.from_ms / 1000.0, one.to_ms / 1000.0)
            if event.get("cut") and text not in self._cut:
                self._cut.append(text)
        if new:
            self._pair.write("".join(one.line for one in new).encode("ascii"))
            self._segments += new

    def _header(self, size: int) -> bytes:
        text = "written by nanoface {}".format(__version__)
        if self._cut:
            text += "; still going at the end: " + ", ".join(self._cut)
        return annotation_text(self._names, size, text, self._scheme)

    def close(self) -> None:
        if self._pair.began:
            self._pair.began = False
            told = one_at_a_time(self._segments)
            self._pair.replace("".join(one.line for one in told).encode("ascii"))
            self._pair.head(self._header(len(told)))


make = SsiEvents


def _segment(event: Dict[str, Any], label: int) -> Segment:
    start_ms = int(round(event["start_s"] * 1000.0))
    return Segment(start_ms, max(start_ms + 1, int(round(event["end_s"] * 1000.0))), label, event.get("confidence", 0.0))
