"""The input of a file that takes pixel values as the warp leaves them; the network's own arithmetic is folded into it."""
from typing import Sequence

import numpy as np

from edge.core.contracts import RGB, Crop, Tensor
from edge.models.warp import Warper
from edge.store.models import PixelInput


class PixelFeed:
    """Owns nothing: writes into the middle of the (N, H + border, W + border, 3) float32 that the network reads."""

    def __init__(self, pixels: PixelInput, values: np.ndarray) -> None:
        """Fills the border, once for all runs."""
        self._pixels = pixels
        self._scale = np.float64(pixels.scale)
        self._offset = np.array(pixels.offset, np.float64).reshape(3, 1, 1)
        top, left, bottom, right = pixels.border
        height, width = values.shape[1] - top - bottom, values.shape[2] - left - right
        self._pictures = values[:, top:top + height, left:left + width]
        self.shape = (len(values), 3, height, width)
        values[...] = self._levels(np.zeros((1, 3, 1, 1)))

    def fill(self, warper: Warper, image: np.ndarray, crops: Sequence[Crop]) -> None:
        """A crop that asks for another arithmetic than the file's gets it, by a longer way."""
        own = self._pixels
        for crop, picture in zip(crops, self._pictures):
            if crop.scale == own.scale and crop.colour == own.colour and crop.offset == own.offset:
                warper.fill_pixels(image, crop, picture)
            else:
                planes = np.empty((1,) + self.shape[1:], np.float32)
                warper.fill(image, crop, planes[0])
                picture[...] = self._levels(planes)[0]

    def put(self, values: np.ndarray) -> None:
        """Ready-made values (N, 3, H, W) of the network's own arithmetic, turned back into pixels."""
        self._pictures[...] = self._levels(values)

    def _levels(self, values: np.ndarray) -> np.ndarray:
        """(N, 3, H, W) in the network's arithmetic -> pixel values (N, H, W, 3) BGR, float64."""
        levels = (values - self._offset) / self._scale
        return (levels[:, ::-1] if self._pixels.colour == RGB else levels).transpose(0, 2, 3, 1)


def takes_pixels(inputs: Sequence[Tensor], pixels: PixelInput) -> bool:
    """Whether a file has one input of pixel values with room for their border."""
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[3] != 3:
        return False
    (_, height, width, _), (top, left, bottom, right) = inputs[0].shape, pixels.border
    return height > top + bottom and width > left + right
