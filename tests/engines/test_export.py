"""`nanoface models export`: the same network in another opset, with other names, and nothing overwritten."""
import io
import os

import numpy as np
import pytest
from whole_runs import need_networks

pytest.importorskip("onnx", reason="networks are exported with the package onnx")
import onnx  # noqa: E402
from convert_cases import golden_of  # noqa: E402
from fakes.simulated import onnx_bytes  # noqa: E402
from golden import read as read_golden  # noqa: E402

from edge.cli.table import load, read_words  # noqa: E402
from edge.core.errors import ConfigError, ModelError  # noqa: E402
from edge.core.roles import NETWORKS  # noqa: E402
from edge.store.models import locate  # noqa: E402
from engines.export.command import ExportOptions, run_export  # noqa: E402
from engines.export.opset import in_opset  # noqa: E402

ALL = [name for names in NETWORKS.values() for name in names]
REFUSED = {  # network -> opsets that it is not written in, and the operators that the line names
    "face_attention": {9: "Gather and Slice", 13: "ReduceSum"}, "yunet_s": {9: "Resize"}, "yunet_n": {9: "Resize"},
    "blazeface_full": {9: "Resize"}, "fmr_8and16": {9: "Resize and Slice and Softmax", 11: "Softmax"},
    "fmr_16and32": {9: "Resize and Slice and Softmax", 11: "Softmax"}, "rfb320": {13: "Softmax"}, "faceboxes": {13: "Softmax"},
}


def session(model):
    ort = pytest.importorskip("onnxruntime")
    readable = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(readable, providers=["CPUExecutionProvider"])


def export(home, name, path, **options):
    out = io.StringIO()
    assert run_export(str(home), name, ExportOptions(out=str(path), **options), out) == 0
    return out.getvalue()


def test_the_mesh_of_pytorch_in_opset_9_gives_torchs_numbers_under_the_names_of_the_recipe(models_home, tmp_path):
    need_networks(models_home, "facemesh_pth")
    path = tmp_path / "facemesh.onnx"
    line = export(models_home, "facemesh_pth", path, opset=9, names=("image", "preds", "confs"))
    assert "opset 9, IR 4; image (1, 3, 192, 192) -> preds (1, 1404), confs (1, 1); RGB" in line and line.count("\n") == 1
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import] == [9] and model.ir_version == 4
    assert [[v.name for v in side] for side in (model.graph.input, model.graph.output)] == [["image"], ["preds", "confs"]]
    pads = [node for node in model.graph.node if node.op_type == "Pad"]
    assert pads and all(len(node.input) == 1 and any(a.name == "pads" for a in node.attribute) for node in pads)
    golden, runner = read_golden(golden_of("facemesh_pth")), session(str(path))
    assert golden.runtime.startswith("torch") and golden.cases
    for case in golden.cases:
        outputs = dict(zip(("landmarks", "presence"), runner.run(["preds", "confs"], {"image": case.feed})))
        for name, expected in case.expected.items():
            found = outputs[name].ravel()[::expected.step]
            assert np.abs(found - expected.values).max() < 1e-4, case.title


@pytest.mark.parametrize("opset", [9, 11, 13, 15])
@pytest.mark.parametrize("name", ALL)
def test_what_is_written_in_another_opset_is_the_same_function(models_home, name, opset):
    need_networks(models_home, name)
    path = locate(str(models_home), name).file
    model = onnx.load(path)
    why = REFUSED.get(name, {}).get(13 if opset == 15 else opset)
    if why:
        with pytest.raises(ConfigError, match="written in opset {}: {} (is|are) something else there".format(opset, why)):
            in_opset(model, opset, name)
        return
    other = in_opset(model, opset, name)
    onnx.checker.check_model(other)
    assert [entry.version for entry in other.opset_import] == [opset]
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    feed = {"input": np.random.RandomState(opset).uniform(0, 1, shape).astype(np.float32)}
    for one, two in zip(session(path).run(None, feed), session(other).run(None, feed)):
        assert np.abs(one - two).max() <= 1e-5 * max(1.0, np.abs(one).max())


@pytest.mark.parametrize("node, opset, own", [
    (("Softmax", "x", "y", {"axis": 1}), 13, 11), (("Softmax", "x", "y", {"axis": 1}), 11, 13),
    (("Concat", "x x", "y", {"axis": -1}), 9, 11), (("MaxPool", "x", "y", {"kernel_shape": [2, 2], "ceil_mode": 1}), 9, 11),
    (("DepthToSpace", "x", "y", {"blocksize": 1, "mode": "CRD"}), 9, 11), (("HardSwish", "x", "y", {}), 13, 14),
    (("Gemm", "x x", "y", {}), 9, 11), (("Pad", "x p", "y", {}), 9, 11),
])
def test_what_means_something_else_is_refused_and_not_written(node, opset, own):
    model = onnx.load_from_string(onnx_bytes([node], [("x", (1, 4, 6, 8)), ("p", (8,))], [("y", None)], opset=own))
    with pytest.raises(ConfigError, match="{} is something else there; its own is {}".format(node[0], own)):
        in_opset(model, opset, "mine")


