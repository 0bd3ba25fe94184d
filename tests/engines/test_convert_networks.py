"""Every conversion gives what the original gave in its original runtime, in the form that the runtimes need."""
import hashlib

import numpy as np
import pytest
from convert_cases import CANONICAL, GOLDENS, NETWORKS, WITH_PRELU, converted, golden_of, paths_of
from golden import feed_of, moments, read, read_picture, sampling_step
from originals import verify

from edge.core.errors import ModelError
from engines.convert import canonical_face, canonical_mesh, convert, cpu_variant, decode_numbers, serialise
from engines.convert.graph import dims_of
from engines.lint.lint import lint

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

# The same on Python 3.6 with onnx 1.11 and protobuf 3.19 and on Python 3.11 with onnx 1.23 and protobuf 7.
SHA256 = {
    "yunet_s": "16ed246c498bba95",
    "yunet_s_320": "fe9540e09606da23",
    "yunet_n": "495507996275e6d1",
    "yunet_n_320": "67f001f497bd33c7",
    "rfb320": "a91e750473be4607",
    "face_landmark": "20a2807f820aa02b",
    "face_attention": "e0b9069ce17ecbc4",
    "iris_landmark": "54cde5ec49a007a9",
    "blazeface_short": "edff3b090a1eb891",
    "blazeface_full": "d5d74d7a33e028e0",
    "fmr_8and16": "c6f81e582401bcb6",
    "fmr_16and32": "4fbda3d01aebad15",
    "mb05": "045dcb16da37a93b",
    "faceboxes": "b082abd365675338",
    "facemesh_pth": "5da5026d21ae97bf",
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_conversion_agrees_with_the_original_runtime(name):
    differences = verify(serialise(converted(name)), golden_of(name))
    assert differences.agree, differences.problems
    assert sorted(differences.largest) == sorted(NETWORKS[name][3])


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_conversion_has_the_form_that_the_runtimes_need(name):
    model = converted(name)
    onnx.checker.check_model(model)
    assert lint(model) == []
    assert model.opset_import[0].version <= 13 and model.ir_version <= 7
    assert {o.name: tuple(dims_of(o)) for o in model.graph.output} == NETWORKS[name][3]


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_conversion_gives_the_same_bytes_on_every_machine(name):
    first, second = serialise(converted(name)), serialise(converted(name))
    assert first == second
    assert hashlib.sha256(first).hexdigest()[:16] == SHA256[name]


@pytest.mark.parametrize("name", WITH_PRELU)
def test_the_cpu_variant_agrees_with_the_original_runtime_too(name):
    variant = cpu_variant(converted(name))
    onnx.checker.check_model(variant)
    assert not {"PRelu", "Pad"} & {node.op_type for node in variant.graph.node}
    used = {i for node in variant.graph.node for i in node.input}
    assert [t.name for t in variant.graph.initializer if t.name not in used] == []
    assert serialise(variant) == serialise(cpu_variant(converted(name)))
    differences = verify(serialise(variant), golden_of(name))
    assert differences.agree, differences.problems


@pytest.mark.parametrize("name", WITH_PRELU)
def test_the_cpu_variant_differs_by_roundings_alone_where_the_runtime_fuses_nothing(name):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = converted(name)
    sessions = [
        ort.InferenceSession(serialise(m), options, providers=["CPUExecutionProvider"])
        for m in (model, cpu_variant(model))]
    for case in read(golden_of(name)).cases:
        plain, variant = (session.run(None, {"input": case.feed}) for session in sessions)
        assert all(np.abs(a - b).max() <= 2e-6 * max(np.abs(a).max(), 1.0) for a, b in zip(plain, variant))


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(WITH_PRELU)))
def test_a_network_without_prelu_has_no_cpu_variant(name):
    assert cpu_variant(converted(name)) is None


def test_facemesh_pth_is_the_same_network_as_face_landmark():
    """Which it is only with the padding of the first convolution on the right side."""
    differences = verify(serialise(converted("facemesh_pth")), golden_of("face_landmark"))
    assert differences.agree, differences.problems


def test_numbers_for_the_decoder_come_with_the_weights_of_mb05_alone():
    numbers = decode_numbers("mb05", paths_of(NETWORKS["mb05"][1]))
    assert sorted(numbers) == ["mean", "std"] and [len(v) for v in numbers.values()] == [12, 12]
    assert numbers["mean"][3] == np.float32(60.167957) and numbers["std"][11] == np.float32(20.80304)
    assert all(isinstance(v, float) for v in numbers["mean"] + numbers["std"])
    assert decode_numbers("tflite", ["whatever.tflite"]) == {}


