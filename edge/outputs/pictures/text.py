"""Small, smooth text and translucent plates on pictures, at any size. Coordinates are pixels of the picture."""
from functools import lru_cache
from typing import Tuple

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
CAP_HEIGHT = 21.0  # pixels of a capital letter at font scale 1
DETAIL = 4  # text is drawn this much larger and averaged down: OpenCV's strokes alone are too coarse for small letters
WEIGHT = 0.135  # thickness of a stroke over the height of a capital

Colour = Tuple[int, int, int]  # blue, green, red


@lru_cache(maxsize=512)
def _mask(text: str, cap_px: float) -> np.ndarray:
    """(H, W) coverage 0..1 of one line of text; H is 1.8 times the height of a capital, whose foot is at 1.3."""
    scale = DETAIL * cap_px / CAP_HEIGHT
    thickness = max(1, int(round(DETAIL * cap_px * WEIGHT)))
    (width, _), _ = cv2.getTextSize(text, FONT, scale, thickness)
    rows, columns = int(round(1.8 * cap_px)), -(-(width + 2 * thickness) // DETAIL)
    large = np.zeros((rows * DETAIL, columns * DETAIL), np.uint8)
    foot = int(round(1.3 * cap_px * DETAIL))
    cv2.putText(large, text, (thickness, foot), FONT, scale, (255,), thickness, cv2.LINE_AA)
    mask = cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    mask.flags.writeable = False
    return mask


def width_of(text: str, cap_px: float) -> int:
    """Pixels that `put` will take."""
    return int(_mask(text, cap_px).shape[1])


def put(image: np.ndarray, text: str, left_foot: Tuple[int, int], cap_px: float, colour: Colour) -> None:
    """One line of ASCII text in place; `left_foot` is where its base line starts. What lies outside is cut off."""
    mask = _mask(text, cap_px)
    x, y = left_foot[0], left_foot[1] - int(round(1.3 * cap_px))
    _lay(image, mask, (x, y), colour)


def plate(image: np.ndarray, box: Tuple[int, int, int, int], radius: int, colour: Colour, opacity: float) -> None:
    """A translucent rectangle x0, y0, x1, y1 with round corners, in place, cut off at the picture's edge."""
    if box[2] > box[0] and box[3] > box[1]:
        _lay(image, opacity * _plate_mask(box[2] - box[0], box[3] - box[1], radius), (box[0], box[1]), colour)


def _lay(image: np.ndarray, cover: np.ndarray, corner: Tuple[int, int], colour: Colour) -> None:
    """Blend in `colour` by `cover` (H, W), 0..1, whose top left comes to `corner`; what lies outside is cut off."""
    (x, y), (height, width) = corner, cover.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(image.shape[1], x + width), min(image.shape[0], y + height)
    if x0 < x1 and y0 < y1:
        part = image[y0:y1, x0:x1]
        share = cover[y0 - y:y1 - y, x0 - x:x1 - x, None]
        part[...] = (part + share * (np.array(colour, np.float32) - part) + 0.5).astype(np.uint8)


@lru_cache(maxsize=64)
def _plate_mask(width: int, height: int, radius: int) -> np.ndarray:
    """(height, width) coverage 0..1 of a rectangle with round corners."""
    r = max(0, min(radius, width // 2, height // 2))
    large = np.full((height * DETAIL, width * DETAIL), 255, np.uint8)
    if r:
        corner = np.zeros((r * DETAIL, r * DETAIL), np.uint8)
        cv2.circle(corner, (r * DETAIL, r * DETAIL), r * DETAIL, (255,), -1)
        n = r * DETAIL
        large[:n, :n], large[:n, -n:] = corner, corner[:, ::-1]
        large[-n:, :n], large[-n:, -n:] = corner[::-1], corner[::-1, ::-1]
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def tag(image: np.ndarray, words: str, corner: Tuple[float, float], cap_px: float, colours: Tuple[Colour, Colour]
        ) -> None:
    """Words in `colours[0]` on a plate of `colours[1]` with its top left at `corner`, moved to where it can be seen."""
    width, height = int(width_of(words, cap_px) + 1.3 * cap_px), int(round(2.1 * cap_px))
    x = int(round(min(max(corner[0], 0), image.shape[1] - width)))
    y = int(round(min(max(corner[1], 0), image.shape[0] - height)))
    plate(image, (x, y, x + width, y + height), int(0.5 * cap_px), colours[1], 0.62)
    put(image, words, (x + int(round(0.65 * cap_px)), y + int(round(1.55 * cap_px))), cap_px, colours[0])
