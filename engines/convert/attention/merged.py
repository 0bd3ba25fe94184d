"""The attention mesh as a CPU runs it fastest: the same crops in two thirds of the nodes, in the order that convolutions read.

On a CPU a node of a few numbers costs 2 to 10 us, whatever it calculates, mostly in waiting for its code. So the line that
turns a crop is not normalised, but its square divided out once; the extent along both axes and their opposites is one
maximum; samples lie pixel by pixel, not crop by crop, so that they are the rows of an image and need no transposing; the
four cells are weighed each in a sweep. ONNX Runtime keeps its own layout through a residual sum only where both terms have
it: a convolution with ones (`aligned`) gives it to the crops and to the divided channels, and channels of zeros are one
grouped convolution. Outputs differ from the plain graph's by at most 3e-4 pixels of the input. Measured, one thread of an AMD
EPYC, paired, median of several loads: 0.09 ms less in OpenVINO 2026.4, 0.2 and 0.33 in ONNX Runtime 1.32 and 1.10.
"""
from typing import Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edge.core.errors import ModelError
from engines.convert.attention.geometry import CELL_PX, CHANNELS, CROP, HEAD_PX, MARGIN, SIDE, STEEPNESS, Geometry, Subset
from engines.convert.attention.heads import PLANE
from engines.convert.graph import Graph, Kernel, inferred_shapes

# nodes of the plain network, as geometry.py and heads.py call them
POINTS, HEAD, DIVIDED, OUTPUT = "geo/points", "geo/head", "heads/divide", "refined"
CELLS, MESH_ROWS = "crop/nhwc", "geo/subset.rows"
AROUND_CROPS = ("geo/", "crop/")
GROUPS, MORE = ".groups", ".more"  # of a padding
PARTS_CROPS = (0, 1, 2, 1, 2)  # the crop of each part; layout.py admits no other
TAPS = ((0, "left", "above"), (1, "right", "above"), (SIDE, "left", "below"), (SIDE + 1, "right", "below"))


