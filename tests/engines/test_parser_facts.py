"""What NVIDIA's parser does, by its source of 8.2-GA: the linter and the simulated parser are each held against it."""
import numpy as np
import pytest
from fakes.simulated import BuildContext, simulated

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, numpy_helper  # noqa: E402
from test_lint import (  # noqa: E402
    CHANNELS,
    FLOAT,
    INT64,
    NORM,
    WIDE,
    cast_first,
    changed,
    conv,
    cut_short,
    elsewhere,
    net,
    padded,
    resized,
)

from engines.lint.lint import findings  # noqa: E402
from engines.lint.operators import ABSENT, IMPORTED  # noqa: E402

READ, REFUSED, MISREAD = "read right", "refused", "taken and misread"
PADS = ([0, 0, 1, 1, 0, 0, 1, 1], INT64)
TOP = [([2], INT64)]

# Of ai.onnx up to opset 13, in the order of the alphabet: DEFINE_BUILTIN_OP_IMPORTER in builtin_op_importers.cpp
HAVE_ONE = """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
    Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal
    Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool
    GlobalMaxPool Greater GreaterOrEqual HardSigmoid Identity If InstanceNormalization IsNaN LRN LSTM LeakyRelu Less
    LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean Min Mul Neg NonMaxSuppression Not Or
    PRelu Pad Pow QuantizeLinear RNN RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
    ReverseSequence Round Scan Scatter ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze
    Upsample Where
""".split()
HAVE_NONE = """
    BitShift Compress ConcatFromSequence ConvInteger Det DynamicQuantizeLinear Hardmax IsInf
    MatMulInteger MaxRoiPool MaxUnpool MeanVarianceNormalization Mod Multinomial NegativeLogLikelihoodLoss NonZero OneHot
    QLinearConv QLinearMatMul RandomNormal RandomNormalLike RoiAlign SequenceAt SequenceConstruct SequenceEmpty
    SequenceErase SequenceInsert SequenceLength Shrink SoftmaxCrossEntropyLoss SplitToSequence StringNormalizer
    TfIdfVectorizer Unique Xor HardSwish GridSample LayerNormalization GroupNormalization Mish Trilu
""".split()
OWN = {"ImageScaler", "ParametricSoftplus", "ScaledTanh"}  # importers of operators that ONNX no longer has


def external(model):
    model.graph.initializer[0].external_data.add(key="location", value="no_such_file.bin")
    elsewhere(model)


