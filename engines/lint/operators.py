"""Which operators the parser of TensorRT 8.2 imports, and what to write instead of those that it does not.

Read in onnx-tensorrt release/8.2-GA (builtin_op_importers.cpp, docs/operators.md). An operator that is in neither list
counts as one without an importer: the parser then looks for a plugin of that name, and finds none.
"""

IMPORTED = frozenset("""
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip
    Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout
    Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool
    GlobalLpPool GlobalMaxPool Greater GreaterOrEqual HardSigmoid Identity If ImageScaler InstanceNormalization
    IsNaN LRN LSTM LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean Min
    Mul Neg NonMaxSuppression Not Or PRelu Pad ParametricSoftplus Pow QuantizeLinear RNN RandomUniform
    RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence Round ScaledTanh Scan Scatter
    ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth
    Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Upsample Where
""".split())

# operator -> what to do instead
ABSENT = {
    "HardSwish": "write x * HardSigmoid(x, alpha 1/6, beta 0.5), or x * Clip(x + 3, 0, 6) / 6",
    "Mish": "write x * Tanh(Softplus(x))",
    "GridSample": "cut the network there and sample outside, or spell it out with Gather and constant indices",
    "NonZero": "find the places on the CPU, from the network's output",
    "OneHot": "compare with a constant range: Equal, then Cast",
    "RoiAlign": "cut the network there and crop outside",
    "Hardmax": "take ArgMax and compare with a constant range",
    "Xor": "write (a Or b) And Not (a And b)",
    "Mod": "write a - b * Floor(a / b)",
    "BitShift": "multiply or divide by a power of two",
    "MeanVarianceNormalization": "write ReduceMean, Sub, Mul, ReduceMean, Sqrt and Div, in FP32",
    "Trilu": "multiply by a constant mask",
    "LayerNormalization": "write ReduceMean, Sub, Mul, ReduceMean, Sqrt, Div, Mul and Add, in FP32",
    "GroupNormalization": "Reshape, InstanceNormalization, Reshape, Mul and Add",
    "RandomNormal": "make the numbers outside and give them to the network",
    "RandomNormalLike": "make the numbers outside and give them to the network",
    "Shrink": "write Where over Greater and Less",
    "FusedConv": "ONNX Runtime has optimised this file: split it into Conv and its activation, or export it again",
    "FusedGemm": "ONNX Runtime has optimised this file: split it into Gemm and its activation, or export it again",
}
CONTROL_FLOW = frozenset(("If", "Loop", "Scan"))
RECURRENT = frozenset(("LSTM", "GRU", "RNN"))
