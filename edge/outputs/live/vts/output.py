"""The output to VTube Studio: hands the newest values to the connection, which lives in a thread of its own."""
from typing import Any, Dict, Mapping, Optional, Tuple

from edge.core.errors import OutputError
from edge.host.packages import absent, install
from edge.outputs.kinds import AIOHTTP, EVERYWHERE, KINDS, OutputOptions, OutputSpec
from edge.outputs.live.loop import Loop
from edge.outputs.live.output import AvatarOutput
from edge.outputs.live.signals import Signals
from edge.outputs.live.vts.connection import Connection
from edge.outputs.live.vts.parameters import Values


class VtubeStudio(AvatarOutput):
    """What is wrong is its condition, no failure, and the connection is made again by itself, so that a question that waits
    for somebody's click is not asked anew."""

    tells_at = KINDS["vts"].tells_at

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        self._values = Values(spec.keys.get("own", True))
        assert spec.address is not None and self.tells_at is not None
        everywhere = spec.address.host in EVERYWHERE
        self._connection = Connection(self.name, None if everywhere else spec.address, spec.keys.get("own", True),
                                      spec.address._replace(port=self.tells_at) if spec.listens else None)
        self._loop: Optional[Loop] = None
        self._begun: Dict[str, Any] = {}
        self._newest: Optional[Tuple[Mapping[str, float], bool]] = None  # not taken over by the connection yet

    @property
    def condition(self) -> str:  # type: ignore
        return self._connection.condition

    def more_counts(self) -> Dict[str, int]:
        return dict(self._connection.counts)

    def open(self) -> None:
        if absent([AIOHTTP]):
            raise OutputError("output {}: the package {} is not installed: {}".format(self.name, AIOHTTP, install(AIOHTTP)))
        self._loop = Loop("output " + self.name).start()
        self._begun = self._loop.spawn(self._connection.run())

    def show(self, signals: Signals, now: float) -> None:
        task = self._begun.get("task")
        if task is not None and task.done() and not task.cancelled():  # it has no end of its own
            raise OutputError("output {}: {!r}".format(self.name, task.exception()))
        taken = self._newest is None
        self._newest = self._values.of(signals, now), signals.tracked
        if taken and self._loop is not None:
            self._loop.call(self._hand_over)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        self._newest = None

    def _hand_over(self) -> None:
        """In the loop's thread."""
        newest, self._newest = self._newest, None
        if newest is not None:
            self._connection.values(*newest)


make = VtubeStudio
