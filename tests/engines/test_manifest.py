"""The manifest names whole commits and hashes, agrees with the decoders, and a mistake in it is one clear line."""
import hashlib
import os
import re

import pytest
import yaml
from fakes import tiny_nets

from edge.core import roles
from edge.core.errors import ConfigError, ModelError
from edge.core.packet import Roi
from edge.models.aligners import ALIGNERS
from edge.models.detectors.table import DETECTORS
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.stages.iris import IrisStage
from edge.stages.pose import PoseStage
from engines import convert
from engines.manifest.read import ASSET_KINDS, MANIFEST, NETWORK_KINDS, read_manifest

HERE = os.path.dirname(os.path.abspath(__file__))
MIRROR = os.path.normpath(os.path.join(HERE, "..", "..", "..", "shared", "models"))
SUMS = os.path.join(MIRROR, "SHA256SUMS")
needs_mirror = pytest.mark.skipif(not os.path.exists(SUMS), reason="needs ../shared/models/SHA256SUMS")

ROI = Roi(100.0, 100.0, 50.0, 0.0)


@pytest.fixture(scope="module")
def manifest():
    return read_manifest()


def all_sources(manifest):
    return [source for network in manifest.networks.values() for source in network.sources]


def test_every_github_source_is_pinned_to_a_whole_commit():
    with open(MANIFEST, encoding="utf-8") as f:
        text = f.read()
    sources = re.findall(r"- github: \"?([^\n]+)", text)
    assert len(sources) > 10
    assert all(re.match(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}:", source) for source in sources)


def test_no_key_is_written_twice():
    """YAML would silently take the last."""
    def walk(node):
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), keys
            for _, value in node.value:
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                walk(value)

    with open(MANIFEST, encoding="utf-8") as f:
        root = yaml.compose(f, Loader=yaml.SafeLoader)
    assert "networks" in [key.value for key, _ in root.value]
    walk(root)


def test_the_kinds_of_the_manifest_are_those_of_the_converters(manifest):
    assert set(NETWORK_KINDS) == set(convert.KINDS)
    assert {n.kind for n in manifest.networks.values()} == set(NETWORK_KINDS) | set(ASSET_KINDS)


def test_the_preferred_networks_of_each_role_come_in_the_promised_order(manifest):
    assert {role.name: list(role.candidates) for role in manifest.roles} == {
        "detect": ["yunet_s", "yunet_n", "blazeface_full", "blazeface_short"],
        "align": ["face_attention", "face_landmark", "facemesh_pth"],
        "pose": ["mb05"],
        "iris": ["iris_landmark"],
        "geometry": ["canonical_face"],
    }
    assert [role.name for role in manifest.roles if role.required] == ["detect", "align"]


def test_whatever_is_fetched_by_default_has_a_permissive_licence(manifest):
    licences = {manifest.networks[name].licence for role in manifest.roles for name in role.candidates}
    assert licences <= {"Apache-2.0", "MIT"}


def test_a_package_index_alone_fills_every_role_that_is_required(manifest):
    for role in manifest.roles:
        if role.required:
            kinds = [{s.kind for s in manifest.networks[name].sources} for name in role.candidates]
            assert {"pip"} in kinds, role.name


@needs_mirror
def test_the_hashes_and_sizes_are_those_of_the_published_files(manifest):
    with open(SUMS, encoding="utf-8") as f:
        sums = {path.strip()[2:]: digest for digest, path in (line.split("  ", 1) for line in f)}
    assert all_sources(manifest)
    for source in all_sources(manifest):
        path = os.path.join(MIRROR, *source.location.split("/"))
        with open(path, "rb") as f:
            data = f.read()
        assert (source.sha256, source.size) == (hashlib.sha256(data).hexdigest(), len(data)), source.location
        assert sums[source.location] == source.sha256


