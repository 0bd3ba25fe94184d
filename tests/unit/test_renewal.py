"""What a tracker does about engines that do not fit: the request, the wait, and the report."""
import json
import os
import threading
import time
from types import SimpleNamespace

import pytest

from edge.host.disk import one_builder
from edge.store import plans, renewal
from edge.store.models import sha256_of

OLD, NEW = "8.2.1.8", "8.2.5.1"
ROLES = {"detect": "yunet_s", "align": "face_landmark", "pose": "mb05", "iris": "iris_landmark"}


def configuration(runtime="auto", rebuild="auto", chosen=(), **roles):
    models = {role: roles.get(role, (name,)) for role, name in ROLES.items()}
    return SimpleNamespace(models=SimpleNamespace(runtime=runtime, **models), engines=SimpleNamespace(rebuild=rebuild),
                           chosen=chosen)


class Board:
    """Files of a store, and packages that only have a version."""

    def __init__(self, folder):
        self.packages, self.home = folder / "packages", str(folder / "home")
        self.request = str(folder / "request")
        for name in ("onnx", "plans"):
            os.makedirs(os.path.join(self.home, name))
        networks = {}
        for role, name in ROLES.items():
            path = os.path.join(self.home, "onnx", name + ".onnx")
            with open(path, "w") as f:
                f.write(name)
            networks[name] = {"role": role, "file": name + ".onnx", "sha256": sha256_of(path)}
        self.networks = networks
        with open(os.path.join(self.home, "onnx", "index.json"), "w") as f:
            json.dump({"schema": 1, "networks": networks}, f)
        for role in ROLES:
            self.plan(role, OLD)

    def tensorrt(self, text):
        for name, content in (("tensorrt", text), ("pycuda", "")):
            (self.packages / name).mkdir(parents=True, exist_ok=True)
            (self.packages / name / "__init__.py").write_text(content)

    def plan(self, role, version):
        name = ROLES[role]
        path = plans.plan_path(self.home, role, name)
        with open(path, "w") as f:
            f.write("plan for " + version)
        with open(plans.sidecar_path(self.home, role, name), "w") as f:
            json.dump(dict(schema=1, role=role, network=name, sha256=sha256_of(path), size=os.path.getsize(path),
                           onnx_sha256=self.networks[name]["sha256"], tensorrt=version, gpu="NVIDIA Tegra X1",
                           compute_capability="5.3", precision="fp16"), f)

    def need(self, **config):
        return renewal.need(self.home, configuration(**config))

    def settle(self, config=None, waiting=lambda text: None, stopped=lambda: False):
        return renewal.settle(self.home, config or configuration(), {renewal.REQUEST: self.request}, waiting, stopped)


@pytest.fixture
def board(tmp_path, monkeypatch):
    made = Board(tmp_path)
    made.tensorrt('__version__ = "{}"\n'.format(OLD))
    monkeypatch.syspath_prepend(str(made.packages))
    monkeypatch.setenv("PYTHONPATH", str(made.packages))
    monkeypatch.setattr(renewal, "POLL_S", 0.01)
    return made


def test_what_fits_is_left_alone_and_nobody_is_asked(board):
    assert board.need() == renewal.Need(OLD, board.need().networks, ())
    assert board.settle(waiting=lambda text: pytest.fail(text)) == "" and not os.path.exists(board.request)


@pytest.mark.parametrize("version", ['__version__ = "8.2.5.1"', "__version__ = '8.2.5.1'", '__version__ = ".".join("8251")'])
def test_another_release_of_tensorrt_makes_all_engines_unfit(board, version):
    board.tensorrt(version + "\n")
    found = board.need()
    assert found.tensorrt == NEW and len(found.why) == 4
    assert all("was built for TensorRT 8.2.1.8, here is 8.2.5.1" in line and "nanoface" not in line for line in found.why)
    assert board.need(runtime="onnxruntime").why == ()
    assert len(board.need(iris=("none",)).why) == 3


def test_a_role_that_the_network_of_an_earlier_one_fills_has_no_engine_unless_the_user_names_its_network(board):
    board.networks["face_landmark"]["roles"] = ["align", "iris"]
    with open(os.path.join(board.home, "onnx", "index.json"), "w") as f:
        json.dump({"schema": 1, "networks": board.networks}, f)
    board.tensorrt('__version__ = "8.2.5.1"\n')
    assert len(board.need().why) == 3 and sorted(board.need().networks) == ["align", "detect", "pose"]
    assert sorted(board.need(chosen=("models.iris",)).networks) == ["align", "detect", "iris", "pose"]


@pytest.mark.parametrize("text", [None, "raise ImportError('libnvinfer.so.8')\n"])
def test_without_a_tensorrt_that_loads_there_is_nothing_to_build(board, text):
    if text is None:
        os.unlink(str(board.packages / "pycuda" / "__init__.py"))
        os.rmdir(str(board.packages / "pycuda"))
    else:
        board.tensorrt(text)
    assert board.need() == renewal.Need("", {}, ())


