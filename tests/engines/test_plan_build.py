"""`nanoface build` on the simulator, with real child processes: plans, their sidecars, and every failure in one line."""
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from fakes import SIMULATOR

from edge.cli.commands import build as build_command
from edge.cli.table import read_words
from edge.core.errors import ModelError
from edge.host.disk import StorageError
from edge.store import plans as planstore
from edge.store.models import read_index, sha256_of
from engines.build import command as build
from engines.build import context, listing
from engines.build.boardfacts import Facts
from engines.build.command import BuildOptions, run_build
from engines.build.tune import run_tune
from engines.fetch import store
from engines.manifest.read import read_manifest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ASK_FACTS, RUN_CHILD = context.ask_facts, context.run_child
NANO = Facts("8.2.1.8", "NVIDIA Tegra X1", "5.3", "")
DEFAULT = {"detect": "yunet_s", "align": "face_landmark", "pose": "mb05", "iris": "iris_landmark"}


class World:
    """A store of networks, the simulator on the path of the child processes, and what they broke."""

    def __init__(self, home, reports, monkeypatch):
        self.home, self._reports, self._env = str(home), str(reports), monkeypatch
        monkeypatch.setenv("PYTHONPATH", SIMULATOR)
        monkeypatch.setenv("NANOFACE_SIM_REPORT", self._reports)
        monkeypatch.setenv("NANOFACE_HOME", self.home)
        monkeypatch.setattr("engines.build.cubin.find_nvcc", lambda folders: None)
        self.know_the_board()

    def build(self, *only, **options):
        self.out = io.StringIO()
        self.code = run_build(self.home, BuildOptions(only=only, **options), self.out)
        return self.out.getvalue()

    def know_the_board(self, facts=NANO):
        """Saves a process that asks for it, in most tests; None: it is asked."""
        known = ASK_FACTS if facts is None else lambda folder, root, stop: facts
        for module in (context, listing):
            self._env.setattr(module, "ask_facts", known)

    def fault(self, **faults):
        self._env.setenv("NANOFACE_SIM_FAULTS", json.dumps(faults))

    def set(self, name, value):
        self._env.setenv("NANOFACE_SIM_" + name, value)

    def plans(self):
        return sorted(name for name in os.listdir(planstore.plans_dir(self.home)) if name.endswith(".plan"))

    def half_written(self):
        return [name for name in os.listdir(planstore.plans_dir(self.home)) if name.endswith(".part")]

    def sidecar(self, role="pose"):
        with open(planstore.sidecar_path(self.home, role, DEFAULT[role]), encoding="utf-8") as f:
            return json.load(f)

    def onnx(self, name):
        return os.path.join(self.home, "onnx", name)

    def replace_onnx(self, name, content, linted=True):
        """Another network in the place of a stored one, with a hash that is right."""
        with open(self.onnx(name + ".onnx"), "wb") as f:
            f.write(content)
        index = {"schema": 1, "networks": read_index(self.home)}
        index["networks"][name]["sha256"] = sha256_of(self.onnx(name + ".onnx"))
        with open(self.onnx("index.json"), "w") as f:
            json.dump(index, f)
        if linted:
            store.lint_stored(read_manifest().network(name), self.home)

    def broken(self):
        """Rules of CUDA and TensorRT that a child process broke, and what it leaked."""
        found = []
        for name in os.listdir(self._reports):
            with open(os.path.join(self._reports, name)) as f:
                report = json.load(f)
            found += report["violations"] + ([report["alive"]] if report["alive"] else [])
            found += ["{} contexts".format(report["not_popped"])] if report["not_popped"] else []
        return found


@pytest.fixture(scope="session")
def networks(tmp_path_factory, stored_network):
    """A home with the default networks."""
    pytest.importorskip("onnx", reason="the simulator reads networks with onnx")
    pytest.importorskip("onnxruntime", reason="the simulator computes with ONNX Runtime")
    home = tmp_path_factory.mktemp("plans")
    (home / "onnx").mkdir()
    entries = {}
    for role, name in DEFAULT.items():
        stored = stored_network(name)
        entries[name] = {"role": role, "decode": stored.decode, "file": name + ".onnx", "sha256": stored.sha256}
        shutil.copy(stored.file, str(home / "onnx" / (name + ".onnx")))
        reference = stored.file.replace(".onnx", ".reference.npz")
        if os.path.exists(reference):
            shutil.copy(reference, str(home / "onnx"))
    (home / "onnx" / "index.json").write_text(json.dumps({"schema": 1, "networks": entries}))
    for name in entries:
        store.lint_stored(read_manifest().network(name), str(home))
    return home


