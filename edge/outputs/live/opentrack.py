"""The head's pose as opentrack's input "UDP over network" takes it: six little-endian doubles."""
import struct

from edge.outputs.live.axes import flight
from edge.outputs.live.datagrams import ToAddress
from edge.outputs.live.output import AvatarOutput
from edge.outputs.live.signals import Signals


def encode(signals: Signals) -> bytes:
    """x, y, z in centimetres, then yaw, pitch, roll in degrees."""
    return struct.pack("<6d", *flight(signals.rotation, signals.position_mm))


class OpenTrack(ToAddress, AvatarOutput):
    """Sends nothing while the face is lost: the game's view stays where it is, as opentrack expects of every tracker."""

    def show(self, signals: Signals, now: float) -> None:
        if signals.tracked:
            self.target.send(encode(signals))


make = OpenTrack
