"""Where the attention mesh looks closer: MediaPipe's Landmarks2TransformMatrix, TransformTensorBilinear and
TransformLandmarks (version 2 of each) in plain operators of static shape, without sine, bool or 64 bits at run time.

A crop stands around a subset of the points: turned by the line between two of them, as wide and as high as the subset is in
that turned frame, each times 1.5. All of it in pixels of the input. The cosine and sine of the turn are the line over its
length; the length is kept above zero, as 0/0 would be no index. A sample outside the feature map is nothing at all: that is
a ramp 1/1024 of a cell wide here. The index of a cell is calculated in whole numbers, as FP16 has no 2303.
"""
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from onnx import TensorProto

from engines.convert.attention.heads import PLANE
from engines.convert.graph import Graph

SIDE = 48  # cells of the feature map
CELL_PX = 4  # of the input
CROP = 16  # samples along a side of a crop
MARGIN = 1.5
HEAD_PX = CROP * CELL_PX  # the unit of what a head gives: the side of its crop is 64
STEEPNESS = 1024.0
CHANNELS = 32
SHORTEST = 1e-4  # square of the length of a line that has a direction, pixels; not 0 in FP16 either


class Subset(NamedTuple):
    """Points of the mesh by number."""

    points: Tuple[int, ...]
    start: int  # of the line that the crop is turned by
    end: int