@pytest.fixture
def world(tmp_path, networks, monkeypatch):
    shutil.copytree(str(networks), str(tmp_path / "home"))
    (tmp_path / "reports").mkdir()
    return World(tmp_path / "home", tmp_path / "reports", monkeypatch)


def test_the_default_plans_are_built_verified_and_listed_and_then_left_alone(world):
    world.know_the_board(None)
    output = world.build()
    assert world.code == 0, output
    assert world.plans() == ["align-face_landmark.plan", "detect-yunet_s.plan", "iris-iris_landmark.plan", "pose-mb05.plan"]
    assert "4 of 4 plans are ready in" in output and "1/4 detect yunet_s: missing" in output
    for role in DEFAULT:
        sidecar = world.sidecar(role)
        assert sidecar["verified"] and all(v["worst"] <= v["tolerance"] for v in sidecar["verified"].values())
        assert sidecar["measured"]["device_ms"]["p50"] <= sidecar["measured"]["device_ms"]["p95"]
        assert sidecar["precision"] == "fp16" and sidecar["flags"]["workspace_mb"] == 256
    iris = world.sidecar("iris")
    assert iris["inputs"] == [["input", [2, 3, 64, 64]]] and iris["compute_capability"] == "5.3"
    assert world.broken() == [] and not world.half_written()
    assert os.path.getsize(os.path.join(world.home, "plans", "timing.cache")) > 0

    before = {name: os.stat(os.path.join(world.home, "plans", name)).st_mtime for name in world.plans()}
    assert world.build().count("up to date") == 4 and world.code == 0
    assert before == {name: os.stat(os.path.join(world.home, "plans", name)).st_mtime for name in world.plans()}
    listed = world.build(list_only=True)
    assert listed.count("up to date: fp16") == 4 and "crop kernel: missing" in listed


def test_minutes_of_the_command_line_are_the_limit_of_a_network(monkeypatch):
    given = []
    monkeypatch.setattr(build, "run_build", lambda home, options, out, verbose: given.append(options.timeout_s) or 0)
    for words in (["build"], ["build", "--timeout", "7"]):
        assert build_command.run(read_words(words), io.StringIO()) == 0
    assert given == [1800.0, 420.0]


def test_another_flag_builds_again_and_so_does_force(world):
    world.build("pose")
    assert "stale: built in fp16, wanted in fp32" in world.build("pose", list_only=True, fp32=True)
    assert "built in fp16, wanted in fp32" in world.build("pose", fp32=True, tactics=())
    assert world.sidecar()["precision"] == "fp32" and world.sidecar()["flags"]["tactic_sources"] == []
    assert "forced" in world.build("mb05", fp32=True, tactics=(), force=True) and world.code == 0


def test_pinned_layers_are_kept_in_fp32_under_obey(world):
    sha256 = read_index(world.home)["mb05"]["sha256"]
    entry = {"onnx_sha256": sha256, "fp32_layers": ["conv1", "no_such_layer"], "whole": False}
    with open(os.path.join(world.home, "fp16.json"), "w") as f:
        json.dump({"schema": 1, "networks": {"mb05": entry}}, f)
    output = world.build("pose")
    assert world.code == 0 and "1 of the 2 layers to keep in FP32 are not in the network: no_such_layer" in output
    assert world.sidecar()["flags"]["constraints"] == "obey"
    assert world.sidecar()["flags"]["fp32_layers"] == ["conv1", "no_such_layer"]
    assert "up to date" in world.build("pose")


def test_a_plan_of_another_version_is_stale_and_built_again(world):
    world.build("pose")
    world.set("TENSORRT", "8.2.1.9")
    world.know_the_board(Facts("8.2.1.9", "NVIDIA Tegra X1", "5.3", ""))
    assert "stale: " in world.build("pose", list_only=True)
    assert "was built for TensorRT 8.2.1.8, here is 8.2.1.9" in world.build("pose") and world.code == 0


FAILURES = [
    ({"build_none": ["mb05"]}, "could not build mb05 .*Could not find any implementation.*or try `nanoface build --workspace"),
    ({"build_kill": ["mb05"]}, "it was killed while building; .*add 4 GB of swap .*--workspace 128"),
    ({"parse": ["mb05"]}, "TensorRT cannot read .*mb05.onnx .*INTERNAL_ERROR.*`nanoface models fetch --force mb05`"),
    ({"deserialize_none": ["mb05"]}, "the plan of mb05 was built, but cannot be loaded"),
    ({"context_none": ["mb05"]}, "the plan of mb05 was built, but cannot be loaded.*free memory"),
    ({"execute_false_from": {"mb05": 1}}, "cannot"),
]


