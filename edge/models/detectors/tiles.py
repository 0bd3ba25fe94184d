"""A closer look at a still: overlapping tiles of it, each filling a detector's input, and one answer from all of them.

A detector that sees a group picture whole misses faces below a dozen of its input's pixels. Tiles cost a run of the
network each, so they are for stills and never for tracking.
"""
from typing import List, Sequence, Tuple

import numpy as np

from edge.core.contracts import Crop
from edge.geometry import boxes as upright
from edge.models.spec import Detections, Input, fit

ZOOM = 3.0  # tiles show the frame this much larger than the whole view does, but never larger than it is
WORTH = 1.2  # below this gain they show nothing new
OVERLAP = 80  # input pixels that two neighbours share at least, or half of a small input
MOST_SHARED = 0.5  # of the smaller box: a part of a face, or the same face twice
EDGE = 2.0  # input pixels from a tile's border at which a face counts as cut off


def overlap_of(room: int) -> int:
    """Input pixels by which tiles of `room` pixels overlap at least."""
    return min(OVERLAP, room // 2)


def tile_crops(width: int, height: int, look: Input) -> Tuple[Crop, ...]:
    """Tiles of a frame, row by row; none where the whole view already shows it about as large as it is."""
    whole = fit(width, height, look)
    scale = min(1.0, ZOOM * whole)
    if scale < WORTH * whole:
        return ()
    columns = _starts(int(round(width * scale)), look.size[0])
    rows = _starts(int(round(height * scale)), look.size[1])
    edge = 0.5 * scale - 0.5
    matrices = [np.array([[scale, 0.0, edge - x], [0.0, scale, edge - y]]) for y in rows for x in columns]
    return tuple(Crop(matrix, look.size, look.colour, look.scale, look.offset) for matrix in matrices)


def merge(found: Sequence[Detections], crops: Sequence[Crop], size: Tuple[int, int], limit: int) -> Detections:
    """One answer from those to the whole view (the first) and to the tiles; `size` is the frame's width and height.

    A tile answers for what its neighbours' overlap holds and its border does not cut; the whole view for the rest. Of
    two boxes that share much of the smaller one the surer stays, so half a face does not stand beside the whole one.
    """
    parts = [found[0]] + [_whole_faces(one, crop, size) for one, crop in zip(found[1:], crops[1:])]
    boxes, scores, keypoints = (None if column[0] is None else np.concatenate(column) for column in zip(*parts))
    joined = Detections(boxes, scores, keypoints)  # type: ignore
    joined = joined.rows(np.argsort(-joined.scores, kind="mergesort"))
    shared = upright.shared_of_smaller(joined.boxes, joined.boxes)
    return joined.rows(upright.suppress(shared > MOST_SHARED, limit))


def _starts(length: int, room: int) -> List[int]:
    """Where tiles of `room` pixels begin so that they cover `length` and overlap enough, evenly."""
    if length <= room:
        return [0]
    overlap = overlap_of(room)
    count = -(-(length - overlap) // (room - overlap))
    return [int(round(i * (length - room) / float(count - 1))) for i in range(count)]


def _whole_faces(found: Detections, crop: Crop, size: Tuple[int, int]) -> Detections:
    """Those that touch no border of the tile inside the frame and are so small that one tile has them whole."""
    scale = crop.matrix[0, 0]
    low = -(crop.matrix[:, 2] + 0.5) / scale  # the tile's edge in frame pixels
    high = low + np.array(crop.size) / scale
    border = EDGE / scale
    # where the tile ends at the frame's own border, a face may reach over it
    low = np.where(low <= border, -np.inf, low + border)
    high = np.where(high >= np.array(size) - border, np.inf, high - border)
    inside = (found.boxes[:, :2] >= low).all(axis=1) & (found.boxes[:, 2:] <= high).all(axis=1)
    largest = overlap_of(min(crop.size)) / scale - 2.0 * border
    inside &= (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1) <= largest
    return found.rows(np.flatnonzero(inside))
