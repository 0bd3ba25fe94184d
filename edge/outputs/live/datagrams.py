"""What outputs that send datagrams to one address share."""
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.output import LiveOutput
from edge.outputs.live.udp import UdpTarget


class ToAddress(LiveOutput):
    """Beside LiveOutput or AvatarOutput, in front of it: `target` is open while the output is."""

    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        assert spec.address is not None  # the parser gives these kinds one
        self.target = UdpTarget(spec.text, spec.address)

    def open(self) -> None:
        self.target.open()

    def close(self) -> None:
        self.target.close()

    @property
    def condition(self) -> str:  # type: ignore
        return self.target.condition
