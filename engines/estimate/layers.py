"""From a graph to the kernels that a GPU would run: what each calculates and moves, after the usual fusions.

TensorRT folds a batch normalisation, an activation and a sum into the convolution before them, chains elementwise
operations into one kernel, and writes the inputs of a concatenation to their places in it. PReLU is no activation to it and
stays a kernel. Networks keep FP32 at their ends, so each input and output costs a reformatting kernel.
"""
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Sequence, Set, Tuple

from edge.core.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

WINOGRAD, DENSE, POINTWISE, DEPTHWISE, FULL, MOVE = "winograd", "dense", "pointwise", "depthwise", "full", "move"
GROUPED = "grouped"
KINDS = (WINOGRAD, DENSE, POINTWISE, DEPTHWISE, FULL, MOVE, GROUPED)


class Layer(NamedTuple):
    """One kernel. Counts are elements, of the whole batch; a calculation is inner x outer x pixels products."""

    name: str
    kind: str  # WINOGRAD: 3x3, stride 1; DENSE: other windows; POINTWISE: 1x1; DEPTHWISE: a channel a group; MOVE: no products
    inner: int  # products for one output value: input channels of a group x window
    outer: int  # output channels
    pixels: int  # output positions
    read: int  # activations
    weights: int
    written: int
    groups: int = 1  # of a GROUPED one, whose groups have several channels

    @property
    def macs(self) -> int:
        return self.inner * self.outer * self.pixels


def kind_of(window: Tuple[int, int], stride: int, dilation: int, group: int, channels: int = 1) -> str:
    """The kind of a convolution; only a 3x3 with stride 1 has a Winograd form. `channels`: of a group."""
    if group > 1:
        return DEPTHWISE if channels == 1 else GROUPED
    if window == (1, 1):
        return POINTWISE
    return WINOGRAD if window == (3, 3) and stride == dilation == 1 else DENSE


def dense(layers: Sequence[Layer]) -> List[Layer]:
    """With the groups of a convolution as one, as `nanoface build --tune` tries it: all channels are multiplied with all."""
    return [one._replace(kind=POINTWISE, inner=one.inner * one.groups, weights=one.weights * one.groups, groups=1)
            if one.kind == GROUPED else one for one in layers]


