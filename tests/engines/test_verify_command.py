"""`nanoface verify`: its table, its exit codes, and one line with the cure for whatever is missing or wrong."""
import io
import os
import re
import shutil

import numpy as np
import pytest
from fakes.verify_home import DEFAULT, change_index, home_of, home_with, write_index

from edge.core.errors import ConfigError, ModelError
from edge.host.packages import install
from edge.runtimes import choose
from edge.store import models
from engines.verify import references, verify

CPU = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def store(tmp_path_factory, stored_network):
    """The default set with its stored answers; not to be changed."""
    pytest.importorskip("onnxruntime")
    home = home_with(tmp_path_factory.mktemp("verify") / "home", [stored_network(name) for name in DEFAULT])
    for name in DEFAULT:
        references.make(home, name)
    return home


@pytest.fixture
def home(store, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(store, str(tmp_path / "home"))


def run(home, *names, runtime="onnxruntime"):
    out = io.StringIO()
    code = verify.run_verify(home, runtime, names, out)
    assert out.getvalue().endswith("\n")
    return code, out.getvalue().splitlines()


def rows(lines):
    """(network, quantity) -> (unit, median, worst, tolerance, verdict)."""
    table = [re.split(r"  +", line) for line in lines[1:] if len(re.split(r"  +", line)) == 8]
    return {(cells[0], cells[2]): tuple(cells[3:]) for cells in table}


class Altered:
    """Mixed into a runner: what infer() and submit() answer goes through `change`."""

    change = staticmethod(lambda outputs: outputs)

    def infer(self, feeds):
        return self.change({name: values.copy() for name, values in super().infer(feeds).items()})


def altering(monkeypatch, change, backend=None):
    """Every ONNX runner that verify opens answers infer() with `change` of the truth."""
    from edge.runtimes.cpu.onnx import OnnxRunner

    class Runner(Altered, OnnxRunner):
        pass
    Runner.change = staticmethod(change)

    def make(network, runtime, *rest):
        runner = Runner(network)
        if backend:
            load = runner._load

            def renamed():
                tensors = load()
                runner.backend = backend
                return tensors
            runner._load = renamed
        return runner
    monkeypatch.setattr(verify, "open_runner", make)


@pytest.mark.parametrize("runtime", CPU + ("auto",))
def test_the_default_set_agrees_and_the_table_shows_every_quantity(store, runtime):
    pytest.importorskip("onnxruntime" if runtime == "auto" else runtime)
    code, lines = run(store, runtime=runtime)
    table = rows(lines)
    assert code == 0 and lines[-1] == "all 4 networks agree with ONNX Runtime"
    assert re.split(r"  +", lines[0]) == [
        "network", "runtime", "quantity", "unit", "median", "worst", "tolerance", "verdict"]
    assert len(table) == len(lines) - 2 and {name for name, _ in table} == set(DEFAULT)
    for unit, median, worst, tolerance, verdict in table.values():
        assert unit and float(median) <= float(worst) <= float(tolerance) and verdict == "agrees"
    for name, quantity in zip(DEFAULT, ("box", "cropped landmarks", "rotation", "iris")):
        assert (name, quantity) in table
    if runtime != "auto":
        assert all(" {} ".format(runtime) in line for line in lines[1:-1])


def test_the_table_is_straight(store):
    lines = run(store)[1]
    verdicts = {line.index(line.split()[-1]) for line in lines[:-1]}
    assert len(verdicts) == 1 and max(len(line) for line in lines) <= 120


def test_one_network_by_its_name(store):
    code, lines = run(store, "mb05")
    assert code == 0 and {name for name, _ in rows(lines)} == {"mb05"}
    assert lines[-1] == "mb05 agrees with ONNX Runtime"


def test_a_network_that_disagrees_is_named_with_the_quantity_and_the_cure_and_the_others_have_their_turn(store, monkeypatch):
    altering(monkeypatch, lambda o: {k: v + 1.5 if k == "iris" else v for k, v in o.items()})
    code, lines = run(store)
    assert code == 4
    table = rows(lines)
    assert {key for key, cells in table.items() if cells[-1] == "WRONG"} == {("iris_landmark", "iris")}
    assert {name for name, _ in table} == set(DEFAULT)
    assert lines[-1] == (
        "iris_landmark: iris off by 2.1213 px of 64 (0.3000 allowed) on {}: run `nanoface models fetch --force "
        "iris_landmark`, or take another runtime with --runtime".format(re.split(r"  +", lines[1])[1]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_wrong_and_is_reported(store, monkeypatch, value):
    altering(monkeypatch, lambda o: {k: v * np.float32(value) for k, v in o.items()})
    code, lines = run(store, "mb05")
    assert code == 4 and set(cells[-1] for cells in rows(lines).values()) == {"WRONG"}
    assert lines[-1].startswith("mb05: rotation off by inf degrees (0.2500 allowed), points off by inf")


def test_a_plan_that_disagrees_is_to_be_built_again(store, monkeypatch):
    altering(monkeypatch, lambda o: {k: v * 0.5 for k, v in o.items()}, "tensorrt 8.2 fp16")
    code, lines = run(store, "mb05", runtime="tensorrt")
    assert code == 4 and "run `nanoface build --only pose --force`, and with --fp32 too" in lines[-1]
    assert "on tensorrt 8.2 fp16" in lines[-1]


def test_a_crop_kernel_that_is_wrong_is_to_be_made_again(store, monkeypatch):
    from edge.runtimes.cpu.onnx import OnnxRunner

    class Runner(OnnxRunner):
        def open(self):
            super().open()
            self.backend = "tensorrt 8.2 fp16"

        def submit(self, image, crops):
            return super().submit(image[::-1].copy(), crops)
    monkeypatch.setattr(verify, "open_runner", lambda network, runtime: Runner(network))
    code, lines = run(store, "mb05", runtime="tensorrt")
    wrong = {quantity for (_, quantity), cells in rows(lines).items() if cells[-1] == "WRONG"}
    assert code == 4 and wrong == {"cropped rotation", "cropped points", "cropped parameters"}
    assert "makes the crop kernel again" in lines[-1]


@pytest.mark.parametrize("names, text", [
    (["mb5"], "did you mean mb05"), (["canonical_face"], "canonical_face is no network"), (["mb05", ""], "called")])
def test_a_name_that_is_no_network_s_is_refused(store, names, text):
    with pytest.raises(ConfigError) as caught:
        run(store, *names)
    assert text in str(caught.value)


def test_nothing_built_is_one_line_with_the_cure(tmp_path):
    with pytest.raises(ModelError) as caught:
        run(str(tmp_path))
    assert str(caught.value) == "nothing is built to detect faces with: run `nanoface models fetch`"


def test_a_role_that_can_be_done_without_is_noted(home):
    entries = models.read_index(home)
    del entries["iris_landmark"]
    write_index(home, entries)
    code, lines = run(home)
    assert code == 0 and lines[-2].startswith("iris: not built, ") and lines[-1].startswith("all 3 networks")


def test_why_it_is_this_runtime_is_noted(store, monkeypatch):
    from edge.runtimes.cpu.onnx import OnnxRunner

    class Runner(OnnxRunner):
        note = "no plan was built: onnxruntime instead"
    monkeypatch.setattr(verify, "open_runner", lambda network, runtime: Runner(network))
    assert run(store, "mb05")[1][-2:] == ["mb05: no plan was built: onnxruntime instead", "mb05 agrees with ONNX Runtime"]


def test_the_network_that_this_board_found_to_be_the_fastest_is_verified(home, stored_network):
    os.makedirs(os.path.join(home, "plans"))
    with open(os.path.join(home, "plans", "chosen.json"), "w") as f:
        f.write('{"roles": {"detect": "yunet_n", "pose": "mb05"}}')
    assert {name for name, _ in rows(run(home)[1])} == set(DEFAULT)  # yunet_n is not built here
    stored = stored_network("yunet_n")
    for path in {stored.file, stored.cpu_file}:
        shutil.copy(path, models.onnx_dir(home))
    write_index(home, dict(models.read_index(home), yunet_n=models.read_index(home_of(stored))["yunet_n"]))
    assert {name for name, _ in rows(run(home)[1])} == (set(DEFAULT) - {"yunet_s"}) | {"yunet_n"}


def last_line_of_a_failure(home, *names, **options):
    code, lines = run(home, *names, **options)
    assert code == 4 and not rows([""] + lines)
    return lines[-1]


def test_a_network_that_is_missing_or_corrupt_is_one_line_with_the_cure(home):
    assert last_line_of_a_failure(home, "rfb320") == (
        "rfb320: the network rfb320 is not in {}: run `nanoface models fetch rfb320`".format(models.onnx_dir(home)))
    with open(os.path.join(models.onnx_dir(home), "mb05.onnx"), "ab") as f:
        f.write(b"!")
    output = last_line_of_a_failure(home, "mb05")
    assert "is corrupt" in output and "run `nanoface models fetch`" in output


def test_answers_that_are_missing_are_made_where_onnx_runtime_is_and_named_where_it_is_not(home, monkeypatch):
    path = references.path_of(home, "mb05")
    os.remove(path)
    assert run(home, "mb05")[0] == 0 and os.path.exists(path)
    os.remove(path)
    monkeypatch.setattr(references, "find_spec", lambda name: None)
    output = last_line_of_a_failure(home, "mb05")
    assert output.startswith("mb05: there are no stored answers to compare mb05 with")
    assert output.endswith("run `nanoface models fetch mb05` where ONNX Runtime is installed")


def test_answers_of_another_version_are_made_anew_or_refused(home, monkeypatch):
    other = os.path.join(models.onnx_dir(home), "mb05.onnx")
    with open(other, "rb") as f:
        content = f.read()
    with open(other, "wb") as f:
        f.write(content + b"\x72\x00")  # an empty doc_string: another file, the same network
    change_index(home, "mb05", sha256=models.sha256_of(other))
    with monkeypatch.context() as patch:
        patch.setattr(references, "find_spec", lambda name: None)
        assert "is of another version of mb05" in last_line_of_a_failure(home, "mb05")
    assert run(home, "mb05")[0] == 0


def test_a_runtime_that_is_missing_is_reported_once_for_all_networks(store, monkeypatch):
    monkeypatch.setattr(choose, "find_spec", lambda name: None if name == "openvino" else object())
    output = last_line_of_a_failure(store, runtime="openvino")
    assert output == "{}: openvino is not installed: {}".format(", ".join(DEFAULT), install("openvino"))


def test_a_runner_is_closed_whatever_happens(store, monkeypatch):
    from edge.runtimes.cpu.onnx import OnnxRunner
    closed = []

    class Runner(OnnxRunner):
        def infer(self, feeds):
            raise ModelError("cannot: do this")

        def close(self):
            closed.append(self.model)
            super().close()
    monkeypatch.setattr(verify, "open_runner", lambda network, runtime: Runner(network))
    assert last_line_of_a_failure(store, "mb05") == "mb05: cannot: do this"
    assert closed[-1] == "mb05"


def test_a_store_that_is_read_only_is_verified_all_the_same(store, monkeypatch):
    def refuse(path, content):
        raise AssertionError("{} was written".format(path))
    monkeypatch.setattr(references, "write_whole", refuse)
    assert run(store)[0] == 0
