"""What a TensorRT runner says when it cannot work, one line with the cure each, and that nothing is left behind then."""
import json
import os
import sys
import threading
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the simulator of TensorRT computes with ONNX Runtime")
pytest.importorskip("onnx", reason="the simulator of TensorRT reads networks with onnx")
from fakes import plans as runner_home
from patience import PATIENCE_S

from edge.core.contracts import RGB, Crop
from edge.core.errors import EngineError
from edge.runtimes import choose
from edge.runtimes.choose import open_runner
from edge.runtimes.gpu import plan
from edge.runtimes.gpu.runner import TensorRtRunner
from edge.store import plans

simulator, books = runner_home.simulator, runner_home.books  # fixtures of every test here
CROPS = (Crop(np.array([[0.5, 0.1, 0.0], [-0.1, 0.5, 2.0]]), (16, 12), RGB, 1.0 / 255.0, (0.0, 0.0, 0.0)),) * 2
IMAGE = np.random.RandomState(1).randint(0, 256, (40, 60, 3)).astype(np.uint8)
REBUILD, AGAIN = "run `nanoface build --only iris`", "run `nanoface build --only iris --force`"
FREE = "free memory: stop the desktop (`sudo systemctl isolate multi-user.target`)"
WARM = 5  # executions of a runner before its first frame
BUFFERS = 12000  # bytes of the device: enough for the plan, not for what goes in and out


@pytest.fixture
def network(books, tmp_path):
    network = runner_home.tiny_network(tmp_path / "tiny.onnx")
    runner_home.build(str(tmp_path), network)
    books.ledger.clear()
    return network


def plan_of(home):
    return plans.plan_path(home, "iris", "tiny")


def whole(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)


def cut(home):
    write(plan_of(home), whole(plan_of(home))[:-1000])


