"""Angles, exponentials and means of rotations, in the conventions of the frame record."""
import math

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


@given(st.floats(-3, 3))
def test_in_plane_turns_the_picture_clockwise(angle):
    turned = rotation.FLIP.dot(rotation.in_plane(angle)).dot(rotation.FLIP).dot([1.0, 0, 0])  # y down: clockwise is x toward y
    assert np.allclose(turned, [math.cos(angle), math.sin(angle), 0])


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_toward_carries_the_optical_axis_to_the_ray(x, y):
    ray = np.array([x, y, 1.0])
    assert np.allclose(rotation.toward(ray).dot([0, 0, 1.0]), ray / np.linalg.norm(ray), atol=1e-9)
