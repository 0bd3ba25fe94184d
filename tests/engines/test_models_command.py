"""`nanoface models list|fetch|check`: every role is filled as well as can be, and the rest is told in one line."""
import io
import os
import subprocess
import sys

import pytest
from fakes import tiny_nets

from edge.core.errors import ConfigError, ModelError
from edge.host.disk import PART, StorageError
from edge.store import models
from engines.fetch import commands, store
from engines.fetch.fetch import cache_dir
from engines.manifest.read import read_manifest
from engines.progress import size_text

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GITHUB = [place for place in tiny_nets.FILES if place.startswith("github/")]
WHEEL = [place for place in tiny_nets.FILES if place.startswith("pip/")]


class World:
    def __init__(self, tmp_path, monkeypatch):
        self.home, self.mirror = str(tmp_path / "home"), str(tmp_path / "mirror")
        self.converter = tiny_nets.PretendConverter().install(monkeypatch)
        self.manifest = tiny_nets.tiny_manifest(tmp_path)
        monkeypatch.setattr(commands, "read_manifest", lambda: self.manifest)
        tiny_nets.no_network(monkeypatch)
        monkeypatch.setenv("NANOFACE_MIRROR", tiny_nets.write_mirror(self.mirror))

    def remove(self, places):
        for place in places:
            os.remove(os.path.join(self.mirror, *place.split("/")))

    def fetch(self, *names, **options):
        out = io.StringIO()
        self.code = commands.run_fetch(self.home, names, options.get("all", False), options.get("force", False), out)
        return out.getvalue()

    def list(self):
        out = io.StringIO()
        assert commands.run_list(self.home, out) == 0
        return {line.lstrip("* ").split()[0]: line for line in out.getvalue().splitlines()}

    def check(self):
        out = io.StringIO()
        return commands.run_check(self.home, out), out.getvalue()

    def built(self):
        return sorted(models.read_index(self.home))

    def damage(self, file):
        with open(os.path.join(models.onnx_dir(self.home), file), "ab") as f:
            f.write(b"X")

    def lose_the_cache(self):
        for place in tiny_nets.FILES:
            path = os.path.join(cache_dir(self.home), *place.split("/"))
            if os.path.exists(path):
                os.remove(path)


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


# ---- fetch

def test_the_preferred_network_of_every_role_is_fetched_and_built(world):
    output = world.fetch().splitlines()
    assert world.code == 0 and world.built() == ["head", "iris", "mesh", "pose", "sharp"]
    assert output == [
        "detect    sharp            5 kB from the mirror, built",
        "align     mesh             12 kB from the mirror, built",
        "pose      pose             2 kB from the mirror, built",
        "iris      iris             12 kB from the cache, built",
        "geometry  head             8 B from the mirror, built",
        "5 networks are ready in " + models.onnx_dir(world.home),
    ]


def test_the_second_time_nothing_is_fetched_or_built(world, monkeypatch):
    world.fetch()
    count = len(world.converter.calls)
    world.lose_the_cache()
    monkeypatch.setenv("NANOFACE_MIRROR", "")
    output = world.fetch()
    assert output.count("up to date") == 5 and len(world.converter.calls) == count


def test_force_builds_again_what_is_up_to_date(world):
    world.fetch("mesh")
    assert "built" in world.fetch("mesh", force=True)
    assert world.converter.calls == ["tflite", "tflite"]


def test_a_network_that_fills_a_later_role_is_fetched_beside_the_one_that_does_it_alone(world, tmp_path):
    world.manifest = tiny_nets.tiny_manifest(tmp_path, sharp=["detect", "align"])
    output = world.fetch()
    assert world.code == 0 and world.built() == ["head", "iris", "mesh", "plain", "pose", "sharp"]
    assert output.startswith("detect+align sharp            5 kB from the mirror, built\n") and "takes the place" not in output
    listed = world.list()
    assert listed["sharp"].split()[:3] == ["*", "sharp", "detect+align"]
    assert listed["plain"].startswith("*") and listed["mesh"].startswith("*")


