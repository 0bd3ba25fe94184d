"""A network in FP16 as strongly typed builders want it: the types stand in the graph, with Casts around what stays in FP32."""
import onnx
from onnx import TensorProto, helper, numpy_helper

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
PLAIN_INPUTS = {"Resize": 1}  # operator: how many of its inputs, from the first, are of its own type; the others stay


def in_half(model, pinned):
    """A copy of `model` that calculates in FP16 except in the nodes whose names are in `pinned`.

    Inputs and outputs stay FP32, as 8.2's builder leaves them. Whole numbers stay what they are.
    """
    graph = _Halver(onnx.shape_inference.infer_shapes(model).graph, frozenset(pinned)).graph()
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


class _Halver:
    def __init__(self, graph, pinned):
        self._graph, self._pinned = graph, pinned
        self._constants = {t.name: t for t in graph.initializer}
        values = list(graph.input) + list(graph.value_info) + list(graph.output)
        self._types = {v.name: v.type.tensor_type.elem_type for v in values}
        self._types.update((name, t.data_type) for name, t in self._constants.items())
        self._now = dict(self._types)  # of each tensor of the new graph
        self._outputs = {o.name for o in graph.output}
        self._nodes, self._made = [], {}

    def graph(self):
        for node in self._graph.node:
            self._node(node)
        used = {name for node in self._nodes for name in node.input}
        constants = [t for t in self._constants.values() if t.name in used]
        return helper.make_graph(self._nodes, self._graph.name, [i for i in self._graph.input if i.name in used],
                                 self._graph.output, constants)

    def _node(self, node):
        wanted = FLOAT if node.name in self._pinned else HALF
        inputs = [self._read(name, wanted) if i < PLAIN_INPUTS.get(node.op_type, len(node.input)) else name
                  for i, name in enumerate(node.input)]
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        changed.input[:] = inputs
        self._nodes.append(changed)
        for i, name in enumerate(node.output):
            if self._types[name] == FLOAT:
                self._give(changed, i, name, wanted)

    def _give(self, node, i, name, wanted):
        if node.op_type == "Cast":
            node.attribute[0].i = wanted
        if wanted == HALF and name in self._outputs:
            node.output[i] = name + ".half"
            self._now[node.output[i]], self._made[name, HALF] = HALF, node.output[i]
            self._cast(node.output[i], name, FLOAT)
        else:
            self._now[name] = wanted

    def _read(self, name, wanted):
        """The tensor's name in the type that is wanted, after a Cast where it needs one."""
        if not name or self._types[name] != FLOAT or self._now[name] == wanted:
            return name
        if (name, wanted) not in self._made:
            changed = self._made[name, wanted] = "{}.{}".format(name, "half" if wanted == HALF else "float")
            if name in self._constants:
                values = numpy_helper.to_array(self._constants[name]).astype("float16")
                self._constants[changed] = numpy_helper.from_array(values, changed)
            else:
                self._cast(name, changed, wanted)
        return self._made[name, wanted]

    def _cast(self, name, changed, to):
        self._now[changed] = to
        self._nodes.append(helper.make_node("Cast", [name], [changed], name=changed + ".cast", to=to))
