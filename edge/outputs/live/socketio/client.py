"""To the node server of OpenVtuber or DLVYF, which passes on what it gets to the pages that show an avatar."""
from importlib import import_module
from typing import Dict, Optional

from edge.core.errors import OutputError
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.loop import Loop
from edge.outputs.live.output import AvatarOutput
from edge.outputs.live.signals import Signals
from edge.outputs.live.socketio import frames
from edge.outputs.live.socketio.link import Link, LinkError
from edge.outputs.live.socketio.payload import payload

CONNECT_S, GOODBYE_S = 5.0, 1.0


class SocketioOutput(AvatarOutput):
    """Sends nothing while no face is seen, as the trackers do that its server knows; the page then holds what it has."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        self._loop: Optional[Loop] = None
        self._link: Optional[Link] = None
        self._skipped = 0

    def open(self) -> None:
        assert self.spec.address is not None
        import_module("aiohttp")  # takes seconds on a board
        self._loop, self._link = Loop(self.name).start(), Link(self.spec.address)
        try:
            self._loop.run(self._link.connect(), CONNECT_S)
        except (LinkError, TimeoutError) as e:
            self.close()
            raise self._lost(str(e))
        for task in (self._link.read(), self._link.write(), self._link.ping()):
            self._loop.spawn(task)

    def _lost(self, why: str) -> OutputError:
        assert self.spec.address is not None
        return OutputError("output {}: {} is {}".format(self.name, self.spec.address.text, why))

    def show(self, signals: Signals, now: float) -> None:
        if self._link is None or self._loop is None:
            raise OutputError("output {} is closed".format(self.name))
        if self._link.lost:
            raise self._lost(self._link.lost)
        frame = frames.event(frames.SENT, payload(signals)) if signals.tracked else None
        events = [frames.event(frames.OWN_EVENT, told) for told in signals.events]
        if frame is not None or events:
            self._loop.call(self._link.offer, frame, events)

    @property
    def condition(self) -> str:  # type: ignore[override]
        link = self._link
        return "its server does not read what is sent" if link is not None and link.behind else ""

    def more_counts(self) -> Dict[str, int]:
        link = self._link
        return {"skipped": self._skipped + (0 if link is None else link.skipped)}

    def close(self) -> None:
        link, loop, self._link, self._loop = self._link, self._loop, None, None
        if link is not None and loop is not None:
            self._skipped += link.skipped
            try:
                loop.run(link.close(), GOODBYE_S)
            except TimeoutError:
                pass
            loop.close(0.5)


make = SocketioOutput
