"""OpenSeeFace's packets as datagrams: to VSeeFace, VTube Studio on Linux, vpuppr, Inochi Session and others."""
from typing import Any, Dict, List, Optional

from edge.core import clock
from edge.core.parts import POINTS_ONLY
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.openseeface.features import FREEZE_S
from edge.outputs.live.openseeface.packet import MOST_FACES, Encoder, Record
from edge.outputs.live.output import LiveOutput
from edge.outputs.live.udp import UdpTarget


class OpenSeeFaceOutput(LiveOutput):
    """A datagram for each frame that has a face; nothing is sent while there is none."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        self.ask(POINTS_ONLY)
        assert spec.address is not None
        self._target = UdpTarget(spec.text, spec.address)
        self._encoder = make_encoder(spec, options)

    @property
    def condition(self) -> str:  # type: ignore
        crowded = "{} faces at most fit a datagram".format(MOST_FACES) if self._encoder.left_out else ""
        return self._target.condition or crowded

    def open(self) -> None:
        self._target.open()

    def send(self, record: Optional[Record], events: List[Record], now: float) -> None:
        if record is None:
            return
        data = self._encoder.datagram(record, clock.wall() - (clock.monotonic() - record.get("captured_at", now)))
        if data:
            self._target.send(data)

    def more_counts(self) -> Dict[str, int]:
        return {"faces_left_out": self._encoder.left_out} if self._encoder.left_out else {}

    def close(self) -> None:
        self._target.close()


make = OpenSeeFaceOutput


def make_encoder(spec: OutputSpec, options: OutputOptions) -> Encoder:
    keys: Any = spec.keys
    return Encoder(keys.get("mirror", options.mirror), keys.get("face_id_offset", 0), keys.get("freeze_s", FREEZE_S))