def test_nothing_is_missed_where_only_the_network_of_two_roles_can_be_had(world, tmp_path):
    world.manifest = tiny_nets.tiny_manifest(tmp_path, sharp=["detect", "align"])
    world.remove([place for place in tiny_nets.FILES if "plain" in place or "mesh" in place])
    output = world.fetch()
    assert world.code == 0 and world.built() == ["head", "pose", "sharp"], output
    assert "takes the place" not in output and "iris: there will be no irises, as iris cannot be fetched" in output


def test_where_it_cannot_be_had_each_role_takes_a_network_of_its_own(world, tmp_path):
    world.manifest = tiny_nets.tiny_manifest(tmp_path, sharp=["detect", "align"])
    world.remove(GITHUB[:1])
    output = world.fetch()
    assert world.code == 0 and world.built() == ["head", "iris", "mesh", "plain", "pose"]
    assert "detect: plain takes the place of sharp" in output


def test_names_fetch_these_networks_only(world):
    assert "2 networks are ready" in world.fetch("plain", "head")
    assert world.built() == ["head", "plain"]
    assert "1 network is ready" in world.fetch("mesh")


def test_all_fetches_everything(world):
    world.fetch(all=True)
    assert world.built() == sorted(tiny_nets.NETWORKS)


def test_a_role_takes_the_next_candidate_and_one_line_says_so(world):
    world.remove(GITHUB[:1])
    output = world.fetch().splitlines()
    assert world.code == 0 and world.built() == ["head", "iris", "mesh", "plain", "pose"]
    reported = [line for line in output if line.startswith("detect: ")]
    assert len(reported) == 1
    assert reported[0].startswith("detect: plain takes the place of sharp, which cannot be fetched (the mirror has no gith")
    assert "127.0.0.1 cannot be reached" in reported[0]


def test_with_a_package_index_alone_the_rest_says_what_stands_in_for_it(world, monkeypatch, tmp_path):
    tiny_nets.write_wheel(tmp_path)
    tiny_nets.index_of(monkeypatch, tmp_path)
    output = world.fetch()
    assert world.code == 0 and world.built() == ["iris", "mesh", "plain"]
    assert "plain takes the place of sharp" in output
    assert "pose: the pose will come from the mesh, as pose cannot be fetched (127.0.0.1 cannot be reached: " in output
    assert "geometry: another head will be used, as head cannot be fetched (127.0.0.1 cannot be reached: " in output


@pytest.mark.parametrize("places, lacking", [
    (WHEEL, "nothing is there to align faces with: mesh cannot be fetched ("),
    (GITHUB + WHEEL, "nothing is there to detect and align faces with: sharp, plain, mesh cannot be fetched ("),
])
def test_without_a_network_for_a_required_role_the_cure_is_named(world, places, lacking):
    world.remove(places)
    with pytest.raises(ModelError) as e:
        world.fetch()
    assert str(e.value).startswith(lacking) and e.value.exit_code == 4 and "\n" not in str(e.value)
    assert str(e.value).endswith(
        "connect this machine to the network, or set NANOFACE_MIRROR to a folder that has the files")


def test_all_reports_once_what_cannot_be_had_and_succeeds_where_every_role_is_filled(world):
    world.remove([tiny_nets.NETWORKS["plain"][1][0]])
    output = world.fetch(all=True).splitlines()
    assert world.code == 0
    assert [line for line in output if line.startswith("plain cannot be fetched (the mirror has no pip/")]
    assert output[-1].startswith("5 networks are ready")


@pytest.mark.parametrize("name, nearest", [
    ("shrap", "did you mean sharp?"), ("zzz", "`nanoface models list` names them")])
def test_an_unknown_name_is_a_usage_error_before_anything_is_fetched(world, name, nearest):
    with pytest.raises(ConfigError) as e:
        world.fetch("mesh", name)
    assert nearest in str(e.value) and e.value.exit_code == 2
    assert not os.path.exists(world.home)


def test_a_named_network_that_cannot_be_had_is_an_error_and_the_others_are_still_fetched(world):
    world.remove(GITHUB)
    with pytest.raises(ModelError, match="sharp and pose cannot be fetched"):
        world.fetch("sharp", "mesh", "pose")
    assert world.built() == ["mesh"]


