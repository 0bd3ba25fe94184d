"""A WebSocket server: the records of docs/records.md for any program, one JSON text message each."""
import json
from typing import Any, Dict, Iterator, List, Optional

from edge.core.parts import Parts
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.output import LiveOutput, Record, peers
from edge.outputs.live.web.receivers import Receivers, WebSocketPeer, message
from edge.outputs.live.web.server import WebServer, line
from edge.outputs.record import without

MOST_CLIENTS = 32
to_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False,
                           default=lambda array: array.tolist()).encode
WHAT = "nanoface: a WebSocket client that connects here gets one JSON text message for each frame (docs/records.md)"


def encode(record: Optional[Record], events: List[Record], landmarks: bool, shapes: bool,
           landmarks68: bool = False) -> Iterator[str]:
    """The record without its events, where there is one, then each event: as the lines of `jsonl:`."""
    if record is not None:
        yield to_text(without(dict(record), Parts(landmarks, shapes, landmarks68=landmarks68)))
    for event in events:
        yield to_text(event)


class WsOutput(LiveOutput):
    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        assert spec.address is not None
        self._server = WebServer("output " + self.name, spec.address, self._serve, spec.keys.get("origin", ()))
        self._receivers = Receivers()
        self._unasked = 0

    def open(self) -> None:
        self._server.open()

    @property
    def port(self) -> int:
        return self._server.port

    def send(self, record: Optional[Record], events: List[Record], now: float) -> None:
        if not len(self._receivers):
            return
        told = list(encode(record, events if self.events else [], self.landmarks, self.shapes,
                           self.landmarks68))
        first = told.pop(0) if record is not None else None
        newest = None if first is None else message(first)
        self._server.loop.call(self._receivers.tell, newest, [message(text) for text in told], now)

    @property
    def condition(self) -> str:  # type: ignore[override]
        return peers(len(self._receivers))

    def more_counts(self) -> Dict[str, int]:
        return dict(self._receivers.counts(), refused=self._server.refused, unasked=self._unasked)

    def close(self) -> None:
        self._server.close()

    async def _serve(self, request: Any) -> Any:
        if request.path != "/" or request.method != "GET":
            return line(404, "there is nothing here but /")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return line(200, WHAT)
        if len(self._receivers) >= MOST_CLIENTS:
            return self._server.refusal(503, "{} clients are the most".format(MOST_CLIENTS))
        peer = WebSocketPeer(request.transport)
        try:
            return await self._server.websocket(request, lambda: self._receivers.add(peer), self._heard)
        finally:
            self._receivers.discard(peer)

    def _heard(self, said: Any) -> None:
        self._unasked += 1


make = WsOutput
