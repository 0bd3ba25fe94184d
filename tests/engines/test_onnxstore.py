"""What is built is the same on every machine, is built again exactly when something changed, and never half written."""
import errno
import io
import json
import os
import signal
import subprocess
import sys

import pytest
from fakes import TESTS, tiny_nets

from edge.core.errors import ModelError
from edge.host import disk
from edge.store import models
from engines.fetch import store
from engines.fetch.fetch import Fetcher
from engines.manifest.read import read_manifest
from engines.progress import Report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MIRROR = os.path.normpath(os.path.join(ROOT, "..", "shared", "models"))


class World:
    def __init__(self, tmp_path, monkeypatch):
        self.manifest = tiny_nets.tiny_manifest(tmp_path)
        self.home = str(tmp_path / "home")
        self.mirror = tiny_nets.write_mirror(tmp_path / "mirror")
        self.converter = tiny_nets.PretendConverter().install(monkeypatch)

    def files(self, name):
        places = tiny_nets.NETWORKS[name][1]
        return [os.path.join(self.mirror, *place.split("/")) for place in places]

    def build(self, name, home=None, **options):
        return store.build_network(self.manifest.networks[name], self.files(name), home or self.home, **options)

    def built(self, home=None):
        return tiny_nets.files_below(models.onnx_dir(home or self.home))

    def path(self, file):
        return os.path.join(models.onnx_dir(self.home), file)


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_the_model_store_finds_what_was_built(world):
    result = world.build("pose")
    stored = models.locate(world.home, "pose")
    assert (stored.file, stored.cpu_file) == (world.path("pose.onnx"), world.path("pose.cpu.onnx"))
    assert stored.decode == {"mean": [0.1, 2e-17], "std": [1.0, 3.0]}
    assert result == store.Built(True, sum(os.path.getsize(path) for path in (stored.file, stored.cpu_file)))


def test_an_asset_is_a_file_of_its_own_kind(world):
    world.build("head")
    assert models.locate(world.home, "head").file == world.path("head.npy")
    assert world.built()["head.npy"] == b"table:v 0 0 0\n"


def test_a_network_that_needs_no_rewriting_has_one_file(world):
    world.build("mesh")
    assert "mesh.cpu.onnx" in world.built()
    world.converter.variant = False
    world.build("mesh", force=True)
    assert sorted(world.built()) == ["index.json", "mesh.onnx"]
    stored = models.locate(world.home, "mesh")
    assert stored.cpu_file == stored.file


def test_two_builds_give_the_same_bytes_index_and_all_in_any_order(world, tmp_path):
    other = str(tmp_path / "other")
    for name in ("sharp", "mesh", "pose", "head"):
        world.build(name)
    for name in ("head", "pose", "mesh", "sharp", "sharp"):
        world.build(name, other, force=True)
    assert world.built() == world.built(other)
    assert len(world.built()) == 9


def test_what_is_up_to_date_is_not_built_again(world):
    assert world.build("mesh").fresh
    before = world.built()
    again = world.build("mesh")
    assert not again.fresh and again.size == len(before["mesh.onnx"]) + len(before["mesh.cpu.onnx"])
    assert world.converter.calls == ["tflite"]
    assert world.build("mesh", force=True).fresh


def change_source(world, monkeypatch):
    network = world.manifest.networks["mesh"]
    sources = (network.sources[0]._replace(sha256="f" * 64),)
    world.manifest.networks["mesh"] = network._replace(sources=sources)


def change_options(world, monkeypatch):
    network = world.manifest.networks["mesh"]
    world.manifest.networks["mesh"] = network._replace(options={"batch": 2})


def change_converter(world, monkeypatch):
    monkeypatch.setattr(store, "converter_version", lambda: "another")


def overwrite(world, monkeypatch):
    with open(world.path("mesh.onnx"), "wb") as f:
        f.write(b"another")


def truncate_cpu_file(world, monkeypatch):
    with open(world.path("mesh.cpu.onnx"), "r+b") as f:
        f.truncate(10)


def remove_file(world, monkeypatch):
    os.remove(world.path("mesh.onnx"))


def index_is(text):
    def change(world, monkeypatch):
        with open(world.path("index.json"), "w") as f:
            f.write(text)
    change.__name__ = "index_is_" + text[:8]
    return change


@pytest.mark.parametrize("change", [
    change_source, change_options, change_converter, overwrite, truncate_cpu_file, remove_file,
    index_is(""), index_is("{"), index_is('{"schema": 99, "networks": {}}'),
    index_is('{"schema": 1, "networks": {"mesh": 3}}'), index_is('{"schema": 1, "networks": {"mesh": {}}}')])
