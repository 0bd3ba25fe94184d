"""The simulator's engines compute: FP32 as ONNX Runtime does, FP16 with everything rounded that flows between layers."""
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
from fakes import simulated as nets

X = nets.picture()


@pytest.fixture(scope="module")
def modules():
    with nets.simulated() as found:
        trt, cuda, books = found
        cuda.init()
        context = cuda.Device(0).retain_primary_context()
        context.push()
        yield trt, cuda
        cuda.Context.pop()
        context.detach()
        report = books.report()
        assert report["clean"], report


def answer(modules, content, x=X, fp16=True, prepare=None):
    """The first output of an engine."""
    trt, cuda = modules
    build = nets.BuildContext(trt)
    assert build.parser.parse(content)
    if prepare is not None:
        prepare(trt, build)
    bench = nets.Bench(trt, cuda, build.plan(fp16=fp16))
    try:
        return bench.run(x)
    finally:
        bench.close()


def half(values):
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32).astype(np.float16).astype(np.float32)


def exact(values):
    return np.asarray(values, np.float32)


def by_hand(x, first=half, last=half, made=half):
    """nets.plain() in numpy. first, last: rounding of what the convolutions read; made: of what the first one makes."""
    w = nets.weights()
    c = np.einsum("oi,nihw->nohw", first(w["w"][:, :, 0, 0]), first(x)) + first(w["b"])[:, None, None]
    r = np.maximum(made(c), 0)
    return last(np.einsum("oi,nihw->nohw", last(w["v"][:, :, 0, 0]), last(r)))


def near(found, expected):
    """Whether float32 sums in another order explain the difference, or a rounding to float16 that fell the other way."""
    close = np.isclose(found, expected, rtol=1e-6, atol=1e-6)
    return close.mean() > 0.97 and np.allclose(found, expected, rtol=2e-3, atol=1e-3)


def pinned(*names, output=True, flag="OBEY_PRECISION_CONSTRAINTS"):
    def prepare(trt, build):
        for name in names:
            layer = build.layer(name)
            layer.precision = trt.float32
            if output:
                layer.set_output_type(0, trt.float32)
        if flag:
            build.config.set_flag(getattr(trt.BuilderFlag, flag))
    return prepare


def test_without_the_flag_it_is_onnx_runtime_to_the_bit(modules):
    assert np.array_equal(answer(modules, nets.plain(), fp16=False), nets.by_runtime(nets.plain(), X))


@pytest.mark.parametrize("prepare, roundings", [
    (None, {}),
    (pinned("c.node", flag=""), {}),  # without OBEY or PREFER it is a hint
    (pinned("c.node"), {"first": exact, "made": exact}),
    (pinned("c.node", output=False), {"first": exact, "made": half}),
    (pinned("c.node", flag="PREFER_PRECISION_CONSTRAINTS"), {"first": exact, "made": exact}),
    (pinned("y.node"), {"last": exact}),
    (pinned("c.node", "r.node", "y.node"), {"first": exact, "made": exact, "last": exact}),
])
def test_fp16_rounds_what_it_should_and_nothing_else(modules, prepare, roundings):
    found = answer(modules, nets.plain(), prepare=prepare)
    assert near(found, by_hand(X, **roundings))
    others = ({}, {"first": exact, "made": exact}, {"last": exact}, {"first": exact, "made": exact, "last": exact})
    same = [other for other in others if other == roundings]
    assert [o for o in others if near(found, by_hand(X, **o))] == same or roundings == {"first": exact, "made": half}


def test_an_fp16_output_is_a_float16_in_a_float32(modules):
    found = answer(modules, nets.plain())
    assert np.array_equal(half(found), found) and not np.array_equal(found, nets.by_runtime(nets.plain(), X))


@pytest.mark.parametrize("value, expected", [(70000.0, np.inf), (-70000.0, -np.inf), (1e-8, 0.0), (65504.0, 65504.0)])
def test_fp16_overflows_and_vanishes_where_float16_does(modules, value, expected):
    content = nets.one("Identity")
    x = np.full(nets.SHAPE, value, np.float32)
    assert np.all(answer(modules, content, x) == np.float32(expected))
    assert np.all(answer(modules, content, x, fp16=False) == np.float32(value))


@pytest.mark.parametrize("content", [
    lambda: nets.one("Resize", "x r s", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                     constants={"r": np.zeros(0, np.float32), "s": np.array([1, 1, 2, 2], np.float32)}),
    lambda: nets.one("Pad", "x p", constants={"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)}),
    lambda: nets.one("Reshape", "x s", constants={"s": np.array([1, -1], np.int64)}),
    lambda: nets.one("Slice", "x a b", constants={
        "a": np.array([0, 1, 0, 0], np.int64), "b": np.array([1, 3, 5, 7], np.int64)}),
    lambda: nets.one("Transpose", perm=[0, 2, 3, 1]), lambda: nets.one("Concat", "x x", axis=1),
    lambda: nets.one("DepthToSpace", inputs=(("x", (1, 4, 6, 8)),), blocksize=2),
    lambda: nets.one("MaxPool", kernel_shape=[2, 2]),
])
def test_operators_that_only_move_numbers_move_rounded_ones(modules, content):
    x = nets.picture() if b"DepthToSpace" not in content() else np.resize(nets.picture(), (1, 4, 6, 8))
    assert np.array_equal(answer(modules, content(), x), half(nets.by_runtime(content(), x)))


def test_a_weight_of_two_layers_is_rounded_for_the_one_that_is_not_pinned(modules):
    content = nets.onnx_bytes([("Mul", "x m", "a", {}), ("Mul", "a m", "y", {})], [("x", nets.SHAPE)], [("y", nets.SHAPE)],
                              {"m": np.array([1.0003], np.float32)})
    m = np.float32(1.0003)
    assert np.array_equal(answer(modules, content, prepare=pinned("a.node")), half(half(X * m) * half(m)))
    assert np.array_equal(answer(modules, content), half(half(half(X) * half(m)) * half(m)))


@pytest.mark.parametrize("name", ["yunet_s", "face_landmark", "mb05", "iris_landmark"])
def test_the_default_networks_differ_by_fp16_and_no_more(modules, stored_network, name):
    with open(stored_network(name).file, "rb") as f:
        content = f.read()
    shape = {"yunet_s": (1, 3, 256, 320), "face_landmark": (1, 3, 192, 192), "mb05": (1, 3, 120, 120),
             "iris_landmark": (2, 3, 64, 64)}[name]
    x = np.random.RandomState(3).uniform(0, 255 if name == "yunet_s" else 1, shape).astype(np.float32)
    expected, found = nets.by_runtime(content, x), answer(modules, content, x)
    assert np.array_equal(half(found), found) and found.shape == expected.shape
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max() + 1e-3
