"""What the tensors of the mesh, pose and iris networks mean: made-up answers whose place in the frame is known."""
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.head import measure_head, procrustes
from edge.core.contracts import BGR, RGB
from edge.core.packet import Roi
from edge.face import head as heads
from edge.geometry import roi as regions
from edge.geometry import rotation as rot
from edge.models import mb05
from edge.models.face_landmark import FaceLandmark
from edge.models.iris_landmark import IrisLandmark
from edge.models.mb05 import Mb05

PLAIN = {"mean": [0.0] * 12, "std": [1.0] * 12}
turned = st.floats(-1.5, 1.5)
RNG = np.random.RandomState(5)
CANONICAL = "media/head/canonical_face_model.obj"


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
def test_the_meshs_own_depth_gives_the_rotation(yaw, pitch, roll):
    head = heads.measured()
    table = np.array(heads.measured_head.TABLE)
    rotation, landmarks = rot.from_angles(yaw, pitch, roll), np.zeros((468, 3))
    landmarks[table[:, 0].astype(int)] = table[:, 1:].dot(rotation.T) * heads.TO_HEAD_AXES * 1.7 + (300, 200, 40)
    assert rot.distance_deg(heads.rotation_of_mesh(head, landmarks), rotation) < 1e-6


@pytest.mark.parametrize("points, turns", [
    ((61, 291), False), ((152,), False), ((70, 105, 107, 300, 334, 336), False),
    ((58, 172, 136, 150, 149, 176, 148, 377, 400, 378, 379, 365, 397, 288), False),
    ((33, 133, 362, 263), True), ((234, 454), True), ((1, 4, 5), True), ((10,), True),
], ids=["corners of the mouth", "chin", "brows", "jaw", "corners of the eyes", "temples", "nose", "forehead"])
def test_lips_jaw_and_brows_do_not_turn_the_head(points, turns):
    head, landmarks = heads.measured(), measured_points()
    landmarks[list(points)] += (25.0, 0.0, 40.0)
    off_deg = rot.distance_deg(heads.rotation_of_mesh(head, landmarks), np.eye(3))
    assert (off_deg > 0.1) == turns and (turns or off_deg < 1e-6)


def measured_points():
    """The measured head as the mesh shows it from the front."""
    landmarks, table = np.zeros((468, 3)), np.array(heads.measured_head.TABLE)
    landmarks[table[:, 0].astype(int)] = table[:, 1:] * heads.TO_HEAD_AXES
    return landmarks


def test_the_canonical_face_is_fitted_at_every_ninth_point_and_turned_by_its_weights():
    table = np.concatenate([RNG.uniform(-80, 80, (468, 3)), np.zeros((468, 1))], axis=1)
    table[[5, 50, 150, 250, 400], 3] = (0.1, 0.2, 0.2, 0.2, 0.3)
    head = heads.of_canonical(table)
    assert list(head.spread) == list(range(0, 468, 9)) and np.array_equal(head.spread_points, table[::9, :3])
    assert list(head.stable) == [5, 50, 150, 250, 400]
    heavier = table.copy()
    heavier[5, 3] = 0.4
    bent = table[:, :3] * (1, -1, -1)
    bent[5] += (60.0, 0.0, 0.0)
    off = [rot.distance_deg(heads.rotation_of_mesh(heads.of_canonical(t), bent), np.eye(3)) for t in (table, heavier)]
    assert 0.1 < 1.5 * off[0] < off[1] < 45.0


@pytest.fixture
def canonical(shared):
    """(468, 3) points of MediaPipe's canonical face, millimetres."""
    with open(os.path.join(shared, CANONICAL)) as f:
        return 10.0 * np.array([line.split()[1:4] for line in f if line.startswith("v ")], float)


@pytest.mark.shared(CANONICAL)
def test_the_measured_head_is_a_mean_face_and_is_symmetric(canonical):
    table = np.array(heads.measured_head.TABLE)
    found = procrustes.fit(table[:, 1:], canonical[table[:, 0].astype(int)])
    off = found.scale * table[:, 1:].dot(found.rotation.T) + found.translation - canonical[table[:, 0].astype(int)]
    assert abs(found.scale - 1.0) < 1e-3 and np.sqrt((off * off).sum(axis=1)).max() < 8.0
    place = {int(row[0]): row[1:] for row in table}
    for right, left in measure_head.PAIRS:
        assert np.allclose(place[right] * (-1, 1, 1), place[left], atol=0.5), (right, left)
    assert max(abs(place[point][0]) for point in measure_head.MIDLINE) < 0.2


@pytest.mark.shared(CANONICAL)
def test_what_mb05_measures_a_face_by_is_the_same_on_both_sides_and_the_edge_of_the_face(canonical):
    outline = canonical[mb05.OUTLINE]
    mirrored = np.abs(outline[:, None] - outline[None] * (-1, 1, 1)).max(axis=2).min(axis=1)
    assert mirrored.max() < 0.01 and len({tuple(point) for point in outline}) == len(outline)
    middle = canonical[:, :2].mean(axis=0)
    inner = np.hypot(*(canonical[[4, 61, 291, 33, 263, 133, 362], :2] - middle).T).max()
    assert np.hypot(*(outline[:, :2] - middle).T).min() > 0.9 * inner


def test_mb05_looks_from_above_the_brows_to_below_the_chin():
    landmarks = np.full((468, 3), 150.0)
    landmarks[[234, 454], 0], landmarks[[105, 152], 1] = (100.0, 200.0), (80.0, 220.0)  # 100 wide, 140 high
    assert Mb05(PLAIN).roi(landmarks, 0.0) == pytest.approx((150.0, 150.0 + 0.07 * 120.0, 1.4 * 120.0, 0.0))
    landmarks[10, 1] = 0.0  # the forehead does not count
    assert Mb05(PLAIN).roi(landmarks, 0.0).size == pytest.approx(1.4 * 120.0)


@pytest.mark.parametrize("crops, size, colour, black, white", [
    (lambda roi: [FaceLandmark().crop(roi)], 192, RGB, 0.0, 1.0),
    (lambda roi: IrisLandmark().crops((roi, roi)), 64, RGB, 0.0, 1.0),
    (lambda roi: [Mb05(PLAIN).crop(roi)], 120, BGR, -127.5 / 128, 127.5 / 128),
], ids=["mesh", "iris", "mb05"])
def test_each_network_of_a_face_gets_the_pixels_it_was_trained_on(crops, size, colour, black, white):
    for crop in crops(Roi(100.0, 100.0, 50.0, 0.0)):
        assert crop.size == (size, size) and crop.colour == colour
        assert crop.offset == pytest.approx((black,) * 3)
        assert [255.0 * crop.scale + offset for offset in crop.offset] == pytest.approx([white] * 3)


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
