"""ARKit's shapes to VRCFaceTracking's Babble module, which reads one OSC message of one number in each datagram."""
from typing import List

from edge.core.parts import SHAPES
from edge.outputs.kinds import OutputOptions, OutputSpec
from edge.outputs.live.datagrams import ToAddress
from edge.outputs.live.osc.messages import Encoder
from edge.outputs.live.output import AvatarOutput
from edge.outputs.live.signals import Signals

CHEEKS = {"cheekPuffLeft": "cheekPuff", "cheekPuffRight": "cheekPuff"}  # later modules have a name for each side


def encode(signals: Signals, encoder: Encoder) -> List[bytes]:
    """The datagrams of one frame: no bundle, which the module does not understand."""
    sources = {name: name for name in SHAPES}
    sources.update(CHEEKS)
    return [encoder.floats("/" + name, (signals.shapes[source],)) for name, source in sources.items()]


class VrChat(ToAddress, AvatarOutput):
    def __init__(self, spec: OutputSpec, options: OutputOptions) -> None:
        super().__init__(spec, options)
        self._encoder = Encoder()

    def show(self, signals: Signals, now: float) -> None:
        for datagram in encode(signals, self._encoder):
            self.target.send(datagram)


make = VrChat
