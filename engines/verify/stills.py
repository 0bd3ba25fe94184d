"""The pictures that the networks are verified on: crops of the built-in portrait, made as the pipeline makes them.

Places are pixels of the portrait, found once with the mesh network; they are only to be near, not to be right.
"""
import math
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.core.contracts import BGR, REPLICATE, Crop
from edge.core.packet import Roi
from edge.core.roles import ALIGN, DETECT, POSE
from edge.geometry import roi as regions
from edge.models.aligners import make_aligner
from edge.models.detectors.table import make_detector
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.models.warp import Warper
from edge.sources import portrait

FACE = Roi(239.5, 220.5, 243.1, 0.052)
HEAD = Roi(236.7, 253.5, 218.8, 0.052)
EYES = (Roi(206.3, 189.6, 67.0, 0.144), Roi(271.1, 193.1, 68.5, -0.040))
BODY_ROW = 330  # below it the portrait shows clothes and no face
NOISE_SEED, NOISE_CELLS = 7, (60, 80)  # rows and columns of the frame of noise
NO_ANGLES = {"mean": [0.0] * 12, "std": [1.0] * 12}  # a crop needs no decoding


class View(NamedTuple):
    """The portrait as the demo shows it at one moment, in some light, seen through a region that fits more or less."""

    seq: int  # frame of the demo: it turns by up to 25 degrees and is 0.5 to 1.2 times as large
    light: float  # factor on the pixels
    loose: float  # factor on the side of the region
    shift: float  # of the region to the right, in sides
    turn: float  # of the region against the face, radians
    zoom: float  # how much nearer a detector sees it: every grid of anchors has a face of its size


VIEWS = (
    View(0, 1.0, 1.0, 0.0, 0.0, 1.0),
    View(75, 0.45, 1.12, 0.04, 0.1, 0.45),
    View(150, 1.3, 0.92, -0.04, -0.15, 2.2),
    View(225, 0.8, 1.05, 0.0, 0.05, 1.0),
)


def crops(role: str, network: str) -> List[np.ndarray]:
    """For each stored input the (N, H, W, 3) uint8 pixels in the network's colours, before the arithmetic."""
    picture = portrait.load()
    asked = [(_frame(picture, view, role), _asked(role, network, view)) for view in VIEWS]
    if role in (DETECT, ALIGN):  # the others are never shown a picture without a face
        asked.append((_body(picture), asked[0][1]))
    if role == ALIGN:
        asked.append((_noise(), asked[0][1]))
    return [np.stack([_pixels(frame, crop) for crop in wanted]) for frame, wanted in asked]


def live_view(role: str, network: str) -> Tuple[np.ndarray, Sequence[Crop]]:
    """A frame and the crops that a stage would ask for: to be given to submit()."""
    return _frame(portrait.load(), VIEWS[0], role), _asked(role, network, VIEWS[0])


def _asked(role: str, network: str, view: View) -> Sequence[Crop]:
    """What the stage of `role` asks of a frame."""
    if role == DETECT:
        return (make_detector(network).crop(portrait.WIDTH, portrait.HEIGHT),)
    if role == ALIGN:
        return (make_aligner(network).crop(_moved(FACE, view)),)
    if role == POSE:
        return (Mb05(NO_ANGLES).crop(_moved(HEAD, view)),)
    right, left = (_moved(eye, view) for eye in EYES)
    return IrisLandmark().crops((right, left))


def _moved(region: Roi, view: View) -> Roi:
    """A region of the portrait in a frame of the demo."""
    matrix = portrait.truth(view.seq)
    scale, turn = math.hypot(matrix[0, 0], matrix[1, 0]), math.atan2(matrix[1, 0], matrix[0, 0])
    cx, cy = regions.apply(matrix, np.array([[region.cx, region.cy]]))[0].tolist()
    size = region.size * scale
    return Roi(cx + view.shift * size, cy, size * view.loose, region.angle + turn + view.turn)


def _frame(picture: np.ndarray, view: View, role: str) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 BGR."""
    matrix = portrait.truth(view.seq)
    if role == DETECT:
        middle = matrix.dot(np.append(portrait.HEAD_CENTER, 1.0))
        matrix[:, :2] *= view.zoom
        matrix[:, 2] += middle - matrix.dot(np.append(portrait.HEAD_CENTER, 1.0))
    # the portrait's border is the colour of what lies around it
    whole = Crop(matrix, (portrait.WIDTH, portrait.HEIGHT), BGR, 1.0, (0.0, 0.0, 0.0), REPLICATE)
    return np.clip(np.rint(_pixels(picture, whole) * view.light), 0, 255).astype(np.uint8)


def _body(picture: np.ndarray) -> np.ndarray:
    """A frame without a face: the clothes, repeated down the frame."""
    strip = picture[BODY_ROW:]
    rows = np.arange(portrait.HEIGHT) % (2 * len(strip))
    columns = np.arange(portrait.WIDTH) * picture.shape[1] // portrait.WIDTH
    return np.ascontiguousarray(strip[np.minimum(rows, 2 * len(strip) - 1 - rows)][:, columns])


def _noise() -> np.ndarray:
    """A frame of coloured squares."""
    rows, columns = NOISE_CELLS
    cells = np.random.RandomState(NOISE_SEED).randint(0, 256, (rows, columns, 3)).astype(np.uint8)
    return np.repeat(np.repeat(cells, portrait.HEIGHT // rows, axis=0), portrait.WIDTH // columns, axis=1)


def _pixels(image: np.ndarray, crop: Crop) -> np.ndarray:
    """(H, W, 3) uint8 in the crop's colours."""
    width, height = crop.size
    planes = np.empty((3, height, width), np.float32)
    Warper().fill(image, crop._replace(scale=1.0, offset=(0.0, 0.0, 0.0)), planes)
    return np.ascontiguousarray(planes.transpose(1, 2, 0)).astype(np.uint8)
