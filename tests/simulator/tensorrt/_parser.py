"""The ONNX parser. It answers with False and errors; what parse_from_file() alone tells the logger is their texts."""
import os

from nanoface_simulator import settings
from nanoface_simulator.hold import hold
from nanoface_simulator.operators import (
    CONSTANT_OPERANDS,
    NOT_SUPPORTED_THOUGH_IMPORTED,
    REDUCE_WITH_AXES_INPUT,
    has_importer,
    kind_of,
)
from nanoface_simulator.restrictions import Graph, cannot_import, refused

from . import _texts
from ._enums import DataType, ErrorCode, expect
from ._logging import logger_for, tell
from ._network import INetworkDefinition, ITensor, layer
from ._objects import Bound, Scoped
from ._plugins import plugins

TYPES = {1: DataType.FLOAT, 10: DataType.HALF, 11: DataType.FLOAT, 6: DataType.INT32, 7: DataType.INT32, 9: DataType.BOOL,
         3: DataType.INT8}


class ParserError(Bound):
    """One of a parser's errors."""

    __slots__ = ("_code", "_desc", "_file", "_line", "_func", "_node")

    def code(self):
        return self._code

    def desc(self):
        return self._desc

    def file(self):
        return self._file

    def line(self):
        return self._line

    def func(self):
        return self._func

    def node(self):
        return self._node

    def __str__(self):
        return "In node {} ({}): {}: {}".format(self._node, self._func, self._code.name, self._desc)

    __repr__ = __str__


class _Refused(Exception):
    """The parser gives up; args: ParserError."""


def _error(code, desc, func, node=-1, file="ModelImporter.cpp", line=682):
    return _Refused(ParserError.make(_code=code, _desc=desc, _file=file, _line=line, _func=func, _node=node))


class OnnxParser(Scoped):
    """Fills a network. parse() takes a buffer, no path."""

    __slots__ = ("_network", "_logger", "_errors")

    def __init__(self, network, logger):
        self._network = expect(network, INetworkDefinition, "OnnxParser")
        self._logger, self._errors = logger_for(self, logger, "createNvOnnxParser"), []

    @property
    def num_errors(self):
        return len(self._errors)

    def get_error(self, index):
        if not 0 <= index < len(self._errors):
            raise IndexError("get_error({}) of {} errors (the real one may crash)".format(index, len(self._errors)))
        return self._errors[index]

    def clear_errors(self):
        del self._errors[:]

    def parse(self, model, path=None):
        content = bytes(memoryview(model))
        try:
            self._read(content, path or "")
        except _Refused as e:
            self._errors.append(e.args[0])
            return False
        return True

    parse_with_weight_descriptors = parse

    def parse_from_file(self, model):
        path = expect(model, str, "OnnxParser.parse_from_file")
        try:
            with open(path, "rb") as f:
                content = f.read()
        except OSError:
            tell(self._logger, "E", _texts.NO_FILE.format(path))
            return False
        if self.parse(content, path):
            return True
        nodes = _decode(content).graph.node if self._errors[-1].node() >= 0 else []
        for error in self._errors:
            if error.node() >= 0:
                node = nodes[error.node()]
                tell(self._logger, "E", _texts.NODE.format(error.node(), node.op_type, "".join(node.output[:1])))
            tell(self._logger, "E", _texts.PARSER_ERROR.format(
                error.file(), error.line(), error.func(), int(error.code()), error.desc()))
        return False

    def supports_operator(self, op_name):
        return has_importer(op_name) and op_name not in NOT_SUPPORTED_THOUGH_IMPORTED

    def supports_model(self, model, path=None):
        hold("supports_model")
        try:
            nodes = _decode(bytes(memoryview(model))).graph.node
        except _Refused:
            return False, []
        bad = [number for number, node in enumerate(nodes) if not has_importer(node.op_type)]
        good = [number for number in range(len(nodes)) if number not in bad]
        return not bad, [(group, known) for group, known in ((good, True), (bad, False)) if group]

    def _read(self, content, path):
        from nanoface_simulator.onnxnames import names_of

        if self._network.has_implicit_batch_dimension:
            raise _error(ErrorCode.INVALID_VALUE, "Assertion failed: !_importer_ctx.network()->hasImplicitBatchDimension() "
                         "&& \"{}\"".format(_texts.IMPLICIT_BATCH), "importModel")
        model = _decode(content)
        names = names_of(content, model.graph.name, path)
        if settings.fault("parse", names):
            raise _error(ErrorCode.INTERNAL_ERROR, _texts.ASKED_FOR, "parseGraph", 0)
        constants = {w.name for w in model.graph.initializer}
        constants |= {n.output[0] for n in model.graph.node if n.op_type == "Constant"}
        self._weights(model.graph, path)
        inferred = _inferred(model)
        self._check(model.graph, Graph(inferred))
        _misread(model)
        model = _inferred(model)
        self._fill(model, constants)
        self._network._model, self._network._content_names = model, names
        self._network.name = model.graph.name or self._network.name

    def _weights(self, graph, path):
        """Those in other files are read, from the file's folder or where the process is. Raises _Refused for what is cut."""
        import onnx.checker
        from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

        for weight in graph.initializer:
            try:
                if uses_external_data(weight):
                    load_external_data_for_tensor(weight, os.path.dirname(path))
                    weight.data_location = 0
                lost = cannot_import(weight)
            except (OSError, ValueError, TypeError, RuntimeError, onnx.checker.ValidationError) as e:
                tell(self._logger, "E", _texts.NO_EXTERNAL.format(weight.name, e))
                lost = True
            if lost:
                raise _error(ErrorCode.UNSUPPORTED_NODE, "Assertion failed: convertOnnxWeights(initializer, &weights, ctx) && "
                             "\"Failed to import initializer.\"", "parseGraph")

    def _check(self, graph, known):
        """Each node against the importers; raises _Refused at the first that is not taken."""
        if any(w.data_type == 7 for w in graph.initializer) or any(
                a.t.data_type == 7 for n in graph.node if n.op_type == "Constant" for a in n.attribute):
            tell(self._logger, "W", _texts.INT64)
        for number, node in enumerate(graph.node):
            refusal = self._refusal(node, known)
            if refusal:
                raise _error(ErrorCode.UNSUPPORTED_NODE, "Assertion failed: " + refusal[1], refusal[0], number,
                             "builtin_op_importers.cpp", refusal[2])

    def _refusal(self, node, known):
        """(function, text, line) where the node would not be imported, else None."""
        no_plugin = "creator && \"{}\"".format(_texts.NO_PLUGIN_CREATOR)
        if not has_importer(node.op_type):
            tell(self._logger, "I", _texts.NO_IMPORTER.format(node.op_type))
            tell(self._logger, "I", _texts.SEARCHING.format(node.op_type))
            tell(self._logger, "E", _texts.NO_CREATOR.format(node.op_type))
            return "importFallbackPluginImporter", no_plugin, 4870
        if node.op_type == "InstanceNormalization" and not plugins.registered:
            tell(self._logger, "E", _texts.NO_CREATOR.format("InstanceNormalization_TRT"))
            return "importInstanceNormalization", no_plugin, 2040
        restriction = refused(node, known)
        return restriction + (1200,) if restriction else None

    def _fill(self, model, constants):
        network, graph = self._network, model.graph
        weights = {w.name: w for w in graph.initializer}
        infos = {i.name: i for i in list(graph.value_info) + list(graph.input) + list(graph.output)}

        def tensor(name):
            if name not in network._tensors:
                network._tensors[name] = _tensor(network, name, infos.get(name), weights.get(name))
            return network._tensors[name]

        network._inputs[:] = [tensor(i.name) for i in graph.input if i.name not in weights]
        for made in network._inputs:
            made._is_input = True
        taken = set()
        for number, node in enumerate(graph.node):
            if node.op_type in CONSTANT_OPERANDS:
                for name in node.input:
                    if name in weights:
                        network._layers.append(layer(_unique(name, taken), "CONSTANT", None, [], [tensor(name)]))
            name = _unique(node.name or "node_of_" + node.output[0], taken)
            network._layers.append(layer(name, kind_of(node.op_type), number, [
                tensor(i) for i in node.input if i and i not in weights], [tensor(o) for o in node.output if o],
                _convolution(node, weights)))
        network._outputs[:] = [o.name for o in graph.output]