@pytest.mark.parametrize("name, crop", [
    ("face_landmark", FaceLandmark().crop(ROI)),
    ("facemesh_pth", FaceLandmark().crop(ROI)),
    ("mb05", Mb05({"mean": [0.0] * 12, "std": [1.0] * 12}).crop(ROI)),
    ("iris_landmark", IrisLandmark().crops((ROI, ROI))[0]),
])
def test_the_decoder_asks_for_the_input_that_the_manifest_describes(manifest, name, crop):
    described = manifest.networks[name].input
    assert crop.size == described.shape[:1:-1]
    assert crop.colour == described.colour
    assert crop.scale == pytest.approx(described.scale, rel=1e-6)
    assert crop.offset == pytest.approx(described.offset, rel=1e-6)


@pytest.mark.parametrize("name, nearest", [
    ("yunet-s", "did you mean yunet_s?"),
    ("blazeface_ful", "did you mean blazeface_full?"),
    ("retina", "nanoface models list"),
])
def test_an_unknown_network_is_a_usage_error_that_names_the_nearest(manifest, name, nearest):
    with pytest.raises(ConfigError) as e:
        manifest.network(name)
    assert name in str(e.value) and nearest in str(e.value)


def changed(*path_and_value):
    """The tiny manifest with one value put in, or taken out where it is `...`."""
    data = tiny_nets.content()
    *path, last, value = path_and_value
    node = data
    for key in path:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return data


SHARP = ("networks", "sharp")
SOURCE = SHARP + ("sources", 0)
TWO = {key: value for key, value in tiny_nets.content()["networks"]["mesh"].items() if key != "role"}
GOOD = "acme/nets@{}:weights/sharp.bin".format(tiny_nets.COMMIT)


@pytest.mark.parametrize("data, place, says", [
    (changed(*SOURCE, "github", GOOD.replace(tiny_nets.COMMIT, "0047ac24a")), "networks.sharp.sources[0]", "40 digits"),
    (changed(*SOURCE, "github", "acme/nets@{}:../secret".format(tiny_nets.COMMIT)), "sources[0]", "40 digits"),
    (changed(*SOURCE, "github", "acme/nets@{}:a/../../b".format(tiny_nets.COMMIT)), "sources[0]", "40 digits"),
    (changed(*SOURCE, "github", "acme/nets@{}:/etc/x".format(tiny_nets.COMMIT)), "sources[0]", "40 digits"),
    (changed(*SOURCE, "pip", "tinywheel==1.0:x"), "sources[0]", "one of github and pip"),
    (changed(*SOURCE, "github", ...), "sources[0]", "one of github and pip"),
    (changed(*SOURCE, "sha256", "abc"), "sources[0]", "64 hexadecimal"),
    (changed(*SOURCE, "sha256", ...), "sources[0]", "sha256 is missing"),
    (changed(*SOURCE, "size", 0), "sources[0].size", "above 0"),
    (changed(*SOURCE, "sha265", "f" * 64), "sources[0]", "did you mean sha256?"),
    (changed(*SHARP, "sources", []), "networks.sharp", "list"),
    (changed(*SHARP, "role", "dettect"), "networks.sharp", "role is one of"),
    (changed(*SHARP, "role", ["detect"]), "networks.sharp", "role is one of"),
    (changed(*SHARP, "role", ...), "networks.sharp", "one of role and roles"),
    (changed(*SHARP, "roles", ["detect"]), "networks.sharp", "one of role and roles"),
    (changed("networks", "mesh", dict(TWO, roles=[])), "networks.mesh.roles", "list"),
    (changed("networks", "mesh", dict(TWO, roles=["align", "irises"])), "networks.mesh", "role is one of"),
    (changed("networks", "iris", dict(TWO, roles=["iris", "align"])), "roles.iris", "'iris' runs as align"),
    (changed(*SHARP, "outputs", {}), "networks.sharp", "outputs are missing"),
    (changed(*SHARP, "outputs", "points", [1, "x"]), "networks.sharp.outputs.points", "whole number"),
    (changed(*SHARP, "convert", {"kind": "caffe"}), "networks.sharp", "convert.kind is one of"),
    (changed(*SHARP, "input", ...), "networks.sharp", "input"),
    (changed("networks", "head", "input", tiny_nets.content()["networks"]["mesh"]["input"]), "networks.head", "input"),
    (changed(*SHARP, "input", "colour", "grey"), "networks.sharp.input", "rgb or bgr"),
    (changed(*SHARP, "input", "shape", [1, 8, 8, 3]), "networks.sharp.input", "(N, 3, H, W)"),
    (changed(*SHARP, "input", "offset", [0, 0]), "networks.sharp.input", "three offsets"),
    (changed(*SHARP, "licence", {}), "networks.sharp.licence", "spdx is missing"),
    (changed("networks", "Big Net", tiny_nets.content()["networks"]["sharp"]), "networks.Big Net", "small letters"),
    (changed("roles", "detect", "candidates", ["mesh"]), "roles.detect", "'mesh' is not a network of this role"),
    (changed("roles", "detect", "candidates", [["sharp"]]), "roles.detect.candidates", "expected text"),
    (changed("networks", 7, tiny_nets.content()["networks"]["sharp"]), "networks.7", "small letters"),
    (changed(*SHARP, "decode", None), "networks.sharp", "decode"),
    (changed("roles", "iris", ...), "roles", "iris is missing"),
    (changed("wheels", {}), "networks.iris", "wheels has no tinywheel==1.0"),
    (changed("schema", 2), "tiny.yaml", "schema 2"),
    (changed("networks", None), "tiny.yaml", "networks are missing"),
    ([], "tiny.yaml", "keys and values"),
])
def test_a_mistake_in_a_manifest_is_one_line_with_its_place(tmp_path, data, place, says):
    with pytest.raises(ModelError) as e:
        read_manifest(tiny_nets.write_manifest(tmp_path / "tiny.yaml", data))
    assert place in str(e.value) and says in str(e.value)
    assert str(e.value).startswith("tiny.yaml") and "\n" not in str(e.value)


