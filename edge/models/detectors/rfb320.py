"""RFB-320 of Linzaer's Ultra-Light-Fast-Generic-Face-Detector-1MB: SSD anchors on four grids."""
import numpy as np

from edge.core.contracts import RGB
from edge.models.detectors.ssd import SsdDetector
from edge.models.spec import Input, grid

# stride: sides of a cell's anchors in pixels
SIDES = ((8, (10.0, 16.0, 24.0)), (16, (32.0, 48.0)), (32, (64.0, 96.0)), (64, (128.0, 192.0, 256.0)))


class Rfb320(SsdDetector):
    threshold = 0.9  # its scores crowd near 1: faces in bad light still have 0.97, leaves and arms up to 0.89

    def __init__(self, network: str = "rfb320", width: int = 320, height: int = 240) -> None:
        self.input = Input((width, height), RGB, 1.0 / 128.0, (-127.0 / 128.0,) * 3)
        centres, sides = [], []
        for stride, per_cell in SIDES:
            cells = grid(-(-width // stride), -(-height // stride), len(per_cell))
            centres.append((cells + np.float32(0.5)) * np.float32(stride))
            sides.append(np.tile(np.array(per_cell, np.float32), len(cells) // len(per_cell)))
        # it was trained with anchors clipped to the picture: the largest is less high than wide
        square = np.stack([np.concatenate(sides)] * 2, axis=1)
        super().__init__(network, np.concatenate(centres), np.minimum(square, np.array([width, height], np.float32)))
