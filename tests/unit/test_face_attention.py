"""What the attention mesh's tensors mean: made-up answers whose place in the frame is known."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import FrameError
from edge.core.packet import Roi
from edge.geometry import roi as regions
from edge.models.face_attention import LEFT_EYE, LIPS, RIGHT_EYE, FaceAttention
from edge.models.iris_landmark import NONSENSE

RNG = np.random.RandomState(6)
CORNERS = ((33, 133), (362, 263))  # of the subject's right and left eye
PARTS = (LIPS, RIGHT_EYE, LEFT_EYE)
ROI = Roi(320.0, 240.0, 250.0, 0.3)


def answer(points=None, irises=((70.0, 80.0, 6.0), (120.0, 80.0, 5.0)), logit=4.0):
    """Tensors of a face: `points` (468, 3) pixels of the input, `irises` x, y, radius of the right and the left one."""
    points = RNG.uniform(30, 160, (468, 3)) if points is None else points
    refined = np.zeros((5, 2, 80), np.float32)
    for row, part in zip(refined, PARTS):
        row[:, :len(part)] = points[list(part), :2].T
    for row, (x, y, radius) in zip(refined[3:], irises):
        row[:, :5] = np.array([(x, y), (x + radius, y), (x, y - radius), (x - radius, y), (x, y + radius)]).T
    mesh = points.copy()
    for part in PARTS:
        mesh[list(part), :2] += 9.0  # where the mesh alone would have them
    return {"mesh": mesh[None].astype(np.float32), "refined": refined, "flag": np.array([[logit]], np.float32)}, points


@given(st.floats(0, 600), st.floats(0, 400), st.floats(30, 500), st.floats(-3.1, 3.1))
def test_points_lids_and_irises_come_back_through_the_crop_that_was_asked_for(cx, cy, size, angle):
    network, roi = FaceAttention(), Roi(cx, cy, size, angle)
    outputs, points = answer()
    seen = network.decode(outputs, roi)
    to_input = network.crop(roi).matrix
    assert np.allclose(regions.apply(to_input, seen.landmarks[:, :2]), points[:, :2], atol=1e-3)
    assert np.allclose(seen.landmarks[:, 2], points[:, 2] * size / 192, atol=1e-3)  # the mesh's own
    for contour, part in zip(seen.more["eye_contours"], PARTS[1:]):
        assert np.array_equal(contour, seen.landmarks[list(part), :2])
    for iris, x, radius in zip(seen.more["irises"], (70.0, 120.0), (6.0, 5.0)):
        assert np.allclose(regions.apply(to_input, iris.center[None]), [[x, 80.0]], atol=1e-3)
        assert iris.radius == pytest.approx(radius * size / 192) and iris.score > 0.99
    assert "missing" not in seen.more and seen.more["steady_corners"] is False


@given(st.floats(-3.1, 3.1), st.floats(0.3, 3.0), st.floats(-200, 200))
def test_a_region_that_is_turned_and_scaled_turns_and_scales_what_is_seen(turn, scale, shift):
    outputs, _ = answer()
    network = FaceAttention()
    there = Roi(ROI.cx + shift, ROI.cy, ROI.size * scale, ROI.angle + turn)
    a, b = network.decode(outputs, ROI), network.decode(outputs, there)
    c, s = math.cos(turn) * scale, math.sin(turn) * scale
    about = (ROI.cx, ROI.cy)
    moved = (a.landmarks[:, :2] - about).dot(np.array([[c, s], [-s, c]])) + (ROI.cx + shift, ROI.cy)
    assert np.allclose(moved, b.landmarks[:, :2], atol=1e-6) and np.allclose(a.landmarks[:, 2] * scale, b.landmarks[:, 2])
    assert [i.radius * scale for i in a.more["irises"]] == pytest.approx([i.radius for i in b.more["irises"]])


def test_the_eye_at_the_left_of_the_picture_is_the_subjects_right_one():
    points = RNG.uniform(30, 160, (468, 3))
    for x, corners in ((60.0, CORNERS[0]), (120.0, CORNERS[1])):
        points[list(corners), :2] = (x, 80.0), (x + 20.0, 80.0)
    seen = FaceAttention().decode(answer(points)[0], Roi(96, 96, 192, 0))
    right, left = seen.more["eye_contours"]
    assert right[0].tolist() == pytest.approx([60.0, 80.0]) and right[8].tolist() == pytest.approx([80.0, 80.0])
    assert left[0].tolist() == pytest.approx([140.0, 80.0]) and left[8].tolist() == pytest.approx([120.0, 80.0])


@pytest.mark.parametrize("x, radius", [
    (math.nan, 5.0), (math.inf, 5.0), (1e30, 5.0), (4000.0, 5.0), (120.0, 0.0), (120.0, 900.0)])
def test_an_iris_that_is_none_is_left_out_with_its_reason_and_the_other_stays(x, radius):
    with np.errstate(invalid="ignore", over="ignore"):
        outputs, _ = answer(irises=((70.0, 80.0, 6.0), (x, 80.0, radius)))
    seen = FaceAttention().decode(outputs, ROI)
    assert seen.more["irises"].left is None and seen.more["irises"].right is not None
    assert seen.more["missing"] == {"iris.left": NONSENSE}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_points_that_are_no_numbers_stay_none_and_warn_nobody(value):
    outputs, _ = answer()
    outputs["mesh"][:], outputs["refined"][:] = value, value
    seen = FaceAttention().decode(outputs, ROI)
    assert not np.isfinite(seen.landmarks).any() and tuple(seen.more["irises"]) == (None, None)


@pytest.mark.parametrize("name", ["mesh", "refined", "flag"])
@pytest.mark.parametrize("wrong", [None, np.zeros(7, np.float32)], ids=["absent", "short"])
def test_outputs_that_are_another_networks_are_one_clear_error(name, wrong):
    outputs = dict(answer()[0], **{name: wrong})
    with pytest.raises(FrameError, match="network face_attention gave .*{}".format(name)):
        FaceAttention().decode({key: values for key, values in outputs.items() if values is not None}, ROI)


@pytest.mark.parametrize("logit, presence", [(-1000.0, 0.0), (0.0, 0.5), (1000.0, 1.0)])
def test_presence_is_a_probability_whatever_the_logit(logit, presence):
    assert FaceAttention().decode(answer(logit=logit)[0], ROI).presence == pytest.approx(presence)


def test_no_point_has_two_places_and_each_replaced_one_is_a_point_of_the_mesh():
    every = LIPS + RIGHT_EYE + LEFT_EYE
    assert len(set(every)) == len(every) == 222 and 0 <= min(every) <= max(every) < 468