@pytest.mark.parametrize("text", [None, "networks: [", "a: \x00"])
def test_a_manifest_that_cannot_be_read_is_one_line(tmp_path, text):
    path = tmp_path / "tiny.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelError) as e:
        read_manifest(str(path))
    assert "cannot be read" in str(e.value) and "\n" not in str(e.value)


def test_the_tiny_manifest_of_these_tests_is_itself_right(tmp_path):
    manifest = tiny_nets.tiny_manifest(tmp_path)
    assert sorted(source.location for source in all_sources(manifest)) == sorted(
        place for _, places, _ in tiny_nets.NETWORKS.values() for place in places)


def test_a_network_of_two_roles_runs_as_the_first_of_the_pipeline_and_stands_for_both(tmp_path):
    manifest = tiny_nets.tiny_manifest(tmp_path, mesh=["iris", "align"])
    assert manifest.network("mesh").roles == ("align", "iris") and manifest.network("mesh").role == "align"
    assert manifest.network("sharp").roles == ("detect",)
    assert manifest.defaults() == ["sharp", "mesh", "pose", "iris", "head"]
    shared = tiny_nets.tiny_manifest(tmp_path, sharp=["detect", "align"])  # and what does its first role alone
    assert shared.defaults() == ["sharp", "plain", "mesh", "pose", "iris", "head"]
    assert tiny_nets.tiny_manifest(tmp_path).defaults() == ["sharp", "mesh", "pose", "iris", "head"]


def test_every_detector_has_a_decoder_and_what_can_be_off_is_what_the_manifest_can_do_without():
    manifest = read_manifest()
    assert set(DETECTORS) == {name for name, network in manifest.networks.items() if network.role == "detect"}
    assert [role.name for role in manifest.roles if not role.required and role.name in roles.ROLES] == list(roles.CAN_BE_OFF)


def test_the_roles_of_an_align_network_are_those_of_the_stages_that_its_decoder_makes_superfluous():
    stages = {"pose": PoseStage.fills, "iris": IrisStage.fills}
    manifest = read_manifest()
    for name, aligner in ALIGNERS.items():
        filled = [role for role, fields in stages.items() if set(fields) <= set(aligner.fills)]
        assert list(manifest.network(name).roles) == ["align"] + filled, name