def test_a_network_is_built_again_when_anything_of_it_changed(world, monkeypatch, change):
    world.build("mesh")
    change(world, monkeypatch)
    assert world.build("mesh").fresh
    assert len(world.converter.calls) == 2
    assert models.locate(world.home, "mesh").name == "mesh"
    assert not world.build("mesh").fresh


def test_the_version_of_the_converter_follows_its_code(monkeypatch, tmp_path):
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    (tmp_path / "notes.txt").write_bytes(b"1")
    monkeypatch.setattr(store, "_CONVERT", str(tmp_path))
    first = store.converter_version()
    (tmp_path / "notes.txt").write_bytes(b"2")
    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")  # a checkout on Windows
    assert store.converter_version() == first
    (tmp_path / "a.py").write_bytes(b"x = 2\n")
    second = store.converter_version()
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "b.py").write_bytes(b"")
    assert len({first, second, store.converter_version()}) == 3


@pytest.mark.parametrize("shapes", [{"points": (1, 5)}, {"others": (1, 4)}, {"points": (1, 4), "more": (1, 1)}, {}])
def test_a_network_that_is_not_what_the_manifest_says_is_refused_and_not_entered(world, shapes):
    world.converter.shapes = shapes
    with pytest.raises(ModelError, match="mesh: the outputs came out as .* instead of "):
        world.build("mesh")
    assert world.built() == {}


def test_other_networks_stay_in_the_index(world):
    world.build("mesh")
    world.build("pose")
    assert sorted(models.read_index(world.home)) == ["mesh", "pose"]
    store.forget("mesh", world.home)
    assert sorted(models.read_index(world.home)) == ["pose"]


@pytest.mark.parametrize("function", ["write", "replace", "fsync"])
def test_a_full_disk_is_one_line_and_leaves_the_former_network(world, monkeypatch, function):
    world.build("mesh")
    before = world.built()

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, function, refuse)
        with pytest.raises(disk.StorageError, match="No space left on device.*set NANOFACE_HOME"):
            world.build("mesh", force=True)
    assert world.built() == before


KILLED = """
import os, signal, sys
sys.path.insert(0, {here!r})
from fakes import tiny_nets
from pytest import MonkeyPatch
from engines.fetch import store
from engines.manifest.read import read_manifest
replace, count = os.replace, [0]
def counted(*a, **folders):
    if count[0] == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    count[0] += 1
    replace(*a, **folders)
os.replace = counted
tiny_nets.PretendConverter().install(MonkeyPatch())
network = read_manifest({manifest!r}).networks["mesh"]
network = network._replace(options={{"batch": 2}})
store.build_network(network, [{source!r}], {home!r})
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_build_that_is_killed_is_repaired_by_the_next(world, tmp_path, after):
    """Between the network's two files and the index, the store is either the former one or known to be corrupt."""
    with open(world.files("mesh")[0], "wb") as f:
        f.write(b"an older file")
    world.build("mesh")
    with open(world.files("mesh")[0], "wb") as f:
        f.write(b"a newer file")
    code = KILLED.format(
        here=TESTS, manifest=str(tmp_path / "tiny.yaml"), source=world.files("mesh")[0], home=world.home, after=after)
    assert subprocess.call(
        [sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ, PYTHONPATH=ROOT)) == -signal.SIGKILL
    if after == 0:
        assert models.locate(world.home, "mesh").name == "mesh"
    else:
        with pytest.raises(ModelError, match="is corrupt .* run `nanoface models fetch`"):
            models.locate(world.home, "mesh")
    assert world.build("mesh", force=after == 0).fresh
    stored = models.locate(world.home, "mesh")
    with open(stored.file, "rb") as f:
        assert f.read() == b"onnx:a newer file"
    disk.remove_leftovers(world.home)
    assert sorted(world.built()) == ["index.json", "mesh.cpu.onnx", "mesh.onnx"]


def test_the_index_says_what_a_network_was_made_of(world):
    world.build("sharp")
    with open(world.path("index.json"), encoding="utf-8") as f:
        entry = json.load(f)["networks"]["sharp"]
    assert entry["role"] == "detect"
    assert entry["recipe"]["sources"] == [s.sha256 for s in world.manifest.networks["sharp"].sources]
    assert entry["recipe"]["converter"] == store.converter_version()


