"""The small exact pieces: PRelu spelled out, normalisation folded, sparse constants unpacked, the rules of TensorRT."""
import numpy as np
import pytest
from convert_cases import CANONICAL, paths_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.core.errors import ModelError
from engines.convert import canonical_face, canonical_mesh, cpu_variant, serialise
from engines.convert.graph import BatchNorm, Graph, Kernel, fold
from engines.convert.lite_file import densified
from engines.lint.lint import lint

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
tflite = pytest.importorskip("tflite")

ORDINARY = st.floats(-1e4, 1e4, allow_nan=False, width=32)


def run(model, x, level="ORT_DISABLE_ALL"):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    session = ort.InferenceSession(serialise(model), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.data())
def test_prelu_is_spelled_out_exactly_above_zero_and_within_rounding_below(channels, data):
    """Also for slopes above one and below zero, for which max(x, slope * x) is wrong."""
    slopes = data.draw(arrays(np.float32, channels, elements=st.floats(-2, 2, width=32)))
    x = data.draw(arrays(np.float32, (1, channels, 2, 3), elements=ORDINARY))
    graph = Graph("prelu")
    graph.prelu("out", graph.input(x.shape), slopes)
    model = graph.model(["out"])
    expected = np.where(x > 0, x, slopes.reshape(-1, 1, 1) * x)
    assert np.array_equal(run(model, x), expected)
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
        spelled = run(cpu_variant(model), x, level)
        assert np.array_equal(spelled[x >= 0], expected[x >= 0])
        assert (np.abs(spelled - expected) <= 6e-7 * np.abs(x)).all()


@pytest.mark.parametrize("pads, kept", [
    ([0, 0, 0, 0, 0, 5, 0, 0], False), ([0, 0, 1, 1, 0, 0, 1, 1], True), ([0, 2, 0, 0, 0, 3, 0, 0], True),
])
def test_only_padding_with_channels_becomes_a_convolution(pads, kept):
    graph = Graph("pad")
    padded = graph.add("Pad", "pad", [graph.input([1, 3, 4, 4]), graph.constant("pads", pads, np.int64)])
    channels = 3 + pads[1] + pads[5]
    graph.prelu("out", padded, np.linspace(-1, 1, channels))
    model = graph.model(["out"])
    x = np.random.RandomState(1).uniform(-1, 1, (1, 3, 4, 4)).astype(np.float32)
    assert ("Pad" in [node.op_type for node in cpu_variant(model).graph.node]) == kept
    assert np.allclose(run(cpu_variant(model), x), run(model, x), rtol=0, atol=5e-7)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("eps", [1e-5, 2e-5, 1e-3])
def test_a_folded_normalisation_is_the_same_function(biased, eps):
    random = np.random.RandomState(2)
    weight = random.normal(size=(6, 4, 3, 3)).astype(np.float32)
    bias = random.normal(size=6).astype(np.float32) if biased else None
    gamma, beta, mean = random.normal(size=(3, 6)).astype(np.float32)
    variance = random.uniform(1e-5, 2, 6).astype(np.float32)  # small enough for eps to matter
    x = random.normal(size=(1, 4, 5, 5)).astype(np.float32)

    def convolved(weight, bias):
        graph = Graph("conv")
        graph.conv("out", graph.input(x.shape), weight, bias, Kernel())
        return run(graph.model(["out"]), x)
    plain = convolved(weight, bias).astype(np.float64)
    column = [v.reshape(-1, 1, 1) for v in (gamma, beta, mean, variance)]
    expected = column[0] * (plain - column[2]) / np.sqrt(column[3] + eps) + column[1]
    found = convolved(*fold(weight, bias, BatchNorm(gamma, beta, mean, variance, eps)))
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-3)


class Level(object):
    """DimensionMetadata of TFLite, as far as it is read."""

    def __init__(self, segments=None, indices=None):
        self.segments, self.indices = segments, indices

    def Format(self):
        return tflite.DimensionType.DENSE if self.segments is None else tflite.DimensionType.SPARSE_CSR

    def ArraySegments(self):
        return self.segments

    def ArrayIndices(self):
        return self.indices