FACTS = [
    ("a 1-D Conv", READ, conv((4, 3, 3), shape=(1, 3, 8))),
    ("a 1-D ConvTranspose", READ, net("ConvTranspose", [np.ones((3, 2, 2))], shape=(1, 3, 8))),
    ("a 1-D MaxPool", READ, net("MaxPool", shape=(1, 3, 8), kernel_shape=[2])),
    ("a 1-D AveragePool", READ, net("AveragePool", shape=(1, 3, 8), kernel_shape=[2])),
    ("a 3-D MaxPool", READ, net("MaxPool", shape=(1, 3, 4, 4, 4), kernel_shape=[2, 2, 2])),
    ("a BatchNormalization with a calculated mean", READ, net("BatchNormalization", NORM, calculated=(2,))),
    ("a BatchNormalization with a calculated scale", READ, net("BatchNormalization", NORM, calculated=(0, 1, 3))),
    ("a Pad with calculated pads", READ, net("Pad", [PADS], calculated=(0,))),
    ("a Pad with a fill value in double", READ, padded(fill=(1, np.float64))),
    ("a Pad with a fill value in float16", MISREAD, padded(fill=(1, np.float16))),
    ("a Pad that reflects", READ, padded(mode="reflect")),
    ("a Pad that wraps", REFUSED, padded(mode="wrap")),
    ("a PRelu with a slope along the last axis", READ, net("PRelu", [np.ones(8)])),
    ("a PRelu with a slope that cannot be spread", REFUSED, net("PRelu", [np.ones(3)])),
    ("a PRelu with a calculated slope that cannot be spread", REFUSED, net("PRelu", [np.ones(3)], calculated=(0,))),
    ("a PRelu of int32", REFUSED, cast_first("PRelu", [(np.ones((3, 1, 1)), np.int32)])),
    ("Softmax along an axis in the middle, before opset 13", READ, net("Softmax", axis=1)),
    ("LogSoftmax along an axis in the middle, before opset 13", READ, net("LogSoftmax", axis=-2)),
    ("Softmax of opset 13", READ, net("Softmax", opset=13, axis=1)),
    ("a Clip with bounds in double", READ, net("Clip", [(0, np.float64), (6, np.float64)])),
    ("a Clip with bounds in float16", MISREAD, net("Clip", [(0, np.float16), (6, np.float16)])),
    ("a Clip with a calculated bound", READ, net("Clip", [0.0, 6.0], calculated=(1,))),
    ("a Clip of int32", READ, cast_first("Clip", [(0, np.int32), (6, np.int32)], 12)),
    ("a Clip of int8", REFUSED, cast_first("Clip", [(0, np.int8)], 12, TensorProto.INT8)),
    ("a Clip of opset 6", READ, net("Clip", opset=10, min=0.0, max=6.0)),
    ("Pow by float", READ, net("Pow", [2.0], 12)),
    ("Pow by int32", REFUSED, net("Pow", [(2, np.int32)], 12)),
    ("Pow by int64", REFUSED, net("Pow", [(2, INT64)], 12)),
    ("Pow by int32, calculated", REFUSED, net("Pow", [(2, np.int32)], 12, calculated=(0,))),
    ("Pow of int32", REFUSED, cast_first("Pow", [2.0], 12)),
    ("EyeLike", READ, net("EyeLike", shape=(3, 3))),
    ("EyeLike of four axes", REFUSED, net("EyeLike")),
    ("LpPool", READ, net("LpPool", kernel_shape=[2, 2])),
    ("LpPool by cubes", REFUSED, net("LpPool", kernel_shape=[2, 2], p=3)),
    ("GlobalLpPool", READ, net("GlobalLpPool")),
    ("LpNormalization", READ, net("LpNormalization", axis=1)),
    ("RandomUniformLike", READ, net("RandomUniformLike")),
    ("RandomNormalLike", REFUSED, net("RandomNormalLike")),
    ("Scatter", READ, net("Scatter", [(np.zeros((1, 1, 1, 1)), INT64), np.ones((1, 1, 1, 1))], 10)),
    ("Celu, whose importer takes a power for a product", MISREAD, net("Celu", opset=12)),
    ("values in another file", REFUSED, changed(external, op="Add", constants=[[1.0]])),
    ("values that were cut", REFUSED, changed(cut_short, op="Add", constants=[[1.0]])),
    ("a constant of uint8", REFUSED, net("Concat", [(np.ones(WIDE), np.uint8)], axis=1)),
    ("a Conv with a calculated bias", REFUSED, conv(calculated=(1,))),
    ("a Resize, nearest", READ, resized()),
    ("a Resize, linear, of the last three axes", READ, resized((1, 2, 2, 2), mode="linear")),
    ("a Resize, linear, beyond them", REFUSED, resized((2, 1, 2, 2), mode="linear")),
    ("a Resize, cubic", REFUSED, resized(mode="cubic")),
    ("a Resize by tf_crop_and_resize", REFUSED, resized(coordinate_transformation_mode="tf_crop_and_resize")),
    ("a Resize by tf_half_pixel_for_nn", READ, resized(coordinate_transformation_mode="tf_half_pixel_for_nn")),
    ("the same with another nearest mode", REFUSED,
     resized(coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor")),
    ("a Resize, rounded up", READ, resized(coordinate_transformation_mode="asymmetric", nearest_mode="ceil")),
    ("a Resize of int32", REFUSED, cast_first("Resize", [[], [1, 1, 2, 2]])),
    ("a Resize with calculated scales", REFUSED, resized(calculated=(1,))),
    ("a Resize of opset 10", READ, net("Resize", [[1, 1, 2, 2]], 10)),
    ("a Resize of opset 10 with calculated scales", REFUSED, net("Resize", [[1, 1, 2, 2]], 10, calculated=(0,))),
    ("a TopK", READ, net("TopK", TOP, outputs=("out", "i"))),
    ("a TopK of int32", REFUSED, cast_first("TopK", TOP, outputs=("out", "i"))),
    ("a TopK with calculated K", REFUSED, net("TopK", TOP, outputs=("out", "i"), calculated=(0,))),
    ("a TopK of the smallest", MISREAD, net("TopK", TOP, outputs=("out", "i"), largest=0)),
    ("an ArgMax of int32", REFUSED, cast_first("ArgMax", axis=1)),
    ("a dilated MaxPool", REFUSED, net("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])),
    ("a MaxPool with indices", REFUSED, net("MaxPool", outputs=("out", "where"), kernel_shape=[2, 2])),
    ("a Squeeze with calculated axes", REFUSED, net("Squeeze", [([0], INT64)], 13, calculated=(0,))),
    ("an Unsqueeze with calculated axes", REFUSED, net("Unsqueeze", [([0], INT64)], 13, calculated=(0,))),
    ("a Slice with calculated steps", READ, net("Slice", [([i], INT64) for i in (0, 4, 2, 1)], calculated=(3,))),
    ("a Slice with calculated axes", REFUSED, net("Slice", [([i], INT64) for i in (0, 4, 2)], calculated=(2,))),
    ("a ReduceSum with calculated axes", REFUSED, net("ReduceSum", [([1], INT64)], 13, calculated=(0,))),
    ("a Cast to float16", READ, net("Cast", to=TensorProto.FLOAT16)),
    ("a Cast to uint8", REFUSED, net("Cast", to=TensorProto.UINT8)),
    ("a Gather of bool", REFUSED, cast_first("Gather", [([0], INT64)], to=TensorProto.BOOL)),
    ("a MatMul of int32", REFUSED, cast_first("MatMul", [(np.ones((8, 2)), np.int32)])),
    ("an InstanceNormalization of rank 2", REFUSED, net("InstanceNormalization", [CHANNELS, CHANNELS], shape=(1, 3))),
    ("an Einsum with capitals", REFUSED, net("Einsum", opset=12, equation="aBcd->acd")),
    ("a Dropout in training", REFUSED, net("Dropout", [0.5, (True, bool)], 12)),
]
TITLES = [title for title, _, _ in FACTS]


@pytest.mark.parametrize("verdict, model", [fact[1:] for fact in FACTS], ids=TITLES)
def test_the_linter_finds_a_fault_in_what_is_refused_or_misread_and_in_nothing_else(verdict, model):
    faults = [found.line for found in findings(model) if found.severity == "fault" and "it is " not in found.text]
    assert bool(faults) == (verdict != READ), faults


@pytest.mark.parametrize("verdict, model", [fact[1:] for fact in FACTS], ids=TITLES)
def test_the_simulated_parser_takes_and_refuses_the_same_and_logs_no_error_of_its_own(verdict, model):
    with simulated() as (trt, _, _):
        build = BuildContext(trt)
        trt.init_libnvinfer_plugins(build.log.logger, "")
        taken = build.parser.parse(model.SerializeToString())
        errors = [build.parser.get_error(i) for i in range(build.parser.num_errors)]
        assert taken == (verdict != REFUSED), errors
        assert bool(errors) != taken
        assert not [line for line in build.log.of("ERROR") if "parseGraph" in line or "While parsing" in line]


def test_parse_from_file_logs_what_parse_only_keeps(tmp_path):
    (tmp_path / "x.onnx").write_bytes(padded(mode="wrap").SerializeToString())
    with simulated() as (trt, _, _):
        build = BuildContext(trt)
        assert not build.parser.parse_from_file(str(tmp_path / "x.onnx")) and build.parser.num_errors == 1
        assert [line.split(":")[0] for line in build.log.of("ERROR")] == ["ModelImporter.cpp", "builtin_op_importers.cpp"]


def test_values_in_another_file_are_read_where_it_is(tmp_path):
    model = net("Add", [[1.0]])
    (tmp_path / "values.bin").write_bytes(numpy_helper.to_array(model.graph.initializer[0]).astype(FLOAT).tobytes())
    model.graph.initializer[0].external_data.add(key="location", value="values.bin")
    elsewhere(model)
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with simulated() as (trt, _, _):
        assert BuildContext(trt).parser.parse_from_file(str(tmp_path / "x.onnx"))


def test_the_list_of_importers_is_that_of_the_source():
    assert set(IMPORTED) == set(HAVE_ONE) | OWN
    assert not set(HAVE_NONE) & IMPORTED and set(ABSENT) - {"FusedConv", "FusedGemm"} <= set(HAVE_NONE)


def test_every_operator_of_onnx_up_to_opset_13_is_in_one_of_the_two_lists():
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()
             if schema.domain == "" and schema.since_version <= 13}
    assert known - set(HAVE_ONE) - set(HAVE_NONE) - OWN == set()
