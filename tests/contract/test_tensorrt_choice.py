"""When TensorRT runs a network, when it does not and what is said then. No TensorRT is needed: the choice imports none."""
import json
import os

import numpy as np
import pytest
from fakes.recorded import RecordedRunner

from edge.core.contracts import Crop, Runner, Tensor
from edge.core.errors import ConfigError, EngineError, ModelError
from edge.runtimes import choose
from edge.runtimes.choose import open_runner
from edge.runtimes.cpu.onnx import OnnxRunner
from edge.runtimes.cpu.openvino import OpenVinoRunner
from edge.runtimes.fallback import FallbackRunner
from edge.runtimes.gpu.runner import TensorRtRunner
from edge.store import plans
from edge.store.models import StoredNetwork

NETWORK = StoredNetwork("tiny", "tiny.onnx", "tiny.onnx", {}, "align", "5" * 64)
SIDECAR = {"schema": 1, "role": "align", "network": "tiny", "sha256": "a" * 64, "size": 4, "onnx_sha256": "5" * 64,
           "tensorrt": "8.2.1.8", "gpu": "NVIDIA Tegra X1", "compute_capability": "5.3", "precision": "fp16"}
WHOLE = json.dumps(SIDECAR)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Says which packages can be imported; the store of plans is an empty folder."""
    monkeypatch.setenv("NANOFACE_HOME", str(tmp_path))
    found = choose.find_spec

    def packages(*names):
        monkeypatch.setattr(choose, "find_spec", lambda name: found(name) if name.startswith("edge") else
                            name in names or None)
    return packages


@pytest.fixture
def built(tmp_path):
    """Writes a plan and its sidecar, or what is left of one; `sidecar` as text, None for none."""
    def write(sidecar=WHOLE, plan=b"plan"):
        os.makedirs(plans.plans_dir(str(tmp_path)))
        if plan is not None:
            with open(plans.plan_path(str(tmp_path), "align", "tiny"), "wb") as f:
                f.write(plan)
        if sidecar is not None:
            with open(plans.sidecar_path(str(tmp_path), "align", "tiny"), "w") as f:
                f.write(sidecar)
    return write


BOARD = ("tensorrt", "pycuda")


def test_without_tensorrt_it_is_not_mentioned(installed, built):
    built()
    for packages, kind in ((("openvino", "onnxruntime"), OpenVinoRunner), (("onnxruntime", "pycuda"), OnnxRunner)):
        installed(*packages)
        runner = open_runner(NETWORK, "auto")
        assert type(runner) is kind and runner.note == ""


def test_a_plan_is_preferred_and_another_runtime_stands_by(installed, built):
    built()
    installed("openvino", "onnxruntime", *BOARD)
    runner = open_runner(NETWORK, "auto")
    assert isinstance(runner, FallbackRunner) and runner.model == "tiny" and runner.note == ""


def test_where_nothing_stands_by_the_plan_is_all_there_is(installed, built):
    built()
    installed(*BOARD)
    assert type(open_runner(NETWORK, "auto")) is TensorRtRunner


@pytest.mark.parametrize("packages, left, note", [
    (BOARD, None, "no plan of tiny (run `nanoface build`): onnxruntime instead"),
    (BOARD, {"sidecar": None}, "has no sidecar align-tiny.json: run `nanoface build --only align`: onnxruntime instead"),
    (BOARD, {"sidecar": "{"}, "cannot be read"),
    (BOARD, {"sidecar": json.dumps(dict(SIDECAR, schema=2))}, "is damaged: run `nanoface build --only align`"),
    (BOARD, {"sidecar": json.dumps(dict(SIDECAR, network="other"))}, "is damaged: run `nanoface build --only align`"),
    (("tensorrt",), {}, "pycuda is not installed (run `sh setup.sh` (docs/jetson-nano.md)): onnxruntime instead"),
], ids=["no plan", "no sidecar", "half a sidecar", "another schema", "of another network", "no pycuda"])
def test_without_a_usable_plan_another_runtime_runs_and_says_why(installed, built, packages, left, note):
    if left is not None:
        built(**left)
    installed("onnxruntime", *packages)
    runner = open_runner(NETWORK, "auto")
    assert type(runner) is OnnxRunner and note in runner.note and "\n" not in runner.note
    installed(*packages)
    with pytest.raises(EngineError) as caught:
        open_runner(NETWORK, "auto")
    assert note.replace(": onnxruntime instead", "") in str(caught.value)
    assert "no other runtime is installed" in str(caught.value)


def test_asked_for_by_name_tensorrt_is_taken_or_refused_with_what_installs_it(installed):
    installed("onnxruntime", *BOARD)
    runner = open_runner(NETWORK, "tensorrt", memory="mapped", crops="cpu")
    assert type(runner) is TensorRtRunner and runner.model == "tiny"
    installed("onnxruntime")
    with pytest.raises(EngineError) as caught:
        open_runner(NETWORK, "tensorrt")
    assert "tensorrt is not installed: sudo apt install python3-libnvinfer" in str(caught.value)


@pytest.mark.parametrize("options, text", [
    ({"memory": "managed"}, "models.memory must be pinned or mapped, not managed"),
    ({"crops": "gpu"}, "models.crops must be auto or cpu, not gpu"),
    ({"graphs": "on"}, "models.graphs must be auto or off, not on"),
])
def test_a_kind_of_memory_or_crops_that_nobody_knows_is_refused(installed, options, text):
    installed(*BOARD)
    with pytest.raises(ConfigError) as caught:
        open_runner(NETWORK, "tensorrt", **options)
    assert str(caught.value) == text


class Broken(Runner):
    """Does not open."""

    closed = 0

    def __init__(self, error):
        self.error = error

    def open(self):
        raise self.error

    def submit(self, image, crops):
        raise AssertionError("it is not open")

    def infer(self, feeds):
        raise AssertionError("it is not open")

    def close(self):
        self.closed += 1


class Timed(RecordedRunner):
    """Knows how long its device was at work."""

    run_s = 0.25

    def take_device_ms(self):
        return [1.5]


CROPS = (Crop(np.eye(2, 3), (8, 8), "rgb", 1.0, (0.0, 0.0, 0.0)),)
IMAGE = np.zeros((8, 8, 3), np.uint8)


def whole(kind=RecordedRunner, name="tiny"):
    return kind(name, (Tensor("input", (1, 3, 8, 8)),), (Tensor("score", (1,)),), lambda crops, image: {"score": [0.5]})


def test_the_first_that_opens_is_what_the_runner_is():
    inner = whole(Timed)
    runner = FallbackRunner("tiny", [("tensorrt", lambda: inner), ("openvino", lambda: pytest.fail("not needed"))])
    assert runner.take_device_ms() == () and runner.run_s == 0.0
    runner.open()
    assert runner.submit == inner.submit and runner.infer == inner.infer, "a detour at every frame"
    assert (runner.backend, runner.note) == ("recorded", "") and runner.inputs == inner.inputs
    assert runner.submit(IMAGE, CROPS).result()["score"].tolist() == [0.5]
    assert list(runner.take_device_ms()) == [1.5] and runner.run_s == 0.0
    runner.close()


def test_a_plan_that_does_not_open_leaves_its_network_to_the_next_and_the_note_says_why():
    error = EngineError("align-tiny.plan was built for TensorRT 8.0.1, here is 8.2.1: run `nanoface build --only align`")
    runner = FallbackRunner("tiny", [("tensorrt", lambda: Broken(error)), ("openvino", whole)])
    for _ in range(2):
        runner.open()
        assert runner.note == "{}; openvino instead".format(error) and runner.backend == "recorded"
        assert runner.submit(IMAGE, CROPS).result()["score"].tolist() == [0.5]
        runner.close()
        runner.close()
        assert runner.backend == "recorded" and runner.note


@pytest.mark.parametrize("last", [EngineError("no such runtime"), ModelError("tiny.onnx is missing")])
def test_where_none_opens_the_last_one_says_what_is_wrong(last):
    runner = FallbackRunner("tiny", [("tensorrt", lambda: Broken(EngineError("no plan"))), ("openvino", lambda: Broken(last))])
    with pytest.raises(ModelError) as caught:
        runner.open()
    assert caught.value is last
    runner.close()


def test_what_no_other_runtime_would_cure_is_not_hidden_by_one():
    wrong = ModelError("the network is not what the manifest says")
    runner = FallbackRunner("tiny", [("tensorrt", lambda: Broken(wrong)), ("openvino", whole)])
    with pytest.raises(ModelError) as caught:
        runner.open()
    assert caught.value is wrong


def test_it_works_between_open_and_close_only():
    runner = FallbackRunner("tiny", [("tensorrt", whole)])
    for _ in range(2):
        for call in (lambda: runner.submit(IMAGE, CROPS), lambda: runner.infer({})):
            with pytest.raises(EngineError) as caught:
                call()
            assert "tiny is not open" in str(caught.value)
        runner.open()
        runner.close()


def test_a_failure_in_the_middle_of_a_run_is_not_covered_up():
    class Failing(RecordedRunner):
        def submit(self, image, crops):
            raise EngineError("TensorRT cannot run network tiny")

    runner = FallbackRunner("tiny", [("tensorrt", lambda: whole(Failing)), ("openvino", whole)])
    runner.open()
    with pytest.raises(EngineError) as caught:
        runner.submit(IMAGE, CROPS)
    assert "cannot run" in str(caught.value)
    runner.close()