def flip(home):
    content = bytearray(whole(plan_of(home)))
    content[len(content) // 2] ^= 0x40
    write(plan_of(home), bytes(content))


def faults(**values):
    return {"NANOFACE_SIM_FAULTS": json.dumps(values)}


def resealed(damage, **changes):
    def do(home, network):
        damage(home)
        runner_home.reseal(home, network, **changes)
    return do


OTHER_SHAPE = [["input", [1, 3, 12, 16]]]
# name: what is done to the store, the environment, what the line must contain
CASES = {
    "no plan": (lambda home, network: [os.remove(plan_of(home)), os.remove(plans.sidecar_path(home, "iris", "tiny"))],
                {}, ["there is no plan of network tiny", REBUILD]),
    "no sidecar": (lambda home, network: os.remove(plans.sidecar_path(home, "iris", "tiny")), {},
                   ["has no sidecar", REBUILD]),
    "a sidecar alone": (lambda home, network: os.remove(plan_of(home)), {}, ["cannot be read", REBUILD]),
    "truncated": (lambda home, network: cut(home), {}, ["cut short or altered", REBUILD]),
    "altered": (lambda home, network: flip(home), {}, ["is corrupt", REBUILD]),
    "of another TensorRT": (None, {"NANOFACE_SIM_TENSORRT": "8.0.1.6"},
                            ["built for TensorRT 8.2.1.8, here is 8.0.1.6", REBUILD]),
    "of another GPU": (None, {"NANOFACE_SIM_GPU": "NVIDIA Tegra X2"}, ["NVIDIA Tegra X1, here is NVIDIA Tegra X2", REBUILD]),
    "of another capability": (None, {"NANOFACE_SIM_CC": "6.2"}, ["compute capability 5.3, here is 6.2", REBUILD]),
    "truncated, with a sidecar": (resealed(cut), {}, ["Size specified in header does not match archive size", AGAIN]),
    "altered, with a sidecar": (resealed(flip), {}, ["Engine deserialization failed", AGAIN]),
    "no plan at all, with a sidecar": (resealed(lambda home: write(plan_of(home), b"<!DOCTYPE html>")), {},
                                       ["Magic tag does not match", AGAIN]),
    "empty, with a sidecar": (resealed(lambda home: write(plan_of(home), b"")), {}, ["Magic tag does not match", AGAIN]),
    "of another TensorRT than its sidecar says": (
        resealed(lambda home: None, tensorrt="8.2.3.0"), {"NANOFACE_SIM_TENSORRT": "8.2.3.0"},
        ["expecting library version 8.2.3 got 8.2.1, please rebuild", AGAIN]),
    "of another GPU than its sidecar says": (
        resealed(lambda home: None, compute_capability="7.2"), {"NANOFACE_SIM_CC": "7.2"},
        ["expecting compute 7.2 got compute 5.3", AGAIN]),
    "of other shapes than its sidecar says": (resealed(lambda home: None, inputs=OTHER_SHAPE), {},
                                              ["input (2, 3, 12, 16), and not those of its sidecar", AGAIN]),
    "with half a sidecar": (resealed(lambda home: None, outputs="features"), {}, ["not those of its sidecar", AGAIN]),
    "no memory for the engine": (None, faults(deserialize_none=["tiny"]), ["does not take", AGAIN, FREE]),
    "no memory for its context": (None, faults(context_none=["tiny"]), ["network tiny ready", "OutOfMemory", FREE]),
    "no memory for a buffer": (None, faults(memory_bytes=BUFFERS), ["opening network tiny", "memory is full", FREE]),
    "no memory for a CUDA context": (None, faults(primary_context=True), ["making a context failed", "memory is full", FREE]),
    "no device": (None, faults(no_device=True), ["CUDA finds no GPU (cuInit failed", "NVIDIA's driver"]),
    "no driver": (None, faults(pycuda_missing=True), ["pycuda.driver does not load (libcuda.so.1", "NVIDIA's driver"]),
    "execute False while warming up": (None, faults(execute_false_from=3), ["TensorRT cannot run network tiny", FREE, AGAIN]),
    "a launch that fails while warming up": (None, faults(launch_error_from=3), [
        "running network tiny failed on the GPU (cuEventSynchronize failed: unspecified launch failure", "power supply"]),
}


@pytest.fixture(params=sorted(CASES))
def case(request, network, tmp_path, monkeypatch):
    """Damages what is there; what must be said of it."""
    damage, environ, texts = CASES[request.param]
    if damage is not None:
        damage(str(tmp_path), network)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(__import__("tensorrt"), "__version__", environ.get("NANOFACE_SIM_TENSORRT", "8.2.1.8"))
    if request.param == "no driver":
        for name in [name for name in sys.modules if name.split(".")[0] == "pycuda"]:
            monkeypatch.delitem(sys.modules, name)
    return texts


@pytest.mark.parametrize("memory", ["pinned", "mapped"])
def test_a_runner_that_cannot_open_says_why_and_what_cures_it_and_leaves_nothing(network, case, memory):
    with closing(TensorRtRunner(network, memory=memory)) as runner:
        runner.close()
        with pytest.raises(EngineError) as caught:
            runner.open()
        text = str(caught.value)
        assert all(part in text for part in case) and "\n" not in text, text
        with pytest.raises(EngineError) as caught:
            runner.submit(IMAGE, CROPS)
        assert "tiny is not open" in str(caught.value)


def test_under_auto_another_runtime_takes_over_and_the_note_reports_it(network, case):
    with closing(open_runner(network, "auto")) as runner:
        runner.open()
        runtime = runner.backend.split()[0]
        assert runtime in choose.AUTO_ORDER and runner.note.endswith("{} instead".format(runtime))
        reported = [part for part in case if "there is no plan" not in part and "nanoface build" not in part]
        assert all(part in runner.note for part in reported) and "\n" not in runner.note, runner.note
        assert np.isfinite(runner.submit(IMAGE, CROPS).result()["features"]).all()


def test_a_plan_of_another_version_of_the_network_is_refused(network):
    with pytest.raises(EngineError) as caught:
        TensorRtRunner(network._replace(sha256="0" * 64)).open()
    assert "another version of tiny" in str(caught.value) and REBUILD in str(caught.value)


@pytest.mark.parametrize("package, cure", [("tensorrt", "python3-libnvinfer"), ("pycuda", "setup.sh")])
def test_a_package_that_is_missing_is_named_with_what_installs_it(network, monkeypatch, package, cure):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError) as caught:
        TensorRtRunner(network).open()
    assert "{} is not installed".format(package) in str(caught.value) and cure in str(caught.value)


def test_a_network_that_is_not_float32_is_refused(books, tmp_path):
    network = runner_home.tiny_network(tmp_path / "tiny.onnx")
    runner_home.build(str(tmp_path), network)
    from tensorrt import DataType, ICudaEngine

    for changes, text in (({"get_binding_dtype": lambda self, i: DataType.HALF}, "not float32"),
                          ({"get_binding_shape": lambda self, i: (-1, 3, 12, 16)}, "(?, 3, 12, 16)"),
                          ({"binding_is_input": lambda self, i: False}, "has the inputs , and not those of its sidecar")):
        with pytest.MonkeyPatch.context() as patched:
            for name, change in changes.items():
                patched.setattr(ICudaEngine, name, change)
            with pytest.raises(EngineError) as caught:
                TensorRtRunner(network).open()
        assert text in str(caught.value) and AGAIN in str(caught.value) and "models fetch" not in str(caught.value)


def opened(network, monkeypatch, home, kernel, environ=None):
    if kernel:
        runner_home.write_cubin(home)
    for name, value in (environ or {}).items():
        monkeypatch.setenv(name, value)
    runner = open_runner(network, "auto")
    runner.open()
    assert runner.backend.startswith("tensorrt"), runner.note
    return runner


