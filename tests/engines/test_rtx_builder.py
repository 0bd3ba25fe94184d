"""A real builder of NVIDIA's, TensorRT for RTX, takes every network: it needs no GPU to parse and to build.

It is of the family of TensorRT 10 and for other GPUs: it shows that the files are sound, not what 8.2.1 makes of them.
"""
import functools

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
trt = pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT for RTX: pip install '.[rtx]'")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from strong_types import in_half  # noqa: E402

from engines.build.target import pinned, pins_of  # noqa: E402
from engines.manifest.read import read_manifest  # noqa: E402

NETWORKS = sorted(name for name, network in read_manifest().networks.items() if not network.is_asset)


class _Log(trt.ILogger):
    """Keeps what the library says of errors."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []

    def log(self, severity, msg):
        if severity in (trt.Logger.ERROR, trt.Logger.INTERNAL_ERROR):
            self.errors.append(msg)


@functools.lru_cache(maxsize=None)
def builder():
    log = _Log()  # the library keeps a pointer to it: one, for the whole process
    return trt.Builder(log), log


def parsed(model):
    """The library's network, and the parser, in which its weights lie."""
    make, log = builder()
    network = make.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model.SerializeToString()):
        raise ValueError("; ".join(parser.get_error(i).desc() for i in range(parser.num_errors)))
    return network, parser


def plan_of(network):
    """None where it was refused; why is in the log."""
    make, log = builder()
    del log.errors[:]
    return make.build_serialized_network(network, make.create_builder_config())


def tensors(network):
    """Name -> shape of inputs and outputs, all in FP32."""
    ends = [network.get_input(i) for i in range(network.num_inputs)]
    ends += [network.get_output(i) for i in range(network.num_outputs)]
    assert {t.dtype for t in ends} == {trt.float32}
    return {t.name: tuple(t.shape) for t in ends}


def layers(network):
    """Name of each layer -> the types of the tensors that it gives."""
    found = [network.get_layer(i) for i in range(network.num_layers)]
    return {layer.name: {layer.get_output(k).dtype for k in range(layer.num_outputs)} for layer in found}


@pytest.fixture
def network_and_model(request, stored_network):
    stored = stored_network(request.param)
    return read_manifest().network(request.param), stored, onnx.load(stored.file)


@pytest.mark.parametrize("network_and_model", NETWORKS, indirect=True)
def test_every_network_is_built_in_fp32_with_the_manifests_tensors(network_and_model):
    entry, _, model = network_and_model
    network, _parser = parsed(model)
    assert tensors(network) == dict(entry.outputs, **{model.graph.input[0].name: entry.input.shape})
    assert plan_of(network) is not None, builder()[1].errors


@pytest.mark.parametrize("network_and_model", NETWORKS, indirect=True)
def test_every_network_is_built_in_fp16_with_its_pins(network_and_model, tmp_path):
    entry, stored, model = network_and_model
    pins = pins_of(str(tmp_path), stored)
    assert not pins.note
    nodes = frozenset(node.name for node in model.graph.node)
    network, _parser = parsed(in_half(model, nodes if pins.whole else pins.layers))
    assert tensors(network) == dict(entry.outputs, **{model.graph.input[0].name: entry.input.shape})
    kept = {name: types for name, types in layers(network).items() if pinned(name, pins.layers, nodes)}
    assert {pinned(name, pins.layers, nodes) for name in kept} == set(pins.layers)
    assert all(types == {trt.float32} for types in kept.values())
    assert any(trt.float16 in types for types in layers(network).values()) != pins.whole
    assert plan_of(network) is not None, builder()[1].errors


def sums(second_type):
    """x + 1 in FP32, then times 2 in another type."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 3]) for name in "xy")
    one, two = (numpy_helper.from_array(np.full((1, 2, 3), value, kind), name)
                for name, value, kind in (("one", 1, np.float32), ("two", 2, second_type)))
    nodes = [helper.make_node("Add", ["x", "one"], ["s"], name="add"),
             helper.make_node("Mul", ["s", "two"], ["y"], name="mul")]
    return helper.make_model(helper.make_graph(nodes, "sums", [x], [y], [one, two]),
                             opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def test_two_types_in_one_layer_are_refused_and_with_casts_between_them_built():
    with pytest.raises(ValueError, match="mul: .* must have same input types"):
        parsed(sums(np.float16))
    network, _parser = parsed(in_half(sums(np.float32), {"mul"}))
    assert plan_of(network) is not None
    assert layers(network)["add"] == {trt.float16} and layers(network)["mul"] == {trt.float32}


def test_an_operator_that_is_in_no_onnx_is_refused():
    model = sums(np.float32)
    model.graph.node[1].op_type = "Multiplied"
    with pytest.raises(ValueError, match="Plugin not found"):
        parsed(model)