def test_a_network_that_cannot_be_converted_gives_way_to_the_next(world, monkeypatch):
    def convert(kind, files, options):
        if kind == "mxnet":
            raise ModelError("sharp.bin is truncated")
        return world.converter.convert(kind, files, options)

    monkeypatch.setattr("engines.convert.convert", convert)
    assert "plain takes the place of sharp, which cannot be converted (sharp.bin is truncated)" in world.fetch()


def test_a_missing_package_is_not_a_reason_to_take_another_network(world):
    world.converter.error = ModelError("converting needs the package onnx: python3 -m pip install onnx")
    world.converter.error.__cause__ = ImportError("No module named 'onnx'")
    with pytest.raises(ModelError, match="needs the package onnx"):
        world.fetch()
    assert world.converter.calls == ["mxnet"]


def test_an_unwritable_home_is_not_a_reason_to_take_another_network(world, tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(StorageError, match="set NANOFACE_HOME"):
        world.fetch()
    assert world.converter.calls == []


def test_a_corrupt_network_is_repaired_also_if_no_role_prefers_it(world):
    world.fetch(all=True)
    world.damage("plain.onnx")
    world.damage("mesh.cpu.onnx")
    output = world.fetch()
    assert "detect    plain            10 kB from the cache, built" in output
    assert world.check()[0] == 0


def test_a_corrupt_network_that_cannot_be_had_again_gives_way_to_the_next(world):
    world.fetch(all=True)
    world.damage("sharp.onnx")
    world.lose_the_cache()
    world.remove(GITHUB[:1])
    assert "plain takes the place of sharp" in world.fetch()
    assert "sharp" not in world.built()
    assert models.first_available(world.home, ["sharp", "plain"])[0].name == "plain"


def test_an_intact_network_of_an_older_converter_is_kept_where_its_files_are_gone(world, monkeypatch):
    world.fetch()
    world.lose_the_cache()
    world.remove(GITHUB[:1])
    monkeypatch.setattr(store, "converter_version", lambda: "newer")
    output = world.fetch()
    assert "detect    sharp            an older version is kept, as the new one cannot be fetched (" in output
    assert world.code == 0 and "sharp" in world.built() and "takes the place" not in output


def test_a_damaged_index_is_made_anew(world):
    world.fetch()
    with open(os.path.join(models.onnx_dir(world.home), "index.json"), "w") as f:
        f.write("{")
    assert "is damaged: it is made anew" in world.fetch()
    assert len(world.built()) == 5


def test_what_killed_runs_left_is_removed(world):
    parts = [os.path.join(folder, ".x.7" + PART) for folder in (cache_dir(world.home), models.onnx_dir(world.home))]
    for part in parts:
        os.makedirs(os.path.dirname(part))
        with open(part, "wb") as f:
            f.write(b"half")
    world.fetch()
    assert not any(os.path.exists(part) for part in parts)


def test_a_mirror_that_is_not_there_is_one_line_and_not_an_error(world, monkeypatch):
    world.fetch()
    monkeypatch.setenv("NANOFACE_MIRROR", os.path.join(world.home, "none"))
    output = world.fetch().splitlines()
    assert "which is not a folder: it is left out" in output[0] and world.code == 0


# ---- list

def test_list_reports_role_size_state_and_licence_of_every_network(world):
    world.fetch("sharp", "mesh")
    os.remove(os.path.join(models.onnx_dir(world.home), "mesh.onnx"))
    os.remove(os.path.join(cache_dir(world.home), *tiny_nets.NETWORKS["sharp"][1][0].split("/")))
    lines = world.list()
    assert set(tiny_nets.NETWORKS) < set(lines)
    assert lines["sharp"].split() == ["*", "sharp", "detect", "5", "kB", "built", "MIT"]
    assert lines["plain"].split() == ["plain", "detect", "10", "kB", "not", "fetched", "MIT"]
    assert lines["mesh"].split() == ["*", "mesh", "align", "12", "kB", "damaged", "MIT"]
    assert lines["iris"].split() == ["*", "iris", "iris", "12", "kB", "cached", "MIT"]


def test_a_name_that_no_file_can_have_is_damage(world):
    world.fetch("mesh")
    path = os.path.join(models.onnx_dir(world.home), models.INDEX)
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace("mesh.onnx", "mesh\\u0000.onnx"))
    assert world.list()["mesh"].split()[-2:] == ["damaged", "MIT"]