@pytest.mark.parametrize("kernel", [False, True])
def test_execute_false_in_the_middle_of_a_run_is_an_error_also_under_auto(network, monkeypatch, tmp_path, kernel):
    runner = opened(network, monkeypatch, str(tmp_path), kernel, faults(execute_false_from=WARM + 3))
    for _ in range(2):
        runner.submit(IMAGE, CROPS).result()
    for _ in range(2):
        with pytest.raises(EngineError) as caught:
            runner.submit(IMAGE, CROPS)
        text = str(caught.value)
        assert "TensorRT cannot run network tiny" in text and "asked for by NANOFACE_SIM_FAULTS" in text and FREE in text
    monkeypatch.delenv("NANOFACE_SIM_FAULTS")
    assert np.isfinite(runner.submit(IMAGE, CROPS).result()["features"]).all()
    runner.close()


@pytest.mark.parametrize("kernel", [False, True])
def test_a_launch_that_fails_shows_in_the_result_and_everything_still_closes(network, monkeypatch, tmp_path, kernel):
    launches = 3 if kernel else 1  # of one submit
    runner = opened(network, monkeypatch, str(tmp_path), kernel, faults(launch_error_from=launches * (WARM + 2)))
    runner.submit(IMAGE, CROPS).result()
    ticket = runner.submit(IMAGE, CROPS)
    for call in (ticket.result, lambda: runner.submit(IMAGE, CROPS).result(), lambda: runner.submit(IMAGE, CROPS)):
        with pytest.raises(EngineError) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert "running network tiny failed on the GPU" in str(caught.value) and "power supply" in str(caught.value)
    runner.close()
    runner.close()


@pytest.mark.parametrize("damage, text", [
    (lambda home: None, "crops on the CPU: the crop kernel was not built for this board: run `nanoface build`"),
    (lambda home: runner_home.write_cubin(home, "sm_62"), "built for sm_62, the GPU here is sm_53: run `nanoface build`"),
    (lambda home: [runner_home.write_cubin(home), write(os.path.join(home, "plans", plans.CUBIN), b"x")],
     "it was cut short or altered: run `nanoface build`"),
    (lambda home: runner_home.write_cubin(home, content=b"\x7fELF and no more"), "the crop kernel does not load"),
], ids=["missing", "of another GPU", "altered", "no cubin"])
def test_without_a_usable_kernel_the_cpu_makes_the_crops_and_the_note_says_why(network, tmp_path, damage, text):
    damage(str(tmp_path))
    runner = TensorRtRunner(network)
    runner.open()
    assert text in runner.note and runner.note.startswith("crops on the CPU: ") and "\n" not in runner.note
    assert np.isfinite(runner.submit(IMAGE, CROPS).result()["features"]).all()
    runner.close()
    quiet = TensorRtRunner(network, crops="cpu")
    quiet.open()
    assert quiet.note == ""
    quiet.close()


def test_a_thread_that_fails_leaves_the_others_their_context(network, monkeypatch):
    runner = TensorRtRunner(network)
    runner.open()
    output = []

    def fail():
        monkeypatch.setenv("NANOFACE_SIM_FAULTS", json.dumps({"context_none": ["tiny"]}))
        try:
            TensorRtRunner(network).open()
        except EngineError as e:
            output.append(str(e))
        monkeypatch.delenv("NANOFACE_SIM_FAULTS")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join(PATIENCE_S)
    assert len(output) == 1 and FREE in output[0]
    assert np.isfinite(runner.submit(IMAGE, CROPS).result()["features"]).all()
    runner.close()


def test_the_logger_keeps_each_threads_errors_apart_and_never_raises(books):
    import tensorrt as trt

    log = plan.log_of(trt)
    assert plan.log_of(trt) is log
    plan.forget_errors(trt)

    class Unspeakable:
        def __eq__(self, other):
            raise KeyboardInterrupt

    for severity, text in ((trt.Logger.WARNING, "a warning"), (Unspeakable(), "x"), (trt.Logger.ERROR, "first\n cause"),
                           (trt.Logger.INTERNAL_ERROR, None), (trt.Logger.ERROR, "second")):
        log.log(severity, text)
    thread = threading.Thread(target=lambda: log.log(trt.Logger.ERROR, "elsewhere"))
    thread.start()
    thread.join()
    assert plan.last_errors(trt) == "first cause None second"
    for _ in range(100):
        log.log(trt.Logger.ERROR, "long " * 100)
    assert len(plan.last_errors(trt)) == plan.LONGEST
    plan.forget_errors(trt)
    assert plan.last_errors(trt) == "TensorRT does not say why"