class MergedGeometry(Geometry):
    """Emits what Geometry emits, as fewer nodes."""

    _map = ""  # (2, 3, crops): x and y of a crop's two axes, for a unit of what a head gives, and of its corner; pixels

    def crops(self, points: str, feature: str) -> str:
        self._place(points)
        count = len(self._subsets)
        cells = self._graph.add("Transpose", CELLS, [feature], perm=[0, 2, 3, 1])
        cells = self._graph.reshape("crop/cells", cells, [SIDE * SIDE, CHANNELS])
        row, weights = self._cells_and_weights()
        parts = []
        for step, across, along in TAPS:
            name = along + "_" + across
            index = self._op("Add", "row_" + name, row, self._constant("step_" + name, [[step]], np.int32)) if step else row
            taken = self._graph.add("Gather", "crop/" + name, [cells, index], axis=0)  # (1, 256 * crops, 32)
            weight = self._op("Mul", "weight_" + name, weights["x_" + across], weights["y_" + along])
            parts.append(self._graph.add("Mul", "crop/weighed_" + name, [taken, weight]))
        above, below = (self._graph.add("Add", "crop/" + name, pair)
                        for name, pair in (("above", parts[:2]), ("below", parts[2:])))
        rows = self._graph.add("Add", "crop/sum", [above, below])
        rows = self._graph.reshape("crop/rows", rows, [1, CROP, CROP, CHANNELS * count])
        rows = self._graph.add("Transpose", "crop/channels", [rows], perm=[0, 3, 1, 2])
        return aligned(self._graph, "crop/heads", rows, CHANNELS * count)

    def placed(self, output: str, raw: str, heads: Sequence[int]) -> str:
        crops = len(self._subsets)
        raw = self._graph.reshape("geo/raw", raw, [len(heads), 2, PLANE])
        numbers = self._graph.reshape("geo/map_numbers", self._map, [6 * crops])
        k = np.arange(2).reshape(1, 2, 1)
        axes, corner = (
            self._op("Gather", name, numbers, self._constant(
                name + ".places", 3 * crops * k + crops * np.array(rows) + np.reshape(heads, (-1, 1, 1)), np.int32), axis=0)
            for name, rows in (("axes", [0, 1]), ("corner", [2])))
        return self._graph.add("Add", output, [self._op("MatMul", "turned", axes, raw), corner])

    def _place(self, points: str) -> None:
        """With the line (dx, dy) of length n: turned by it, the subset reaches n * (u1, v1) to n * (u0, v0). The four lines
        of `lines_x` and `lines_y`, each a quarter turn from the next, give all four as one maximum, of which each meets its
        own line again in the map: (dx, -dy, -dx, dy) / n (u1, v1, -u0, -v0) are the sides, and half their sum the middle.
        """
        rows = np.array(self._rows())
        x, y = (self._numbers(points, name, rows[None, :, start:start + PLANE]) for name, start in (("X", 0), ("Y", PLANE)))
        x0, y0, x1, y1 = rows[:, 2 * PLANE:].T[..., None]
        lines_x = self._op("Sub", "lines_x", self._numbers(points, "x_to", np.stack([x1, y0, x0, y1])),
                           self._numbers(points, "x_from", np.stack([x0, y1, x1, y0])))
        lines_y = self._op("Sub", "lines_y", self._numbers(points, "y_to", np.stack([y1, x1, y0, x0])),
                           self._numbers(points, "y_from", np.stack([y0, x0, y1, x1])))
        reach = self._op("Add", "turned_points", self._product(lines_x, x), self._product(lines_y, y))
        reach = self._op("ReduceMax", "reach", reach, axes=[2], keepdims=1)  # (4, crops, 1)
        square = self._op("Add", "square", self._product(lines_x, lines_x), self._product(lines_y, lines_y))
        reach = self._op("Div", "reach_px", reach, self._op("Clip", "square_kept", square, self._scalar(1e-6)))
        sides = self._op("Concat", "sides", self._product(lines_x, reach), self._product(lines_y, reach), axis=0)
        sides = self._graph.reshape("geo/sides_each", sides, [2, 4, len(self._subsets)])
        unit = MARGIN / HEAD_PX
        first, second = np.array([1.0, 0.0, -1.0, 0.0]) * unit, np.array([0.0, 1.0, 0.0, -1.0]) * unit
        corner = 0.5 - (first + second) * HEAD_PX / 2.0
        self._map = self._op("MatMul", "map", self._constant("map.sums", [first, second, corner]), sides)

    def _numbers(self, points: str, name: str, places: np.ndarray) -> str:
        return self._op("Gather", name, points, self._constant(name + ".places", places, np.int32), axis=0)

    def _cells_and_weights(self) -> Tuple[str, Dict[str, str]]:
        """The upper left cell (1, 256 * crops) int32 of each sample, and weights (1, 256 * crops, 1) by side."""
        count, zero, half = CROP * CROP * len(self._subsets), self._scalar(0.0), self._scalar(0.5)
        oy, ox = np.divmod(np.arange(CROP * CROP), CROP)
        grid = np.stack([ox + 0.5, oy + 0.5, np.full(len(ox), 1.0 / CELL_PX)], axis=1)
        samples = self._op("MatMul", "samples", self._constant("grid", grid), self._map)  # (2, 256, crops)
        samples = self._op("Sub", "t", self._graph.reshape("geo/samples_each", samples, [2, count, 1]), half)
        cell = self._op("Floor", "cell", self._op("Clip", "t_tap", samples, zero, self._scalar(SIDE - 2.0)))
        after = self._op("Sub", "after", samples, cell)
        away = self._op("Abs", "away", self._op("Sub", "off_middle", after, half))
        away = self._op("Mul", "steep", away, self._scalar(STEEPNESS))
        ramp = self._op("Sub", "inside_ramp", self._scalar(1.0 + STEEPNESS / 2.0), away)
        inside = self._op("Clip", "inside", ramp, zero, self._scalar(1.0))
        after = self._op("Mul", "after_inside", after, inside)
        before = self._op("Sub", "before_inside", inside, after)
        weights = {}
        for name, values, at in (("x_left", before, 0), ("x_right", after, 0), ("y_above", before, 1), ("y_below", after, 1)):
            weights[name] = self._cut(name, values, at, at + 1, 0)
        x, y = self._cut("cell_x", cell, 0, 1, 0), self._cut("cell_y", cell, 1, 2, 0)
        row = self._op("Add", "row", x, self._op("Mul", "rows_above", y, self._scalar(float(SIDE))))  # exact below 2 ** 24
        row = self._op("Cast", "row_whole", row, to=TensorProto.INT32)
        return self._graph.reshape("geo/row_each", row, [1, count]), weights


