"""A stream of boxes, one face each: ymin, xmin, ymax, xmax of the picture's height and width, and a confidence."""
from typing import NamedTuple, Optional, Tuple

import numpy as np

from edge.ssi.stream import Stream, read_stream

DIM = 5


class Box(NamedTuple):
    """In shares of the picture's width and height; may lie beyond it."""

    x0: float
    y0: float
    x1: float
    y1: float
    confidence: float


class Boxes:
    """Raises OSError or ValueError, with a text to stand behind the name."""

    def __init__(self, path: str) -> None:
        self.stream: Stream = read_stream(path, DIM)
        values = self.stream.values
        self._face = np.isfinite(values).all(axis=1) & (values[:, 4] > 0)
        self.odd = int((~np.isfinite(values).all(axis=1)).sum())  # samples that are no numbers

    def __len__(self) -> int:
        return len(self.stream.values)

    def box(self, row: Optional[int]) -> Optional[Box]:
        """None where the sample tells no face, or there is none."""
        if row is None or not 0 <= row < len(self) or not self._face[row]:
            return None
        y0, x0, y1, x1, confidence = self.stream.values[row].tolist()
        return Box(x0, y0, x1, y1, min(1.0, confidence)) if x0 < x1 and y0 < y1 else None


def square(box: Tuple[float, float, float, float], width: int, height: int, confidence: float) -> Tuple[float, ...]:
    """A sample: the square of pixels about the middle of a box x0, y0, x1, y1, which may reach beyond the picture."""
    x0, y0, x1, y1 = box
    half, x, y = max(x1 - x0, y1 - y0) / 2.0, (x0 + x1) / 2.0, (y0 + y1) / 2.0
    return (y - half) / height, (x - half) / width, (y + half) / height, (x + half) / width, confidence
