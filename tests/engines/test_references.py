"""The stored pictures are what the pipeline would show, their answers those of the very file that is there."""
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from fakes.verify_home import NETWORKS, change_index, home_with

from edge.core.errors import EngineError, ModelError
from edge.core.packet import Roi
from edge.geometry import roi as regions
from edge.models.detectors.table import DETECTORS, make_detector
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05
from edge.models.warp import Warper
from edge.store import models
from engines.fetch import commands
from engines.manifest.read import read_manifest
from engines.verify import references, stills
from engines.verify.agreement import differences

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MIRROR = os.path.normpath(os.path.join(ROOT, "..", "shared", "models"))
MANIFEST = read_manifest()
ROI = Roi(320.0, 240.0, 200.0, 0.1)
each_network = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture
def home(tmp_path, stored_network):
    return home_with(tmp_path / "home", [stored_network("mb05")])


@pytest.fixture
def made(home):
    """A home where the answers of mb05 are stored."""
    pytest.importorskip("onnxruntime")
    assert references.make(home, "mb05")
    return home


def whole(path):
    with open(path, "rb") as f:
        return f.read()


@each_network
def test_the_pictures_have_the_shape_of_the_input_and_are_few_but_unlike(name):
    network = MANIFEST.network(name)
    pictures = stills.crops(network.role, name)
    batch, channels, height, width = network.input.shape
    assert 3 <= len(pictures) <= 6
    for picture in pictures:
        assert picture.shape == (batch, height, width, channels) and picture.dtype == np.uint8
        assert picture.std() > 5.0
    flat = [picture.astype(float) for picture in pictures]
    assert min(np.abs(a - b).mean() for i, a in enumerate(flat) for b in flat[:i]) > 5.0


@each_network
def test_the_pictures_are_the_same_every_time(name):
    role = MANIFEST.network(name).role
    for a, b in zip(stills.crops(role, name), stills.crops(role, name)):
        assert np.array_equal(a, b)


def crop_of(role, name):
    """What the pipeline asks for."""
    if role == "detect":
        return make_detector(name).crop(640, 480)
    if role == "pose":
        return Mb05({"mean": [0.0] * 12, "std": [1.0] * 12}).crop(ROI)
    return FaceLandmark(name).crop(ROI) if role == "align" else IrisLandmark().crops((ROI, ROI))[1]


@each_network
def test_the_arithmetic_on_the_pixels_is_that_of_the_pipeline(name):
    network = MANIFEST.network(name)
    crop = crop_of(network.role, name)
    frame = np.random.RandomState(1).randint(0, 256, (480, 640, 3)).astype(np.uint8)
    feed = np.empty((1, 3) + crop.size[::-1], np.float32)
    Warper().fill(frame, crop, feed[0])
    assert crop.colour == network.input.colour
    assert np.allclose(references.feed_of(stills._pixels(frame, crop)[None], network.input), feed, atol=1e-6)


def test_the_left_eye_is_shown_mirrored():
    frame, (right, left) = stills.live_view("iris", "iris_landmark")
    assert np.linalg.det(right.matrix[:, :2]) > 0 > np.linalg.det(left.matrix[:, :2])
    corners = regions.apply(left.matrix, np.array([[256.2, 193.7], [286.0, 192.5]]) + (80.0, 44.0))
    assert 0 < corners[1, 0] < corners[0, 0] < 64  # the outer corner is to the left, as the right eye's is


@each_network
def test_what_is_stored_is_what_onnx_runtime_answers_to_the_pictures(name, stored_network, tmp_path):
    pytest.importorskip("onnxruntime")
    from edge.runtimes.cpu.onnx import OnnxRunner
    stored, network = stored_network(name), MANIFEST.network(name)
    home = home_with(tmp_path / "home", [stored])
    assert references.make(home, name)
    cases = references.cases(home, name)
    assert os.path.getsize(references.path_of(home, name)) < 1e6
    runner = OnnxRunner(stored)
    runner.open()
    for case, pixels in zip(cases, stills.crops(network.role, name)):
        (feed,) = case.feeds.values()
        assert np.array_equal(feed, references.feed_of(pixels, network.input)) and feed.flags.c_contiguous
        assert {k: v.shape for k, v in case.outputs.items()} == dict(network.outputs)
        assert all(v.dtype == np.float32 for v in case.outputs.values())
        found = differences(stored, case.outputs, runner.infer(case.feeds))
        assert max(d.worst / d.tolerance for d in found) < 0.01  # with and without the rewritten PReLU
    runner.close()
    assert len(cases) == len(stills.crops(network.role, name))


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_each_detector_finds_the_face_in_some_pictures_and_nothing_where_there_is_none(name, stored_network, tmp_path):
    pytest.importorskip("onnxruntime")
    home, detector = home_with(tmp_path / "home", [stored_network(name)]), make_detector(name)
    references.make(home, name)
    found = [len(detector.decode(case.outputs, detector.crop(640, 480), detector.threshold, 9).boxes)
             for case in references.cases(home, name)]
    assert sum(found[:-1]) >= 3 and max(found) == 1 and found[-1] == 0


def test_two_makings_give_the_same_bytes(made):
    first = whole(references.path_of(made, "mb05"))
    assert references.make(made, "mb05")
    assert whole(references.path_of(made, "mb05")) == first