def test_an_attribute_that_says_what_is_usual_is_left_out_where_it_is_not_known():
    pool = ("MaxPool", "x", "y", {"kernel_shape": [2, 2], "ceil_mode": 0, "strides": [2, 2]})
    model = onnx.load_from_string(onnx_bytes([pool], [("x", (1, 4, 6, 8))], [("y", (1, 4, 3, 4))]))
    assert sorted(a.name for a in in_opset(model, 9, "mine").graph.node[0].attribute) == ["kernel_shape", "strides"]


def test_nothing_is_written_over_and_a_folder_is_no_file(models_home, tmp_path):
    need_networks(models_home, "mb05")
    path = tmp_path / "a.onnx"
    path.write_text("somebody's")
    for target, text in ((path, "is there: --force writes over it"), (tmp_path, "is a folder")):
        with pytest.raises(ConfigError, match=text):
            export(models_home, "mb05", target)
    assert path.read_text() == "somebody's" and os.listdir(str(tmp_path)) == ["a.onnx"]
    export(models_home, "mb05", path, force=True)
    assert onnx.load(str(path)).graph.output[0].name == "params"


@pytest.mark.parametrize("name, options, error, text", [
    ("mb05", {"names": ("a", "b")}, ConfigError, "mb05 has input, params, landmarks, inputs first: 3 names, and 2 are given"),
    ("mb05", {"names": ("a", "b", "a")}, ConfigError, "'a' stands there twice"),
    ("mb05", {"names": ("a", "", "c")}, ConfigError, "'' is no name of a tensor"),
    ("mb05", {"names": ("a", "b\n", "c")}, ConfigError, "is no name of a tensor"),
    ("mb05", {"opset": 6}, ConfigError, "7 to 15 can be written"), ("mb05", {"opset": 18}, ConfigError, "7 to 15"),
    ("canonical_face", {}, ConfigError, "is no network"), ("mb06", {}, ConfigError, "did you mean mb05"),
])
def test_what_cannot_be_written_so_is_one_line_and_no_file(models_home, tmp_path, name, options, error, text):
    need_networks(models_home, "mb05")
    with pytest.raises(error, match=text) as refused:
        export(models_home, name, tmp_path / "a.onnx", **options)
    assert "\n" not in str(refused.value) and os.listdir(str(tmp_path)) == []


def test_a_network_that_was_not_fetched_is_told_with_the_cure(tmp_path):
    with pytest.raises(ModelError, match="mb05 is not in .*models fetch mb05"):
        export(tmp_path, "mb05", tmp_path / "a.onnx")


def test_a_name_of_one_of_its_own_tensors_can_be_had(models_home, tmp_path):
    need_networks(models_home, "facemesh_pth")
    model = onnx.load(locate(str(models_home), "facemesh_pth").file)
    inner, constant = model.graph.node[3].output[0], model.graph.initializer[5].name
    export(models_home, "facemesh_pth", tmp_path / "a.onnx", names=(inner, constant, "input"))
    feed = np.random.RandomState(2).uniform(0, 1, (1, 3, 192, 192)).astype(np.float32)
    one = session(locate(str(models_home), "facemesh_pth").file).run(["landmarks", "presence"], {"input": feed})
    two = session(str(tmp_path / "a.onnx")).run([constant, "input"], {inner: feed})
    assert all(np.array_equal(a, b) for a, b in zip(one, two))


def test_the_command_line_of_the_recipe(models_home, tmp_path, monkeypatch):
    need_networks(models_home, "facemesh_pth")
    monkeypatch.setenv("NANOFACE_HOME", str(models_home))
    monkeypatch.chdir(str(tmp_path))
    args = read_words(["models", "export", "facemesh_pth", "--opset", "9", "--names", "image, preds,confs"])
    assert load("models").run(args, io.StringIO()) == 0 and os.listdir(str(tmp_path)) == ["facemesh_pth.onnx"]
    assert [v.name for v in onnx.load("facemesh_pth.onnx").graph.output] == ["preds", "confs"]


@pytest.mark.parametrize("words, text", [
    (["export"], "the name of one network"), (["export", "mb05", "yunet_s"], "the name of one network"),
    (["fetch", "--opset", "9"], "go with nanoface models export"), (["list", "--out", "a"], "go with nanoface models export"),
    (["export", "mb05", "--out", ""], "is empty"), (["export", "mb05", "--names", ""], "is empty"),
    (["export", "mb05", "--all"], "go with nanoface models fetch"), (["export", "mb05", "--markdown"], "models lint"),
    (["export", "mb05", "--opset", "nine"], "not a whole number"),
])
def test_words_that_do_not_go_together_are_refused(words, text):
    with pytest.raises(ConfigError, match=text):
        read_words(["models"] + words)
