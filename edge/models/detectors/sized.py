"""A detector whose input is as large as the frame, resized by a factor: what the size of frames decides is decided here."""
from collections import OrderedDict
from typing import Callable, Mapping, Optional, Tuple

import numpy as np

from edge.core.contracts import Crop
from edge.core.errors import ConfigError
from edge.models.spec import Detections, Detector, whole_frame_crop

LEAST_SCALE, MOST_SCALE = 0.01, 4.0
MOST_PIXELS = 1 << 23  # of the input: 3840 x 2160, and of the order of a gigabyte in the first layers
SIZES_KEPT = 4  # pictures of a folder have many; the anchors of the last ones are kept


class ScaledDetector(Detector):
    """Sees the frame resized by `scale`, at the top left of an input whose sides are multiples of `multiple`."""

    def __init__(self, network: str, scale: float, multiple: int, make: Callable[[int, int], Detector]) -> None:
        """`make`: the detector at a width and height of its input."""
        super().__init__(network)
        self._scale, self._multiple, self._make = scale, multiple, make
        self._at = OrderedDict()  # type: OrderedDict[Tuple[int, int], Detector]
        self._now = self._sized((multiple, multiple))
        self.input = self._now.input
        self.threshold, self.most_iou, self.keypoint_count = (
            self._now.threshold, self._now.most_iou, self._now.keypoint_count)

    def crop(self, width: int, height: int) -> Crop:
        """Raises ConfigError for a frame that would need too large an input."""
        if self._crop is None or self._frame_size != (width, height):
            self._now = self._sized(self.input_size(width, height))
            self.input = self._now.input
            self._frame_size = (width, height)
            self._crop = whole_frame_crop(width, height, self.input, self._scale)
        return self._crop

    def input_size(self, width: int, height: int) -> Tuple[int, int]:
        """Raises ConfigError where that is beyond MOST_PIXELS."""
        sides = [-(-max(1, int(round(n * self._scale))) // self._multiple) * self._multiple for n in (width, height)]
        if sides[0] * sides[1] > MOST_PIXELS:
            raise ConfigError("a frame of {}x{} times the detector's scale {:g} is {}x{}, more than {:.1f} million pixels: "
                              "take a smaller scale".format(width, height, self._scale, sides[0], sides[1], MOST_PIXELS / 1e6))
        return sides[0], sides[1]

    def decode(self, outputs: Mapping[str, np.ndarray], crop: Crop, threshold: float, limit: int) -> Detections:
        return self._sized(crop.size).decode(outputs, crop, threshold, limit)

    def _surest(self, outputs: Mapping[str, np.ndarray], threshold: float) -> Tuple[np.ndarray, np.ndarray]:
        return self._now._surest(outputs, threshold)

    def _places(self, outputs: Mapping[str, np.ndarray], anchors: np.ndarray) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        return self._now._places(outputs, anchors)

    def _sized(self, size: Tuple[int, int]) -> Detector:
        if size not in self._at:
            self._at[size] = self._make(*size)
            while len(self._at) > SIZES_KEPT:
                self._at.popitem(last=False)
        self._at.move_to_end(size)
        return self._at[size]