def test_the_canonical_face_is_in_millimetres_and_in_the_axes_of_the_head(tmp_path):
    path = tmp_path / "face.npy"
    path.write_bytes(canonical_face(paths_of(CANONICAL)))
    table = np.load(str(path))
    assert table.shape == (468, 4) and table.dtype == np.float32
    right, left, nose, forehead, chin = table[[33, 263, 1, 10, 152], :3]
    assert right[0] == -left[0] == pytest.approx(-44.45859)  # x to the subject's left
    assert forehead[1] > right[1] > nose[1] > chin[1]  # y up
    assert nose[2] > forehead[2]  # z out of the face
    assert np.count_nonzero(table[:, 3]) == 33 and table[:, 3].sum() == pytest.approx(1.055, abs=1e-4)
    assert table[33, 3] == table[263, 3] == np.float32(0.058724168688059)


def test_the_canonical_mesh_has_a_place_in_the_texture_for_each_vertex_and_faces_the_viewer(tmp_path):
    path = tmp_path / "face.mesh.npy"
    path.write_bytes(canonical_mesh(paths_of(CANONICAL)))
    table = np.load(str(path))
    points, uv, triangles = table["points"], table["uv"], table["triangles"]
    assert (points.shape, uv.shape, triangles.shape) == ((468, 3), (468, 2), (898, 3))
    assert sorted(set(triangles.ravel().tolist())) == list(range(468))
    assert triangles[0].tolist() == [173, 155, 133]  # "f 174/43 156/119 134/220": each number counts its own lines
    np.testing.assert_allclose(uv[[173, 155, 133]], read_places(43, 119, 220), atol=1e-6)
    a, b, c = (uv[triangles[:, corner]] for corner in range(3))
    (ax, ay), (bx, by) = (b - a).T, (c - a).T
    assert (ax * by - ay * bx > 0).all()  # none overturned in the texture, with v up
    across = np.cross(points[triangles[:, 1]] - points[triangles[:, 0]], points[triangles[:, 2]] - points[triangles[:, 0]])
    assert (across[:, 2] > 0).mean() > 0.98


def read_places(*numbers):
    with open(paths_of(CANONICAL)[0], encoding="utf-8") as f:
        places = [line.split()[1:] for line in f if line.startswith("vt ")]
    return np.array([places[number - 1] for number in numbers], float)


def _damaged(model, change):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensor = next(t for t in copy.graph.initializer if t.name == "conv1.bias")
    values = np.array(onnx.numpy_helper.to_array(tensor))
    change(values)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return serialise(copy)


def _shift(values):
    values[3] += 1e-3


def _spoil(values):
    values[:] = np.nan


@pytest.mark.parametrize("change", [_shift, _spoil])
def test_verification_sees_one_wrong_number(change):
    differences = verify(_damaged(converted("mb05"), change), golden_of("mb05"))
    assert not differences.agree
    assert "mb05: landmarks differs by" in differences.problems[0] and "torch 2.13.0" in differences.problems[0]
    assert not differences.largest["landmarks"] <= differences.tolerances["landmarks"]


def test_verification_sees_another_network():
    differences = verify(serialise(converted("facemesh_pth")), golden_of("mb05"))
    assert not differences.agree and "instead of" in differences.problems[0]


@pytest.mark.parametrize("model", [b"", b"no network", "no such file.onnx"])
def test_verification_refuses_what_is_no_network_in_one_line(model):
    with pytest.raises(ModelError, match="ONNX Runtime refuses the network: [^\n]+$"):
        verify(model, golden_of("mb05"))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 and no more", "picture"])
def test_a_golden_that_cannot_be_read_is_one_clear_line(tmp_path, content):
    path = tmp_path / "golden.npz"
    if content == "picture":  # an archive, but not a golden
        np.savez(str(path), picture=np.zeros(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="golden.npz is not a golden file [^\n]+make_goldens.py$"):
        read(str(path))


@pytest.mark.parametrize("count", [1, 15, 1404, 1500, 1501, 12800, 36864])
def test_the_samples_of_a_golden_meet_every_column(count):
    step = sampling_step(count)
    assert -(-count // step) <= 1500
    assert all(len({i % columns for i in range(0, count * columns, step)}) == columns for columns in (2, 3, 4, 10, 16))


def test_the_inputs_of_a_golden_are_the_same_in_every_numpy():
    """A mirrored BGR crop and random numbers; the hash was calculated with numpy 2.2 and 1.19."""
    crop = {"region": [91, 71, 55, 55], "colour": "bgr", "scale": 0.5, "offset": [-1, 0, 1], "mirror": True}
    feed = feed_of([{"seed": 5, "low": -1, "high": 1}, crop], (2, 3, 64, 48), read_picture(GOLDENS))
    assert feed.shape == (2, 3, 64, 48) and feed.dtype == np.float32
    assert hashlib.sha256(feed.tobytes()).hexdigest()[:16] == "9beec67503e8d43b"
    assert moments(feed[0])[1] == pytest.approx(3 ** -0.5, rel=0.02)


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ModelError, match="'caffe': take one of attention, faceboxes, facemesh, mb05, mxnet, onnx, tflite"):
        convert("caffe", ["x"], {})
