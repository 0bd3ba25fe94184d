"""An FP16 engine: weights and what flows between layers rounded to float16, sums in float32.

The ONNX graph gets Cast to float16, a Reshape to the same shape, and Cast back behind every float tensor that a layer of
FP16 makes or reads. Without the Reshape old versions of ONNX Runtime drop the two casts as if they did nothing.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

UNROUNDED = {"Shape", "Size", "Constant", "ConstantOfShape", "Range", "NonMaxSuppression", "Cast"}
# they only move or choose what they are given, so that rounded input means rounded output
EXACT = set("""Relu MaxPool GlobalMaxPool Reshape Transpose Flatten Squeeze Unsqueeze Concat Split Slice DepthToSpace
    SpaceToDepth Identity Dropout Gather GatherElements Neg Abs Max Min Expand Tile Where""".split())
# inputs that say how to compute and are no data: their rounding would change the shape or the place of things
SETTINGS = {"Resize": (1, 2, 3), "Upsample": (1,), "Pad": (1,), "Slice": (1, 2, 3, 4), "Reshape": (1,), "Clip": (),
            "BatchNormalization": (), "TopK": (1,), "Expand": (1,), "Tile": (1,)}


def rounded(model, fp16_nodes, plain_outputs):
    """A copy of the model.

    fp16_nodes: numbers of the nodes that compute in FP16; plain_outputs: numbers of those among them whose outputs are
    kept as float32. What a layer in FP32 makes is rounded where a layer in FP16 reads it.
    """
    return _Rounding(model, fp16_nodes, plain_outputs).model


class _Rounding:
    def __init__(self, model, fp16_nodes, plain_outputs):
        self.model = type(model)()
        self.model.CopyFrom(model)
        graph = self.model.graph
        self._weights = {w.name: w for w in graph.initializer}
        self._fp16, self._plain = fp16_nodes, plain_outputs
        self._nodes, self._new_weights = [], {}
        self._is_rounded, self._as_rounded, self._renamed = set(), {}, {}
        self._outputs = {o.name for o in graph.output}
        self._shapes = {}
        for number, node in enumerate(list(graph.node)):
            self._add(number, node)
        used = {name for node in self._nodes for name in node.input} | self._outputs
        weights = [w for w in graph.initializer if w.name in used] + list(self._new_weights.values())
        del graph.node[:]
        graph.node.extend(self._nodes)
        del graph.initializer[:]
        graph.initializer.extend(weights)

    def _add(self, number, node):
        if node.op_type == "Constant":
            self._constant(node)
        fp16 = number in self._fp16 and node.op_type not in UNROUNDED
        settings = SETTINGS.get(node.op_type, ())
        for place, name in enumerate(node.input):
            if name and fp16 and place not in settings:
                node.input[place] = self._rounded(name)
        self._nodes.append(node)
        if not fp16 or number in self._plain:
            return
        for place, name in enumerate(node.output):
            if name and self.is_float(name):
                self._is_rounded.add(name)
                if node.op_type in EXACT:
                    continue
                raw = name + "/exact"
                node.output[place] = raw
                self._round_into(raw, name)

    def _constant(self, node):
        for attribute in node.attribute:
            if attribute.name == "value":
                weight = TensorProto()
                weight.CopyFrom(attribute.t)
                weight.name = node.output[0]
                self._weights[weight.name] = weight

    def _rounded(self, name):
        """The name of the same tensor, rounded."""
        if name in self._is_rounded or not self.is_float(name):
            return name
        if name not in self._as_rounded:
            half = name + "/half"
            weight = self._weights.get(name)
            if weight is None:
                self._round_into(name, half)
            else:
                with np.errstate(over="ignore"):
                    values = numpy_helper.to_array(weight).astype(np.float16).astype(np.float32)
                self._new_weights[half] = numpy_helper.from_array(values, half)
            self._as_rounded[name] = half
        return self._as_rounded[name]

    def is_float(self, name):
        return FloatTypes.of(self.model).is_float(name)

    def _round_into(self, source, target):
        rank = FloatTypes.of(self.model).rank(source, target)
        shape = "simulator/keep{}".format(rank)
        if shape not in self._new_weights:
            keep = np.zeros(rank, np.int64) if rank else np.zeros(0, np.int64)
            self._new_weights[shape] = numpy_helper.from_array(keep, shape)
        half, kept = target + "/cast", target + "/kept"
        self._nodes += [helper.make_node("Cast", [source], [half], to=TensorProto.FLOAT16),
                        helper.make_node("Reshape", [half, shape], [kept]),
                        helper.make_node("Cast", [kept], [target], to=TensorProto.FLOAT)]


class FloatTypes:
    """What onnx infers of a model's tensors: type and number of axes."""

    _last = (None, None)

    def __init__(self, model):
        infos = list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output)
        self._types = {i.name: i.type.tensor_type for i in infos}
        self._weights = {w.name: w for w in model.graph.initializer}

    @classmethod
    def of(cls, model):
        if cls._last[0] is not model:
            cls._last = (model, cls(model))
        return cls._last[1]

    def is_float(self, name):
        if name in self._weights:
            return self._weights[name].data_type == TensorProto.FLOAT
        return name in self._types and self._types[name].elem_type == TensorProto.FLOAT

    def rank(self, *names):
        for name in names:
            if name in self._types:
                return len(self._types[name].shape.dim)
            if name in self._weights:
                return len(self._weights[name].dims)
        raise KeyError(names)
