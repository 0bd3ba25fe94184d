"""A file that takes pixels is the same function as the network on its own input, at the borders as well."""
import numpy as np
import pytest
from convert_cases import NETWORKS, converted
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.contracts import Crop
from edge.core.errors import ModelError
from edge.core.packet import Roi
from edge.models.aligners import make_aligner
from edge.models.detectors.table import make_detector
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.store.models import PixelInput, StoredNetwork
from engines.convert import cpu_variant, serialise, with_pixel_input
from engines.convert.graph import Graph, Kernel, dims_of
from engines.manifest.entries import Input
from engines.manifest.read import read_manifest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIDE = 33
NO_OFFSET, MEANS = (0.0, 0.0, 0.0), (-1.0, -0.5, 0.25)


def look_of(batch=1, colour="rgb", scale=1.0 / 255.0, offset=NO_OFFSET, side=SIDE):
    return Input((batch, 3, side, side), colour, scale, offset)


def network(look, pads=(1, 0, 2, 1), strides=(2, 2), biased=True, last=True):
    """A convolution with padding on every side in another way, then one that sees all of it."""
    random = np.random.RandomState(3)
    graph = Graph("pixels")
    bias = random.normal(size=5).astype(np.float32) if biased else None
    weight = random.normal(size=(5, 3, 3, 3)).astype(np.float32)
    graph.conv("features", graph.input(look.shape), weight, bias, Kernel(strides, pads))
    if not last:
        return graph.model(["features"])
    size = [(look.shape[2] + pads[i] + pads[i + 2] - 3) // strides[i] + 1 for i in (0, 1)]
    weight = random.normal(size=[7, 5] + size).astype(np.float32) / 100
    graph.conv("all", "features", weight, bias=None, kernel=Kernel())
    return graph.model(["features", "all"])


def opened(path, model, look, runner_class=None):
    """A runner of the folded file, and one of the plain network."""
    from edge.runtimes.cpu.onnx import OnnxRunner
    folded, border = with_pixel_input(model, look)
    onnx.checker.check_model(folded)
    files = []
    for name, content in (("plain", model), ("pixels", folded)):
        files.append(str(path / (name + ".onnx")))
        with open(files[-1], "wb") as f:
            f.write(serialise(content))
    pixels = PixelInput(look.colour, look.scale, tuple(look.offset), tuple(border))
    stored = StoredNetwork("tiny", files[0], files[1], {}, pixels=pixels)
    runners = [(runner_class or OnnxRunner)(s) for s in (stored, stored._replace(cpu_file=files[0], pixels=None))]
    for runner in runners:
        runner.open()
    return runners


def crops_of(look, **changes):
    """A turned one, partly outside the frame, for each picture of the batch."""
    side = look.shape[2]
    matrices = [np.array([[0.6, 0.1 + i, -3.0], [-0.1, 0.6, 4.0 - 9 * i]]) for i in range(look.shape[0])]
    crop = Crop(matrices[0], (side, side), look.colour, look.scale, tuple(look.offset))._replace(**changes)
    return [crop._replace(matrix=matrix) for matrix in matrices]


def frame():
    return np.random.RandomState(5).randint(0, 256, (60, 80, 3)).astype(np.uint8)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5 * np.abs(values).max())


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch, colour, scale, offset, biased", [
    (1, "rgb", 1.0 / 255.0, NO_OFFSET, True), (2, "rgb", 2.0 / 255.0, MEANS, True), (2, "bgr", 1.0, MEANS, False),
    (1, "bgr", 1.0 / 128.0, (-127.5 / 128.0,) * 3, False), (1, "rgb", 1.0, NO_OFFSET, False)])
def test_pixels_give_what_the_networks_own_input_gives(tmp_path, runtime, batch, colour, scale, offset, biased):
    """Everywhere: an offset that was folded into the bias alone would be wrong where the convolution pads."""
    pytest.importorskip(runtime)
    from edge.runtimes.cpu.onnx import OnnxRunner
    from edge.runtimes.cpu.openvino import OpenVinoRunner
    look = look_of(batch, colour, scale, offset)
    pixels, plain = opened(tmp_path, network(look, biased=biased), look,
                           {"onnxruntime": OnnxRunner, "openvino": OpenVinoRunner}[runtime])
    assert pixels.inputs == plain.inputs and pixels.outputs == plain.outputs
    for asked in (crops_of(look), crops_of(look, border="replicate")):
        assert_same(pixels.submit(frame(), asked).result(), plain.submit(frame(), asked).result())
    feeds = {"input": np.random.RandomState(6).uniform(-2, 2, look.shape).astype(np.float32)}
    assert_same(pixels.infer(feeds), plain.infer(feeds))
    assert_same(pixels.submit(frame(), crops_of(look)).result(), plain.submit(frame(), crops_of(look)).result())


