"""The crops of the attention mesh in fewer nodes: the same function, wherever the points lie."""
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from convert_cases import converted

from edge.core.errors import ModelError
from engines.convert import cpu_variant, serialise
from engines.convert.attention.geometry import Geometry, Subset
from engines.convert.attention.merged import AROUND_CROPS, merged
from engines.convert.graph import Graph, Kernel

PARTS = (0, 1, 2, 1, 2)  # the crop of each
NUMBERS, CELLS, RAW = 1404, 32 * 48 * 48, 5 * 160
OUTPUTS = ["crop/heads", "refined", "heads/wider", "heads/divide"]
POINTS = np.random.RandomState(5).permutation(468)
SUBSETS = [Subset(tuple(POINTS[:80]), 3, 7), Subset(tuple(POINTS[80:151]), 11, 100), Subset(tuple(POINTS[151:222]), 200, 9)]


def attention():
    """What network.py emits around the crops, with mesh, feature map and heads' numbers as its input."""
    graph = Graph("attention")
    feed = graph.input([1, NUMBERS + CELLS + RAW, 1, 1])

    def part(name, start, end, shape):
        bounds = [graph.constant(name + key, [value], np.int64) for key, value in (("s", start), ("e", end), ("a", 1))]
        return graph.reshape(name, graph.add("Slice", name + ".cut", [feed] + bounds), shape)

    geometry = Geometry(graph, SUBSETS)
    mesh = part("mesh", 0, NUMBERS, [1, NUMBERS])
    feature = part("feature", NUMBERS, NUMBERS + CELLS, [1, 32, 48, 48])
    crops = geometry.crops(graph.reshape("geo/points", mesh, [NUMBERS]), feature)
    raw = part("raw", NUMBERS + CELLS, NUMBERS + CELLS + RAW, [1, RAW, 1, 1])
    raw = graph.conv("geo/head", raw, np.ones((RAW, 1, 1, 1), np.float32), None, Kernel(group=RAW))
    geometry.placed("refined", raw, PARTS)
    groups = graph.reshape("heads/wider.groups", crops, [3, 32, 16, 16])
    pads = graph.constant("heads/wider.pads", [0, 0, 0, 0, 0, 16, 0, 0], np.int64)
    graph.reshape("heads/wider", graph.add("Pad", "heads/wider.more", [groups, pads], mode="constant"), [1, 144, 16, 16])
    graph.add("Concat", "heads/divide", [crops, crops], axis=1)
    return graph.model(OUTPUTS)


def feed_of(random, reach_px):
    """Crops turned any way, whose middles lie up to `reach_px` from that of the frame: within it, across its edge, beyond."""
    points = np.zeros((468, 3))
    for subset in SUBSETS:
        members = list(subset.points) + [subset.start, subset.end]
        points[members, :2] = 96 + random.uniform(-reach_px, reach_px, 2)
        points[members, :2] += random.normal(size=(len(members), 2)) * random.uniform(1, 20, 2)
    return np.concatenate([points.ravel(), random.normal(size=CELLS), random.uniform(-20, 80, RAW)]).astype(np.float32)


def onnx_runtime(model, level="ORT_ENABLE_ALL"):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    session = ort.InferenceSession(serialise(model), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(OUTPUTS, {"input": x.reshape(1, -1, 1, 1)})


def openvino(model):
    core = pytest.importorskip("openvino").Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    network = core.compile_model(core.read_model(serialise(model)), "CPU", config)
    return lambda x: [network(x.reshape(1, -1, 1, 1))[name] for name in OUTPUTS]


@pytest.mark.parametrize("load", [onnx_runtime, openvino])
def test_the_merged_crops_are_the_plain_ones(load):
    model = attention()
    plain, few = onnx_runtime(model, "ORT_DISABLE_ALL"), load(merged(model))
    random, outside = np.random.RandomState(7), []
    for reach_px in (0, 0, 20, 40, 60, 80, 100, 120, 150, 200):
        x = feed_of(random, reach_px)
        expected = plain(x)
        outside.append((expected[0] == 0).mean())
        for name, wanted, found in zip(OUTPUTS, expected, few(x)):
            assert wanted.shape == found.shape
            assert np.abs(wanted - found).max() < 1e-3, name
    assert min(outside) < 0.05 and max(outside) > 0.5


def test_points_that_all_fall_together_give_numbers():
    x = np.concatenate([np.full(NUMBERS, 90.0), np.ones(CELLS), np.zeros(RAW)]).astype(np.float32)
    for wanted, found in zip(onnx_runtime(attention())(x), onnx_runtime(merged(attention()))(x)):
        assert np.isfinite(found).all()
        assert np.abs(wanted - found).max() < 1e-3


def test_the_merged_graph_has_fewer_nodes_of_its_own_and_no_padding():
    plain, few = attention(), merged(attention())
    onnx.checker.check_model(few)
    around = [nodes_around_crops(m) for m in (plain, few)]
    assert around[1] < 0.7 * around[0]
    assert not {"Pad", "ReduceSum", "Sqrt"} & {node.op_type for node in few.graph.node}
    assert serialise(few) == serialise(merged(attention()))


def nodes_around_crops(model):
    return len([node for node in model.graph.node if node.name.startswith(AROUND_CROPS)])


def test_the_network_that_is_run_has_its_crops_merged():
    plain = converted("face_attention")
    few = cpu_variant(plain)
    kinds = {node.op_type for node in few.graph.node}
    assert nodes_around_crops(few) < 0.7 * nodes_around_crops(plain)
    assert not {"Pad", "ReduceSum", "Sqrt"} & kinds
    x = np.random.RandomState(3).uniform(size=(1, 3, 192, 192)).astype(np.float32)
    for wanted, found in zip(*(ort.InferenceSession(serialise(model)).run(["mesh", "refined", "flag"], {"input": x})
                               for model in (plain, few))):
        assert np.abs(wanted - found).max() < 1e-2  # pixels; noise has points far outside


@pytest.mark.parametrize("name", [
    "geo/points", "geo/head", "heads/divide", "refined", "crop/nhwc", "geo/subset.rows", ".groups", ".more"])
def test_a_name_that_changed_is_no_silent_return_to_the_plain_crops(name):
    model = attention()
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed(each, name) for each in names]
        node.name = renamed(node.name, name)
    for named in list(model.graph.initializer) + list(model.graph.output):
        named.name = renamed(named.name, name)
    onnx.checker.check_model(model)
    with pytest.raises(ModelError, match="cannot be merged: it has no " + name):
        cpu_variant(model)


def renamed(name, changed):
    return name + "2" if name == changed or changed.startswith(".") and name.endswith(changed) else name


def test_any_other_network_is_left_alone():
    graph = Graph("other")
    graph.prelu("out", graph.input([1, 4, 2, 2]), np.linspace(0, 1, 4))
    model = graph.model(["out"])
    assert merged(model) is None
    assert len(cpu_variant(model).graph.node) == 4
