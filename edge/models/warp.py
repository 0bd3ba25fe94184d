"""Fills a network's input from the part of the frame that a model asks for, on the CPU.

Pixel centres lie at integers on both sides: input pixel (u, v) shows the frame at the inverse of `crop.matrix`,
bilinearly and with OpenCV's resolution of 1/32 pixel. Nothing is shifted by half a pixel.
"""
import math
from typing import Dict, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edge.core.contracts import BGR, CONSTANT, REPLICATE, RGB, Crop
from edge.core.errors import FrameError, ModelError

BORDERS = {CONSTANT: cv2.BORDER_CONSTANT, REPLICATE: cv2.BORDER_REPLICATE}
READ_PX, READ_SCALE = 128.0, 0.3  # side of the frame's part from which, and scale down to which, it is read first
READ_EVERY = 21  # pixels: each line of a processor's cache holds 64 bytes
GRID = 1.0 / 64.0  # input pixels by which a frame's edge may miss a whole pixel and still count as lying on it


class _Planes(NamedTuple):
    """Reused for every crop of one size."""

    planes: np.ndarray  # (3, H, W) uint8, in the order of the crop's colour
    targets: Dict[str, List[np.ndarray]]  # for each colour, where the planes B, G and R go


class Warper:
    """Owns the scratch memory, so: one for each runner, never shared between threads."""

    def __init__(self) -> None:
        self._pixels: Dict[Tuple[int, int], np.ndarray] = {}  # (H, W, 3) uint8 BGR for crops of one size
        self._planes: Dict[Tuple[int, int], _Planes] = {}
        self._offsets: Dict[Tuple[float, float, float], Optional[np.ndarray]] = {}

    def fill(self, image: np.ndarray, crop: Crop, out: np.ndarray) -> None:
        """Write `crop` of `image` (H, W, 3 uint8 BGR) into `out` (3, height, width float32, contiguous), in place.

        Fastest of 14 variants timed on OpenCV 4.1.1 and 4.11: warp the bytes, split them in the wanted order, let numpy
        widen and scale all three planes in one pass (blobFromImage takes 4 to 7 times as long for that, and allocates).
        Raises FrameError for a picture and ModelError for a crop that cannot be used.
        """
        width, height = crop.size
        pixels = self._warped(image, crop, out, (3, height, width))
        scratch = self._planes.get(crop.size)
        if scratch is None:
            scratch = self._planes[crop.size] = _allocate(width, height)
        cv2.split(pixels, scratch.targets[crop.colour])
        if crop.scale == 1.0:
            np.copyto(out, scratch.planes)
        else:
            np.multiply(scratch.planes, np.float32(crop.scale), out=out, dtype=np.float32)
        offset = self._offset(crop.offset)
        if offset is not None:
            np.add(out, offset, out=out)

    def fill_pixels(self, image: np.ndarray, crop: Crop, out: np.ndarray) -> None:
        """As fill(), but the pixel values as they are, BGR, into `out` (height, width, 3 float32): the crop's colour and
        arithmetic are the network's own work. Rows of `out` may lie apart.
        """
        width, height = crop.size
        np.copyto(out, self._warped(image, crop, out, (height, width, 3)))

    def _warped(self, image: np.ndarray, crop: Crop, out: np.ndarray, wanted: Tuple[int, int, int]) -> np.ndarray:
        """The crop's pixels (H, W, 3) uint8 BGR, valid until the next one of its size."""
        if out.shape != wanted:
            raise ModelError("a crop of {}x{} pixels does not fit an input of shape {}".format(*crop.size, out.shape))
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise FrameError("a picture must be (height, width, 3) uint8, not {} {}".format(image.shape, image.dtype))
        pixels = self._pixels.get(crop.size)
        if pixels is None:
            pixels = self._pixels[crop.size] = np.empty((crop.size[1], crop.size[0], 3), np.uint8)
        try:
            _sample(image, crop, pixels)
        except cv2.error as e:
            size = "{}x{}".format(image.shape[1], image.shape[0])
            raise FrameError("a picture of {} cannot be cropped: {}".format(size, " ".join(str(e).split()))) from e
        return pixels

    def _offset(self, values: Tuple[float, float, float]) -> Optional[np.ndarray]:
        """The offsets shaped to be added to the planes, None where there is nothing to add."""
        if values not in self._offsets:
            self._offsets[values] = np.array(values, np.float32).reshape(3, 1, 1) if any(values) else None
        return self._offsets[values]


