"""Kernels of networks: counted as by hand, and as the papers count them."""
import os

import pytest

from calibration.estimate.net import Net, path
from calibration.estimate.networks import NETWORKS
from engines.estimate.board import NANO, engine_span
from engines.estimate.fitted import fitted
from engines.estimate.layers import DENSE, DEPTHWISE, FULL, GROUPED, MOVE, POINTWISE, WINOGRAD, Layer, dense, kind_of, split
from engines.estimate.table import layers_for

pytest.importorskip("yaml")


def macs(layers):
    return sum(layer.macs for layer in layers) / 1e6


def graph_of(build, shape=(1, 3, 8, 8)):
    """The kernels of an ONNX network that `build(graph, input)` makes; it returns the names of the outputs."""
    pytest.importorskip("onnx")
    from engines.convert.graph import Graph
    from engines.estimate.layers import layers_of
    graph = Graph("tiny")
    outputs = build(graph, graph.input(shape))
    return layers_of(graph.model(outputs))


def conv(graph, name, source, outer, inner, window=3, stride=1, group=1):
    import numpy as np

    from engines.convert.graph import same
    weight = np.zeros((outer, inner // group, window, window), np.float32)
    return graph.conv(name, source, weight, np.zeros(outer, np.float32), same(window, stride, group))


@pytest.mark.parametrize("window, stride, dilation, group, kind", [
    ((3, 3), 1, 1, 1, WINOGRAD), ((3, 3), 2, 1, 1, DENSE), ((3, 3), 1, 2, 1, DENSE), ((5, 5), 1, 1, 1, DENSE),
    ((1, 7), 1, 1, 1, DENSE), ((1, 1), 1, 1, 1, POINTWISE), ((1, 1), 2, 1, 1, POINTWISE), ((3, 3), 1, 1, 32, DEPTHWISE),
])
def test_a_convolution_is_of_the_kind_that_a_kernel_exists_for(window, stride, dilation, group, kind):
    assert kind_of(window, stride, dilation, group) == kind


def test_a_convolution_is_counted_as_by_hand():
    found = graph_of(lambda g, x: [conv(g, "c", x, 16, 3, stride=2)])
    layer = found[1]
    assert [f.kind for f in found] == [MOVE, DENSE, MOVE]
    assert (layer.inner, layer.outer, layer.pixels) == (27, 16, 16)
    assert layer.macs == 27 * 16 * 16
    assert (layer.read, layer.weights, layer.written) == (3 * 64, 27 * 16, 16 * 16)
    # FP32 outside, FP16 inside
    assert (found[0].read, found[0].written) == (2 * 3 * 64, 3 * 64)
    assert (found[2].read, found[2].written) == (16 * 16, 2 * 16 * 16)


def test_a_batch_counts_once_for_each_picture_and_the_weights_once():
    one = graph_of(lambda g, x: [conv(g, "c", x, 16, 3)])[1]
    two = graph_of(lambda g, x: [conv(g, "c", x, 16, 3)], (2, 3, 8, 8))[1]
    assert (two.pixels, two.read, two.written) == (2 * one.pixels, 2 * one.read, 2 * one.written)
    assert two.weights == one.weights


def test_a_depthwise_convolution_has_one_channel_for_each_output():
    found = graph_of(lambda g, x: [conv(g, "d", x, 3, 3, group=3)])[1]
    assert (found.kind, found.inner, found.macs) == (DEPTHWISE, 9, 9 * 3 * 64)


def test_activation_and_sum_are_part_of_the_convolution_before_them():
    def build(g, x):
        first = g.add("Relu", "r", [conv(g, "a", x, 8, 3)])
        second = conv(g, "b", first, 8, 8)
        return [g.add("Relu", "r2", [g.add("Add", "s", [second, first])])]
    found = graph_of(build)
    assert [f.kind for f in found] == [MOVE, WINOGRAD, WINOGRAD, MOVE]
    assert found[2].read == 2 * 8 * 64  # its own input, and the other branch of the sum


def test_what_somebody_else_wants_too_is_not_folded():
    def build(g, x):
        a = conv(g, "a", x, 8, 3)
        return [g.add("Relu", "r", [a]), g.add("Sigmoid", "s", [a])]
    assert [f.kind for f in graph_of(build)].count(MOVE) == 5  # one input, two outputs, and both operations


def test_prelu_and_sigmoid_are_kernels_of_their_own():
    import numpy as np

    def build(g, x):
        a = g.prelu("p", conv(g, "a", x, 8, 3), np.zeros(8, np.float32))
        return [g.add("Sigmoid", "s", [a])]
    assert [f.kind for f in graph_of(build)] == [MOVE, WINOGRAD, MOVE, MOVE, MOVE]


def test_elementwise_operations_are_chained_and_joining_is_free():
    def build(g, x):
        a = g.add("Sigmoid", "s", [g.add("Neg", "n", [x])])
        return [g.add("Concat", "c", [a, conv(g, "k", a, 8, 3)], axis=1)]
    found = graph_of(build)
    assert [f.name for f in found if f.kind == MOVE] == ["reformat input", "n", "reformat c"]


def test_a_pool_of_the_whole_picture_and_a_full_layer_are_kernels():
    import numpy as np

    def build(g, x):
        flat = g.add("Flatten", "f", [g.add("GlobalAveragePool", "p", [conv(g, "a", x, 8, 3)])])
        weight = g.constant("w", np.zeros((5, 8), np.float32))
        return [g.add("Gemm", "m", [flat, weight], transB=1)]
    found = graph_of(build)
    assert [f.kind for f in found] == [MOVE, WINOGRAD, MOVE, FULL, MOVE]
    assert (found[3].inner, found[3].outer, found[3].pixels, found[3].weights) == (8, 5, 1, 40)


def test_a_transposed_convolution_multiplies_every_input_with_the_whole_window():
    import numpy as np

    def build(g, x):
        weight = g.constant("w", np.zeros((3, 5, 2, 2), np.float32))
        return [g.add("ConvTranspose", "t", [x, weight], kernel_shape=[2, 2], strides=[2, 2])]
    found = graph_of(build)[1]
    assert (found.kind, found.macs, found.written) == (DENSE, 64 * 3 * 5 * 4, 5 * 256)


# MMAC and millions of weights, as the papers or torchvision's table give them
@pytest.mark.parametrize("network, mmac, weights", [
    ("alexnet", 714, 61.1), ("vgg11", 7609, 132.9), ("vgg16", 15470, 138.4), ("vgg19", 19630, 143.7),
    ("squeezenet1_0", 819, 1.25), ("squeezenet1_1", 349, 1.24), ("resnet18", 1814, 11.7), ("resnet34", 3664, 21.8),
    ("resnet50", 4089, 25.6), ("resnet101", 7801, 44.5), ("resnet152", 11514, 60.2), ("densenet121", 2834, 7.98),
    ("densenet169", 3360, 14.1), ("densenet201", 4291, 20.0), ("densenet161", 7728, 28.7), ("googlenet", 1583, 7.0),
    ("inception_v4", 12270, 42.7), ("tiny_yolo_v3_416", 2782, 8.86), ("mobilenet_v2_224", 301, 3.5),
    ("mobilenet_v1_1.0_224", 569, 4.2), ("mobilenet_v1_0.5_160", 76, 1.3), ("mobilenet_v1_0.25_128", 13.6, 0.47),
])
def test_a_rebuilt_network_has_the_published_work_and_weights(network, mmac, weights):
    layers = NETWORKS[network]()
    assert macs(layers) == pytest.approx(mmac, rel=0.03)
    assert sum(layer.weights for layer in layers) / 1e6 == pytest.approx(weights, rel=0.03)


def test_ssd_with_the_classes_of_coco_has_the_work_that_open_model_zoo_gives():
    from calibration.estimate.networks import ssd_mobilenet_v2
    assert macs(ssd_mobilenet_v2(300, 300, 91)) == pytest.approx(3775 / 2.0, rel=0.03)
    assert macs(ssd_mobilenet_v2(300, 300, 37)) < macs(ssd_mobilenet_v2(300, 300, 91))


def test_a_larger_picture_has_more_of_everything_but_weights():
    small, large = NETWORKS["mobilenet_v2_224"](), NETWORKS["mobilenet_v2_300"]()
    assert len(small) == len(large)
    assert all(a.macs <= b.macs and a.read <= b.read and a.weights == b.weights for a, b in zip(small, large))


def test_branches_start_at_one_place_and_stand_side_by_side():
    net = Net(8, 8).conv(16, 3)
    net.branches(path((4, 1)), path((8, 1), (12, 3)), path((2, 1), pooled=True))
    assert net.at == (18, 8, 8)
    assert [layer.inner for layer in net.layers[2:]] == [16, 16, 72, 0, 16]


def test_a_pool_that_rounds_up_keeps_the_last_window():
    assert Net(54, 54).pool(3, 2).at == (3, 26, 26)
    assert Net(54, 54).pool(3, 2, up=True).at == (3, 27, 27)
    assert Net(27, 27).pool(3, 2, up=True).at == (3, 13, 13)


# ---- the stored table

def table():
    from engines.estimate import table as estimatetable
    return estimatetable


def test_the_table_has_every_network_of_the_manifest_and_no_other():
    from engines.manifest.read import read_manifest
    wanted = sorted(n for n, network in read_manifest().networks.items() if not network.is_asset)
    assert sorted(table().stored()) == wanted


# MMAC as measured on the weights by others (ours are rounded)
@pytest.mark.parametrize("network, mmac", [
    ("yunet_s", 68.8), ("yunet_n", 108.5), ("fmr_16and32", 91.2), ("fmr_8and16", 179.9), ("rfb320", 100.4),
    ("faceboxes", 70.6), ("blazeface_short", 30.8), ("blazeface_full", 117.2), ("face_landmark", 35.0),
    ("facemesh_pth", 35.0), ("mb05", 46.5), ("iris_landmark", 107.4),
])
def test_the_tables_networks_have_the_work_that_others_counted(network, mmac, tmp_path):
    assert macs(table().layers_for(str(tmp_path), network)) == pytest.approx(mmac, abs=0.11)


def test_the_table_is_that_of_the_fetched_networks(models_home):
    onnx = pytest.importorskip("onnx")
    from edge.store.models import locate, read_index
    from engines.estimate.layers import layers_of
    there = [name for name in table().stored() if name in read_index(models_home)]
    assert there
    for name in there:
        found, entry = locate(models_home, name), table().stored()[name]
        assert [list(layer) for layer in layers_of(onnx.load(found.file))] == entry["layers"], name
        assert found.sha256 == entry["onnx_sha256"], name


def test_a_network_that_is_another_than_the_tables_is_read_from_its_file(tmp_path):
    pytest.importorskip("onnx")
    import hashlib
    import json

    from engines.convert import serialise
    from engines.convert.graph import Graph
    graph = Graph("mb05")
    content = serialise(graph.model([conv(graph, "c", graph.input((1, 3, 8, 8)), 16, 3)]))
    os.makedirs(str(tmp_path / "onnx"))
    (tmp_path / "onnx" / "mb05.onnx").write_bytes(content)
    entry = {"file": "mb05.onnx", "sha256": hashlib.sha256(content).hexdigest(), "role": "pose"}
    (tmp_path / "onnx" / "index.json").write_text(json.dumps({"schema": 1, "networks": {"mb05": entry}}))
    assert len(table().layers_for(str(tmp_path), "mb05")) == 3
    assert len(table().layers_for(str(tmp_path / "elsewhere"), "mb05")) == 33


def test_a_network_that_nobody_knows_is_one_line(tmp_path):
    from edge.core.errors import ConfigError
    with pytest.raises(ConfigError, match="there is no network called mb06: did you mean mb05"):
        table().layers_for(str(tmp_path), "mb06")


def test_a_table_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    from edge.core.errors import ModelError
    broken = tmp_path / "layers.json"
    broken.write_text("{")
    for path_, words in ((broken, "cannot be read"), (tmp_path / "none.json", "cannot be read")):
        monkeypatch.setattr(table(), "TABLE", str(path_))
        with pytest.raises(ModelError, match=words):
            table().stored()
    broken.write_text('{"schema": 7}')
    monkeypatch.setattr(table(), "TABLE", str(broken))
    with pytest.raises(ModelError, match="not of this version"):
        table().stored()


def test_the_table_is_written_as_it_is_read():
    import json

    from calibration.estimate.freeze import layers_text
    content = {"schema": 1, "networks": table().stored()}
    assert json.loads(layers_text(content)) == content


def test_a_network_of_the_manifest_that_nobody_has_the_layers_of_is_one_line(tmp_path, monkeypatch):
    from edge.core.errors import ModelError
    rest = {name: entry for name, entry in table().stored().items() if name != "mb05"}
    monkeypatch.setattr(table(), "stored", lambda: rest)
    with pytest.raises(ModelError, match="layers of mb05 are not known: run `nanoface models fetch mb05`"):
        table().layers_for(str(tmp_path), "mb05")


def test_a_grouped_convolution_is_a_kernel_for_each_group_or_a_dense_one():
    grouped = Layer("heads", GROUPED, 32, 96, 64, 96 * 64, 32 * 96, 96 * 64, 3)
    other = Layer("stem", DENSE, 27, 16, 100, 300, 432, 1600)
    apart, whole = split([grouped, other]), dense([grouped, other])
    assert len(apart) == 4 and apart[3] == whole[1] == other
    assert sum(layer.macs for layer in apart) == grouped.macs + other.macs
    assert {(layer.kind, layer.outer, layer.read, layer.weights) for layer in apart[:3]} == {(POINTWISE, 32, 2048, 1024)}
    assert whole[0].macs == 3 * grouped.macs and whole[0].kind == POINTWISE and whole[0].read == grouped.read


def test_the_range_of_grouped_convolutions_holds_what_they_would_be_dense_and_apart():
    layers = layers_for("/nowhere", "face_attention")
    assert any(layer.kind == GROUPED and layer.groups > 1 for layer in layers)
    found = engine_span(fitted(), layers, NANO)
    for other in (split(layers), dense(layers)):
        middle = engine_span(fitted(), other, NANO).middle
        assert found.low <= found.middle <= middle < found.high
