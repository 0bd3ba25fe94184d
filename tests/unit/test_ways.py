"""Points and irises of two networks or of one: which of them a run takes, on a processor and on a board with plans."""
import json
import os

import pytest

from edge.app.networks import Networks
from edge.config.load import load_config
from edge.core.roles import FILLS_TOO
from edge.store import plans, ways

MESH, BOTH, IRIS = "face_landmark", "both", "iris_landmark"
NAMES = [BOTH, MESH]  # as the manifest has them


class Home:
    """With an index of networks of one and of two roles, and plans as a test says."""

    def __init__(self, folder):
        self.path = str(folder)
        entries = {MESH: {"role": "align"}, BOTH: {"role": "align", "roles": ["align", "iris"]}, IRIS: {"role": "iris"}}
        self.write("onnx", "index.json", json.dumps({"schema": 1, "networks": entries}))

    def write(self, *path_and_text):
        path = os.path.join(self.path, *path_and_text[:-1])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(path_and_text[-1])

    def plan(self, *names):
        for name in names:
            self.write("plans", "{}-{}.plan".format("iris" if name == IRIS else "align", name), "plan")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def settings(**more):
    """The configuration with the two ways as candidates, though no user named them."""
    config = load_config(None, {key.replace("__", "."): value for key, value in more.items()}, {})
    if "models.align" in config.chosen:
        return config
    return config._replace(models=config.models._replace(align=tuple(NAMES)))


@pytest.mark.parametrize("built, tuned, first", [
    ((), "", MESH),
    ((MESH, IRIS), "", MESH),
    ((MESH, IRIS, BOTH), "", MESH),
    ((BOTH,), "", BOTH),
    ((BOTH, MESH), "", BOTH),  # the irises would be left to the processor
    ((BOTH, IRIS), "", BOTH),
    ((MESH, IRIS, BOTH), BOTH, BOTH),
    ((MESH, IRIS, BOTH), MESH, MESH),
    ((MESH, IRIS), BOTH, MESH),  # never a network of the processor in the place of plans
    ((BOTH,), MESH, BOTH),
    ((), BOTH, BOTH),
])
def test_with_plans_the_tuned_way_goes_first_then_the_networks_of_one_role_and_always_one_whose_plans_are_there(
        home, built, tuned, first):
    home.plan(*built)
    tuning = {"align": tuned} if tuned else {}
    assert ways.preferred(home.path, settings(models__runtime="tensorrt"), "align", tuning)[0] == first


@pytest.mark.parametrize("built, first", [((MESH, BOTH), MESH), ((BOTH,), BOTH)])
def test_where_the_irises_are_off_the_mesh_alone_is_a_whole_way(home, built, first):
    home.plan(*built)
    config = settings(models__runtime="tensorrt", models__iris="none")
    assert ways.preferred(home.path, config, "align", {})[0] == first


def test_a_network_that_the_user_named_wins_over_plans_and_tuning(home):
    home.plan(MESH, IRIS)
    config = load_config(None, {"models.runtime": "tensorrt", "models.align": ["face_landmark"]}, {})
    assert ways.preferred(home.path, config, "align", {"align": BOTH}) == [MESH]


@pytest.mark.parametrize("packages, runtime, first", [
    ((), "auto", BOTH), (("tensorrt",), "auto", BOTH), (("tensorrt", "pycuda"), "auto", MESH),
    (("tensorrt", "pycuda"), "onnxruntime", BOTH), (("tensorrt", "pycuda"), "openvino", BOTH), ((), "tensorrt", MESH),
])
def test_a_processor_keeps_the_order_of_the_manifest_whatever_was_tuned(home, monkeypatch, packages, runtime, first):
    monkeypatch.setattr(ways, "find_spec", lambda name: name in packages or None)
    home.plan(MESH, IRIS)
    for tuned in ({}, {"align": MESH}):
        assert ways.preferred(home.path, settings(models__runtime=runtime), "align", tuned)[0] == first


def test_a_network_of_several_roles_that_was_not_fetched_is_missed_on_a_processor_and_not_on_a_board(tmp_path):
    entries = {MESH: {"role": "align"}, IRIS: {"role": "iris"}}
    Home(tmp_path).write("onnx", "index.json", json.dumps({"schema": 1, "networks": entries}))
    config = load_config(None, {}, {})
    found = [ways.preferred(str(tmp_path), config, "align", {}, board)[0] for board in (False, True)]
    assert found == ["face_attention", MESH]


def test_the_networks_of_several_roles_are_those_of_the_manifest():
    pytest.importorskip("yaml")
    from engines.manifest.read import read_manifest

    assert FILLS_TOO == {name: network.roles[1:] for name, network in read_manifest().networks.items() if network.roles[1:]}


def test_a_role_with_one_way_keeps_its_order_whatever_has_a_plan(home):
    home.write("plans", "detect-yunet_n.plan", "plan")
    config = settings(models__runtime="tensorrt")
    assert ways.preferred(home.path, config, "detect", {}) == list(config.models.detect)
    assert ways.preferred(home.path, config, "detect", {"detect": "yunet_n"})[0] == "yunet_n"


def test_a_tuned_network_that_lost_its_plan_is_named_with_the_cure(home, monkeypatch):
    home.plan(MESH, IRIS)
    home.write("plans", plans.CHOICE, json.dumps({"schema": 1, "roles": {"align": BOTH}}))
    monkeypatch.setenv("NANOFACE_HOME", home.path)
    said = []
    opened = []
    monkeypatch.setattr("edge.app.networks.open_runner", lambda network, *rest, **more: opened.append(network.name))
    monkeypatch.setattr("edge.app.networks.models.locate", lambda path, name: type("Stored", (), {"name": name}))
    monkeypatch.setattr("edge.store.models.locate", lambda path, name: type("Stored", (), {"name": name}))
    config = settings(models__runtime="tensorrt")
    Networks(config, lambda event, text: said.append(text)).required("align", config.models.align)
    assert opened == [MESH]
    assert said == ["align: both, which --tune chose, has no plan, using face_landmark: run `nanoface build --networks both`"]
