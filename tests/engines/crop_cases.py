"""Frames and crops for the kernel, and what it must answer. Needs numpy alone: it also runs beside a real GPU."""
import math

import numpy as np

from edge.core.contracts import BGR, CONSTANT, REPLICATE, RGB, Crop
from edge.runtimes.gpu import crop as cropkernel

UNIT = (1.0 / 255.0, (0.0, 0.0, 0.0))
LEVELS = (1.0, (0.0, 0.0, 0.0))
IMAGENET = (1.0 / 58.0, (-123.675 / 58.0, -116.28 / 58.0, -103.53 / 58.0))


def noise(width, height, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def waves(width, height, seed=0):
    """Neighbours differ by a few grey levels, as in a picture."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    steps, starts = random.uniform(25, 60, (3, 2)), random.uniform(0, 6, 3)
    planes = [128 + 127 * np.sin(x / step[0] + y / step[1] + start) for step, start in zip(steps, starts)]
    return np.stack(planes, axis=2).astype(np.uint8)


def turned(cx, cy, side, angle, size, mirror=False):
    """(2, 3) matrix of a square region, turned by `angle`, that fills a square input of side `size`."""
    scale = size / float(side)
    c, s, half = math.cos(angle) * scale, math.sin(angle) * scale, size / 2.0
    m = np.array([[c, s, half - c * cx - s * cy], [-s, c, half + s * cx - c * cy]])
    if mirror:
        m[0] = -m[0]
        m[0, 2] += size
    return m


def letterbox(width, height, size):
    """The whole frame upright at the input's upper left, on whole pixels: how a detector sees it."""
    share = min(size[0] / float(width), size[1] / float(height))
    sx, sy = round(width * share) / float(width), round(height * share) / float(height)
    return np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])


def crop_of(matrix, size, colour=BGR, arithmetic=LEVELS, border=CONSTANT):
    return Crop(np.array(matrix, np.float64), size, colour, arithmetic[0], arithmetic[1], border)


def arguments(image, crop, pitch=None):
    """The 21 values of a launch; both addresses are 0."""
    height, width = image.shape[:2]
    return (0, width, height, pitch or 3 * width, 0) + tuple(crop.size) + cropkernel.placement(crop) + (
        crop.scale,) + tuple(crop.offset) + (int(crop.border == REPLICATE), int(crop.colour == RGB))


def places(crop):
    """x and y (H, W) in the frame of each input pixel, float64."""
    (a, b, tx), (c, d, ty) = [[float(v) for v in row] for row in crop.matrix]
    u, v = np.meshgrid(np.arange(crop.size[0]) - tx, np.arange(crop.size[1]) - ty)
    det = a * d - b * c
    return (d * u - b * v) / det, (a * v - c * u) / det


def exact(image, crop):
    """Bilinear samples in float64, (3, H, W), with the crop's arithmetic. Written apart from kernel and reference."""
    image = np.asarray(image, np.float64)
    height, width = image.shape[:2]
    x, y = places(crop)
    # beyond these all is border; what lies further does not fit an index
    x, y = np.clip(x, -2.0, width + 1.0), np.clip(y, -2.0, height + 1.0)
    if crop.border == REPLICATE:
        padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), "edge")
    else:
        padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), "constant")
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros(x.shape + (3,))
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (1.0 - np.abs(x - column - dx)) * (1.0 - np.abs(y - row - dy))
            total += weight[..., None] * padded[row + dy + 3, column + dx + 3]
    planes = total.transpose(2, 0, 1)[::-1 if crop.colour == RGB else 1]
    return planes * crop.scale + np.array(crop.offset).reshape(3, 1, 1)


def inside(image, crop, margin=1.0):
    """(H, W) bool: input pixels that lie in the frame, `margin` pixels from its border."""
    x, y = places(crop)
    height, width = image.shape[:2]
    return (x >= margin) & (x <= width - 1 - margin) & (y >= margin) & (y <= height - 1 - margin)
