"""What an output of pictures is given to make them: the annotated frame, a depth map, a texture."""
from abc import ABC, abstractmethod

import numpy as np

from edge.core.packet import Packet


class Painter(ABC):
    """Makes the picture of a packet. Each output has one of its own, used in its thread, in the order of the frames."""

    shapes = False  # the faces' expression is to have the blend shapes
    events = False  # the packets are to have their events

    def open(self) -> None:
        """Before the first frame. Raises OutputError with the cure."""

    def see(self, packet: Packet) -> None:
        """Every frame, also one that is not painted: for what is kept from frame to frame."""

    @abstractmethod
    def paint(self, packet: Packet) -> np.ndarray:
        """A new (H, W, 3) uint8 BGR picture, contiguous and of any size, of a packet that was seen, not always the
        newest. The packet's own picture is not touched."""
