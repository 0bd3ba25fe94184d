"""Reads a .tflite file: its tensors, its constants as float arrays, its operators in order."""
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tflite

from edge.core.errors import ModelError

_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
_IDENTIFIER = b"TFL3"


class LiteTensor(NamedTuple):
    """Activations are NHWC. `values` is None where the tensor is calculated."""

    name: str
    shape: Tuple[int, ...]
    values: Optional[np.ndarray]


class LiteOp(NamedTuple):
    """One operator; `options` is the table of the flatbuffer, to be opened by the class that fits. Of a custom operator it is
    what custom_options() reads.
    """

    kind: str  # e.g. "CONV_2D"; of a custom operator its own name
    inputs: Tuple[int, ...]  # indices of tensors; -1 stands for one left out
    output: int
    options: Any


class LiteFile(NamedTuple):
    """Inputs and outputs are indices of tensors."""

    tensors: List[LiteTensor]
    ops: List[LiteOp]  # without those that only unpack constants
    inputs: Tuple[int, ...]
    outputs: Tuple[int, ...]


def _vector(metadata: Any, part: str) -> np.ndarray:
    """`ArraySegments` or `ArrayIndices` of one level, which come in three integer widths."""
    kinds = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }
    table = getattr(metadata, part)()
    vector = kinds[getattr(metadata, part + "Type")()]()
    vector.Init(table.Bytes, table.Pos)
    return np.array(vector.ValuesAsNumpy() if vector.ValuesLength() else [], dtype=np.int64)


def _positions(sparsity: Any, sizes: Sequence[int]) -> np.ndarray:
    """(stored values, levels) coordinates of every stored value, level by level from the outermost. A dense level has
    all its coordinates; a compressed one lists them, with the segment that belongs to each coordinate of the level
    outside it.
    """
    coordinates: np.ndarray = np.zeros((1, 0), dtype=np.int64)
    for level, size in enumerate(sizes):
        metadata = sparsity.DimMetadata(level)
        if metadata.Format() == tflite.DimensionType.DENSE:
            counts: np.ndarray = np.full(len(coordinates), size)
            column: np.ndarray = np.tile(np.arange(size), len(coordinates))
        else:
            counts, column = np.diff(_vector(metadata, "ArraySegments")), _vector(metadata, "ArrayIndices")
        coordinates = np.column_stack([np.repeat(coordinates, counts, axis=0), column])
    return coordinates


def densified(values: np.ndarray, sparsity: Any, shape: Tuple[int, ...]) -> np.ndarray:
    """The dense array of a sparse constant; what DENSIFY does at run time."""
    order = [sparsity.TraversalOrder(i) for i in range(sparsity.TraversalOrderLength())]
    if sorted(order) != list(range(len(shape))):
        raise ModelError("a constant stored in sparse blocks, which no known network uses")
    coordinates = _positions(sparsity, [shape[dim] for dim in order])
    if len(coordinates) != values.size:
        raise ValueError("sparse constant of another size than its index")
    dense = np.zeros(shape, dtype=values.dtype)
    dense[tuple(coordinates[:, order.index(dim)] for dim in range(len(shape)))] = values
    return dense


def _tensor(model: Any, tensor: Any) -> LiteTensor:
    shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
    name = tensor.Name().decode("utf-8")
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength():
        return LiteTensor(name, shape, None)
    if tensor.Type() not in _DTYPES:
        raise ModelError("the tensor {} has number type {}, which no known network uses".format(name, tensor.Type()))
    values = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype=_DTYPES[tensor.Type()])
    sparsity = tensor.Sparsity()
    return LiteTensor(name, shape, values.reshape(shape) if sparsity is None else densified(values, sparsity, shape))


def _op_names() -> Dict[int, str]:
    return {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}


def _op(model: Any, op: Any, names: Dict[int, str]) -> LiteOp:
    code = model.OperatorCodes(op.OpcodeIndex())
    # old files have only the deprecated field, and new ones set both for the operators that both can name
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    inputs = tuple(int(op.Inputs(i)) for i in range(op.InputsLength()))
    if number == tflite.BuiltinOperator.CUSTOM:
        data = bytes(op.CustomOptionsAsNumpy()) if op.CustomOptionsLength() else b""
        return LiteOp(code.CustomCode().decode("utf-8"), inputs, int(op.Outputs(0)), data)
    return LiteOp(names[number], inputs, int(op.Outputs(0)), op.BuiltinOptions())


def custom_options(op: LiteOp) -> Dict[str, Any]:
    """Of a custom operator."""
    from flatbuffers import flexbuffers
    return dict(flexbuffers.Loads(op.options)) if op.options else {}


def read(path: str) -> LiteFile:
    """Constants that are unpacked by DEQUANTIZE (float16) or DENSIFY come out as float32 arrays."""
    with open(path, "rb") as f:
        data = f.read()
    if data[4:8] != _IDENTIFIER:
        raise ValueError("no TFLite identifier")
    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    tensors = [_tensor(model, graph.Tensors(i)) for i in range(graph.TensorsLength())]
    names, ops = _op_names(), []
    for i in range(graph.OperatorsLength()):
        op = _op(model, graph.Operators(i), names)
        values = tensors[op.inputs[0]].values
        if op.kind in ("DEQUANTIZE", "DENSIFY") and values is not None:
            tensors[op.output] = tensors[op.output]._replace(values=values)
        else:
            ops.append(op)
    inputs = tuple(int(graph.Inputs(i)) for i in range(graph.InputsLength()))
    return LiteFile(tensors, ops, inputs, tuple(int(graph.Outputs(i)) for i in range(graph.OutputsLength())))