@pytest.mark.parametrize("change", [dict(scale=0.5), dict(colour="bgr"), dict(offset=(0.0, 0.5, 0.0))])
def test_a_crop_with_another_arithmetic_than_the_files_gets_its_own(tmp_path, change):
    look = look_of(2, offset=MEANS)
    pixels, plain = opened(tmp_path, network(look), look)
    asked = crops_of(look, **change)
    assert_same(pixels.submit(frame(), asked).result(), plain.submit(frame(), asked).result())


def test_an_index_of_other_files_is_one_line_with_its_cure(tmp_path):
    from edge.runtimes.cpu.onnx import OnnxRunner
    look = look_of()
    folded, _ = with_pixel_input(network(look), look)
    (tmp_path / "pixels.onnx").write_bytes(serialise(folded))
    pixels = PixelInput("rgb", 1.0, NO_OFFSET, (30, 0, 30, 0))
    runner = OnnxRunner(StoredNetwork("tiny", "", str(tmp_path / "pixels.onnx"), {}, pixels=pixels))
    with pytest.raises(ModelError, match="does not take the pixels that the index says: delete it and run"):
        runner.open()


def test_the_stages_ask_for_the_arithmetic_that_the_manifest_gives_so_that_no_crop_takes_the_longer_way():
    roi = Roi(50.0, 50.0, 40.0, 0.1)
    for name, entry in read_manifest().networks.items():
        if entry.role == "detect":
            crop = make_detector(name).crop(640, 480)
        elif entry.role == "align":
            crop = make_aligner(name).crop(roi)
        elif entry.role == "pose":
            crop = Mb05({"mean": [0.0] * 12, "std": [1.0] * 12}).crop(roi)
        elif entry.role == "iris":
            crop = IrisLandmark().crops((roi, roi))[1]
        else:
            continue
        assert (crop.colour, crop.scale, crop.offset) == (entry.input.colour, entry.input.scale, tuple(entry.input.offset))


@settings(max_examples=30, deadline=None)
@given(pads=st.tuples(*[st.integers(0, 3)] * 4), strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
       scale=st.floats(0.001, 2.0), offset=st.tuples(*[st.floats(-130, 130)] * 3), colour=st.sampled_from(["rgb", "bgr"]))
def test_any_padding_scale_and_offset_folds_exactly(tmp_path_factory, pads, strides, scale, offset, colour):
    look = look_of(1, colour, scale, offset, side=32)
    pixels, plain = opened(tmp_path_factory.mktemp("fold"), network(look, pads, strides, last=False), look)
    expected = {k: v.copy() for k, v in plain.submit(frame(), crops_of(look)).result().items()}
    found = pixels.submit(frame(), crops_of(look)).result()
    largest = max(255.0 * scale, max(abs(n) for n in offset), 1.0)  # of the values whose sums are rounded
    assert np.abs(found["features"] - expected["features"]).max() <= 1e-5 * largest * 27


def _spread(model):
    model.graph.node.extend([onnx.helper.make_node("Relu", ["input"], ["more"], name="more")])
    return model


def _unwritten_padding(model):
    model.graph.node[0].attribute.extend([onnx.helper.make_attribute("auto_pad", "SAME_UPPER")])
    return model


def _relu_first(look):
    graph = Graph("relu")
    graph.add("Relu", "out", [graph.input(look.shape)])
    return graph.model(["out"])


@pytest.mark.parametrize("make", [
    lambda: (_spread(network(look_of())), look_of()), lambda: (_unwritten_padding(network(look_of())), look_of()),
    lambda: (_relu_first(look_of()), look_of()), lambda: (network(look_of(side=31)), look_of(side=31))],
    ids=["input read twice", "padding not written down", "no convolution first", "too small"])
def test_a_network_that_cannot_be_folded_keeps_its_input(make):
    assert with_pixel_input(*make()) is None


@pytest.mark.parametrize("name", sorted(read_manifest().networks))
def test_every_network_of_the_manifest_takes_pixels_and_gives_the_same_bytes_everywhere(name):
    entry = read_manifest().networks[name]
    if entry.is_asset:
        pytest.skip("no network")
    if name not in NETWORKS:
        pytest.skip("its conversion is tested elsewhere")
    model = converted(name)
    made = [with_pixel_input(cpu_variant(converted(name)) or model, entry.input) for _ in range(2)]
    (folded, border), (again, _) = made
    assert serialise(folded) == serialise(again)
    batch, _, height, width = entry.input.shape
    top, left, bottom, right = border
    assert dims_of(folded.graph.input[0]) == [batch, height + top + bottom, width + left + right, 3]
    used = {i for node in folded.graph.node for i in node.input}
    assert [t.name for t in folded.graph.initializer if t.name not in used] == []
    assert {o.name: dims_of(o) for o in folded.graph.output} == {o.name: dims_of(o) for o in model.graph.output}
