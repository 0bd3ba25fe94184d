"""A file that is cut short, damaged, missing or of another kind is one clear line, never a traceback."""
import os
import shutil
import sys

import pytest
from convert_cases import NETWORKS, paths_of

from edge.core.errors import ModelError
from engines.convert import KINDS, convert, decode_numbers

ONE_OF_EACH = (
    "yunet_s", "rfb320", "face_landmark", "blazeface_full", "fmr_8and16", "mb05", "faceboxes", "facemesh_pth",
    "face_attention")
CURE = "delete it and run `nanoface models fetch`$"


def _all_of(name):
    kind, files, options, _ = NETWORKS[name]
    paths = paths_of(files)
    return [(kind, paths, options, i) for i in range(len(paths))]


def _with(paths, index, tmp_path, data):
    """The paths with a copy of one file that holds `data` instead."""
    path = str(tmp_path / os.path.basename(paths[index]))
    with open(path, "wb") as f:
        f.write(data)
    return paths[:index] + [path] + paths[index + 1:]


def _read(kind, paths, options):
    convert(kind, paths, options)
    decode_numbers(kind, paths)


@pytest.mark.parametrize("fraction", [0.0, 0.0001, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_file_that_is_cut_short_is_refused(name, fraction, tmp_path):
    for kind, paths, options, index in _all_of(name):
        with open(paths[index], "rb") as f:
            data = f.read()
        damaged = _with(paths, index, tmp_path, data[:int(len(data) * fraction)])
        with pytest.raises(ModelError) as error:
            _read(kind, damaged, options)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_damaged_file_raises_nothing_but_a_model_error(name, seed, tmp_path):
    for kind, paths, options, index in _all_of(name):
        with open(paths[index], "rb") as f:
            data = bytearray(f.read())
        for i in range(4):  # in the structure at the front rather than in the weights
            data[(seed * 7919 + i * 104729) % min(len(data), 3000)] ^= 0x5A + i
        try:
            _read(kind, _with(paths, index, tmp_path, bytes(data)), options)
            refused = ""  # the damage hit what nobody reads, such as upstream's name of a node
        except ModelError as e:
            refused = str(e)
        assert "\n" not in refused


@pytest.mark.parametrize("content", [
    pytest.param(b"", id="empty"), pytest.param(b"<!DOCTYPE html><title>404: not found</title>", id="page"),
    pytest.param(b"\x00" * 4096, id="zeros"), pytest.param(b"PK\x03\x04", id="archive")])
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_another_kind_of_file_is_refused(name, content, tmp_path):
    for kind, paths, options, index in _all_of(name):
        with pytest.raises(ModelError, match="is truncated or not what its name says: " + CURE):
            _read(kind, _with(paths, index, tmp_path, content), options)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_file_that_is_missing_is_named(kind, tmp_path):
    files = [str(tmp_path / ("weights" + ending)) for ending in (".json", ".params", ".pth", ".pkl")]
    files = {"mxnet": files[:2], "mb05": files[2:]}.get(kind, files[2:3])
    with pytest.raises(ModelError, match="weights[^\n]* cannot be read [^\n]*" + CURE):
        convert(kind, files, {"input": [1, 3, 240, 320]})


@pytest.mark.parametrize("kind, files, line", [
    ("mxnet", ["net-symbol.json"], "a .json and a .params file, not net-symbol.json"),
    ("mb05", ["statistics.pkl"], "needs a .pth file beside statistics.pkl"),
])
def test_a_file_that_was_not_given_is_named(kind, files, line):
    with pytest.raises(ModelError, match=line):
        convert(kind, files, {})


@pytest.mark.parametrize("name, options, line", [
    ("face_landmark", {"outputs": {"landmarks": "conv2d_99"}}, "no output conv2d_99: it has conv2d_21, conv2d_31"),
    ("yunet_s", {"input": [1, 3, 256, 320], "outputs": {"boxes": "bbox_64"}}, "has no output bbox_64"),
])
def test_an_output_that_upstream_does_not_have_is_named(name, options, line):
    kind, files, _, _ = NETWORKS[name]
    with pytest.raises(ModelError, match=line):
        convert(kind, paths_of(files), options)


def test_weights_of_another_network_are_refused(tmp_path):
    """A valid .pth of the wrong network under the right name."""
    other = str(tmp_path / "facemesh.pth")
    shutil.copyfile(paths_of(NETWORKS["faceboxes"][1])[0], other)
    with pytest.raises(ModelError, match="facemesh.pth is truncated or not what its name says: " + CURE):
        convert("facemesh", [other], {})


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path):
    for module in ("engines.convert.lite_graph", "engines.convert.lite_file"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(ModelError, match="needs the package tflite: .* -m pip install 'tflite>=") as error:
        convert("tflite", [str(tmp_path / "net.tflite")], {})
    assert isinstance(error.value.__cause__, ImportError)