def _allocate(width: int, height: int) -> _Planes:
    planes = np.empty((3, height, width), np.uint8)
    return _Planes(planes, {BGR: list(planes), RGB: list(planes[::-1])})


def _sample(image: np.ndarray, crop: Crop, pixels: np.ndarray) -> None:
    placed = _placed(image.shape[1], image.shape[0], crop)
    if placed is not None:
        x0, y0, x1, y1 = placed
        if x1 - x0 < crop.size[0] or y1 - y0 < crop.size[1]:
            pixels.fill(0)
        cv2.resize(image, (x1 - x0, y1 - y0), dst=pixels[y0:y1, x0:x1], interpolation=cv2.INTER_LINEAR)
        return
    shown = shown_part(image.shape[1], image.shape[0], crop)
    if shown is not None:
        image[shown][:, ::READ_EVERY, 0].copy()
    # OpenCV inverts the matrix itself: handing it the inverse was measured to save nothing
    cv2.warpAffine(image, crop.matrix, crop.size, dst=pixels, flags=cv2.INTER_LINEAR, borderMode=BORDERS[crop.border])


def shown_part(width: int, height: int, crop: Crop) -> Optional[Tuple[slice, slice]]:
    """Rows and columns of the frame to read before the crop is taken; None where that gains nothing.

    A frame that was just decoded is not in the caches, and a turned crop hops from row to row of it: reading its part of
    the frame in the order of memory first, one byte of each line of the cache, lets the processor fetch ahead. Measured by
    turns in runs over films, ms of processor time a frame: 0.18 of 1.0 less at 900x500 with a large face, 0.32 of 1.1 at
    512x512, 0.2 of 1.0 at 1280x720. Where the crop leaves out most of what would be read, that cost up to 0.25.
    """
    (a, b, x), (c, d, y) = crop.matrix.tolist()
    scale, det = math.hypot(a, c), a * d - b * c
    if not (READ_SCALE <= scale <= crop.size[0] / READ_PX and abs(det) >= 0.5 * scale * scale):
        return None
    u, v = crop.size[0] / 2.0 - x, crop.size[1] / 2.0 - y
    cx, cy = (d * u - b * v) / det, (a * v - c * u) / det
    reach = max(crop.size) / (2.0 * abs(det))
    return _span(cy, reach * (abs(c) + abs(a)), height), _span(cx, reach * (abs(d) + abs(b)), width)


def _span(centre: float, half: float, limit: int) -> slice:
    """The pixels within `half` of `centre`, of those from 0 to `limit`; also of a centre that is no number."""
    first, last = (min(max(0.0, edge), limit) for edge in (centre - half, centre + half + 2.0))
    return slice(int(first), int(last))


def _placed(width: int, height: int, crop: Crop) -> Optional[Tuple[int, int, int, int]]:
    """x0, y0, x1, y1 input pixels where the whole frame lands, upright, not enlarged and on whole pixels; else None.

    That is how a detector looks at a frame; cv2.resize takes the same samples in a fifth of warpAffine's time (VGA).
    """
    (a, b, x), (c, d, y) = crop.matrix.tolist()
    if b or c or not (0.0 < a <= 1.0 and 0.0 < d <= 1.0) or crop.border != CONSTANT:
        return None
    # the frame's outer edges lie half a pixel beyond the centres of its first and last pixels
    x0, x1 = _whole(x + 0.5 - 0.5 * a, width * a, crop.size[0])
    y0, y1 = _whole(y + 0.5 - 0.5 * d, height * d, crop.size[1])
    return (x0, y0, x1, y1) if x1 and y1 else None


def _whole(start: float, length: float, limit: int) -> Tuple[int, int]:
    """First and last edge as whole input pixels within 0..limit; (0, 0) where they are not, or are not finite."""
    if not -GRID <= start <= start + length <= limit + GRID:
        return 0, 0
    first, last = int(round(start)), int(round(start + length))
    exact = abs(start - first) <= GRID and abs(start + length - last) <= GRID and first < last
    return (first, last) if exact else (0, 0)


def use_one_thread() -> None:
    """Keep OpenCV from starting threads of its own: a crop is too small to be shared, and the workers need the cores."""
    cv2.setNumThreads(1)
