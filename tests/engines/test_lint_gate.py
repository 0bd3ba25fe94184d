"""A network goes to TensorRT with the verdict that was found where it was converted; no build needs the package onnx."""
import json
import os
import sys

import pytest
from test_models_command import GITHUB, World

from edge.core.errors import ModelError
from edge.host import commands
from edge.store import models
from edge.store.models import StoredNetwork
from engines import onnxpackage
from engines.fetch import store
from engines.lint import gate
from engines.lint.gate import is_linted, lint_gate, nodes_of, rules_version

LINT_FILE = store.lint_file  # the tests' world has another
SHA256 = "5" * 64
STORED = StoredNetwork("mb05", "mb05.onnx", "mb05.onnx", {}, "pose", SHA256)
VERDICT = {"sha256": SHA256, "rules": rules_version(), "faults": [], "nodes": ["conv", "conv_1"]}


@pytest.fixture
def home(tmp_path):
    """Write an index whose entry of mb05 has this verdict."""
    def write(verdict):
        entry = {"role": "pose", "file": "mb05.onnx", "sha256": SHA256}
        if verdict is not None:
            entry["lint"] = verdict
        os.makedirs(models.onnx_dir(str(tmp_path)), exist_ok=True)
        with open(os.path.join(models.onnx_dir(str(tmp_path)), models.INDEX), "w") as f:
            json.dump({"schema": 1, "networks": {"mb05": entry}}, f)
        return str(tmp_path)
    return write


@pytest.fixture
def no_onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)


def test_a_clean_verdict_of_this_file_by_these_rules_passes_without_onnx(home, no_onnx):
    assert lint_gate(home(VERDICT), STORED) is None
    assert nodes_of(home(VERDICT), STORED) == {"conv", "conv_1"}


@pytest.mark.parametrize("verdict, words", [
    (None, "mb05 was not linted"), (dict(VERDICT, sha256="0" * 64), "or is another file than the one that was"),
    (dict(VERDICT, rules="older"), "mb05 was linted by other rules than those of this version"),
    ("clean", "was not linted"), (dict(VERDICT, faults=None), "was not linted"), (dict(VERDICT, nodes=[3]), "was not linted"),
])
def test_a_network_that_nobody_judged_is_refused_with_the_command_that_does(home, verdict, words):
    with pytest.raises(ModelError, match=words) as e:
        lint_gate(home(verdict), STORED)
    assert "models fetch mb05" in str(e.value) and "\n" not in str(e.value) and e.value.exit_code == 4


def test_faults_are_reported_as_they_were_found(home):
    faults = ["opset 14: newer than 13 is misread", "a", "b", "c", "d"]
    with pytest.raises(ModelError, match="refuse or misread mb05.onnx .opset 14.*; a; b; and 2 more.: take another network"):
        lint_gate(home(dict(VERDICT, faults=faults)), STORED)


def test_the_names_are_believed_of_their_own_file_whatever_the_rules(home):
    assert "conv" in nodes_of(home(dict(VERDICT, rules="older")), STORED)
    with pytest.raises(ModelError, match="no names of the nodes of mb05.*models fetch mb05"):
        nodes_of(home(VERDICT), STORED._replace(sha256="0" * 64))


@pytest.mark.parametrize("here, cure", [
    ("onnx", "nanoface models fetch mb05`"), (".venv-convert", "run `{}/bin/nanoface models fetch mb05`"),
    ("", "where networks are converted"),
])
def test_the_cure_names_the_environment_that_has_onnx(tmp_path, monkeypatch, home, here, cure):
    folder = str(tmp_path / ".venv-convert")
    if here == ".venv-convert":
        os.makedirs(os.path.join(folder, "bin"))
        open(os.path.join(folder, "bin", "nanoface"), "w").close()
    monkeypatch.setattr(commands, "CONVERTER", os.path.join(folder, "bin", "nanoface"))
    monkeypatch.setattr(onnxpackage, "has_onnx", lambda: here == "onnx")
    with pytest.raises(ModelError) as e:
        lint_gate(home(None), STORED)
    assert cure.format(folder) in str(e.value)


