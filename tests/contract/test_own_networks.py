"""Networks of one's own in both runtimes of a processor, and files that are none, hostile ones among them."""
import os

import numpy as np
import pytest
from fakes.own_networks import MESH, constant_onnx, constant_xml, write
from fakes.simulated import onnx_bytes
from whole_runs import need_networks, need_runtime

from edge.app.networks import Networks
from edge.config.load import load_config
from edge.core.errors import ConfigError, EdgeError, EngineError, ModelError
from edge.models.aligners import make_aligner
from edge.store.own import check_file

pytest.importorskip("onnx", reason="the networks are made with the package onnx")
RUNTIMES = ("onnxruntime", "openvino")
POINTS = np.random.RandomState(3).uniform(20, 170, (1, 1404)).astype(np.float32)
MESH_VALUES = {"landmarks": POINTS, "presence": np.full((1, 1), 4.0, np.float32)}
IMAGE = np.random.RandomState(1).randint(0, 255, (240, 320, 3)).astype(np.uint8)


def opened(home, monkeypatch, path, like="face_landmark", runtime="auto", role="align"):
    monkeypatch.setenv("NANOFACE_HOME", str(home))
    models = {"models." + role: str(path), "models.{}_like".format(role): like, "models.runtime": runtime}
    config = load_config(None, models, {})
    runner, network = Networks(config, lambda event, text: None).required(role, getattr(config.models, role))
    runner.open()
    return runner, network


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    need_runtime(request.param)
    return request.param


@pytest.mark.parametrize("names", [{}, {"landmarks": "preds", "presence": "confs"}])
@pytest.mark.parametrize("open_batch", [False, True])
def test_an_onnx_of_ones_own_gives_what_the_decoder_wants_under_its_names(tmp_path, monkeypatch, runtime, names, open_batch):
    values = {names.get(name, name): value for name, value in MESH_VALUES.items()}
    path = constant_onnx(tmp_path / "my.onnx", values, open_batch=open_batch)
    runner, network = opened(tmp_path, monkeypatch, path, runtime=runtime)
    assert (runner.model, network.name, network.like) == ("my.onnx", "my.onnx", "face_landmark")
    assert runner.own == "face_landmark " + check_file(path) and runner.inputs[0].shape == (1, 3, 192, 192)
    assert {t.name: t.shape for t in runner.outputs} == MESH
    aligner = make_aligner(network.like)
    roi = aligner.roi_of_detection((80.0, 60.0, 200.0, 180.0), 0.0)
    seen = aligner.decode(runner.submit(IMAGE, (aligner.crop(roi),)).result(), roi)
    assert seen.presence == pytest.approx(1 / (1 + np.exp(-4)))
    assert seen.landmarks[0, 2] == pytest.approx(POINTS[0, 2] * roi.size / 192, rel=1e-5)
    runner.close()
    assert str(tmp_path) not in runner.model + runner.own + runner.backend


def test_one_of_ours_from_a_file_gives_the_same_numbers_as_by_its_name(tmp_path, models_home, monkeypatch, runtime):
    need_networks(models_home, "face_landmark")
    path = os.path.join(str(models_home), "onnx", "face_landmark.onnx")
    answers = []
    for word, like in (("face_landmark", None), (path, "face_landmark")):
        runner, network = opened(models_home, monkeypatch, word, like, runtime)
        aligner = make_aligner(network.like)
        roi = aligner.roi_of_detection((80.0, 60.0, 200.0, 180.0), 0.1)
        answers.append(runner.submit(IMAGE, (aligner.crop(roi),)).result()["landmarks"].copy())
        runner.close()
    assert np.abs(answers[0] - answers[1]).max() < 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_an_xml_of_openvino_runs_in_32_bits_and_has_the_size_of_its_file(tmp_path, monkeypatch, dtype):
    need_runtime("openvino")
    table = np.zeros((1, 1, 200, 7))
    table[0, 0, 0] = 0, 0, 0.9, 0.25, 0.25, 0.5, 0.75
    table[0, 0, 1:, 0] = -1
    path = constant_xml(tmp_path / "face-detection-0202.xml", {"detection_out": table}, (1, 3, 384, 256), dtype)
    runner, network = opened(tmp_path, monkeypatch, path, "ssd300x7", role="detect")
    assert runner.backend.startswith("openvino") and runner.backend.endswith("f32") and network.size == (256, 384)
    found = runner.infer({runner.inputs[0].name: np.zeros((1, 3, 384, 256), np.float32)})
    assert found["detections"].dtype == np.float32 and found["detections"][0, 0, 0, 2] == pytest.approx(0.9, abs=1e-3)
    with pytest.raises(EngineError, match="is for OpenVINO, and not for ONNX Runtime"):
        opened(tmp_path, monkeypatch, path, "ssd300x7", "onnxruntime", role="detect")
    os.truncate(os.path.splitext(path)[0] + ".bin", 100)
    with pytest.raises(ModelError, match="face-detection-0202.xml"):
        opened(tmp_path, monkeypatch, path, "ssd300x7", role="detect")
    os.unlink(os.path.splitext(path)[0] + ".bin")
    with pytest.raises(ModelError, match="there is no .*face-detection-0202.bin"):
        opened(tmp_path, monkeypatch, path, "ssd300x7", role="detect")


