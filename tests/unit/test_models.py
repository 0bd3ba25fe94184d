"""What the tensors of the mesh, pose and iris networks mean: made-up answers whose place in the frame is known."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.head import measure_head, procrustes
from edge.core.packet import Roi
from edge.face import head as heads
from edge.geometry import roi as regions
from edge.geometry import rotation as rot
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05

PLAIN = {"mean": [0.0] * 12, "std": [1.0] * 12}
turned = st.floats(-1.5, 1.5)
RNG = np.random.RandomState(5)


@given(st.floats(0, 600), st.floats(0, 400), st.floats(30, 500), turned)
def test_mesh_points_come_back_through_the_crop_that_was_asked_for(cx, cy, size, angle):
    mesh, roi = FaceLandmark(), Roi(cx, cy, size, angle)
    points = RNG.uniform(0, 192, (468, 3)).astype(np.float32)
    landmarks, presence, _ = mesh.decode({"landmarks": points.reshape(1, -1), "presence": np.array([[0.0]])}, roi)
    assert presence == pytest.approx(0.5)
    assert np.allclose(regions.apply(mesh.crop(roi).matrix, landmarks[:, :2]), points[:, :2], atol=1e-3)
    assert np.allclose(landmarks[:, 2], points[:, 2] * size / 192)


@pytest.mark.parametrize("logit, presence", [(-1000.0, 0.0), (0.0, 0.5), (1000.0, 1.0)])
def test_presence_is_a_probability_whatever_the_logit(logit, presence):
    outputs = {"landmarks": np.zeros((1, 1404), np.float32), "presence": np.array([[logit]], np.float32)}
    assert FaceLandmark().decode(outputs, Roi(0, 0, 192, 0))[1] == pytest.approx(presence)


@given(st.floats(-60, 60), st.floats(-40, 40), st.floats(-60, 60), st.floats(1e-4, 1e-2))
def test_mb05_gives_back_the_rotation_in_its_projection_matrix(yaw, pitch, roll, scale):
    rotation = rot.from_angles(yaw, pitch, roll)
    params = np.zeros((1, 62))
    params[0, :12] = np.concatenate([scale * rotation, RNG.uniform(0, 100, (3, 1))], axis=1).reshape(-1)
    assert rot.distance_deg(Mb05(PLAIN).decode({"params": params}), rotation) < 1e-4


@pytest.mark.parametrize("rows", [np.zeros(12), np.full(12, np.nan), np.array([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])])
def test_mb05_parameters_that_are_no_projection_give_no_rotation(rows):
    params = np.zeros((1, 62))
    params[0, :12] = rows
    assert Mb05(PLAIN).decode({"params": params}) is None


def test_mb05_looks_at_the_upright_face_from_brows_to_chin():
    landmarks = np.zeros((468, 3))
    table = np.array(heads.measured_head.TABLE)
    landmarks[table[:, 0].astype(int)] = table[:, 1:] * (1, -1, 1) + (300, 200, 0)
    upright = Mb05(PLAIN).roi(landmarks, 0.0)
    c, s = math.cos(0.5), math.sin(0.5)
    tilted = landmarks.dot(np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
    again = Mb05(PLAIN).roi(tilted, 0.5)
    assert again.size == pytest.approx(upright.size) and again.angle == 0.5
    back = np.array([[again.cx, again.cy]]).dot(np.array([[c, -s], [s, c]]))
    assert np.allclose(back, [[upright.cx, upright.cy]])


def test_the_68_points_are_measured_from_the_middle_of_the_crop():
    roi = Roi(100, 50, 240, 0.0)
    outputs = {"landmarks": np.concatenate([np.full(68, 0.5), np.full(68, -1.0)])[None]}
    assert np.allclose(Mb05(PLAIN).landmarks68(outputs, roi), [[160, -70]] * 68)


@given(turned, st.floats(10, 100))
def test_both_eyes_are_shown_alike_the_left_one_mirrored(angle, width):
    landmarks = np.zeros((468, 3))
    x = np.array([math.cos(angle), math.sin(angle), 0.0]) * width
    for at, corner in zip((0, 1, 2, 3), (33, 133, 362, 263)):
        landmarks[corner] = (200, 150, 0) + x * at
    eyes = IrisLandmark()
    right, left = eyes.crops(eyes.rois(landmarks))
    assert np.allclose(regions.apply(right.matrix, landmarks[[33, 133], :2])[:, 0], [32 - 64 / 4.6, 32 + 64 / 4.6])
    assert np.allclose(regions.apply(left.matrix, landmarks[[263, 362], :2])[:, 0], [32 - 64 / 4.6, 32 + 64 / 4.6])


@given(turned, turned, turned, st.floats(0.1, 10))
def test_procrustes_finds_the_similarity(x, y, z, scale):
    source = RNG.normal(0, 1, (20, 3))
    rotation = rot.exp(np.array([x, y, z]))
    found = procrustes.fit(source, scale * source.dot(rotation.T) + (1, 2, 3), np.linspace(0.1, 1, 20))
    assert found.scale == pytest.approx(scale) and rot.distance_deg(found.rotation, rotation) < 1e-4
    assert np.allclose(found.translation, (1, 2, 3))


@pytest.mark.parametrize("yaw, pitch, roll", [(0, 0, 0), (30, -20, 10), (-50, 15, -40)])
def test_the_meshs_own_depth_tells_the_rotation(yaw, pitch, roll):
    head = heads.measured()
    table = np.array(heads.measured_head.TABLE)
    rotation, landmarks = rot.from_angles(yaw, pitch, roll), np.zeros((468, 3))
    landmarks[table[:, 0].astype(int)] = table[:, 1:].dot(rotation.T) * heads.TO_HEAD_AXES * 1.7 + (300, 200, 40)
    assert rot.distance_deg(heads.rotation_of_mesh(head, landmarks), rotation) < 1e-6


def test_measuring_a_head_gives_back_the_head_that_was_shown():
    table = np.array(heads.measured_head.TABLE)
    canonical = np.zeros((468, 4))
    canonical[table[:, 0].astype(int), :3] = table[:, 1:]
    pair = dict(measure_head.PAIRS)
    for a, b in pair.items():  # exactly symmetric
        canonical[b, :3] = canonical[a, :3] * (-1, 1, 1)
    canonical[list(measure_head.MIDLINE), 0] = 0.0
    eyes = canonical[list(measure_head.EYES), :3].mean(axis=0)
    shapes = []
    for angles in ((5, -3, 10), (-8, 4, 0), (0, 0, -20)):
        seen = canonical[:, :3] - eyes
        seen[:, :2] /= 1.0 - seen[:, 2:] / measure_head.VIEWED_FROM_MM
        shapes.append(2.5 * seen.dot(rot.from_angles(*angles).T) + (100, 50, 0))
    head = measure_head.in_head_frame(measure_head.mean_shape(shapes), canonical)
    points = list(measure_head.POINTS)
    assert np.abs(head[points] - canonical[points, :3]).max() < 1.5