def test_the_rules_have_another_version_when_their_code_changes(monkeypatch, tmp_path):
    now = rules_version()
    assert now == rules_version() and len(now) == 16
    monkeypatch.setattr(gate, "_RULE_FILES", gate._RULE_FILES[:-1])
    assert rules_version() != now and not is_linted({"sha256": SHA256, "lint": VERDICT})


# ---- fetch writes it

@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def entry_of(world, name):
    return models.read_index(world.home)[name]


def change(world, name, **lint):
    networks = models.read_index(world.home)
    networks[name].pop("lint")
    if lint:
        networks[name]["lint"] = lint
    with open(os.path.join(models.onnx_dir(world.home), models.INDEX), "w") as f:
        json.dump({"schema": 1, "networks": networks}, f)


def test_what_is_converted_is_linted_and_the_verdict_stands_in_the_index(world):
    world.fetch()
    assert sorted(world.converter.linted) == ["iris.onnx", "mesh.onnx", "pose.onnx", "sharp.onnx"]
    for name in ("iris", "mesh", "pose", "sharp"):
        assert is_linted(entry_of(world, name)) and entry_of(world, name)["lint"]["nodes"] == ["node"]
    assert "lint" not in entry_of(world, "head")


@pytest.mark.parametrize("lint", [{}, {"sha256": "0", "rules": "x"}, dict(VERDICT, rules="older")])
def test_an_index_of_before_is_brought_up_to_date_without_a_download(world, monkeypatch, lint):
    world.fetch()
    change(world, "mesh", **lint)
    assert "no engine is built of it, as this version did not lint it: run" in world.check()[1]
    world.lose_the_cache()
    monkeypatch.setenv("NANOFACE_MIRROR", "")
    calls = list(world.converter.calls)
    output = world.fetch()
    assert output.count("up to date, linted anew") == 1 and output.count("up to date") == 5 and world.converter.calls == calls
    assert is_linted(entry_of(world, "mesh")) and "linted anew" not in world.fetch()


def test_a_network_beside_the_default_set_is_linted_anew_as_well(world):
    world.fetch(all=True)
    change(world, "plain")
    assert "plain            up to date, linted anew" in world.fetch()


def test_an_older_version_that_is_kept_is_linted_too(world, monkeypatch):
    world.fetch()
    change(world, "sharp")
    world.lose_the_cache()
    world.remove(GITHUB[:1])
    monkeypatch.setattr("engines.fetch.store.converter_version", lambda: "newer")
    assert "an older version is kept" in world.fetch() and is_linted(entry_of(world, "sharp"))


def test_a_network_with_faults_is_kept_for_the_processor_and_reported(world):
    world.converter.faults = ["opset 14"]
    assert "TensorRT 8.2 would refuse or misread it: `nanoface models lint mesh`" in world.fetch()
    assert world.code == 0 and entry_of(world, "mesh")["lint"]["faults"] == ["opset 14"]


def test_without_onnx_the_environment_is_named_and_what_is_linted_stays_up_to_date(world, monkeypatch):
    world.fetch("mesh")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr("engines.fetch.store.lint_file", LINT_FILE)
    assert "up to date" in world.fetch("mesh")
    change(world, "mesh")
    with pytest.raises(ModelError, match="needs the package onnx: .*(convert|install)"):
        world.fetch("mesh")


def test_the_names_are_those_that_the_parser_uses(tmp_path, stored_network):
    onnx = pytest.importorskip("onnx")
    from engines.lint.lint import verdict
    file = stored_network("yunet_s").file
    found = verdict(file)
    assert set(found["nodes"]) == {node.name for node in onnx.load(file).graph.node} and found["faults"] == []
    node = onnx.helper.make_node("Relu", ["a"], ["b"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    assert verdict(str(tmp_path / "x.onnx"))["nodes"] == ["node_of_b"]