def test_only_what_does_not_fit_counts_also_another_network_a_cut_plan_and_none(board):
    assert board.need().why == ()
    os.unlink(plans.sidecar_path(board.home, "pose", "mb05"))
    os.unlink(plans.plan_path(board.home, "pose", "mb05"))
    with open(plans.plan_path(board.home, "iris", "iris_landmark"), "a") as f:
        f.write("!")
    with open(os.path.join(board.home, "onnx", "yunet_s.onnx"), "w") as f:
        f.write("better weights")
    board.networks["yunet_s"]["sha256"] = sha256_of(os.path.join(board.home, "onnx", "yunet_s.onnx"))
    with open(os.path.join(board.home, "onnx", "index.json"), "w") as f:
        json.dump({"schema": 1, "networks": board.networks}, f)
    lines = board.need().why
    assert len(lines) == 3 and "another version of yunet_s" in lines[0]
    assert "no plan of mb05" in lines[1] and "cut short" in lines[2]


class Unit(threading.Thread):
    """In the place of nanoface-engines.service: takes the request up as soon as it is there."""

    def __init__(self, board, act):
        super().__init__(daemon=True)
        self._board, self._act = board, act

    def run(self):
        while not os.path.exists(self._board.request):
            time.sleep(0.005)
        with one_builder(os.path.join(self._board.home, "plans"), lambda: None):
            self._act()
        renewal.forget_request(self._board.request)


def test_it_asks_waits_and_says_how_far_it_is(board, monkeypatch):
    board.tensorrt('__version__ = "{}"\n'.format(NEW))
    said, goes_on = [], threading.Event()

    def act():
        with open(board.request + renewal.PROGRESS, "w") as f:
            f.write("2/4 align face_landmark, building, 3:05")
        while len(said) < 2:
            time.sleep(0.005)
        for role in ROLES:
            board.plan(role, NEW)
        goes_on.set()

    monkeypatch.setattr(renewal, "REPORT_INTERVAL_S", 0.05)
    Unit(board, act).start()
    assert board.settle(waiting=said.append) == ""
    assert goes_on.is_set() and said[0].startswith("the engines are rebuilt for TensorRT 8.2.5.1")
    assert said[-1].endswith(": 2/4 align face_landmark, building, 3:05")
    assert not os.path.exists(board.request) and not os.path.exists(board.request + renewal.PROGRESS)


def test_what_could_not_be_built_is_reported_with_the_cure_and_asked_for_once(board, monkeypatch):
    board.tensorrt('__version__ = "{}"\n'.format(NEW))

    def act():
        for role in ("detect", "pose", "iris"):
            board.plan(role, NEW)
        with open(os.path.join(board.home, "plans", renewal.TRIED), "wb") as f:
            f.write(renewal.note_of(board.need(), "align: it was killed"))

    Unit(board, act).start()
    said = board.settle()
    assert said == "1 engine does not fit TensorRT 8.2.5.1 (align: it was killed): run `nanoface build`"
    assert board.settle(waiting=lambda text: pytest.fail(text)) == said  # a restart does not ask again
    assert not os.path.exists(board.request)
    board.tensorrt('__version__ = "8.2.5.2"\n')  # another release is another try
    monkeypatch.setattr(renewal, "TAKEN_UP_S", 0.05)
    monkeypatch.setattr(renewal, "REPORT_INTERVAL_S", 0.01)
    asked = []
    assert "did not start their build" in board.settle(waiting=asked.append) and asked
    assert not os.path.exists(board.request)


def test_a_build_that_was_cut_off_is_no_try(board):
    board.tensorrt('__version__ = "{}"\n'.format(NEW))
    Unit(board, lambda: None).start()
    assert "their build was ended" in board.settle()
    Unit(board, lambda: [board.plan(role, NEW) for role in ROLES]).start()
    assert board.settle() == ""


def test_switched_off_it_only_says_so_and_outside_of_the_service_nothing(board):
    board.tensorrt('__version__ = "{}"\n'.format(NEW))
    said = board.settle(configuration(rebuild="never"), waiting=lambda text: pytest.fail(text))
    assert said == "4 engines do not fit TensorRT 8.2.5.1 (engines.rebuild is never): run `nanoface build`"
    assert renewal.settle(board.home, configuration(), {}, lambda text: pytest.fail(text), lambda: False) == ""
    assert not os.path.exists(board.request)


def test_a_tracker_that_is_asked_to_stop_waits_no_longer(board):
    board.tensorrt('__version__ = "{}"\n'.format(NEW))
    said = []
    assert board.settle(waiting=said.append, stopped=lambda: bool(said)) == "" and len(said) == 1


def test_a_note_that_is_damaged_counts_as_none(board):
    with open(os.path.join(board.home, "plans", renewal.TRIED), "w") as f:
        f.write("{")
    assert renewal.tried(board.home, board.need()) == ""