@pytest.mark.parametrize("fault, words", FAILURES, ids=[next(iter(fault)) for fault, _ in FAILURES])
def test_what_fails_is_one_line_with_the_cure_and_no_plan(world, fault, words):
    world.fault(**fault)
    output = world.build("pose")
    lines = [line for line in output.splitlines() if line.startswith("pose      mb05             not built: ")]
    assert world.code == 4 and world.plans() == [] and not world.half_written()
    assert len(lines) == 1 and re.search(words, lines[0]), output
    assert "0 of 1 plan is ready" in output
    assert [found for found in world.broken() if "build_kill" not in fault] == []


def test_what_fails_costs_one_plan(world):
    world.fault(build_kill=["mb05"])
    assert "1 of 2 plans are ready" in world.build("pose", "iris")
    assert world.code == 4 and world.plans() == ["iris-iris_landmark.plan"]


def test_a_build_that_hangs_has_a_limit_of_its_own_and_costs_one_plan(world, monkeypatch):
    world.fault(build_hang=["mb05"])
    given = []

    def run_child(request, folder, stop, callbacks, limit_s):
        given.append(limit_s)
        return RUN_CHILD(request, folder, stop, callbacks, 1.0 if request["network"] == "mb05" else limit_s)

    monkeypatch.setattr(context, "run_child", run_child)
    output = world.build("pose", "iris", timeout_s=1234.0)
    assert world.code == 4 and world.plans() == ["iris-iris_landmark.plan"] and given == [1234.0, 1234.0]
    lines = [line for line in output.splitlines() if line.startswith("pose      mb05             not built: ")]
    assert len(lines) == 1 and "it did not end within 1 s while " in lines[0] and "`nanoface build --only mb05" in lines[0]
    assert not world.half_written()


@pytest.mark.parametrize("damage, words", [
    (lambda world: os.remove(world.onnx("mb05.onnx")), "mb05 cannot be read .*run `nanoface models fetch`"),
    (lambda world: _append(world.onnx("mb05.onnx")), "is corrupt"),
    (lambda world: world.replace_onnx("mb05", b"no network at all", linted=False), "not linted.*`nanoface models fetch mb05`"),
    (lambda world: world.replace_onnx("mb05", _with_operator("Mish")), "would refuse or misread .*Mish"),
    (lambda world: _shift_answers(world.onnx("mb05.reference.npz")),
     "the plan of mb05 disagrees with ONNX Runtime and is not kept .*`nanoface calibrate fp16 --write`.*--fp32"),
])
def test_a_network_that_is_not_what_it_should_be_makes_no_plan(world, damage, words):
    if "disagrees" in words:
        world.build("pose")
        os.remove(planstore.plan_path(world.home, "pose", "mb05"))
        os.remove(planstore.sidecar_path(world.home, "pose", "mb05"))
    damage(world)
    output = world.build("pose")
    assert world.code == 4 and world.plans() == [] and not world.half_written()
    assert re.search("pose .*not built: .*" + words, output), output


@pytest.mark.parametrize("content, words", [
    (b"no network at all", "TensorRT cannot read .*MODEL_DESERIALIZE_FAILED.*`nanoface models fetch --force mb05`"),
    ("Mish", "does not know all operators of mb05 .*No importer registered for op: Mish.*take another network"),
])
def test_without_the_lint_the_parsers_own_errors_are_shown(world, content, words):
    world.replace_onnx("mb05", content if isinstance(content, bytes) else _with_operator(content), linted=False)
    output = world.build("pose", lint=False)
    assert re.search("not built: .*" + words, output), output
    assert world.code == 4 and world.plans() == []


def _append(path):
    with open(path, "ab") as f:
        f.write(b"x")


