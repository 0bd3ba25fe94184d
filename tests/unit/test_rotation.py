"""Angles, exponentials and means of rotations, in the conventions of the frame record."""
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.geometry import rotation

small = st.floats(-89.0, 89.0)
any_angle = st.floats(-179.0, 179.0)


@given(small, small, any_angle)
def test_angles_come_back(yaw, pitch, roll):
    assert np.allclose(rotation.angles(rotation.from_angles(yaw, pitch, roll)), (yaw, pitch, roll), atol=1e-6)


@pytest.mark.parametrize("angles, axis, sign", [
    ((20, 0, 0), 0, -1),  # yaw > 0: the nose goes to the image's left
    ((0, 20, 0), 1, -1),  # pitch > 0: the nose goes up, y of the camera is down
])
def test_the_nose_moves_as_the_record_says(angles, axis, sign):
    nose = rotation.FLIP.dot(rotation.from_angles(*angles)).dot([0, 0, 1.0])
    assert sign * nose[axis] == pytest.approx(math.sin(math.radians(20)))


def test_a_positive_roll_takes_the_crown_to_the_right():
    crown = rotation.FLIP.dot(rotation.from_angles(0, 0, 20)).dot([0, 1.0, 0])
    assert crown[0] > 0.3 and crown[1] < 0


@given(st.lists(st.floats(-2.2, 2.2), min_size=3, max_size=3).filter(lambda v: np.linalg.norm(v) < 3.1))
def test_log_is_the_inverse_of_exp(vector):
    assert np.allclose(rotation.log(rotation.exp(np.array(vector))), vector, atol=1e-6)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0)])
def test_half_a_turn_has_a_logarithm(axis):
    turned = rotation.exp(math.pi * np.array(axis, float))
    assert rotation.distance_deg(rotation.exp(rotation.log(turned)), turned) < 1e-3


@given(small, small, any_angle)
def test_nearest_repairs_scale_and_noise(yaw, pitch, roll):
    r = rotation.from_angles(yaw, pitch, roll)
    assert rotation.distance_deg(rotation.nearest(3.7 * r), r) < 1e-4
    assert np.linalg.det(rotation.nearest(r + 1e-3)) == pytest.approx(1.0)


def best_overlap(matrix):
    """The largest trace(R^T M) of any rotation R, by numpy's own decomposition: what the nearest rotation has."""
    u, sizes, vt = np.linalg.svd(matrix)
    return sizes[0] + sizes[1] + (sizes[2] if np.linalg.det(u) * np.linalg.det(vt) > 0 else -sizes[2])


@given(small, small, any_angle, small, any_angle, st.tuples(*[st.sampled_from([0.0, 1e-13, 1e-7, 0.3, 1.0, 7.0])] * 3),
       st.sampled_from([1.0, -1.0]), st.sampled_from([1e-6, 1.0, 1e8]))
def test_nearest_is_as_near_as_any_rotation_also_to_reflections_and_flat_matrices(
        yaw, pitch, roll, yaw_too, roll_too, sizes, side, scale):
    turned, other = rotation.from_angles(yaw, pitch, roll), rotation.from_angles(yaw_too, 0, roll_too)
    matrix = scale * turned.dot(np.diag(sizes) * side).dot(other)
    found = rotation.nearest(matrix)
    assert np.allclose(found.dot(found.T), np.eye(3), atol=1e-9) and np.linalg.det(found) == pytest.approx(1.0)
    assert (found * matrix).sum() == pytest.approx(best_overlap(matrix), abs=1e-9 * scale * (1.0 + sum(sizes)))


@given(small, small, any_angle, st.integers(0, 10 ** 6))
def test_nearest_is_numpys_where_there_is_but_one(yaw, pitch, roll, seed):
    matrix = rotation.from_angles(yaw, pitch, roll) + np.random.RandomState(seed).uniform(-0.2, 0.2, (3, 3))
    u, _, vt = np.linalg.svd(matrix)
    assert rotation.distance_deg(rotation.nearest(matrix), u.dot(vt)) < 1e-9


def test_nearest_of_single_precision_or_a_view_is_the_same():
    turned = rotation.from_angles(20, -10, 40)
    assert np.allclose(rotation.nearest(turned.T.astype(np.float32)), turned.T, atol=1e-6)
    assert np.allclose(rotation.nearest(np.tile(turned, (2, 2))[::-1][:3, 1:4][::-1]),
                       rotation.nearest(np.array(np.tile(turned, (2, 2))[::-1][:3, 1:4][::-1])))


@given(st.floats(-3, 3))
def test_in_plane_turns_the_picture_clockwise(angle):
    turned = rotation.FLIP.dot(rotation.in_plane(angle)).dot(rotation.FLIP).dot([1.0, 0, 0])  # y down: clockwise is x toward y
    assert np.allclose(turned, [math.cos(angle), math.sin(angle), 0])


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_toward_carries_the_optical_axis_to_the_ray(x, y):
    ray = np.array([x, y, 1.0])
    turned = rotation.toward(ray)
    assert np.allclose(turned.dot([0, 0, 1.0]), ray / np.linalg.norm(ray), atol=1e-9)
    off_axis = math.hypot(x, y)  # the smallest: about an axis at right angles to both
    shortest = np.array([-y, x, 0.0]) * (math.atan2(off_axis, 1.0) / max(off_axis, 1e-12))
    assert np.allclose(turned, rotation.exp(shortest), atol=1e-9)


def turn(axis, degrees):
    """The usual right-handed rotation about an axis."""
    return cv2.Rodrigues(np.radians(degrees) * np.eye(3)[axis])[0]


@given(small, any_angle, any_angle)
def test_the_angles_of_3ddfa_come_back(yaw, pitch, roll):
    # Rz Ry Rx, of which 3DDFA_V2 takes the second angle the other way
    seen = turn(2, roll).dot(turn(1, -yaw)).dot(turn(0, pitch))
    assert np.allclose(rotation.angles_of_3ddfa(seen), (yaw, pitch, roll), atol=1e-6)


@pytest.mark.parametrize("ours, theirs", [((20, 0, 0), (20, 0, 0)), ((0, 20, 0), (0, -20, 0)), ((0, 0, 20), (0, 0, -20))])
def test_3ddfa_turns_pitch_and_roll_the_other_way(ours, theirs):
    assert np.allclose(rotation.angles_of_3ddfa(rotation.from_angles(*ours)), theirs)


@given(small, small, small, st.floats(-400.0, 400.0), st.floats(-300.0, 300.0))
def test_a_head_that_faces_the_lens_is_seen_straight_wherever_it_is(yaw, pitch, roll, x, y):
    place = np.array([x, y, 500.0])
    facing = rotation.FLIP.dot(rotation.toward(place)).dot(rotation.FLIP)
    assert np.allclose(rotation.FLIP.dot(facing).dot([0, 0, 1.0]), -place / np.linalg.norm(place))
    seen = rotation.from_angles(yaw, pitch, roll)
    assert np.allclose(rotation.seen_along(facing.dot(seen), place), seen)
