"""What the ONNX parser of TensorRT 8.2 takes, from section 2 of the reference.

IMPORTED are the operators that it lists; LAYERS the kinds of layer that an operator becomes, the last of which computes it.
refused() knows the restrictions of the table that a converted network could run into, not all of them.
"""
IMPORTED = set("""
    Add Sub Mul Div Min Max Pow Sqrt Exp Log Abs Neg Clip Relu LeakyRelu PRelu Elu Selu Celu Sigmoid HardSigmoid Softplus
    Softsign Tanh ThresholdedRelu Softmax LogSoftmax Conv ConvTranspose BatchNormalization InstanceNormalization LRN MaxPool
    AveragePool GlobalAveragePool GlobalMaxPool Gemm MatMul Einsum Flatten Reshape Squeeze Unsqueeze Transpose Concat Split
    Slice Gather GatherElements GatherND ScatterND ScatterElements Pad Resize Upsample DepthToSpace SpaceToDepth Expand Tile
    Where Cast Constant ConstantOfShape Shape Size Identity Dropout ArgMax ArgMin TopK CumSum Range Equal Less Greater
    LessOrEqual GreaterOrEqual And Or Not Erf Sign Round Floor Ceil NonMaxSuppression LSTM GRU RNN Loop If Scan
    QuantizeLinear DequantizeLinear Reciprocal Sum Mean IsNaN ImageScaler Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh
    Atanh ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    EyeLike RandomNormal RandomNormalLike RandomUniform RandomUniformLike ParametricSoftplus ScaledTanh
""".split())
NOT_SUPPORTED_THOUGH_IMPORTED = {"NonMaxSuppression"}  # what supports_operator() says
REDUCE_WITH_AXES_INPUT = {"ReduceSum"}

LAYERS = {
    "CONVOLUTION": "Conv", "DECONVOLUTION": "ConvTranspose", "PARAMETRIC_RELU": "PRelu", "POOLING":
    "MaxPool AveragePool", "REDUCE": "GlobalAveragePool GlobalMaxPool ReduceMean ReduceMax ReduceMin ReduceSum ReduceProd",
    "ACTIVATION": "Relu LeakyRelu Elu Selu Sigmoid HardSigmoid Softplus Softsign Tanh Clip ThresholdedRelu",
    "ELEMENTWISE": "Add Sub Mul Div Min Max Pow Equal Less Greater And Or", "SCALE": "BatchNormalization",
    "SHUFFLE": "Reshape Transpose Flatten Squeeze Unsqueeze DepthToSpace SpaceToDepth", "CONCATENATION": "Concat",
    "SLICE": "Pad Slice Split", "RESIZE": "Resize Upsample", "SOFTMAX": "Softmax LogSoftmax",
    "GATHER": "Gather GatherElements",
    "MATRIX_MULTIPLY": "Gemm MatMul", "SHAPE": "Shape", "IDENTITY": "Identity Dropout Cast", "CONSTANT": "Constant",
    "TOPK": "TopK ArgMax ArgMin", "UNARY": "Sqrt Exp Log Abs Neg Erf Sign Round Floor Ceil Not Reciprocal Sin Cos Tan",
    "SELECT": "Where", "PLUGIN_V2": "InstanceNormalization", "FILL": "ConstantOfShape Range", "LRN": "LRN",
}
# operators whose constant operands become layers of their own
CONSTANT_OPERANDS = set("PRelu Add Sub Mul Div Min Max Pow Gemm MatMul Concat Where Equal Less Greater".split())


def kind_of(operator):
    for kind, operators in LAYERS.items():
        if operator in operators.split():
            return kind
    return "ELEMENTWISE"


def refused(node, constants):
    """(function of the parser, text) where it would not import a node it has an importer for; else None.

    constants: names of the initializers and of outputs of Constant nodes.
    """
    check = _RESTRICTIONS.get(node.op_type)
    text = check(node, constants) if check else None
    return ("import" + node.op_type, text) if text else None


def _attribute(node, name, default=None):
    for attribute in node.attribute:
        if attribute.name == name:
            return attribute.s.decode() if attribute.type == 3 else attribute.i
    return default


def _weights(node, constants):
    if node.input[1] not in constants:
        return "inputs.at(1).is_weights() && \"The weights must be an initializer.\""
    return None


def _max_pool(node, constants):
    if len([name for name in node.output if name]) > 1:
        return "node.output().size() == 1 && \"TensorRT does not support the indices output in MaxPool!\""
    return None


def _resize(node, constants):
    if _attribute(node, "mode", "nearest") == "cubic":
        return "(mode == \"nearest\" || mode == \"linear\") && \"This version of TensorRT does not support cubic resize!\""
    if len(node.input) > 2 and node.input[2] and node.input[2] not in constants:
        return "scales.is_weights() && \"Resize scales must be an initializer!\""
    return None


def _top_k(node, constants):
    if len(node.input) > 1 and node.input[1] not in constants:
        return "inputs.at(1).is_weights() && \"This version of TensorRT only supports input K as an initializer.\""
    return None


def _slice_axes(node, constants):
    if any(name and name not in constants for name in list(node.input)[3:4]):
        return "inputs.at(3).is_weights() && \"Axes must be an initializer!\""
    return None


def _instance_normalization(node, constants):
    if any(name not in constants for name in list(node.input)[1:3]):
        return "inputs.at(1).is_weights() && \"The scale tensor is required to be an initializer.\""
    return None


_RESTRICTIONS = {"Conv": _weights, "ConvTranspose": _weights, "MaxPool": _max_pool, "Resize": _resize, "TopK": _top_k,
                 "Slice": _slice_axes, "InstanceNormalization": _instance_normalization}