def _with_operator(name):
    pytest.importorskip("onnx")
    from onnx import helper

    value = helper.make_tensor_value_info
    node = helper.make_node(name, ["input"], ["output"], name="strange")
    graph = helper.make_graph([node], "g", [value("input", 1, [1, 3, 8, 8])], [value("output", 1, [1, 3, 8, 8])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6).SerializeToString()


def _shift_answers(path):
    import numpy as np

    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(path, **{name: a + 1 if "/out/" in name else a for name, a in arrays.items()})


@pytest.mark.parametrize("fault, words", [
    ({"tensorrt_missing": True}, "nanoface build makes plans on the board; here there is no TensorRT"),
    ({"pycuda_missing": True}, "pycuda"),
    ({"no_device": True}, "CUDA finds no GPU"),
])
def test_without_the_board_nothing_is_tried(world, fault, words):
    world.know_the_board(None)
    world.fault(**fault)
    with pytest.raises(ModelError, match=words) as e:
        world.build()
    assert e.value.exit_code == 4 and "\n" not in str(e.value)
    assert not os.path.exists(planstore.plans_dir(world.home))
    assert "missing: run `nanoface build --only pose" not in world.build("pose", list_only=True)
    assert world.code == 0 and "missing: run `nanoface build --only mb05`" in world.out.getvalue()


def test_a_network_that_can_be_done_without_is_no_failure_unless_it_was_asked_for(world):
    index = {"schema": 1, "networks": {k: v for k, v in read_index(world.home).items() if k != "mb05"}}
    with open(world.onnx("index.json"), "w") as f:
        json.dump(index, f)
    world.set("FAULTS", json.dumps({"build_none": "*"}))
    assert "pose      -                not built: " in world.build() and "`nanoface models fetch mb05`" in world.out.getvalue()
    assert "until then the pose of the head will come from the mesh alone" in world.out.getvalue()
    world.build("pose")
    assert world.code == 4


@pytest.mark.parametrize("after_s", [0.2, 0.6, 1.2])
def test_a_build_that_is_killed_leaves_nothing_that_is_taken_for_a_plan(world, after_s):
    world.set("BUILD_S", "0.5")
    code = "import sys; from engines.build.command import *; run_build({!r}, BuildOptions(only=('pose',)), sys.stdout)".format(
        world.home)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([SIMULATOR, ROOT]))
    command = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.DEVNULL)
    time.sleep(after_s)
    command.kill()
    command.wait()
    world.set("BUILD_S", "0")
    plan = planstore.find(world.home, "pose", "mb05")
    if plan is not None:
        planstore.check_file(plan)
    world.build("pose")
    assert world.code == 0 and world.plans() == ["pose-mb05.plan"] and not world.half_written()


def test_ctrl_c_ends_the_command_clears_its_line_and_leaves_no_scratch(world, monkeypatch):
    world.set("BUILD_S", "30")
    monkeypatch.setattr(build, "build_one", _interrupting(build.build_one))
    out = io.StringIO()
    out.isatty = lambda: True
    with pytest.raises(KeyboardInterrupt):
        run_build(world.home, BuildOptions(only=("pose",)), out)
    assert not world.half_written() and world.plans() == []
    assert out.getvalue().endswith("\r\x1b[K") and "1/1 pose mb05: starting, 0:00 of perhaps 2:00 (a guess)" in out.getvalue()


def _interrupting(build_one):
    def run(context, target, plan, runs, callbacks):
        def tick(step, elapsed_s):
            callbacks.tick(step, elapsed_s)
            context.stop.set()  # as the handler of SIGINT does
        return build_one(context, target, plan, runs, callbacks._replace(tick=tick))
    return run


def test_a_full_disk_ends_the_command_with_one_line(world):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, before[1]))  # no file may be longer, the plan is
    try:
        with pytest.raises(StorageError, match="mb05.plan cannot be written .*make room there or set NANOFACE_HOME"):
            world.build("pose", "iris")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert world.plans() == [] and not world.half_written()


def test_a_disk_that_refuses_ends_the_command_with_one_line(world):
    os.makedirs(planstore.plan_path(world.home, "pose", "mb05"))
    with pytest.raises(ModelError, match="pose-mb05.plan cannot be written"):
        world.build("pose", force=True)
    assert not world.half_written()


def test_tuning_tries_every_way_and_what_it_chose_stays_chosen(world):
    out = io.StringIO()
    assert run_tune(world.home, BuildOptions(only=("pose",)), out) == 0, out.getvalue()
    with open(os.path.join(world.home, "plans", "tuning.json")) as f:
        rows = json.load(f)["rows"]
    assert [(row["precision"], row["tactic_sources"]) for row in rows] == [
        ("fp16", ["cublas", "cudnn"]), ("fp16", ["cublas"]), ("fp32", ["cublas", "cudnn"]), ("fp32", ["cublas"])]
    best = min(rows, key=lambda row: row["device_ms"]["p50"])
    assert [row["chosen"] for row in rows] == [row is best for row in rows] and all(row["verified"] for row in rows)
    assert planstore.chosen(world.home) == {"pose": "mb05"}
    sidecar = world.sidecar()
    assert sidecar["precision"] == best["precision"] and sidecar["measured"]["device_ms"] == best["device_ms"]
    assert "up to date" in world.build("pose") and world.plans() == ["pose-mb05.plan"]
    assert world.broken() == [] and not os.path.exists(os.path.join(world.home, "plans", "tune"))