class Sparsity(object):
    def __init__(self, order, levels):
        self.order, self.levels = order, levels

    def TraversalOrderLength(self):
        return len(self.order)

    def TraversalOrder(self, i):
        return self.order[i]

    def DimMetadata(self, i):
        return self.levels[i]


def _compressed(dense, order, sparse_level):
    """Values and index of `dense`, stored in `order` with one compressed level and dense ones around it."""
    turned = dense.transpose(order)
    outer = turned.reshape((-1,) + turned.shape[sparse_level:])
    segments, indices, values = [0], [], []
    for block in outer:
        used = [i for i in range(len(block)) if np.any(block[i])]
        indices += used
        values += [block[i].ravel() for i in used]
        segments.append(len(indices))
    levels = [Level() for _ in order]
    levels[sparse_level] = Level(np.array(segments), np.array(indices, int))
    return np.concatenate(values) if values else np.zeros(0, dense.dtype), Sparsity(order, levels)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 3), st.data())
def test_a_sparse_constant_is_unpacked(order, sparse_level, data):
    shape = tuple(data.draw(st.tuples(*[st.integers(1, 4)] * 4)))
    dense = data.draw(arrays(np.float16, shape, elements=st.sampled_from([0.0, 0.0, 1.5, -2.0])))
    values, sparsity = _compressed(dense, list(order), sparse_level)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engines.convert.lite_file._vector", lambda level, part: getattr(level, part)())
        assert np.array_equal(densified(values, sparsity, shape), dense)


def test_a_sparse_constant_with_another_index_is_refused(monkeypatch):
    monkeypatch.setattr("engines.convert.lite_file._vector", lambda level, part: getattr(level, part)())
    values, sparsity = _compressed(np.eye(3), [0, 1], 1)
    with pytest.raises(ValueError, match="another size than its index"):
        densified(values[:-1], sparsity, (3, 3))
    with pytest.raises(ModelError, match="sparse blocks"):
        densified(values, Sparsity([0, 1, 2], sparsity.levels), (3, 3))


def _graph(op="Relu", opset=11, constants=(), shape=(1, 3, 8, 8), **attributes):
    graph = Graph("test", opset)
    inputs = [graph.input(shape)] + [graph.constant("c{}".format(i), c, t) for i, (c, t) in enumerate(constants)]
    graph.add(op, "out", inputs, **attributes)
    return graph.model(["out"])


def _header(ir=7, opset=11, domain=""):
    model = _graph()
    model.ir_version = ir
    model.opset_import[0].version = opset
    model.opset_import[0].domain = domain
    return model


def _two_inputs():
    model = _graph()
    model.graph.input.extend([onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1])])
    return model


def _any_size():
    model = _graph()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    return model


def _unnamed():
    model = _graph()
    model.graph.node[0].name = ""
    return model


def _calculated_shape():
    """Of the input's values, which no parser can know."""
    model = _graph("Reshape", constants=[([1, 192], np.int64)])
    make = onnx.helper.make_node
    for node in (make("Add", ["c0", "whole"], ["c1"], name="c1"), make("Cast", ["most"], ["whole"], name="cast", to=7),
                 make("ReduceMax", ["input"], ["most"], name="most", keepdims=0)):
        model.graph.node.insert(0, node)
    model.graph.node[3].input[1] = "c1"
    return model


FLOAT, INT = np.float32, np.int64
GOOD = [
    _graph(), _graph("PRelu", constants=[(np.ones((3, 1, 1)), FLOAT)]), _graph("Softmax", axis=1),
    _graph("Softmax", 13, axis=1), _graph("Reshape", constants=[([1, 192], INT)]),
    _graph("Pad", constants=[([0, 0, 0, 0, 0, 2, 0, 0], INT)]),
    _graph("Resize", constants=[([], FLOAT), ([1, 1, 2, 2], FLOAT)], mode="linear"),
]
BAD = [
    (_header(ir=8), "IR version 8"), (_header(opset=15), "opset 15"), (_header(domain="com.microsoft"), "microsoft"),
    (_two_inputs(), "the inputs are input, more"), (_any_size(), "input has no static shape"),
    (_unnamed(), "1 of the nodes has no name"),
    (_graph("PRelu", constants=[(np.ones((3,)), FLOAT)]), "the slope is (3,) and cannot be spread"),
    (_graph("Det", shape=(1, 3, 8, 8)), "Det is not known"),
    (_graph("Mul", constants=[(np.float32(1e6), FLOAT)]), "c0: does not fit float16"),
    (_graph("Mul", constants=[(np.float32(np.nan), FLOAT)]), "c0: does not fit float16"),
    (_calculated_shape(), "c1 is calculated"),
]


