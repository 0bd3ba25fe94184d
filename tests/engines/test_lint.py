"""`nanoface models lint`: every rule with a graph that keeps it and one that breaks it, and the networks of the manifest."""
import io
import os

import numpy as np
import pytest

from edge.core.errors import ConfigError, ModelError

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from engines.convert.graph import Graph, Kernel  # noqa: E402
from engines.lint.command import run_lint  # noqa: E402
from engines.lint.lint import (  # noqa: E402
    findings,
    lint,  # noqa: E402
    read_onnx,
)
from engines.lint.operators import ABSENT, IMPORTED  # noqa: E402
from engines.manifest.read import read_manifest  # noqa: E402

FLOAT, INT64 = np.float32, np.int64
WIDE = (1, 3, 8, 8)
LARGEST = int(np.iinfo(np.int64).max)


def net(op="Relu", constants=(), opset=11, shape=WIDE, outputs=("out",), calculated=(), told_by_input=(), domain="",
        **attributes):
    """One node called `node` between the input and `out`. `constants` are values or (value, dtype); those whose numbers
    are in `calculated` go through a node first, those in `told_by_input` depend on the input's largest value.
    """
    nodes, names, initializers = [], ["input"], []
    for i, constant in enumerate(constants):
        value, dtype = constant if isinstance(constant, tuple) else (constant, FLOAT)
        if value is None:
            names.append("")
            continue
        initializers.append(numpy_helper.from_array(np.asarray(value, dtype), "c{}".format(i)))
        names.append("c{}".format(i))
        if i in calculated:
            nodes.append(helper.make_node("Identity", [names[-1]], ["d{}".format(i)], name="d{}".format(i)))
            names[-1] = "d{}".format(i)
        if i in told_by_input:
            nodes += [helper.make_node("ReduceMax", ["input"], ["most"], name="most", keepdims=0),
                      helper.make_node("Cast", ["most"], ["whole"], name="whole", to=TensorProto.INT64),
                      helper.make_node("Add", [names[-1], "whole"], ["d{}".format(i)], name="d{}".format(i))]
            names[-1] = "d{}".format(i)
    nodes.append(helper.make_node(op, names, list(outputs), name="node", domain=domain, **attributes))
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])], initializer=initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 7
    return model


def changed(change, **how):
    model = net(**how)
    change(model)
    return model


def conv(weight=(4, 3, 3, 3), calculated=(), **how):
    return net("Conv", [np.full(weight, 0.1), np.zeros(weight[0])], calculated=calculated, **how)


def cast_first(op="Relu", constants=(), opset=11, to=TensorProto.INT32, **how):
    """The same, behind a Cast to another type."""
    model = net(op, constants, opset, **how)
    model.graph.node[-1].input[0] = "cast"
    model.graph.node.insert(0, helper.make_node("Cast", ["input"], ["cast"], name="cast", to=to))
    return model


def padded(pads=(0, 0, 1, 1, 0, 0, 1, 1), opset=11, mode="constant", fill=None):
    constants = [(pads, INT64)] + ([fill] if fill is not None else [])
    return net("Pad", constants, opset, mode=mode)


def padded_conv(pads):
    graph = Graph("pad")
    shown = graph.add("Pad", "pad", [graph.input(WIDE), graph.constant("pads", pads, INT64)])
    graph.conv("conv", shown, np.ones((2, 3 + pads[1] + pads[5], 3, 3), FLOAT), None, Kernel())
    return graph.model(["conv"])


def resized(scales=(1, 1, 2, 2), opset=11, calculated=(), **how):
    return net("Resize", [[], list(scales)], opset, calculated=calculated, **how)


def second_input(model):
    model.graph.input.extend([helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])])


def any_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"


def twice(model):
    model.graph.node.extend([helper.make_node("Relu", ["out"], ["more"], name="node")])


def listed(model):
    model.graph.input.extend([helper.make_tensor_value_info("c0", TensorProto.FLOAT, [1])])


def other_opset(model):
    model.opset_import[0].domain = "com.microsoft"


def elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL


def cut_short(model):
    model.graph.initializer[0].raw_data = b"1234567"


def from_nothing(model):
    del model.graph.node[0].input[:]


def constant_output(model):
    model.graph.output[0].name = "c0"


def no_output(model):
    del model.graph.output[:]


SLOPES, CHANNELS = np.ones((3, 1, 1)), np.ones(3)
NORM = [CHANNELS, np.zeros(3), np.zeros(3), CHANNELS]
# what is kept, what is broken, what is said of it: a fault with (op ...), a warning where it begins with w:
RULES = [
    (net("HardSigmoid"), net("HardSwish", opset=13), "no importer for HardSwish: write x * HardSigmoid"),
    (net(), net("GridSample", [np.zeros((1, 2, 2, 2))], opset=13), "no importer for GridSample"),
    (net(), net("Frobnicate"), "Frobnicate is not known to have an importer"),
    (net(), net("FusedConv", [np.zeros((1, 3, 1, 1))], domain="com.microsoft"), "split it into Conv and its activation"),
    (net(), net("Relu", domain="org.example"), "org.example.Relu is not known"),
    (net(), net("EfficientNMS_TRT"), "w:EfficientNMS_TRT must be a plugin"),
    (net(opset=13), net(opset=14), "opset 14: newer than 13 is misread"),
    (net(opset=7), net(opset=6), "w:opset 6"),
    (net(), changed(other_opset), "names no opset of ONNX but those of com.microsoft"),
    (net(), changed(lambda m: setattr(m, "ir_version", 8)), "IR version 8"),
    (net(), changed(any_size), "no static shape, and nanoface builds no optimisation profile"),
    (net(), changed(no_output), "there is no output"),
    (net("Add", [[1.0]]), changed(constant_output, op="Add", constants=[[1.0]]), "an output and a constant"),
    (net("Add", [[1.0]]), changed(elsewhere, op="Add", constants=[[1.0]]), "lie in another file"),
    (net("Add", [[1.0]]), changed(cut_short, op="Add", constants=[[1.0]]), "its values cannot be read"),
    (conv(), conv(calculated=(0,)), "the weight, d0, is calculated"),
    (conv(), conv(calculated=(1,)), "the bias, d1, is calculated"),
    (conv((4, 3, 3), shape=(1, 3, 8)), conv((4, 3), shape=(1, 3)), "a weight of rank 2: there are 3 to 5"),
    (net("ConvTranspose", [np.ones((3, 2, 2, 2))]), net("ConvTranspose", [np.ones((3, 2, 2, 2))], calculated=(0,)),
     "the weight, d0, is calculated"),
    (net("BatchNormalization", NORM), net("BatchNormalization", NORM, 14, training_mode=1), "in training"),
    (net("Elu"), net("Celu", opset=12), "alpha is raised to a power"),
    (net("Dropout", opset=12), net("Dropout", [0.5, (True, bool)], 12), "a Dropout in training"),
    (net(), net("Einsum", opset=12, equation="aBcd->acd"), "an Einsum with B"),
    (net("LpPool", kernel_shape=[2, 2]), net("LpPool", kernel_shape=[2, 2], p=3), "LpPool with p 3: there are 1 and 2"),
    (net("Clip", [0.0, 6.0]), net("Clip", [(0, np.float16), (6, np.float16)]), "the lower bound is float16, and is read as"),
    (net("Clip", [0.0, 6.0]), cast_first("Clip", [(0, np.int8)], 12, TensorProto.INT8), "Clip of int8: Cast first"),
    (net("Clip", [0.0, 6.0]), cast_first("Clip", [(0, np.float16)], 12, TensorProto.FLOAT16, calculated=(0,)),
     "the lower bound of a float16 is calculated"),
    (net("Clip", [0.0, 6.0]), net("Clip", [0.0, 6.0], calculated=(1,)), "w:the upper bound is calculated"),
    (resized(mode="linear"), resized(mode="cubic"), "a Resize of mode cubic"),
    (resized((1, 2, 2, 2), mode="linear"), resized((2, 1, 2, 2), mode="linear"), "beyond the last three axes"),
    (resized((1, 1, 2, 2)), resized(calculated=(1,)), "the scales, d1, is calculated"),
    (net("Resize", [[1, 1, 2, 2]], 10), net("Resize", [[1, 1, 2, 2]], 10, calculated=(0,)), "the scales, d0, is calculated"),
    (net("Resize", [[], [], ([1, 3, 16, 16], INT64)]), net("Resize", [[], [], ([1, 3, 16, 16], INT64)], told_by_input=(2,)),
     "d2 is calculated and the output has no static shape"),
    (resized(coordinate_transformation_mode="align_corners"),
     resized(coordinate_transformation_mode="tf_crop_and_resize"), "coordinates by tf_crop_and_resize"),
    (resized(coordinate_transformation_mode="tf_half_pixel_for_nn"),
     resized(coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor"), "only with round_prefer_floor"),
    (resized(), cast_first("Resize", [[], [1, 1, 2, 2]]), "Resize of int32: Cast first"),
    (net("MaxPool", kernel_shape=[2, 2]), net("MaxPool", outputs=("out", "where"), kernel_shape=[2, 2]), "no indices"),
    (net("MaxPool", kernel_shape=[2, 2]), net("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), "no dilation"),
    (net("AveragePool", shape=(1, 3, 8), kernel_shape=[2]), net("AveragePool", shape=(1, 1, 2, 2, 2, 2), kernel_shape=[2] * 4),
     "AveragePool of rank 6: TensorRT has 3, 4, 5"),
    (padded(mode="reflect"), padded(mode="wrap"), "a Pad of mode wrap"),
    (padded(fill=0.0), padded(fill=(1, np.float16)), "the fill value is float16"),
    (padded(), net("Pad", [([0, 0, 1, 1, 0, 0, 1, 1], INT64)], told_by_input=(0,)), "d0 is calculated and the output has no"),
    (padded(), net("Pad", [([0, 0, 1, 1, 0, 0, 1, 1], INT64)], calculated=(0,)), "w:d0 is calculated: fold constants"),
    (padded_conv([0, 1, 0, 0, 0, 1, 0, 0]), padded_conv([0, 0, 1, 1, 0, 0, 1, 1]), "w:fold the zeros into the pads of conv"),
    (net("PRelu", [np.ones(8)]), net("PRelu", [np.ones(3)]), "the slope is (3,) and cannot be spread over (1, 3, 8, 8)"),
    (net("PRelu", [SLOPES]), net("PRelu", [np.ones(1)]), "w:write it as (3, 1, 1)"),
    (net("PRelu", [SLOPES]), cast_first("PRelu", [(SLOPES, np.int32)]), "PRelu of int32: Cast first"),
    (net("Gather", [([0], INT64)]), cast_first("Gather", [([0], INT64)], to=TensorProto.BOOL), "Gather of bool: Cast first"),
    (net("Softmax", axis=1), cast_first("MatMul", [(np.ones((8, 2)), np.int32)]), "MatMul of int32: Cast first"),
    (net("ReduceSum", [([1], INT64)], 13), net("ReduceSum", [([1], INT64)], 13, calculated=(0,)), "the axes, d0, is"),
    (net("TopK", [([2], INT64)], outputs=("out", "i")), net("TopK", [([2], INT64)], outputs=("out", "i"), largest=0),
     "takes the largest all the same"),
    (net("TopK", [([2], INT64)], outputs=("out", "i")), net("TopK", [([2], INT64)], outputs=("out", "i"), calculated=(0,)),
     "K, d0, is calculated"),
    (net("TopK", [([2], INT64)], outputs=("out", "i")), cast_first("TopK", [([2], INT64)], outputs=("out", "i")),
     "TopK of int32: Cast first"),
    (net("Slice", [([0], INT64), ([4], INT64), ([2], INT64)]),
     net("Slice", [([0], INT64), ([4], INT64), ([2], INT64)], calculated=(2,)), "the axes, d2, is calculated"),
    (net("Slice", [([0], INT64), ([LARGEST], INT64), ([2], INT64)]),
     net("Slice", [([0], INT64), ([4], INT64), ([2], INT64)], told_by_input=(1,)), "d1 is calculated and the output has no"),
    (net("Squeeze", [([0], INT64)], 13), net("Squeeze", [([0], INT64)], 13, calculated=(0,)), "the axes, d0, is calculated"),
    (net("Unsqueeze", [([0], INT64)], 13), net("Unsqueeze", [([0], INT64)], 13, calculated=(0,)), "the axes, d0"),
    (net("Reshape", [([1, 192], INT64)]), net("Reshape", [([1, 192], INT64)], told_by_input=(0,)), "d0 is calculated"),
    (net("CumSum", [(1, INT64)]), net("CumSum", [(1, INT64)], calculated=(0,)), "the axis, d0, is calculated"),
    (net("ReduceSum", [([1], INT64)], 13), net("ReduceMean", [([1], INT64)], 13), "it reduces over all axes"),
    (net("Cast", to=TensorProto.FLOAT16), net("Cast", to=TensorProto.UINT8), "a Cast to uint8"),
    (net("Cast", to=TensorProto.FLOAT), net("Cast", to=TensorProto.DOUBLE), "w:a Cast to double"),
    (net(), net("InstanceNormalization", [CHANNELS, CHANNELS]), "w:a plugin, which needs cuDNN"),
    (net(), net("InstanceNormalization", [CHANNELS, CHANNELS], shape=(1, 3)), "of rank 2: TensorRT has 3"),
    (net(), net("Split", outputs=("out", "rest"), axis=2), "w:becomes 2 slices"),
    (net("Gather", [([0], INT64)]), net("Add", [([1], INT64)]), "w:calculates with the int64 c0"),
    (net("Add", [(1, FLOAT)]), net("Add", [(1, np.uint8)]), "uint8 is a type that TensorRT does not have"),
    (net("Add", [(1, FLOAT)]), net("Add", [(1, np.float64)]), "w:double becomes float32"),
    (net("Gather", [([2], INT64)]), net("Gather", [([2 ** 40], INT64)]), "does not fit int32"),
    (net("Mul", [-1000.0]), net("Mul", [65536.0]), "c0: does not fit float16"),
    (net("Clip", [0.0, 3e38]), net("Mul", [np.nan]), "c0: does not fit float16"),
    (net("Mul", [1000.0]), net("Mul", [5000.0]), "w:c0: float16: values up to 5000"),
    (net("Mul", [[1e-3, 0, 0, 0]], shape=(1, 1, 1, 4)), net("Mul", [1e-6]), "w:100 % of the values lie below 6e-5"),
    (net("Mul", [2.0]), net("Pow", [(2, np.int32)], 12), "Pow of int32: Cast first"),
    (net(), changed(from_nothing, op="Constant", opset=13, value_ints=[1, 2]), "a Constant with value_ints is not read"),
    (net("Mul", [2.0]), net("Pow", [2.0]), "w:node: float16: powers overflow early"),
    (net("GlobalAveragePool", shape=(1, 1, 64, 64)), net("GlobalAveragePool", shape=(1, 1, 65, 64)),
     "w:node: float16: sums of 4160 terms"),
    (net("ReduceMean", axes=[3]), net("ReduceMean", shape=(1, 3, 99, 99), axes=[2, 3]), "w:float16: sums of 9801 terms"),
    (conv(), conv((2, 512, 3, 3), shape=(1, 512, 4, 4)), "w:float16: sums of 4608 terms"),
    (net("Add", [[1.0]]), changed(listed, op="Add", constants=[[1.0]]), "w:1 constants are listed as inputs"),
]


def lines(model, broken):
    severity = "warning" if broken.startswith("w:") else "fault"
    return [found.line for found in findings(model, ours=True) if found.severity == severity]


@pytest.mark.parametrize("kept, broken, line", RULES)
def test_a_broken_rule_is_reported_and_a_kept_one_is_not(kept, broken, line):
    text = line[2:] if line.startswith("w:") else line
    assert any(text in found for found in lines(broken, line)), lines(broken, line)
    assert findings(kept, ours=True) == []


@pytest.mark.parametrize("change, line", [
    (second_input, "the inputs are input, more and not one called input"), (twice, "2 nodes have the name 'node'"),
    (lambda m: setattr(m.graph.node[0], "name", ""), "1 of the nodes has no name"),
])
def test_what_only_our_own_runners_ask_is_no_fault_of_a_foreign_file(change, line):
    model = changed(change)
    assert any(line in found for found in lint(model)), lint(model)
    assert [found.severity for found in findings(model) if found.severity == "fault"] == []


def test_no_operator_is_both_imported_and_absent():
    assert not IMPORTED & set(ABSENT)
    assert {"Conv", "PRelu", "Resize", "ReduceMean", "GreaterOrEqual", "DepthToSpace"} <= IMPORTED


def test_a_file_is_linted_by_its_path(tmp_path):
    good, bad = str(tmp_path / "good.onnx"), str(tmp_path / "bad.onnx")
    onnx.save(net(), good)
    onnx.save(net("HardSwish", opset=14), bad)
    out = io.StringIO()
    assert run_lint(str(tmp_path), [good], out) == 0
    assert "good.onnx" in out.getvalue() and "ok" in out.getvalue()
    out = io.StringIO()
    assert run_lint(str(tmp_path), [good, bad], out) == 4
    assert "opset 14" in out.getvalue() and "node: there is no importer for HardSwish" in out.getvalue()


def test_a_file_that_kills_what_reads_it_is_a_fault_and_the_others_are_still_linted(tmp_path, monkeypatch):
    good, deadly = str(tmp_path / "good.onnx"), str(tmp_path / "deadly.onnx")
    for path in (good, deadly):
        onnx.save(net(), path)
    dies = "import os, signal, sys; os.kill(os.getpid(), signal.SIGKILL if 'deadly' in sys.argv[2] else 0)"
    monkeypatch.setattr("engines.lint.command.TRIAL", dies)
    out = io.StringIO()
    assert run_lint(str(tmp_path), [deadly, good], out) == 4
    assert "malformed: the package onnx dies of it" in out.getvalue() and " ok" in out.getvalue()


def test_what_cannot_be_linted_is_one_line_with_the_cure(tmp_path):
    home = str(tmp_path)
    with pytest.raises(ModelError, match="no network is in .*: run `nanoface models fetch`"):
        run_lint(home, [], io.StringIO())
    with pytest.raises(ConfigError, match="did you mean yunet_s"):
        run_lint(home, ["yunet_x"], io.StringIO())
    with pytest.raises(ModelError, match="run `nanoface models fetch yunet_s`"):
        run_lint(home, ["yunet_s"], io.StringIO())
    with pytest.raises(ModelError, match="canonical_face is no network"):
        run_lint(home, ["canonical_face"], io.StringIO())
    with pytest.raises(ModelError, match="cannot be read"):
        run_lint(home, [os.path.join(home, "none.onnx")], io.StringIO())


def test_every_network_of_the_manifest_passes_and_the_default_set_without_a_warning(stored_network):
    manifest = read_manifest()
    preferred = {role.candidates[0] for role in manifest.roles}
    for network in manifest.networks.values():
        if not network.is_asset:
            found = findings(read_onnx(stored_network(network.name).file), ours=True)
            assert [f for f in found if f.severity == "fault" or network.name in preferred] == []


def test_the_table_in_the_documentation_is_what_the_command_gives(models_home):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "docs", "networks.md"), encoding="utf-8") as f:
        text = f.read()
    out = io.StringIO()
    assert run_lint(models_home, [], out, markdown=True) == 0
    if "not fetched" in out.getvalue():
        pytest.skip("needs all networks: run `nanoface models fetch --all`")
    assert out.getvalue() in text, "run `nanoface models lint --markdown` and put its table into docs/networks.md"