@pytest.mark.parametrize("name", ["canonical_face", "a_network_of_mine"])
def test_what_is_no_network_of_the_manifest_has_no_answers(home, name):
    assert references.make(home, name) is False
    assert not os.path.exists(references.path_of(home, name))


def spoil(path, change):
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    content = io.BytesIO()
    np.savez(content, **arrays)
    with open(path, "wb") as f:
        f.write(content.getvalue())


@pytest.mark.parametrize("damage, text", [
    (os.remove, "no stored answers to compare mb05 with"),
    (lambda p: open(p, "wb").close(), "cannot be read"),
    (lambda p: open(p, "r+b").truncate(50000), "cannot be read"),
    (lambda p: open(p, "wb").write(b"<!DOCTYPE html>"), "cannot be read"),
    (lambda p: spoil(p, lambda a: a.pop("about")), "cannot be read"),
    (lambda p: spoil(p, lambda a: a.update(about=np.array("[]"))), "cannot be read"),
    (lambda p: spoil(p, lambda a: a.update(about=np.array("{"))), "cannot be read"),
    (lambda p: spoil(p, lambda a: a.update(about=np.array('{"schema": 0}'))), "another version of mb05"),
    (lambda p: spoil(p, lambda a: a.pop("0/pixels")), "cannot be read"),
    (lambda p: (os.remove(p), os.mkdir(p)), "cannot be read"),
], ids=["missing", "empty", "cut short", "no archive", "no about", "a list", "no JSON", "schema", "no pixels", "folder"])
def test_answers_that_cannot_be_read_are_one_line_with_the_cure(made, damage, text):
    damage(references.path_of(made, "mb05"))
    with pytest.raises(ModelError) as caught:
        references.cases(made, "mb05")
    output = str(caught.value)
    assert text in output and "run `nanoface models fetch mb05`" in output and "\n" not in output


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"sha256": None}])
def test_answers_of_another_version_of_the_network_are_refused(made, changes):
    change_index(made, "mb05", **changes)
    with pytest.raises(ModelError) as caught:
        references.cases(made, "mb05")
    assert "another version of mb05" in str(caught.value) and "models fetch mb05" in str(caught.value)


def test_current_answers_are_kept_and_stale_or_broken_ones_made_anew(made):
    path = references.path_of(made, "mb05")
    good, before = whole(path), os.stat(path).st_ino
    references.keep_current(made, "mb05")
    assert os.stat(path).st_ino == before  # not written again
    for damage in (lambda a: a.update(about=np.array('{"schema": 1, "sha256": ""}')), lambda a: a.pop("about")):
        spoil(path, damage)
        references.keep_current(made, "mb05")
        assert whole(path) == good
    os.remove(path)
    assert len(references.current_cases(made, "mb05")) == 4 and whole(path) == good


def test_without_onnx_runtime_nothing_is_made_and_the_stored_answers_are_read(made, monkeypatch):
    monkeypatch.setattr(references, "find_spec", lambda name: None)
    assert len(references.current_cases(made, "mb05")) == 4
    os.remove(references.path_of(made, "mb05"))
    references.keep_current(made, "mb05")
    assert not os.path.exists(references.path_of(made, "mb05"))
    with pytest.raises(ModelError) as caught:
        references.current_cases(made, "mb05")
    assert "where ONNX Runtime is installed" in str(caught.value)


def test_making_them_without_onnx_runtime_names_it(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError) as caught:
        references.make(home, "mb05")
    assert "-m pip install 'onnxruntime>=" in str(caught.value)


def test_a_network_that_onnx_runtime_cannot_run_does_not_stop_a_fetch(home):
    pytest.importorskip("onnxruntime")
    path = os.path.join(models.onnx_dir(home), "mb05.onnx")
    with open(path, "wb") as f:
        f.write(b"no network")
    change_index(home, "mb05", sha256=models.sha256_of(path))
    references.keep_current(home, "mb05")
    assert not os.path.exists(references.path_of(home, "mb05"))
    with pytest.raises(ModelError):
        references.make(home, "mb05")


READ = """
import sys
for name in ("onnx", "onnxruntime", "openvino", "tflite"):
    sys.modules[name] = None
sys.path.insert(0, {root!r})
from engines.verify import references
assert len(references.current_cases({home!r}, "mb05")) == 4
"""


def test_the_answers_are_read_where_neither_onnx_nor_onnx_runtime_is(made):
    assert subprocess.call([sys.executable, "-c", READ.format(root=ROOT, home=made)], cwd=ROOT) == 0


@pytest.mark.shared("models/github/cleardusk")
def test_fetching_a_network_keeps_its_answers_and_brings_back_those_that_are_lost(tmp_path, monkeypatch):
    for package in ("onnx", "tflite", "onnxruntime"):
        pytest.importorskip(package)
    monkeypatch.setenv("NANOFACE_MIRROR", MIRROR)
    home = str(tmp_path / "home")
    for _ in range(2):
        assert commands.run_fetch(home, ["mb05"], False, False, io.StringIO()) == 0
        assert len(references.cases(home, "mb05")) == 4
        assert commands.run_check(home, io.StringIO()) == 0
        os.remove(references.path_of(home, "mb05"))