@pytest.mark.parametrize("model", GOOD)
def test_the_rules_of_tensorrt_let_a_good_graph_pass(model):
    assert lint(model) == []


@pytest.mark.parametrize("model, line", BAD)
def test_the_rules_of_tensorrt_name_what_is_wrong(model, line):
    assert any(line in found for found in lint(model)), lint(model)


def test_a_name_is_given_once():
    graph = Graph("twice")
    graph.add("Relu", "a", [graph.input([1, 3, 8, 8])])
    with pytest.raises(ModelError, match="two tensors of one network are called a"):
        graph.add("Relu", "a", ["input"])


def test_an_output_without_a_static_shape_is_refused():
    graph = Graph("dynamic")
    graph.add("Relu", "out", [graph.input([1, 3, 0, 8])])
    with pytest.raises(ModelError, match="the output out of dynamic has no static shape"):
        graph.model(["out"])


def _mirrored(line):
    return "v -{} {} {}".format(*line.split()[1:]).replace("--", "") if line.startswith("v ") else line


def _metres(line):
    return "v {} {} {}".format(*[float(n) / 100 for n in line.split()[1:]]) if line.startswith("v ") else line


@pytest.mark.parametrize("change, line", [
    (_mirrored, "eye corners -88.9 mm apart"), (_metres, "eye corners 0.9 mm apart"),
    (lambda line: "" if line.startswith("v ") else line, "is truncated or not what its name says"),
    (lambda line: line.replace("v ", "v x "), "is truncated or not what its name says"),
])
def test_a_head_model_that_would_turn_every_pose_is_refused(tmp_path, change, line):
    obj, weights = paths_of(CANONICAL)
    with open(obj) as f:
        changed = "\n".join(change(text) for text in f.read().splitlines())
    path = tmp_path / "canonical_face_model.obj"
    path.write_text(changed)
    with pytest.raises(ModelError, match=line):
        canonical_face([str(path), weights])


@pytest.mark.parametrize("change", [
    lambda line: "" if line == "f 174/43 156/119 134/220" else line,
    lambda line: "f 174/43 156/119 469/220" if line == "f 174/43 156/119 134/220" else line,
    lambda line: "f 174/43 156/119 0/220" if line == "f 174/43 156/119 134/220" else line,
    lambda line: "f 174/43 156/119 134/221" if line == "f 174/43 156/119 134/220" else line,
    lambda line: line.replace("/", " "),
    lambda line: "" if line.startswith("vt") else line,
], ids=["a triangle less", "no such vertex", "from nought", "two places of a vertex", "no places", "no texture"])
def test_a_surface_that_does_not_fit_together_is_refused(tmp_path, change):
    with open(paths_of(CANONICAL)[0]) as f:
        changed = "\n".join(change(text) for text in f.read().splitlines())
    path = tmp_path / "canonical_face_model.obj"
    path.write_text(changed)
    with pytest.raises(ModelError, match="canonical_face_model.obj is truncated or not what its name says: delete it and"):
        canonical_mesh([str(path)])


def test_a_head_model_without_weights_is_refused(tmp_path):
    path = tmp_path / "metadata.pbtxt"
    path.write_text("input_source: FACE_LANDMARK_PIPELINE\n")
    with pytest.raises(ModelError, match="is truncated or not what its name says"):
        canonical_face([paths_of(CANONICAL)[0], str(path)])
    with pytest.raises(ModelError, match="the head model needs a .pbtxt file beside"):
        canonical_face(paths_of(CANONICAL)[:1])