def split(layers: Sequence[Layer]) -> List[Layer]:
    """With each group of a convolution as a kernel of its own."""
    found: List[Layer] = []
    for one in layers:
        n = one.groups
        found += [one._replace(kind=POINTWISE, outer=one.outer // n, read=one.read // n, weights=one.weights // n,
                               written=one.written // n, groups=1)] * n if one.kind == GROUPED else [one]
    return found


def move(name: str, read: int, written: int) -> Layer:
    return Layer(name, MOVE, 0, 0, 0, read, 0, written)


_FREE = ("Reshape", "Flatten", "Concat", "Identity", "Squeeze", "Unsqueeze", "Dropout", "Constant")
_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "BatchNormalization")
_POINTWISE = ("Add", "Mul", "Sub", "Div", "Neg", "Sigmoid", "Relu", "Clip", "LeakyRelu", "Tanh", "BatchNormalization")


def layers_of(model: "ModelProto") -> List[Layer]:
    """The kernels of an ONNX network with static shapes, in order. Raises ModelError where a shape is not known."""
    from engines.convert.graph import inferred_shapes
    try:
        shapes = inferred_shapes(model)
    except ValueError as e:
        raise ModelError("{}: {}".format(model.graph.name, e)) from e
    return _Walk(model, shapes).layers()


class _Walk:
    """Goes through the nodes once; keeps which kernel wrote a tensor, so that the next may be folded into it."""

    def __init__(self, model: "ModelProto", shapes: Dict[str, List[int]]) -> None:
        self._graph = model.graph
        self._sizes: Dict[str, int] = {t.name: _product(t.dims) for t in model.graph.initializer}
        self._dims: Dict[str, List[int]] = {t.name: list(t.dims) for t in model.graph.initializer}
        self._constants: Set[str] = set(self._sizes)
        self._dims.update(shapes)
        self._sizes.update((name, _product(dims)) for name, dims in shapes.items())
        self._uses: Dict[str, int] = {}
        for name in [n for node in model.graph.node for n in node.input] + [o.name for o in model.graph.output]:
            self._uses[name] = self._uses.get(name, 0) + 1
        self._done: List[Layer] = []
        self._writer: Dict[str, int] = {}  # tensor -> the kernel that wrote it and could take the next one in

    def layers(self) -> List[Layer]:
        for value in self._graph.input:
            if value.name not in self._constants:
                # twice the width of FP16 on the outside
                self._done.append(move("reformat " + value.name, 2 * self._size(value.name), self._size(value.name)))
        for node in self._graph.node:
            self._visit(node)
        for value in self._graph.output:
            self._done.append(move("reformat " + value.name, self._size(value.name), 2 * self._size(value.name)))
        return self._done

    def _size(self, name: str) -> int:
        size = self._sizes.get(name, 0)
        if size < 1:
            raise ModelError("{}: the shape of {} is not known".format(self._graph.name, name))
        return size

    def _visit(self, node: "NodeProto") -> None:
        op, out = node.op_type, node.output[0]
        if op in ("Conv", "ConvTranspose"):
            self._add(self._convolution(node), out)
        elif op in ("Gemm", "MatMul"):
            self._add(self._matrix(node), out)
        elif op not in _FREE and not (op in _POINTWISE and self._folded(node)):
            moving = [n for n in node.input if n and n not in self._constants]
            self._add(move(node.name or out, sum(self._size(n) for n in moving), self._size(out)), out,
                      takes_more=op in _POINTWISE)

    def _add(self, layer: Layer, out: str, takes_more: bool = True) -> None:
        self._done.append(layer)
        if takes_more:
            self._writer[out] = len(self._done) - 1

    def _folded(self, node: "NodeProto") -> bool:
        """Whether the node became part of the kernel that wrote one of its inputs; no other node may read that input."""
        inputs = [n for n in node.input if n and n not in self._constants]
        for name in reversed(inputs):  # the other branch of a sum was there before
            i = self._writer.get(name)
            if i is None or self._uses[name] != 1:
                continue
            takes = _ACTIVATIONS + ("Add",) if self._done[i].kind != MOVE else _POINTWISE
            if node.op_type not in takes:
                continue
            others = sum(self._size(n) for n in inputs if n != name)
            self._done[i] = self._done[i]._replace(read=self._done[i].read + others)
            self._writer[node.output[0]] = i
            return True
        return False

    def _convolution(self, node: "NodeProto") -> Layer:
        source, weight, out = node.input[0], node.input[1], node.output[0]
        dims, taken, given = self._dims[weight], self._dims[source], self._dims[out]
        attributes = {a.name: a for a in node.attribute}
        group = attributes["group"].i if "group" in attributes else 1
        transposed = node.op_type == "ConvTranspose"
        stride = max(attributes["strides"].ints) if "strides" in attributes else 1
        dilation = max(attributes["dilations"].ints) if "dilations" in attributes else 1
        if taken[1] == given[1] == 1:
            group = 2  # one channel to one channel is what a depthwise kernel does
        kind = DENSE if transposed and group == 1 else kind_of((dims[2], dims[3]), stride, dilation, group, dims[1])
        if transposed:  # every input position is multiplied with the whole window
            inner, outer, pixels = taken[1] // group, given[1] * dims[2] * dims[3], taken[0] * taken[2] * taken[3]
        else:
            inner, outer, pixels = dims[1] * dims[2] * dims[3], given[1], given[0] * given[2] * given[3]
        return Layer(node.name or out, kind, inner, outer, pixels, self._size(source), self._size(weight),
                     self._size(out), group if kind == GROUPED else 1)

    def _matrix(self, node: "NodeProto") -> Layer:
        source, weight, out = node.input[0], node.input[1], node.output[0]
        outer = self._dims[out][-1]
        return Layer(node.name or out, FULL, self._size(weight) // outer, outer, self._size(out) // outer,
                     self._size(source), self._size(weight), self._size(out))


def _product(dims: Sequence[int]) -> int:
    product = 1
    for n in dims:
        product *= int(n)
    return product
