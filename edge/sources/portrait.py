"""The built-in demo: a portrait that moves, turns and scales along a known path, to check a tracker anywhere.

The picture is NASA's portrait of the astronaut Eileen Collins, in the public domain: head and shoulders (columns 66 to
385, rows 0 to 295) of `skimage/data/astronaut.png` from the scikit-image wheel, 24 rows of backdrop added above, times
1.5.
"""
import math
import os
from typing import Optional

import cv2
import numpy as np

from edge.core.errors import SourceError
from edge.sources.recorded import SAME_TIME_S, Recording

PICTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "portrait.jpg")
WIDTH, HEIGHT, FPS, FRAMES = 640, 480, 30.0, 300
BACKGROUND = (178, 184, 193)  # BGR, the tone of the studio's backdrop
FEATHER = 0.42  # share of the half side over which the picture fades into the background
HEAD_CENTER, HEAD_RADIUS = (240.0, 196.0), 150.0  # pixels of the portrait: the circle that holds face and hair

STILL_FRAMES = 30
EASE = 0.15  # share of the path in which the motion speeds up, and slows down again
MAX_ROLL_DEG = 25.0
MEAN_SCALE, SWING_SCALE = 0.85, 0.35  # 0.5 to 1.2
SWAY_PX = (120.0, 28.0)


def truth(seq: int) -> np.ndarray:
    """(2, 3) float64 similarity from pixels of the portrait to pixels of frame `seq`; repeats every FRAMES frames."""
    phase = 2 * math.pi * _eased(max(0.0, (seq % FRAMES - STILL_FRAMES) / float(FRAMES - STILL_FRAMES)))
    roll = math.radians(MAX_ROLL_DEG) * math.sin(2 * phase)  # clockwise
    upright = math.acos((1 - MEAN_SCALE) / SWING_SCALE)  # where on its swing the scale is 1
    scale = MEAN_SCALE + SWING_SCALE * math.cos(phase - upright)
    x = (WIDTH - 1) / 2.0 + SWAY_PX[0] * math.sin(phase)
    y = (HEIGHT - 1) / 2.0 + SWAY_PX[1] * math.sin(3 * phase)
    cos, sin = scale * math.cos(roll), scale * math.sin(roll)
    px, py = HEAD_CENTER
    return np.array([[cos, -sin, x - cos * px + sin * py], [sin, cos, y - sin * px - cos * py]])


def load() -> np.ndarray:
    """(H, W, 3) uint8 BGR: the portrait with its edges faded into BACKGROUND. Raises SourceError."""
    image = cv2.imread(PICTURE, cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError("the demo's picture {} is missing or damaged: install nanoface again".format(PICTURE))
    height, width = image.shape[:2]
    x = np.abs(np.linspace(-1, 1, width))[None, :]
    y = np.abs(np.linspace(-1, 1, height))[:, None]
    inside = np.clip((1 - (x ** 3 + y ** 3) ** (1 / 3.0)) / FEATHER, 0, 1)
    alpha = (inside * inside * (3 - 2 * inside))[:, :, None]
    return np.rint(image * alpha + np.array(BACKGROUND) * (1 - alpha)).astype(np.uint8)


def render(portrait: np.ndarray, seq: int) -> np.ndarray:
    """Frame `seq`: (HEIGHT, WIDTH, 3) uint8 BGR in memory of its own."""
    return cv2.warpAffine(portrait, truth(seq), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderValue=BACKGROUND)


class Portrait(Recording):
    """The demo as a recording of ten seconds; another `fps` plays it slower or quicker."""

    name = "portrait"
    count = FRAMES

    def __init__(self, fps: Optional[float] = None) -> None:
        self.fps = fps or FPS
        self._portrait: Optional[np.ndarray] = None
        self._index = -1

    def open(self) -> None:
        self._portrait, self._index = load(), -1

    def advance(self) -> float:
        if self._index + 1 >= FRAMES:
            raise EOFError(self.name)
        self._index += 1
        return self._index / self.fps

    def picture(self) -> Optional[np.ndarray]:
        return None if self._portrait is None else render(self._portrait, self._index)

    def rewind(self) -> None:
        self._index = -1

    def seek(self, time_s: float) -> None:
        self._index = max(-1, int(math.ceil((time_s - SAME_TIME_S) * self.fps)) - 1)

    def close(self) -> None:
        self._portrait = None


def _eased(t: float) -> float:
    """0 to 1 with no jump in speed or acceleration: the speed rises as a smoothstep, holds, and falls the same way."""
    top = 1.0 / (1.0 - EASE)
    if t > 0.5:
        return 1.0 - _eased(1.0 - t)
    if t >= EASE:
        return top * (t - EASE / 2)
    u = t / EASE
    return top * EASE * (u ** 3 - u ** 4 / 2)
