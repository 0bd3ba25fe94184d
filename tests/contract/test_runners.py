"""What every runner promises to the stage above it, and what each says when it cannot keep it."""
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from fakes.recorded import RecordedRunner
from patience import PATIENCE_S

from edge.core.contracts import BGR, REPLICATE, RGB, Crop, Tensor
from edge.core.errors import ConfigError, EngineError, FrameError, ModelError
from edge.host.packages import fastest_runtime, install
from edge.models.warp import Warper
from edge.runtimes import choose
from edge.runtimes.choose import open_runner
from edge.runtimes.cpu.onnx import OnnxRunner
from edge.runtimes.cpu.openvino import OpenVinoRunner
from edge.store.models import StoredNetwork

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FROM_FILES = {"onnxruntime": OnnxRunner, "openvino": OpenVinoRunner}
BATCH, HEIGHT, WIDTH, CHANNELS = 2, 12, 16, 4
INPUT = Tensor("input", (BATCH, 3, HEIGHT, WIDTH))
OUTPUTS = (Tensor("features", (BATCH, CHANNELS, HEIGHT, WIDTH)), Tensor("mean", (BATCH, CHANNELS, 1, 1)),
           Tensor("raw", (BATCH, CHANNELS, HEIGHT, WIDTH)))
_random = np.random.RandomState(7)
WEIGHT = _random.uniform(-1, 1, (CHANNELS, 3)).astype(np.float32)
BIAS = _random.uniform(-1, 1, CHANNELS).astype(np.float32)
SLOPE = np.array([0.25, -0.5, 1.5, 0.0], np.float32)  # of PReLU; a trained one can be negative, or greater than 1


def reference(batch):
    """The tiny network in numpy: 1x1 convolution (raw), PReLU (features), mean."""
    x = np.einsum("oc,bchw->bohw", WEIGHT.astype(np.float64), batch) + BIAS.reshape(-1, 1, 1)
    features = np.where(x > 0, x, x * SLOPE.reshape(-1, 1, 1))
    return {"features": features, "mean": features.mean(axis=(2, 3), keepdims=True), "raw": x}


def frame(seed=0):
    image = np.random.RandomState(seed).randint(0, 256, (40, 60, 3)).astype(np.uint8)
    image.flags.writeable = False
    return image


def crops(shift=0.0):
    turned = np.array([[0.5, 0.1, shift], [-0.1, 0.5, 2.0]])
    upright = np.array([[0.3, 0.0, -1.0], [0.0, 0.3, shift]])
    return (Crop(turned, (WIDTH, HEIGHT), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0)),
            Crop(upright, (WIDTH, HEIGHT), BGR, 1.0 / 128.0, (-1.0, -1.0, -1.0), REPLICATE))


def warped(image, asked):
    batch = np.zeros(INPUT.shape, np.float32)
    for crop, part in zip(asked, batch):
        Warper().fill(image, crop, part)
    return batch


