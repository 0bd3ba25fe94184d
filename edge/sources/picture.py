"""What happens to every picture before it travels: BGR bytes, scaled, flipped, rotated, read-only."""
from typing import Optional, Tuple

import cv2
import numpy as np

from edge.sources.spec import SourceOptions

FLIP_CODES = {"horizontal": 1, "vertical": 0, "both": -1}
ROTATE_CODES = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class FrameTransform:
    """Scales (files and streams: a camera is asked for its size instead), flips, then rotates."""

    def __init__(self, options: SourceOptions, scale: bool) -> None:
        self._size = (options.width, options.height) if scale else (None, None)
        self._flip = FLIP_CODES.get(options.flip)
        self._rotate = ROTATE_CODES.get(options.rotate)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """A (H, W, 3) uint8 BGR array that owns its memory, contiguous and read-only. The caller gives up `image`."""
        image = to_bgr(image)
        size = _fitted((image.shape[1], image.shape[0]), self._size)
        if size is not None:
            shrinks = size[0] < image.shape[1]
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        if self._flip is not None:
            image = cv2.flip(image, self._flip)
        if self._rotate is not None:
            image = cv2.rotate(image, self._rotate)
        return read_only(image)


def read_only(image: np.ndarray) -> np.ndarray:
    """Contiguous, and read-only from here on."""
    image = np.ascontiguousarray(image)
    image.setflags(write=False)
    return image


def is_picture(image: Optional[np.ndarray]) -> bool:
    """False for what a failing driver hands over: nothing, no pixels, a kind that is no picture."""
    if image is None or image.size == 0 or image.ndim not in (2, 3) or image.dtype not in (np.uint8, np.uint16):
        return False
    return image.ndim == 2 or image.shape[2] in (1, 3, 4)


def to_bgr(image: np.ndarray) -> np.ndarray:
    """Grey, alpha (dropped) and 16 bits (the upper 8 are kept) become BGR bytes; BGR bytes come back as they are."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 3:
        return image
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if channels == 1 else cv2.COLOR_BGRA2BGR)


def _fitted(size: Tuple[int, int], wanted: Tuple[Optional[int], Optional[int]]) -> Optional[Tuple[int, int]]:
    """Width and height to scale to; None where there is nothing to do. One of the two alone keeps the aspect."""
    width, height = wanted
    if width is None and height is None:
        return None
    if height is None:
        height = max(1, int(round(size[1] * float(width or 0) / size[0])))
    elif width is None:
        width = max(1, int(round(size[0] * float(height) / size[1])))
    return None if (width, height) == size else (int(width or 1), height)