def test_list_and_the_page_of_the_networks_give_the_sizes_of_the_manifest(tmp_path):
    out = io.StringIO()
    commands.run_list(str(tmp_path), out)
    listed = {line[2:].split()[0]: " ".join(line.split()) for line in out.getvalue().splitlines()}
    with open(os.path.join(ROOT, "docs", "networks.md"), encoding="utf-8") as f:
        rows = [[cell.strip(" *") for cell in line.split("|")] for line in f]
    written = {row[2]: row[4] for row in rows if len(row) == 8}
    for name, network in read_manifest().networks.items():
        size = size_text(network.size)
        assert written[name] == size and " {} ".format(size) in listed[name], name


def test_list_reports_what_another_converter_built(world, monkeypatch):
    world.fetch("sharp")
    monkeypatch.setattr(store, "converter_version", lambda: "newer")
    assert "outdated" in world.list()["sharp"]


def test_list_prints_each_note_on_a_licence_once(world):
    for name in ("sharp", "mesh"):
        world.manifest.networks[name] = world.manifest.networks[name]._replace(licence_note="not for hire")
    world.manifest.networks["pose"] = world.manifest.networks["pose"]._replace(licence_note="as is")
    lines = world.list()
    assert [lines[name].split()[-1] for name in ("mesh", "pose", "sharp")] == ["[1]", "[2]", "[1]"]
    assert (lines["[1]"], lines["[2]"]) == ("[1] not for hire", "[2] as is")


LIST_WITHOUT_PACKAGES = """
import sys
for name in ("onnx", "tflite", "numpy", "onnxruntime"):
    sys.modules[name] = None
from engines.fetch.commands import run_check, run_list
run_list({home!r}, sys.stdout)
sys.exit(run_check({home!r}, sys.stdout))
"""


def test_list_and_check_need_none_of_the_converters_packages(world):
    world.fetch()
    code = LIST_WITHOUT_PACKAGES.format(home=world.home)
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ, PYTHONPATH=ROOT),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    assert "yunet_s" in output and "face_landmark" in output


# ---- check

def test_check_hashes_everything_that_is_built(world):
    world.fetch()
    code, output = world.check()
    assert code == 0 and output.count("  ok\n") == 5


@pytest.mark.parametrize("file", ["sharp.onnx", "sharp.cpu.onnx", "head.npy"])
def test_check_names_a_corrupt_file_and_its_cure_and_returns_4(world, file):
    world.fetch()
    world.damage(file)
    code, output = world.check()
    assert code == 4 and output.count("  ok\n") == 4
    assert "{} is corrupt (sha256 ".format(file) in output and output.endswith("run `nanoface models fetch`\n")


def test_check_names_a_missing_file(world):
    world.fetch()
    os.remove(os.path.join(models.onnx_dir(world.home), "mesh.onnx"))
    code, output = world.check()
    assert code == 4 and "mesh.onnx is missing" in output


def test_check_of_nothing_says_so(world):
    code, output = world.check()
    assert code == 4 and output.startswith("nothing is built in ") and "run `nanoface models fetch`" in output


def test_check_reports_what_an_older_converter_built_and_that_it_still_works(world, monkeypatch):
    world.fetch()
    monkeypatch.setattr(store, "converter_version", lambda: "newer")
    code, output = world.check()
    assert code == 0 and output.count("ok, but of an older manifest or converter: run `nanoface models fetch`") == 5


def test_a_damaged_index_is_one_clear_line_for_list_and_check(world):
    world.fetch()
    with open(os.path.join(models.onnx_dir(world.home), "index.json"), "w") as f:
        f.write("[]")
    for command in (world.list, world.check):
        with pytest.raises(ModelError, match="index.json .* run `nanoface models fetch`"):
            command()
