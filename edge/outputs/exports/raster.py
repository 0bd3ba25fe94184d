"""Which triangle is seen at each pixel of a picture, and where in it: with numpy alone, in pieces of bounded memory.

The centres of pixels lie at whole coordinates; one on an edge belongs to the triangle. Of the triangles over a pixel the
nearest is seen, of equally near ones the first, whichever way round its corners go. Nothing is moved into the picture: what
lies outside of it costs nothing.
"""
from typing import Iterator, NamedTuple, Tuple

import numpy as np

MOST = 1 << 20  # pixels of spans that are looked at in one go
EDGE = 1e-6  # pixels; so that rounding leaves no gap where a pixel lies on the edge of two triangles
FLAT = 1e-9  # square pixels; a smaller triangle has no pixel of its own


class Seen(NamedTuple):
    """The pixels of a picture that a surface covers, each once."""

    pixels: np.ndarray  # (M,) numbers y * width + x
    corners: np.ndarray  # (M, 3) numbers of the vertices
    weights: np.ndarray  # (M, 3) of these; 0..1 but for rounding, their sum is 1

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(N, C) values of the vertices to (M, C) of the pixels."""
        mean: np.ndarray = np.einsum("mkc,mk->mc", values.take(self.corners, axis=0), self.weights)
        return mean


class _Planes(NamedTuple):
    """Of T triangles: each (T, 3) is a, b, c of a function a x + b y + c of the picture; `corners` are the vertices."""

    corners: np.ndarray
    first: np.ndarray  # the weights of the corners
    second: np.ndarray
    third: np.ndarray
    near: np.ndarray

    def at(self, which: np.ndarray) -> "_Planes":
        return _Planes(*(table.take(which, axis=0) for table in self))  # far faster than table[which]


def seen(points: np.ndarray, triangles: np.ndarray, width: int, height: int) -> Seen:
    """`points` (N, 3): x, y pixels and nearness, larger = nearer. Triangles that are flat, or not finite, are not seen."""
    points = np.asarray(points, np.float64)
    with np.errstate(all="ignore"):  # what overflows is not finite
        planes, box = _planes(points, triangles, width, height)
    if not len(box):
        return Seen(np.zeros(0, np.int64), np.zeros((0, 3), np.int64), np.zeros((0, 3)))
    x0, y0, x1, y1 = box.T
    left, top, across, down = x0.min(), y0.min(), x1.max() - x0.min() + 1, y1.max() - y0.min() + 1
    nearest, owner = np.full(across * down, -np.inf), np.full(across * down, -1, np.int64)
    for triangle, x, y in _covered(planes, box):
        a, b, c = planes.near.take(triangle, axis=0).T
        near, place = a * x + b * y + c, (y - top) * across + (x - left)
        while len(place):
            nearer = near > nearest[place]
            triangle, near, place = triangle[nearer], near[nearer], place[nearer]
            nearest[place[::-1]], owner[place[::-1]] = near[::-1], triangle[::-1]  # the last one stays: the first of them
    place = np.flatnonzero(owner >= 0)
    y, x = top + place // across, left + place % across
    shown = planes.at(owner[place])
    weights = np.stack([plane[:, 0] * x + plane[:, 1] * y + plane[:, 2] for plane in shown[1:4]], axis=1)
    return Seen(y * width + x, shown.corners, weights)


def _planes(points: np.ndarray, triangles: np.ndarray, width: int, height: int) -> Tuple[_Planes, np.ndarray]:
    """The triangles that may be seen, and the box of each in whole pixels of the picture, (T, 4) x0, y0, x1, y1."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (points[triangles[:, corner]].T for corner in range(3))
    x, y = np.stack([ax, bx, cx]), np.stack([ay, by, cy])
    low = np.maximum(np.ceil(np.stack([x.min(axis=0), y.min(axis=0)]) - EDGE), 0)
    high = np.minimum(np.floor(np.stack([x.max(axis=0), y.max(axis=0)]) + EDGE), [[width - 1], [height - 1]])
    twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    second = np.stack([cy - ay, ax - cx, cx * ay - cy * ax]) / twice
    third = np.stack([ay - by, bx - ax, ax * by - ay * bx]) / twice
    first = np.array([[0.0], [0.0], [1.0]]) - second - third
    near = first * az + second * bz + third * cz
    fine = (np.abs(twice) > FLAT) & np.isfinite(near).all(axis=0) & np.isfinite(first).all(axis=0)
    fine &= (low <= high).all(axis=0)
    planes = _Planes(triangles[fine], *(np.ascontiguousarray(plane.T[fine]) for plane in (first, second, third, near)))
    return planes, np.vstack([low, high]).T[fine].astype(np.int64)


def _covered(planes: _Planes, box: np.ndarray) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Triangle, x and y of each pixel that a triangle covers, in the order of the triangles, in pieces."""
    x0, y0, x1, y1 = box.T
    triangle, step = _repeated(y1 - y0 + 1)
    y = y0[triangle] + step
    low, high = x0[triangle].astype(np.float64) - EDGE, x1[triangle].astype(np.float64) + EDGE
    for plane in planes[1:4]:
        a, b, c = plane.take(triangle, axis=0).T
        rest = b * y + c  # a x + rest >= 0 inside
        with np.errstate(all="ignore"):
            cut = -rest / a
        low = np.where(a > 0, np.fmax(low, cut - EDGE), low)
        high = np.where(a < 0, np.fmin(high, cut + EDGE), high)
        high = np.where((a == 0) & (rest < -EDGE), -1.0, high)
    high = np.maximum(np.floor(high), -1.0)
    first = np.minimum(np.ceil(low), high + 1.0).astype(np.int64)  # so that what is far outside is no number too large
    length = high.astype(np.int64) - first + 1
    ends = np.cumsum(length)
    start = 0
    while start < len(length):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] - length[start] + MOST)))
        span, step = _repeated(length[start:stop])
        span += start
        yield triangle[span], first[span] + step, y[span]
        start = stop


def _repeated(counts: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """0 0 0 1 1 ... and 0 1 2 0 1 ... for counts 3, 2, ..."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