@pytest.mark.parametrize("values, shape, text", [
    ({"a": np.zeros((1, 10)), "b": np.zeros((1, 1))}, (1, 3, 192, 192),
     "my.onnx has outputs a (1, 10) and b (1, 1); face_landmark needs landmarks (1, 1404) and presence (1, 1)"),
    (MESH_VALUES, (1, 192, 192, 3), "put the channels first"),
    (MESH_VALUES, (1, 3, "height", "width"), "fix height and width"),
    (MESH_VALUES, (4, 3, 192, 192), "its batch is 1"),
])
def test_tensors_that_do_not_fit_are_told_before_anything_runs(tmp_path, monkeypatch, runtime, values, shape, text):
    path = constant_onnx(tmp_path / "my.onnx", values, shape)
    with pytest.raises(ModelError) as refused:
        opened(tmp_path, monkeypatch, path, runtime=runtime)
    assert text in str(refused.value) and "\n" not in str(refused.value)


def with_values_in(location, path):
    """An ONNX file whose points lie in another file."""
    import onnx

    model = onnx.load(constant_onnx(path, MESH_VALUES))
    tensor = next(t for t in model.graph.initializer if t.name == "landmarks.value")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", str(len(data)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    write(path, model.SerializeToString())
    return data


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/passwd", "../../../../etc/passwd", "", "..", "linked.bin"])
def test_values_in_a_file_that_does_not_lie_beside_it_are_refused(tmp_path, monkeypatch, runtime, location):
    folder = tmp_path / "mine"
    folder.mkdir()
    data = with_values_in(location, folder / "my.onnx")
    write(tmp_path / "outside.bin", data)
    (folder / "linked.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(ModelError, match="beside it and nowhere else"):
        opened(tmp_path, monkeypatch, folder / "my.onnx", runtime=runtime)


def test_values_of_a_function_may_not_lie_elsewhere_either(tmp_path):
    import onnx
    from onnx import helper

    model = onnx.load(constant_onnx(tmp_path / "my.onnx", MESH_VALUES))
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    nodes = [helper.make_node("Constant", [], ["y"], value=tensor)]
    model.functions.append(helper.make_function("my.ops", "F", [], ["y"], nodes, [helper.make_opsetid("", 13)]))
    with pytest.raises(ModelError, match="beside it and nowhere else"):
        check_file(write(tmp_path / "my.onnx", model.SerializeToString()))


def test_values_in_a_file_beside_it_are_read_and_belong_to_its_hash(tmp_path, monkeypatch, runtime):
    data = with_values_in("my.onnx.data", tmp_path / "my.onnx")
    with pytest.raises(ModelError, match="there is no .*my.onnx.data"):
        check_file(str(tmp_path / "my.onnx"))
    write(tmp_path / "my.onnx.data", data)
    first = check_file(str(tmp_path / "my.onnx"))
    runner, _ = opened(tmp_path, monkeypatch, tmp_path / "my.onnx", runtime=runtime)
    assert runner.own.endswith(first)
    runner.close()
    write(tmp_path / "my.onnx.data", data[:-1] + b"\1")
    assert check_file(str(tmp_path / "my.onnx")) != first


def deep(levels):
    """Graphs within attributes of nodes of graphs."""
    def field(number, data):
        return bytes([number * 8 + 2]) + varint(len(data)) + data

    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

    data = b""
    for _ in range(levels):
        data = field(1, field(5, field(6, data)))
    return field(7, data)


@pytest.mark.parametrize("content, text", [
    (b"", "my.onnx"), (b"not a network at all", "no ONNX"), (b"\x00" * 4096, "no ONNX"), (os.urandom(5000), "my.onnx"),
    (b"\x08\x07\x3a\xff\xff\xff\xff\x0f", "cut short"), (deep(400), "no ONNX"),
    (onnx_bytes([("Foo", "picture", "landmarks", {"domain": "my.ops"})], [("picture", (1, 3, 192, 192))],
                [("landmarks", (1, 1404))]), "cannot run"),
    (onnx_bytes([("Relu", "picture", "y", {})], [("picture", (1, 3, 192, 192))], [("y", (1, 3, 192, 192))])[:-40], "my.onnx"),
])
def test_a_file_that_is_no_network_is_one_line(tmp_path, monkeypatch, capfd, runtime, content, text):
    path = write(tmp_path / "my.onnx", content)
    with pytest.raises(ModelError) as refused:
        opened(tmp_path, monkeypatch, path, runtime=runtime)
    assert text in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 600
    assert capfd.readouterr() == ("", "")


BOMB = b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><net name="&b;"></net>'


@pytest.mark.parametrize("content, text", [
    (BOMB, "no network of OpenVINO's"), (BOMB.decode().encode("utf-16"), "no network of OpenVINO's"),
    (b'<?xml version="1.0"?><net name="x" version="7"></net>', "no network of OpenVINO's"),
    (b'<?xml version="1.0" encoding="klingon"?><net name="x" version="11"></net>', "no network of OpenVINO's"),
    (b'<net version="11">' + b"<a>" * 10000 + b"</a>" * 10000 + b"</net>", "no network of OpenVINO's"),
    (b"<html></html>", "no network of OpenVINO's"), (b"", "no network of OpenVINO's"),
    (b'<?xml version="1.0"?><net name="x" version="11"><layers>', "my.xml"),
    (b'<?xml version="1.0"?><net name="x" version="11"><layers><layer id="0" name="a" type="Evil" version="extension">'
     b'<output><port id="0" precision="FP32"/></output></layer></layers><edges/></net>', "my.xml"),
])
def test_an_xml_that_is_no_network_is_one_line(tmp_path, monkeypatch, capfd, content, text):
    need_runtime("openvino")
    path = write(tmp_path / "my.xml", content)
    with pytest.raises(ModelError) as refused:
        opened(tmp_path, monkeypatch, path)
    assert text in str(refused.value) and "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", ""), "nor do the runtime's own readers say anything"