def aligned(graph: Graph, name: str, x: str, channels: int) -> str:
    """`x` times one: the layout that ONNX Runtime's convolutions give."""
    return graph.conv(name, x, np.ones((channels, 1, 1, 1), np.float32), None, Kernel(group=channels))


def merged(model: ModelProto) -> Optional[ModelProto]:
    """The same function of an attention mesh as network.py makes it, in fewer nodes; None for any other network.

    Raises ModelError for an attention mesh whose nodes are not called as they are here: it would keep the plain crops.
    """
    nodes = [node.name for node in model.graph.node]
    if not any(name.startswith(AROUND_CROPS) for name in nodes):
        return None
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    missing = sorted({POINTS, HEAD, DIVIDED, OUTPUT, CELLS, MESH_ROWS} - set(nodes) - set(values))
    missing += [end for end in (GROUPS, MORE) if not any(name.endswith(end) for name in nodes)]
    if missing:
        raise ModelError("the crops of this attention mesh cannot be merged: it has no {}".format(", ".join(missing)))
    rewriting = _Rewriting(model, values)
    for node in model.graph.node:
        rewriting.take(node)
    return rewriting.graph.model([output.name for output in model.graph.output])


class _Rewriting:
    """The nodes of the plain network one by one: most are taken over, those around the crops are replaced."""

    def __init__(self, model: ModelProto, values: Dict[str, np.ndarray]) -> None:
        self.graph = Graph(model.graph.name)
        self._values, self._shapes = values, inferred_shapes(model)
        self._source = {node.name: node.input[0] for node in model.graph.node}
        self._known: Set[str] = set()  # constants taken over
        self.graph.input(self._shapes[model.graph.input[0].name])
        self._geometry = MergedGeometry(self.graph, _subsets(values[MESH_ROWS]))

    def take(self, node: NodeProto) -> None:
        name = node.name
        if name == POINTS:
            self._copy(node, name)
            self._geometry.crops(name, self._source[CELLS])
        elif name == OUTPUT:
            self._geometry.placed(name, HEAD, PARTS_CROPS)
        elif name == DIVIDED:
            aligned(self.graph, name, self._copy(node, name + ".plain"), self._shapes[name][1])
        elif name + MORE in self._shapes:
            self._pad(name)
        elif not (name.endswith((GROUPS, MORE)) or name.startswith(AROUND_CROPS) and node.op_type != "Conv"):
            self._copy(node, name)

    def _pad(self, name: str) -> None:
        """Zeros at the end of each group's channels: a product with ones and zeros."""
        (groups, before), after = self._shapes[name + GROUPS][:2], self._shapes[name + MORE][1]
        weight = np.tile(np.eye(after, before, dtype=np.float32), (groups, 1))
        self.graph.conv(name, self._source[name + GROUPS], weight.reshape(-1, before, 1, 1), None, Kernel(group=groups))

    def _copy(self, node: NodeProto, name: str) -> str:
        for constant in node.input:
            if constant in self._values and constant not in self._known:
                self.graph.constant(constant, self._values[constant], self._values[constant].dtype)
                self._known.add(constant)
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        return self.graph.add(node.op_type, name, node.input, **attributes)


def _subsets(rows: np.ndarray) -> List[Subset]:
    """From the places of their numbers among the mesh's, as Geometry writes them."""
    return [Subset(tuple(row[:PLANE] // 3), row[2 * PLANE] // 3, row[2 * PLANE + 2] // 3) for row in rows]
