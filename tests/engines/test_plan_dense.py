"""Grouped convolutions as dense ones, on the simulator's bindings: the same numbers, and only where there are any."""
import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
from fakes import simulated as nets

from edge.core.errors import EngineError
from engines.build.builder import block_diagonal, make_dense


@pytest.fixture(scope="module")
def modules():
    with nets.simulated() as found:
        found[1].init()
        held = found[1].Device(0).retain_primary_context()
        held.push()
        yield found


@pytest.fixture
def trt(modules, monkeypatch):
    monkeypatch.setenv("NANOFACE_SIM_HELD_MS", '{"first": 0, "runtime": 0, "builder": 0, "context": 0, "serialize": 0}')
    return modules[0]


def network(grouped=True):
    """3 channels to 4, a depthwise convolution, 6 channels, and those in two groups to 2 x 2."""
    random = np.random.RandomState(3)
    weights = {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in (
        ("w", (4, 3, 1, 1)), ("d", (4, 1, 3, 3)), ("v", (12, 4, 1, 1)), ("g", (4, 6, 1, 1)), ("b", (4,)))}
    nodes = [("Conv", "x w", "a", {}), ("Conv", "a d", "e", {"group": 4, "pads": [1, 1, 1, 1]}), ("Conv", "e v", "f", {})]
    nodes += [("Conv", "f g b", "y", {"group": 2})] * grouped
    last = ("y", (1, 4, 6, 8)) if grouped else ("f", (1, 12, 6, 8))
    return nets.onnx_bytes(nodes, [("x", nets.SHAPE)], [last], weights)


def test_a_kernel_has_zeros_for_the_channels_of_other_groups():
    kernel = np.arange(1.0, 9.0).reshape(4, 2, 1, 1)
    assert block_diagonal(kernel, 2)[:, :, 0, 0].tolist() == [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 8]]


def test_the_plan_of_dense_convolutions_gives_the_same_numbers(trt, modules):
    content, x = network(), nets.picture()
    build = nets.BuildContext(trt)
    assert build.parser.parse(content)
    kernels = make_dense(trt, build.network)
    layers = [build.network.get_layer(i) for i in range(build.network.num_layers)]
    groups = [layer.num_groups for layer in layers if isinstance(layer, trt.IConvolutionLayer)]
    assert groups == [1, 4, 1, 1] and [kernel.size for kernel in kernels] == [4 * 12]
    plan = build.plan()
    assert plan is not None and len(bytes(plan)) > 0
    bench = nets.Bench(trt, modules[1], plan)
    assert np.allclose(bench.run(x), nets.by_runtime(content, x), atol=1e-5)
    bench.close()


def test_a_kernel_that_is_let_go_before_the_plan_is_made_is_a_violation(trt, modules):
    build = nets.BuildContext(trt)
    assert build.parser.parse(network())
    make_dense(trt, build.network)  # and its answer is not kept
    assert build.plan() is None
    assert any("were freed before the plan" in str(v) for v in modules[2].report()["violations"])


def test_a_network_without_groups_is_refused(trt):
    build = nets.BuildContext(trt)
    assert build.parser.parse(network(grouped=False))
    with pytest.raises(EngineError, match="no grouped convolutions"):
        make_dense(trt, build.network)