@pytest.mark.parametrize("name", ["my.onnx", "my.xml"])
def test_what_is_no_file_or_too_large_is_one_line_and_waits_for_nobody(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(ModelError, match="there is no"):
        check_file(str(path))
    path.mkdir()
    with pytest.raises(ModelError, match=name):
        check_file(str(path))
    path.rmdir()
    os.mkfifo(str(path))
    with pytest.raises(ModelError, match="no regular file"):
        check_file(str(path))
    path.unlink()
    write(path, b"")
    os.truncate(str(path), 10 * 10 ** 9)  # a hole: nothing of it lies on the disk
    with pytest.raises(ModelError, match="more than"):
        check_file(str(path))


def test_tensorrt_alone_says_that_it_takes_none_and_auto_says_what_takes_its_place(tmp_path, monkeypatch):
    need_runtime(*RUNTIMES)
    path = constant_onnx(tmp_path / "my.onnx", MESH_VALUES)
    with pytest.raises(EngineError, match="builds engines of its own networks only: --runtime auto"):
        opened(tmp_path, monkeypatch, path, runtime="tensorrt")
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr("edge.runtimes.choose.find_spec", lambda name: real("json") if name == "tensorrt" else real(name))
    runner, _ = opened(tmp_path, monkeypatch, path)
    assert runner.note.startswith("no engine is built of my.onnx, a network of your own: o")
    runner.close()
    monkeypatch.setattr("edge.runtimes.choose.find_spec", lambda name: None)
    with pytest.raises(EngineError, match="no runtime is installed: .*pip install"):
        opened(tmp_path, monkeypatch, path)


def test_a_pose_of_ones_own_needs_the_numbers_that_come_with_ours(tmp_path, models_home, monkeypatch):
    need_runtime(*RUNTIMES)
    path = constant_onnx(tmp_path / "my.onnx", {"params": np.zeros((1, 62))}, (1, 3, 120, 120))
    with pytest.raises(ModelError, match="mb05"):
        opened(tmp_path, monkeypatch, path, "mb05", role="pose")
    need_networks(models_home, "mb05")
    runner, network = opened(models_home, monkeypatch, path, "mb05", role="pose")
    assert set(network.decode) == {"mean", "std"}
    runner.close()


@pytest.mark.parametrize("settings, text", [
    ({"models.align": "my.onnx"}, "say with models.align_like which .*: face_attention, face_landmark, facemesh_pth"),
    ({"models.detect": "a/b.xml"}, "models.detect_like .*blazeface_full, ssd300x7"),
    ({"models.align": "./mine"}, "a file that ends in .onnx or .xml"),
    ({"models.detect": "ssd300x7"}, "models.detect_like names it"),
    ({"models.align": ["face_landmark", "my.onnx"], "models.align_like": "face_landmark"}, "stands alone"),
    ({"models.align_like": "face_landmark"}, "models.align names none"),
    ({"models.align": "my.onnx", "models.align_like": "mb05"}, "allowed: one of face_attention"),
    ({"models.align": "", "models.align_like": None}, "there is no network"),
])
def test_words_that_do_not_go_together_are_one_line(settings, text):
    with pytest.raises(ConfigError, match=text) as refused:
        load_config(None, settings, {})
    assert "\n" not in str(refused.value) and isinstance(refused.value, EdgeError)


def test_a_name_on_the_command_line_ends_what_the_configuration_says_of_a_file(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("models: {align: [./my.ONNX], align_like: face_landmark}\n")
    config = load_config(str(file), {}, {})
    assert (config.models.own("align"), config.models.align_like) == ("./my.ONNX", "face_landmark")
    config = load_config(str(file), {"models.align": "face_attention"}, {})
    assert (config.models.own("align"), config.models.align, config.models.align_like) == ("", ("face_attention",), None)
    assert load_config(str(file), {"models.align": "b.onnx"}, {}).models.own("align") == "b.onnx"