class Geometry:
    """Emits the nodes geo/ and crop/ for a number of crops; all of them at once, a row each."""

    def __init__(self, graph: Graph, subsets: Sequence[Subset]) -> None:
        self._graph, self._subsets = graph, subsets
        self._scalars: Dict[float, str] = {}
        self._frame: Dict[str, str] = {}  # cw sw ch sh cx cy: (crops, 1) the affine map of a crop

    def crops(self, points: str, feature: str) -> str:
        """(1, 32 * crops, 16, 16) out of `feature` (1, 32, 48, 48), placed by `points` (1404,)."""
        self._place(points)
        count = len(self._subsets) * CROP * CROP
        weights, index = self._taps(count)
        cells = self._graph.add("Transpose", "crop/nhwc", [feature], perm=[0, 2, 3, 1])
        cells = self._graph.reshape("crop/cells", cells, [SIDE * SIDE, CHANNELS])
        taps = self._graph.add("Gather", "crop/taps", [cells, index], axis=0)  # (4, count, 32)
        weights = self._graph.reshape("geo/weights", weights, [4, count, 1])
        weighed = self._graph.add("Mul", "crop/weighed", [taps, weights])
        crop = self._graph.add("ReduceSum", "crop/sum", [weighed], axes=[0], keepdims=0)
        crop = self._graph.reshape("crop/rows", crop, [len(self._subsets), CROP * CROP, CHANNELS])
        crop = self._graph.add("Transpose", "crop/channels", [crop], perm=[0, 2, 1])
        return self._graph.reshape("crop/heads", crop, [1, CHANNELS * len(self._subsets), CROP, CROP])

    def placed(self, output: str, raw: str, heads: Sequence[int]) -> str:
        """(parts, 2, 80) pixels of the input from what the parts give, (1, 160 * parts, 1, 1) in units of their crops;
        `heads`: the crop of each part.
        """
        parts = len(heads)
        raw = self._graph.reshape("geo/raw", raw, [parts, 2, PLANE])
        centred = self._op("Sub", "centred", raw, self._scalar(HEAD_PX / 2.0))
        local = self._op("Mul", "local", centred, self._scalar(MARGIN / HEAD_PX))
        x, y = self._cut("local_x", local, 0, 1), self._cut("local_y", local, 1, 2)
        names = ("cw", "sw", "ch", "sh", "cx", "cy")
        frames = self._op("Concat", "frames", *(self._frame[n] for n in names), axis=1)
        more = list(heads[len(self._subsets):])  # they follow each other, as the crops do
        frames = self._op("Concat", "frames_all", frames, self._cut("frames_more", frames, more[0], more[-1] + 1, 0), axis=0)
        frames = self._graph.reshape("geo/frames_each", frames, [parts, len(names), 1])
        cw, sw, ch, sh, cx, cy = (self._cut("each_" + n, frames, i, i + 1) for i, n in enumerate(names))
        px = self._op("Add", "x", self._op("Sub", "x_turned", self._product(cw, x), self._product(sh, y)), cx)
        py = self._op("Add", "y", self._op("Add", "y_turned", self._product(sw, x), self._product(ch, y)), cy)
        return self._graph.add("Concat", output, [px, py], axis=1)

    def _place(self, points: str) -> None:
        """The affine map of each crop: (x, y) = ((cw, -sh), (sw, ch)) (gx, gy) + (cx, cy) of the crop's units."""
        turned = self._op("Gather", "subset", points, self._constant("subset.rows", self._rows(), np.int32), axis=0)
        x, y = self._cut("X", turned, 0, PLANE), self._cut("Y", turned, PLANE, 2 * PLANE)
        start, end = (self._cut(name, turned, at, at + 2) for name, at in (("start", 2 * PLANE), ("end", 2 * PLANE + 2)))
        line = self._op("Sub", "line", end, start)
        squared = self._op("ReduceSum", "length2", self._op("Mul", "line2", line, line), axes=[1], keepdims=1)
        squared = self._op("Clip", "length2_kept", squared, self._scalar(SHORTEST), self._scalar(1e9))
        length = self._op("Sqrt", "length", squared)
        direction = self._op("Div", "direction", line, length)
        c, s = self._cut("c", direction, 0, 1), self._cut("s", direction, 1, 2)
        w, um = self._extent("u", self._op("Add", "u", self._product(c, x), self._product(s, y)))
        h, vm = self._extent("v", self._op("Sub", "v", self._product(c, y), self._product(s, x)))
        self._frame = {
            "cw": self._op("Mul", "cw", c, w), "sw": self._op("Mul", "sw", s, w),
            "ch": self._op("Mul", "ch", c, h), "sh": self._op("Mul", "sh", s, h),
            "cx": self._op("Sub", "cx", self._product(c, um), self._product(s, vm)),
            "cy": self._op("Add", "cy", self._product(s, um), self._product(c, vm)),
        }

    def _rows(self) -> List[List[int]]:
        """For each crop the places of its numbers among the 1404: every x, every y, start, end. A shorter subset repeats its
        first point, which changes neither its least nor its greatest.
        """
        rows = []
        for subset in self._subsets:
            filled = list(subset.points) + [subset.points[0]] * (PLANE - len(subset.points))
            ends = [3 * subset.start, 3 * subset.start + 1, 3 * subset.end, 3 * subset.end + 1]
            rows.append([3 * i for i in filled] + [3 * i + 1 for i in filled] + ends)
        return rows

    def _extent(self, axis: str, values: str) -> Tuple[str, str]:
        """Size and middle along one axis of the turned frame, (crops, 1) each."""
        most = self._op("ReduceMax", axis + "_most", values, axes=[1], keepdims=1)
        least = self._op("ReduceMin", axis + "_least", values, axes=[1], keepdims=1)
        both = self._op("Add", axis + "_both", most, least)
        return self._op("Sub", axis + "_size", most, least), self._op("Mul", axis + "_middle", both, self._scalar(0.5))

    def _samples(self, count: int) -> str:
        """(2, count) x and y of the samples in cells, the centre of the first cell at 0."""
        oy, ox = np.divmod(np.arange(CROP * CROP), CROP)
        unit = MARGIN / HEAD_PX
        gx = self._constant("gx", (ox[None] + 0.5 - CROP / 2.0) * unit)
        gy = self._constant("gy", (oy[None] + 0.5 - CROP / 2.0) * unit)
        frame, share = self._frame, self._scalar(1.0 / CELL_PX)
        cells = (self._op("Mul", name + "_cells", frame[name], share) for name in ("cx", "cy"))
        bx, by = (self._op("Sub", cell.split("/")[-1] + "_middle", cell, self._scalar(0.5)) for cell in cells)
        tx = self._op("Sub", "tx_turned", self._product(frame["cw"], gx), self._product(frame["sh"], gy))
        ty = self._op("Add", "ty_turned", self._product(frame["sw"], gx), self._product(frame["ch"], gy))
        rows = [self._graph.reshape("geo/" + name + "_row", self._op("Add", name, turned, middle), [1, count])
                for name, turned, middle in (("tx", tx, bx), ("ty", ty, by))]
        return self._op("Concat", "t", *rows, axis=0)

    def _taps(self, count: int) -> Tuple[str, str]:
        """Weights and indices (4, count) of the cells around each sample: above left and right, below left and right."""
        zero, one, samples = self._scalar(0.0), self._scalar(1.0), self._samples(count)
        kept = self._op("Clip", "t_kept", samples, zero, self._scalar(SIDE - 1.0))
        away = self._op("Abs", "away", self._op("Sub", "t_off", samples, kept))
        steep = self._op("Mul", "steep", away, self._scalar(STEEPNESS))
        inside = self._op("Clip", "inside", self._op("Sub", "inside_ramp", one, steep), zero, one)
        mask = self._product(self._cut("inside_x", inside, 0, 1, 0), self._cut("inside_y", inside, 1, 2, 0))
        # the last sample of a row is the right tap of the cell before it, with the weight 1
        cell = self._op("Floor", "cell", self._op("Clip", "t_tap", samples, zero, self._scalar(SIDE - 2.0)))
        after = self._op("Sub", "after", kept, cell)
        before = self._op("Sub", "before", one, after)
        x = self._op("Concat", "across", self._cut("before_x", before, 0, 1, 0), self._cut("after_x", after, 0, 1, 0), axis=0)
        above = self._product(self._cut("before_y", before, 1, 2, 0), mask)
        below = self._product(self._cut("after_y", after, 1, 2, 0), mask)
        weights = self._op("Concat", "weights_rows", self._product(x, above), self._product(x, below), axis=0)
        return weights, self._index(cell)

    def _index(self, cell: str) -> str:
        """(4, count) int32 places of the cells in a row of 2304."""
        whole = self._op("Cast", "i", cell, to=TensorProto.INT32)
        ix, iy = self._cut("ix", whole, 0, 1, 0), self._cut("iy", whole, 1, 2, 0)
        base = self._op("Add", "base", self._op("Mul", "iy48", iy, self._constant("side", [[SIDE]], np.int32)), ix)
        taps = self._constant("taps", [[0], [1], [SIDE], [SIDE + 1]], np.int32)
        return self._op("Add", "idx", base, taps)

    def _op(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        return self._graph.add(kind, "geo/" + name, list(inputs), **attributes)

    def _product(self, a: str, b: str) -> str:
        return self._op("Mul", "{}.{}".format(*(n.split("/")[-1] for n in (a, b))), a, b)

    def _constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        return self._graph.constant("geo/" + name, values, dtype)

    def _scalar(self, value: float) -> str:
        if value not in self._scalars:
            self._scalars[value] = self._graph.constant("geo/{:g}".format(value), np.float32(value))
        return self._scalars[value]

    def _cut(self, name: str, x: str, start: int, end: int, axis: int = 1) -> str:
        bounds = [self._constant(name + part, [value], np.int64)
                  for part, value in ((".start", start), (".end", end), (".axis", axis))]
        return self._op("Slice", name, x, *bounds)
