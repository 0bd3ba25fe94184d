"""Turns and places in the axes of the protocols: laws that hold for every head."""
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.geometry.rotation import exp, from_angles
from edge.outputs.live import axes

UNITY = np.diag([-1.0, 1.0, 1.0])
angle = st.floats(-179.0, 179.0)
heads = st.builds(from_angles, st.floats(-85.0, 85.0), angle, angle)
places = st.tuples(*[st.floats(-2000.0, 2000.0)] * 3)


def matrix(quaternion):
    """(3, 3) of x, y, z, w; the formula of every textbook."""
    x, y, z, w = quaternion
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                     [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                     [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def about(axis, degrees):
    """A turn about an axis, by the same formulas in Unity's axes as in ours."""
    s, c = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return {"x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]), "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
            "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])}[axis]


@given(heads)
def test_a_quaternion_is_the_rotation(head):
    found = axes.quaternion(head)
    np.testing.assert_allclose(matrix(found), head, atol=1e-9)
    assert abs(sum(part * part for part in found) - 1.0) < 1e-9 and found[3] >= 0.0


@given(st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0.0), (-0.48, 0.6, 0.64)]))
def test_half_a_turn_has_a_quaternion_too(axis):
    head = exp(np.pi * np.array(axis))
    np.testing.assert_allclose(matrix(axes.quaternion(head)), head, atol=1e-7)


@given(heads)
def test_unitys_quaternion_turns_in_unitys_axes(head):
    np.testing.assert_allclose(matrix(axes.unity_quaternion(head)), UNITY.dot(head).dot(UNITY), atol=1e-9)


@given(heads)
def test_unitys_angles_turn_about_z_then_x_then_y(head):
    x, y, z = axes.unity_euler(head)
    found = about("y", y).dot(about("x", x)).dot(about("z", z))
    np.testing.assert_allclose(found, UNITY.dot(head).dot(UNITY), atol=1e-6)
    assert abs(x) <= 90.0


def test_unitys_angles_of_a_head_that_looks_straight_up():
    for pitch in (90.0, -90.0):
        x, y, z = axes.unity_euler(from_angles(0.0, pitch, 0.0))
        np.testing.assert_allclose(about("y", y).dot(about("x", x)).dot(about("z", z)),
                                   UNITY.dot(from_angles(0.0, pitch, 0.0)).dot(UNITY), atol=1e-6)


@given(heads, places)
def test_a_mirrored_head_has_the_mirrored_numbers(head, place):
    mirrored, (x, y, z) = UNITY.dot(head).dot(UNITY), place
    for function in (axes.unity_euler, axes.unity_quaternion):
        plain, other = function(head), function(mirrored)
        np.testing.assert_allclose(np.abs(other), np.abs(plain), atol=1e-6)
    one, two = axes.flight(head, place), axes.flight(mirrored, (-x, y, z))
    np.testing.assert_allclose(two, np.array(one) * [-1, 1, 1, -1, 1, -1], atol=1e-6)


@given(places)
def test_a_place_is_as_far_away_in_every_unit(place):
    far = np.linalg.norm(place)
    assert abs(1000.0 * np.linalg.norm(axes.unity_position(place)) - far) < 1e-6
    assert abs(10.0 * np.linalg.norm(axes.flight(np.eye(3), place)[:3]) - far) < 1e-6


@given(st.floats(-85.0, 85.0), angle, angle)
def test_the_records_angles_are_those_it_was_made_of(yaw, pitch, roll):
    np.testing.assert_allclose(axes.head_angles(from_angles(yaw, pitch, roll)), (yaw, pitch, roll), atol=1e-6)


@given(heads)
def test_the_cameras_rotation_moves_the_nose_as_the_picture_shows_it(head):
    found = axes.camera_rotation(head)
    assert np.linalg.det(found) > 0.0  # two axes are turned over
    np.testing.assert_allclose(found.dot((0.0, 0.0, 1.0)), head.dot((0.0, 0.0, 1.0)) * [1.0, -1.0, -1.0], atol=1e-12)
