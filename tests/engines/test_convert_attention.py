"""The attention mesh's own operators, which no other runtime has: against a transcription of MediaPipe's in float64."""
import math

import numpy as np
import pytest
from convert_cases import NETWORKS, converted, paths_of

from edge.core.errors import ModelError
from edge.core.packet import CONTOUR_POINTS, POINTS
from edge.models import face_attention
from engines.convert import convert
from engines.convert.attention import layout
from engines.convert.attention.heads import PLANE, planes
from engines.convert.lite_file import read

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
RNG = np.random.RandomState(3)
WHOLE_NUMBERS = {"geo/" + name for name in ("i", "ix", "iy", "iy48", "base", "idx")}


@pytest.fixture(scope="module")
def model():
    return converted("face_attention")


@pytest.fixture(scope="module")
def subsets():
    return layout.Layout(read(paths_of(NETWORKS["face_attention"][1])[0])).subsets()


@pytest.fixture(scope="module")
def sampler(model):
    """call(points (468, 3), feature (48, 48, 32)) -> (3, 16, 16, 32): of the graph what lies between mesh and heads."""
    feature = next(node for node in model.graph.node if node.name == "crop/nhwc").input[0]
    whole = onnx.shape_inference.infer_shapes(model)
    cut = pytest.importorskip("onnx.utils").Extractor(whole).extract_model(["geo/mesh_conv", feature], ["crop/heads"])
    session = ort.InferenceSession(cut.SerializeToString(), providers=["CPUExecutionProvider"])

    def call(points, cells):
        feeds = {"geo/mesh_conv": points.reshape(1, -1, 1, 1), feature: cells.transpose(2, 0, 1)[None]}
        found = session.run(None, {name: np.ascontiguousarray(values, np.float32) for name, values in feeds.items()})[0]
        return found.reshape(3, 32, 16, 16).transpose(0, 2, 3, 1)
    return call


def places(points, subset):
    """(16, 16, 2) cells of the samples: Landmarks2TransformMatrix, and the half pixels of TransformTensorBilinear."""
    cells = points[:, :2].astype(np.float64) / 4.0
    dx, dy = cells[subset.end] - cells[subset.start]
    c, s = math.cos(math.atan2(dy, dx)), math.sin(math.atan2(dy, dx))
    turned = cells[list(subset.points)].dot(np.array([[c, -s], [s, c]]))
    least, most = turned.min(axis=0), turned.max(axis=0)
    centre = np.array([[c, -s], [s, c]]).dot((least + most) / 2.0)
    scale = 1.5 * (most - least) / 16.0
    oy, ox = np.mgrid[0:16, 0:16] + 0.5
    x, y = (ox - 8.0) * scale[0], (oy - 8.0) * scale[1]
    return np.stack([centre[0] + c * x - s * y - 0.5, centre[1] + s * x + c * y - 0.5], axis=-1)


def sampled(cells, at):
    """Bilinear; nothing where the place lies outside the cells' centres."""
    inside = ((at >= 0.0) & (at <= 47.0)).all(axis=-1)
    first = np.clip(np.floor(at), 0, 46).astype(int)
    x, y = first[..., 0], first[..., 1]
    fx, fy = (np.clip(at, 0.0, 47.0) - first).transpose(2, 0, 1)[..., None]
    top = cells[y, x] * (1.0 - fx) + cells[y, x + 1] * fx
    bottom = cells[y + 1, x] * (1.0 - fx) + cells[y + 1, x + 1] * fx
    return (top * (1.0 - fy) + bottom * fy) * inside[..., None]


@pytest.mark.parametrize("spread", [20.0, 60.0, 150.0, 400.0], ids="{:.0f} px".format)
def test_the_crops_are_mediapipes_also_where_they_leave_the_picture(sampler, subsets, spread):
    outside = 0
    for _ in range(10):
        points = RNG.normal(96.0, spread, (POINTS, 3)).astype(np.float32)
        cells = RNG.uniform(-3.0, 3.0, (48, 48, 32)).astype(np.float32)
        found = sampler(points, cells)
        for crop, subset in zip(found, subsets):
            at = places(points, subset)
            clear = (np.minimum(np.abs(at), np.abs(at - 47.0)) > 2e-3).all(axis=-1)  # the border is a ramp here, a step there
            assert np.abs(crop - sampled(cells, at))[clear].max() < 5e-3
            outside += int((np.abs(at - 23.5) > 23.5).any(axis=-1).sum())
    assert outside > 1000 or spread < 50.0


def test_points_that_are_all_one_give_numbers(sampler):
    assert np.isfinite(sampler(np.full((POINTS, 3), 96.0), np.ones((48, 48, 32)))).all()


def test_the_decoder_knows_the_points_of_each_part_as_the_file_has_them(subsets):
    assert [subset.points for subset in subsets] == [
        face_attention.LIPS, face_attention.RIGHT_EYE, face_attention.LEFT_EYE]
    assert [len(subset.points) for subset in subsets] == [80, CONTOUR_POINTS, CONTOUR_POINTS]


def test_what_depends_on_places_is_named_so_and_six_of_it_are_whole_numbers(model):
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    geo = {node.name for node in model.graph.node if node.name.startswith("geo/")}
    assert {name for name in geo if types[name] == onnx.TensorProto.INT32} == WHOLE_NUMBERS
    assert len(geo) == 111 and {"geo/mesh_conv", "geo/flag_conv", "geo/head"} <= geo


def test_a_shorter_part_is_filled_up_with_its_first_point():
    found = planes(np.arange(10)).reshape(2, PLANE)
    assert found[:, :6].tolist() == [[0, 2, 4, 6, 8, 0], [1, 3, 5, 7, 9, 1]] and set(found[0, 5:]) == {0}


@pytest.mark.parametrize("key, value", [
    ("scale_x", 1.25), ("scale_y", 2.0), ("output_width", 32), ("output_height", 8), ("target_rotation_radians", 0.5)])
def test_a_file_that_asks_for_something_else_is_refused(monkeypatch, key, value):
    kind, files, options, _ = NETWORKS["face_attention"]
    there = layout.custom_options
    monkeypatch.setattr(layout, "custom_options", lambda op: dict(there(op), **{key: value}))
    with pytest.raises(ModelError, match="with {}={}, where .* is translated".format(key, value)):
        convert(kind, paths_of(files), options)


def test_a_factor_of_another_size_is_refused(monkeypatch):
    kind, files, options, _ = NETWORKS["face_attention"]
    monkeypatch.setattr(layout, "CELL_PX", 8)
    with pytest.raises(ModelError, match="a factor of this attention mesh is not one that is translated"):
        convert(kind, paths_of(files), options)


def test_the_plain_mesh_is_no_attention_mesh():
    with pytest.raises(ModelError, match="this is no attention mesh: it has no output"):
        convert("attention", paths_of(NETWORKS["face_landmark"][1]), {})