def network_file(path, shape=INPUT.shape, inputs=1, kind="FLOAT"):
    """The tiny network as a file, or one like it that a runner must refuse."""
    onnx = pytest.importorskip("onnx")
    numpy_helper = pytest.importorskip("onnx.numpy_helper")
    helper, element = onnx.helper, getattr(onnx.TensorProto, kind)
    feeds = [helper.make_tensor_value_info("input{}".format(i or ""), element, shape) for i in range(inputs)]
    weights = {}
    if (shape, inputs, kind) == (INPUT.shape, 1, "FLOAT"):
        weights = {"weight": WEIGHT.reshape(CHANNELS, 3, 1, 1), "bias": BIAS, "slope": SLOPE.reshape(CHANNELS, 1, 1)}
        nodes = [helper.make_node("Conv", ["input", "weight", "bias"], ["conv"]),
                 helper.make_node("Identity", ["conv"], ["raw"]),
                 helper.make_node("PRelu", ["conv", "slope"], ["features"]),
                 helper.make_node("GlobalAveragePool", ["features"], ["mean"])]
        results = [helper.make_tensor_value_info(t.name, element, t.shape) for t in OUTPUTS]
    else:
        nodes = [helper.make_node("Relu", ["input"], ["positive"]),
                 helper.make_node("Sum", ["positive"] + [f.name for f in feeds[1:]], ["features"])]
        results = [helper.make_tensor_value_info("features", element, shape)]
    constants = [numpy_helper.from_array(w, name) for name, w in weights.items()]
    model = helper.make_model(helper.make_graph(nodes, "tiny", feeds, results, constants),
                              opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    with open(str(path), "wb") as f:
        f.write(model.SerializeToString())
    return stored(path)


def stored(path):
    return StoredNetwork("tiny", str(path), str(path), {})


def recorded():
    def answer(asked, image):
        return reference(warped(image, asked) if asked else image["input"])
    return RecordedRunner("tiny", (INPUT,), OUTPUTS, answer)


@pytest.fixture(params=["recorded"] + sorted(FROM_FILES))
def make(request, tmp_path):
    """Makes runners of the tiny network, not open yet."""
    if request.param == "recorded":
        return recorded
    pytest.importorskip(request.param)
    network = network_file(tmp_path / "tiny.onnx")
    return lambda: FROM_FILES[request.param](network)


@pytest.fixture
def runner(make):
    runner = make()
    runner.open()
    yield runner
    runner.close()


@pytest.fixture(params=sorted(FROM_FILES))
def from_file(request):
    """The class of a runner that reads files, where its runtime is installed."""
    pytest.importorskip(request.param)
    return FROM_FILES[request.param]


def assert_matches(outputs, batch):
    expected = reference(batch)
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        assert outputs[name].dtype == np.float32 and outputs[name].shape == values.shape
        np.testing.assert_allclose(outputs[name], values, atol=2e-5)


def test_an_open_runner_says_what_it_runs_on_and_what_goes_in_and_out(runner):
    assert runner.model == "tiny" and runner.backend.split()[0] in ("recorded", "onnxruntime", "openvino")
    assert runner.inputs == (INPUT,) and set(runner.outputs) == set(OUTPUTS)


def test_submit_runs_the_network_on_the_crops_of_a_read_only_frame(runner):
    for seed in (1, 2):
        assert_matches(runner.submit(frame(seed), crops(seed)).result(), warped(frame(seed), crops(seed)))


def test_infer_runs_the_network_on_a_ready_made_batch_and_leaves_it_as_it_was(runner):
    batch = np.random.RandomState(3).uniform(-2, 2, INPUT.shape).astype(np.float32)
    before = batch.copy()
    assert_matches(runner.infer({"input": batch}), batch)
    assert np.array_equal(batch, before)


def test_submit_and_infer_agree_to_the_last_bit(runner):
    crop = {name: values.copy() for name, values in runner.submit(frame(), crops()).result().items()}
    batch = runner.infer({"input": warped(frame(), crops())})
    assert all(np.array_equal(crop[name], batch[name]) for name in crop)


def test_a_result_holds_until_the_next_submit_whatever_other_runners_do(make, runner):
    other = make()
    other.open()
    ticket = runner.submit(frame(1), crops())
    other.submit(frame(2), crops()).result()
    assert_matches(ticket.result(), warped(frame(1), crops()))
    other.close()
    assert_matches(ticket.result(), warped(frame(1), crops()))


def test_time_in_the_network_is_added_up_from_open_on(make):
    runner = make()
    runner.open()
    assert runner.run_s == 0.0
    if runner.backend == "recorded":
        return
    spent = [runner.run_s for _ in range(3) if runner.submit(frame(), crops())]
    assert 0.0 < spent[0] < spent[1] < spent[2]
    runner.infer({"input": warped(frame(), crops())})
    assert runner.run_s > spent[2]


def test_two_runners_work_in_two_threads_at_the_same_time(make):
    wrong, barrier = [], threading.Barrier(2, timeout=PATIENCE_S)

    def work(seed):
        runner = make()
        runner.open()
        barrier.wait()
        for i in range(40):
            outputs = runner.submit(frame(seed + i), crops(i % 5)).result()
            expected = reference(warped(frame(seed + i), crops(i % 5)))
            if any(np.abs(outputs[name] - values).max() > 2e-5 for name, values in expected.items()):
                wrong.append((seed, i))
        runner.close()
        barrier.wait()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not wrong and not barrier.broken and not any(t.is_alive() for t in threads)


@pytest.mark.parametrize("feeds, text", [
    ({}, "none"),
    ({"image": np.zeros(INPUT.shape, np.float32)}, "image"),
    ({"input": np.zeros(INPUT.shape, np.float32), "mask": np.zeros(1, np.float32)}, "mask"),
    ({"input": np.zeros(INPUT.shape, np.float64)}, "float64"),
    ({"input": np.zeros(INPUT.shape, np.uint8)}, "uint8"),
    ({"input": np.zeros((1,) + INPUT.shape[1:], np.float32)}, "(1, 3, 12, 16)"),
    ({"input": np.zeros((BATCH, HEIGHT, WIDTH, 3), np.float32)}, "(2, 12, 16, 3)"),
], ids=["nothing", "other name", "one too many", "doubles", "bytes", "other batch", "channels last"])
def test_infer_names_what_does_not_fit_and_works_on(runner, feeds, text):
    with pytest.raises(ModelError) as caught:
        runner.infer(feeds)
    assert text in str(caught.value) and "tiny" in str(caught.value) and "\n" not in str(caught.value)
    assert_matches(runner.submit(frame(), crops()).result(), warped(frame(), crops()))


@pytest.mark.parametrize("asked, text", [
    ((), "2 crops at a time, not 0"),
    (crops()[:1], "2 crops at a time, not 1"),
    (crops() + crops(), "2 crops at a time, not 4"),
    ((crops()[0], crops()[1]._replace(size=(12, 16))), "16x12 pixels, not 12x16"),
])
def test_submit_names_what_does_not_fit_and_works_on(runner, asked, text):
    with pytest.raises(ModelError) as caught:
        runner.submit(frame(), asked)
    assert text in str(caught.value) and "tiny" in str(caught.value)
    assert_matches(runner.submit(frame(), crops()).result(), warped(frame(), crops()))


def test_a_picture_that_cannot_be_cropped_costs_one_frame_only(runner):
    with pytest.raises(FrameError):
        runner.submit(np.zeros((40, 60), np.uint8), crops())
    assert_matches(runner.submit(frame(), crops()).result(), warped(frame(), crops()))


def test_a_runner_works_between_open_and_close_only_and_may_be_opened_again(make):
    runner = make()
    feeds = {"input": warped(frame(), crops())}
    for _ in range(2):
        for call in (lambda: runner.submit(frame(), crops()), lambda: runner.infer(feeds)):
            with pytest.raises(EngineError) as caught:
                call()
            assert "tiny is not open" in str(caught.value)
        runner.open()
        outputs = runner.submit(frame(), crops()).result()
        runner.close()
        runner.close()
        assert_matches(outputs, feeds["input"])


@pytest.mark.parametrize("damage", [
    lambda path, whole: os.remove(path),
    lambda path, whole: (os.remove(path), os.mkdir(path)),
    lambda path, whole: open(path, "wb").close(),
    lambda path, whole: open(path, "wb").write(whole[: len(whole) // 2]),
    lambda path, whole: open(path, "wb").write(b"<!DOCTYPE html><title>404</title>"),
    lambda path, whole: open(path, "wb").write(whole.replace(b"GlobalAveragePool", b"GlobalAveragePuul")),
], ids=["missing", "a folder", "empty", "truncated", "not a network", "of unknown operators"])
def test_a_file_that_is_no_network_is_one_line_with_its_path_and_the_cure(from_file, tmp_path, damage):
    network = network_file(tmp_path / "tiny.onnx")
    with open(network.file, "rb") as f:
        whole = f.read()
    damage(network.file, whole)
    runner = from_file(network)
    with pytest.raises(ModelError) as caught:
        runner.open()
    text = str(caught.value)
    assert network.file in text and "nanoface models fetch" in text and "\n" not in text
    runner.close()


@pytest.mark.parametrize("options, text", [
    ({"shape": (BATCH, 3, "height", WIDTH)}, "input of network tiny is (2, 3, ?, 16)"),
    ({"shape": ("n", 3, HEIGHT, WIDTH)}, "input of network tiny is (?, 3, 12, 16)"),
    ({"kind": "DOUBLE"}, "not float32"),
], ids=["any height", "any batch", "doubles"])
def test_a_network_that_is_not_float32_of_one_size_is_refused_by_name(from_file, tmp_path, options, text):
    runner = from_file(network_file(tmp_path / "other.onnx", **options))
    with pytest.raises(ModelError) as caught:
        runner.open()
    assert text in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(EngineError):
        runner.submit(frame(), crops())


@pytest.mark.parametrize("options, text", [
    ({"shape": (BATCH, 3, HEIGHT)}, "input (2, 3, 12)"),
    ({"shape": (BATCH, 1, HEIGHT, WIDTH)}, "input (2, 1, 12, 16)"),
    ({"shape": (BATCH, HEIGHT, WIDTH, 3)}, "input (2, 12, 16, 3)"),
    ({"shape": (146,)}, "input (146,)"),
    ({"inputs": 2}, "input1 (2, 3, 12, 16)"),
], ids=["three axes", "grey", "channels last", "a vector", "two inputs"])
def test_a_network_that_sees_no_pictures_is_run_on_tensors_and_takes_no_crops(from_file, tmp_path, options, text):
    runner = from_file(network_file(tmp_path / "other.onnx", **options))
    runner.open()
    random = np.random.RandomState(4)
    for _ in range(2):
        feeds = {t.name: random.uniform(-2, 2, t.shape).astype(np.float32) for t in runner.inputs}
        expected = np.maximum(feeds["input"], 0) + sum(values for name, values in feeds.items() if name != "input")
        np.testing.assert_allclose(runner.infer(feeds)["features"], expected, rtol=1e-6)
    with pytest.raises(ModelError) as caught:
        runner.submit(frame(), crops())
    assert "tiny takes no crops" in str(caught.value) and text in str(caught.value) and "\n" not in str(caught.value)
    np.testing.assert_allclose(runner.infer(feeds)["features"], expected, rtol=1e-6)
    assert runner.run_s > 0.0
    runner.close()


def test_tensors_of_other_names_numbers_and_shapes_are_named_one_input_or_several(from_file, tmp_path):
    runner = from_file(network_file(tmp_path / "other.onnx", shape=(1, 146, 2), inputs=2))
    runner.open()
    good = np.zeros((1, 146, 2), np.float32)
    for feeds, text in (({"input": good}, "input, input1, not input"), ({"input": good, "input1": good[0]}, "(146, 2) float")):
        with pytest.raises(ModelError) as caught:
            runner.infer(feeds)
        assert text in str(caught.value)
    runner.close()


@pytest.mark.parametrize("name", sorted(FROM_FILES))
def test_a_runtime_that_is_not_installed_is_named_with_the_command_that_installs_it(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "tiny.onnx").write_bytes(b"never read")
    network = stored(tmp_path / "tiny.onnx")
    for call in (lambda: open_runner(network, name), FROM_FILES[name](network).open):
        with pytest.raises(EngineError) as caught:
            call()
        assert str(caught.value) == "{} is not installed: {}".format(name, install(name))


@pytest.mark.parametrize("name", sorted(FROM_FILES))
@pytest.mark.parametrize("code, text", [
    ("raise ImportError('libtbb.so.12: cannot open shared object file')", "libtbb.so.12"),
    ("import a_package_that_nobody_has", "a_package_that_nobody_has"),
])
def test_a_runtime_that_does_not_load_says_why_and_how_to_install_it(name, code, text, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text(code)
    for loaded in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tiny.onnx").write_bytes(b"never read")
    with pytest.raises(EngineError) as caught:
        open_runner(stored(tmp_path / "tiny.onnx"), name).open()
    assert text in str(caught.value) and install(name) in str(caught.value)


@pytest.mark.parametrize("installed, chosen", [
    (("openvino", "onnxruntime"), OpenVinoRunner), (("onnxruntime",), OnnxRunner), (("openvino",), OpenVinoRunner)])
def test_auto_takes_the_fastest_runtime_that_is_installed(installed, chosen, monkeypatch):
    found = choose.find_spec
    monkeypatch.setattr(choose, "find_spec", lambda n: found(n) if n.startswith("edge") else n in installed or None)
    assert type(open_runner(stored("nowhere.onnx"), "auto")) is chosen


def test_where_no_runtime_is_installed_auto_names_the_fastest_that_can_be(monkeypatch):
    found = choose.find_spec
    monkeypatch.setattr(choose, "find_spec", lambda name: found(name) if name.startswith("edge") else None)
    with pytest.raises(EngineError) as caught:
        open_runner(stored("nowhere.onnx"), "auto")
    assert str(caught.value) == "no runtime is installed: " + install(fastest_runtime())


@pytest.mark.parametrize("runtime, text", [("tensorflow", "onnxruntime or openvino"), ("", "auto")])
def test_a_runtime_that_nobody_knows_is_refused_with_those_that_there_are(runtime, text):
    with pytest.raises(ConfigError) as caught:
        open_runner(stored("nowhere.onnx"), runtime)
    assert text in str(caught.value)


def test_choosing_a_runtime_imports_none(tmp_path):
    pytest.importorskip("onnxruntime")
    code = ("import sys; from edge.store.models import StoredNetwork; from edge.runtimes.choose import open_runner;"
            "open_runner(StoredNetwork('a', 'a', 'a', {}), 'auto');"
            "sys.exit(sorted(m for m in sys.modules if m in ('onnxruntime', 'openvino', 'tensorrt', 'pycuda')) or 0)")
    assert subprocess.call([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ, PYTHONPATH=ROOT)) == 0


def test_a_recording_answers_in_order_keeps_what_it_was_asked_and_then_ends():
    answers = [{"score": np.array([i], np.float32)} for i in range(2)]
    runner = RecordedRunner("tiny", (INPUT,), (Tensor("score", (1,)),), answers)
    runner.open()
    image = frame()
    assert [runner.submit(image, crops(i)).result()["score"].tolist() for i in range(2)] == [[0.0], [1.0]]
    assert [len(asked) for asked, _ in runner.asked] == [2, 2] and runner.asked[1][1] is image
    assert runner.asked[1][0][0].matrix[0, 2] == 1.0
    with pytest.raises(EngineError) as caught:
        runner.submit(image, crops())
    assert "ends after 2 answers" in str(caught.value)


def test_a_recording_spoils_its_last_answer_so_that_a_stage_that_kept_it_is_found_out():
    runner = recorded()
    runner.open()
    kept = runner.submit(frame(1), crops()).result()["features"]
    assert np.isfinite(kept).all()
    runner.submit(frame(2), crops())
    assert np.isnan(kept).all()


def test_loading_a_network_leaves_the_threads_signal_stack_alone(tmp_path):
    """OpenVINO gives the thread one that it frees: the next signal would end the process."""
    pytest.importorskip("openvino")
    import ctypes

    from edge.runtimes.cpu.openvino import _Stack

    def now():
        stack = _Stack()
        ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
        return stack.start, stack.flags, stack.size

    before = now()
    runner = FROM_FILES["openvino"](network_file(tmp_path / "tiny.onnx"))
    runner.open()
    assert now() == before
    runner.close()
