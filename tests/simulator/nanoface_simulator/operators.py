"""What the ONNX parser of TensorRT 8.2 makes of operators: kinds of layer, the last of which computes the operator.

Which operators have an importer is a list of the project's linter, which a test compares with the parser's source.
"""
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


def has_importer(operator):
    from engines.lint.operators import IMPORTED  # when a network is parsed: `import tensorrt` needs nothing of the project
    return operator in IMPORTED


def kind_of(operator):
    for kind, operators in LAYERS.items():
        if operator in operators.split():
            return kind
    return "ELEMENTWISE"