def _convolution(node, weights):
    if node.op_type != "Conv" or node.input[1] not in weights:
        return None
    groups = [a.i for a in node.attribute if a.name == "group"]
    return {"groups": groups[0] if groups else 1, "weights": weights[node.input[1]]}


def _unique(name, taken):
    made, number = name, 0
    while made in taken:
        number += 1
        made = "{}_{}".format(name, number)
    taken.add(made)
    return made


def _decode(content):
    import onnx
    from google.protobuf.message import DecodeError

    failed = _error(ErrorCode.MODEL_DESERIALIZE_FAILED, "Failed to deserialize the ONNX model", "parseWithWeightDescriptors")
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RuntimeError, TypeError):
        raise failed
    if not model.graph.node or not model.opset_import:
        raise failed
    return model


def _inferred(model):
    """With the shapes and types that ONNX finds, not with those that the file declares of its outputs."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.ClearField("type")
    try:
        return onnx.shape_inference.infer_shapes(bare)
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError) as e:
        raise _error(ErrorCode.INVALID_GRAPH, "{}".format(e), "parseGraph")


def _misread(model):
    """What 8.2 makes of operators of newer opsets without a word: reductions over all axes."""
    version = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    for node in model.graph.node:
        if version >= 18 and node.op_type.startswith("Reduce") and node.op_type not in REDUCE_WITH_AXES_INPUT:
            del node.input[1:]


def _tensor(network, name, info, weight):
    if weight is not None:
        shape, kind = tuple(weight.dims), weight.data_type
    elif info is not None:
        kind = info.type.tensor_type.elem_type
        shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in info.type.tensor_type.shape.dim)
    else:
        shape, kind = (), 1
    return ITensor.make(name=name, _shape=shape, _dtype=TYPES.get(kind, DataType.FLOAT), _is_input=False, _network=network)