def test_roles_stand_in_the_index_where_there_are_several_and_an_entry_of_before_is_outdated(world, tmp_path):
    world.build("mesh")
    assert "roles" not in models.read_index(world.home)["mesh"]
    assert models.locate(world.home, "mesh").roles == ("align",)
    world.manifest = tiny_nets.tiny_manifest(tmp_path, mesh=["align", "iris"])
    assert not store.is_current(world.manifest.networks["mesh"], world.home)
    assert world.build("mesh").fresh and not world.build("mesh").fresh
    entry = models.read_index(world.home)["mesh"]
    assert (entry["role"], entry["roles"]) == ("align", ["align", "iris"])  # an earlier program reads the first of them
    stored = models.locate(world.home, "mesh")
    assert (stored.role, stored.also, stored.roles) == ("align", ("iris",), ("align", "iris"))


@pytest.mark.parametrize("roles", ["iris", [1], {"iris": 1}])
def test_roles_in_the_index_that_are_no_list_of_names_are_a_damage_with_its_cure(world, roles):
    world.build("mesh")
    networks = models.read_index(world.home)
    networks["mesh"]["roles"] = roles
    with open(world.path("index.json"), "w") as f:
        json.dump({"schema": 1, "networks": networks}, f)
    with pytest.raises(ModelError, match="the entry of mesh in .* is damaged: delete that file and run `.*models fetch`"):
        models.locate(world.home, "mesh")


PIXELS = {"colour": "rgb", "scale": 0.5, "offset": [-1, 0, 1], "border": [0, 0, 1, 1]}


def with_entry(world, **facts):
    """The mesh's entry of the index with `facts` set."""
    world.build("mesh")
    networks = models.read_index(world.home)
    networks["mesh"].update(facts)
    with open(world.path("index.json"), "w") as f:
        json.dump({"schema": 1, "networks": networks}, f)


def test_a_file_for_cpus_that_takes_pixels_is_told_by_the_index_and_one_of_before_that_does_not_still_works(world):
    world.build("mesh")
    assert models.locate(world.home, "mesh").pixels is None
    with_entry(world, cpu_input=PIXELS)
    assert models.locate(world.home, "mesh").pixels == models.PixelInput("rgb", 0.5, (-1.0, 0.0, 1.0), (0, 0, 1, 1))


@pytest.mark.parametrize("facts", [
    {"cpu_input": "rgb"}, {"cpu_input": dict(PIXELS, scale=0)}, {"cpu_input": dict(PIXELS, scale="much")},
    {"cpu_input": dict(PIXELS, offset=[0, 0])}, {"cpu_input": dict(PIXELS, border=[0, 0, -1, 0])},
    {"cpu_input": dict(PIXELS, border=[0, 0, 1.5, 0])}, {"cpu_input": PIXELS, "cpu_file": ""}, {"cpu_input": {}},
    {"cpu_input": dict(PIXELS, colour=None)}, {"cpu_input": dict(PIXELS, scale=1e-320)},
    {"cpu_input": dict(PIXELS, scale=1e308)}, {"cpu_input": dict(PIXELS, offset=[0, -1e9, 0])},
    {"cpu_input": dict(PIXELS, border=[True, 0, 1, 1])}])
def test_a_pixel_input_in_the_index_that_makes_no_sense_is_a_damage_with_its_cure(world, facts):
    with_entry(world, **facts)
    with pytest.raises(ModelError, match="the entry of mesh in .* is damaged: delete that file and run `.*models fetch`"):
        models.locate(world.home, "mesh")


def test_another_arithmetic_in_the_manifest_makes_a_network_again(world):
    world.build("mesh")
    network = world.manifest.networks["mesh"]
    world.manifest.networks["mesh"] = network._replace(input=network.input._replace(scale=0.5))
    assert world.build("mesh").fresh and not world.build("mesh").fresh


@pytest.mark.skipif(not os.path.isdir(MIRROR), reason="needs ../shared/models")
@pytest.mark.parametrize("name", sorted(read_manifest().networks))
def test_a_real_network_is_what_its_manifest_entry_says_and_builds_to_the_same_bytes_twice(tmp_path, name):
    if name != "canonical_face":
        pytest.importorskip("onnx", reason="the converters need the package onnx")
        pytest.importorskip("tflite", reason="the converters need the package tflite")
    manifest, contents = read_manifest(), []
    for home in (str(tmp_path / "a"), str(tmp_path / "b")):
        fetcher = Fetcher(manifest, home, Report(io.StringIO()), {"NANOFACE_MIRROR": MIRROR})
        fetched = fetcher.fetch(manifest.networks[name])
        assert store.build_network(manifest.networks[name], fetched.files, home).fresh
        contents.append(tiny_nets.files_below(models.onnx_dir(home)))
    assert contents[0] == contents[1]
    assert models.locate(home, name).name == name
