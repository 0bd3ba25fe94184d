"""`nanoface models lint` on files: what is valid and odd is read every time, what is no network is one line."""
import gc
import io
import os

import numpy as np
import pytest

from edge.core.errors import ModelError

onnx = pytest.importorskip("onnx")

from onnx import AttributeProto, TensorProto, helper, numpy_helper  # noqa: E402

from engines.lint.command import run_lint  # noqa: E402
from engines.lint.lint import findings, read_onnx  # noqa: E402

RUNS = 10  # a place that is looked up by where an object lies is wrong now and then only
YOUNG = 1  # what a run left; a whole collection costs 0.1 s late in the tests, and after it fewer places are taken again
CASES = {  # file: faults
    "unnamed_constant": 0, "lint_keyerror_celu": 0, "lint_miss_pow": 1, "lint_false_alarm_17": 0, "lint_false_alarm_19": 0,
    "lint_false_alarm_21": 0, "lint_false_alarm_33": 0, "lint_false_alarm_35": 0, "lint_false_alarm_36": 0,
    "lint_false_alarm_38": 0, "lint_false_alarm_41": 0}


def value(name, shape=(1, 3, 8, 8), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model(*nodes, **parts):
    graph = helper.make_graph(list(nodes), "odd", [value("input")], [value("out")], parts.get("constants", []))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    made.ir_version = 7
    return made


def two():
    return numpy_helper.from_array(np.float32(2), "two")


def branch(name):
    node = helper.make_node("Relu", ["input"], [name])
    return helper.make_graph([node], name, [], [value(name)])


def branches():
    """An If whose branches have an operator inside that no importer knows."""
    unknown = branch("other")
    unknown.node[0].op_type = "Mish"
    chosen = helper.make_node("If", ["yes"], ["out"], then_branch=branch("one"), else_branch=unknown)
    return model(chosen, constants=[numpy_helper.from_array(np.array(True), "yes")])


def listed():
    made = model(helper.make_node("Mul", ["input", "two"], ["out"]), constants=[two()])
    made.graph.input.extend([value("two", ())])
    return made


def with_attribute(operator, kind, **attributes):
    """An attribute of a type that ONNX does not have there."""
    made = model(helper.make_node(operator, ["input"], ["out"], **attributes))
    made.graph.node[0].attribute[0].type = kind
    return made


ODD = [
    (model(helper.make_node("Constant", [], ["two"], value=two()), helper.make_node("Mul", ["input", "two"], ["out"])),
     []),
    (model(helper.make_node("Clip", ["input", "", "two"], ["out"]), constants=[two()]), []),
    (model(helper.make_node("Relu", ["input"], ["a"], name="same"), helper.make_node("Relu", ["a"], ["out"], name="same")),
     []),
    (listed(), []),
    (branches(), ["node 0 (If)/Mish: there is no importer for Mish: write x * Tanh(Softplus(x))"]),
    (with_attribute("Dropout", AttributeProto.UNDEFINED, ratio=0.5), []),
]


@pytest.mark.parametrize("odd, faults", ODD)
def test_what_is_valid_is_read_in_every_run(odd, faults):
    for _ in range(RUNS):
        assert [f.line for f in findings(odd) if f.severity == "fault"] == faults
        gc.collect(YOUNG)


@pytest.mark.parametrize("malformed", [
    model(helper.make_node("Conv", ["input", "two"], ["out"]), constants=[two()]),
    model(helper.make_node("ConvTranspose", ["input", "two"], ["out"], group=0), constants=[two()]),
    model(helper.make_node("Relu", ["input"], ["out"]), helper.make_node("Constant", [], [], value=two())),
    model(helper.make_node("MaxPool", ["input"], [], kernel_shape=[2, 2])), model(helper.make_node("Pad", [], ["out"])),
    model(helper.make_node("MaxPool", ["input"], ["out"], kernel_shape=[2, 2], strides=[0, 0])),
    with_attribute("Einsum", AttributeProto.FLOAT, equation="a->a"), with_attribute("ReduceMean", 0, axes=[1]),
])
def test_what_is_malformed_is_reported_and_not_died_of(malformed):
    assert all("\n" not in found.line for found in findings(malformed, ours=True) + findings(malformed))


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.shared("cases/lint")
def test_the_files_that_went_wrong_are_read_right_ten_times(shared, name):
    path = os.path.join(shared, "cases", "lint", name + ".onnx")
    out, output = io.StringIO(), set()
    assert run_lint("", [path], out) == (4 if CASES[name] else 0), out.getvalue()
    for _ in range(RUNS):
        output.add(tuple(found.line for found in findings(read_onnx(path))))
        gc.collect(YOUNG)
    assert len(output) == 1 and all(line in out.getvalue() for line in output.pop())


def link_to_itself(path):
    os.symlink(path, path)


def write(content):
    def make(path):
        with open(path, "wb") as f:
            f.write(content)
    return make


def more_than_protobuf_takes(path):
    with open(path, "wb") as f:
        f.truncate(1 << 31)


@pytest.mark.parametrize("make, words", [
    (os.mkdir, "is no file"), (os.mkfifo, "is no file"), (link_to_itself, "cannot be read"),
    (lambda path: None, "cannot be read"), (write(b""), "there is no graph in it"), (write(b"{}"), "is no ONNX file"),
    (write(b"\x3a\x7f\x00"), "was cut short|no graph"),
    (more_than_protobuf_takes, "more than 2 GB"), (write(ODD[0][0].SerializeToString()[:-7]), "is no ONNX file"),
])
def test_what_is_no_network_is_one_line_and_never_waited_for(tmp_path, make, words):
    path = str(tmp_path / "x.onnx")
    make(path)
    with pytest.raises(ModelError, match=words) as e:
        read_onnx(path)
    assert path in str(e.value) and "\n" not in str(e.value) and e.value.exit_code == 4
