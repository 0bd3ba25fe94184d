import numpy as np
import pytest

from edge.face import still
from edge.face.head import TO_HEAD_AXES
from edge.face.mesh import POINTS
from edge.geometry import rotation


def face_of_points(seed=0):
    """Points of a made-up face in the head frame: the anchors where they belong, the others anywhere about them."""
    points = np.random.RandomState(seed).uniform(-80.0, 80.0, (POINTS, 3))
    points[still.ANCHORS[:, 0].astype(int)] = still.ANCHORS[:, 1:4]
    return points


def seen(points, yaw=0.0, pitch=0.0, roll=0.0, scale=1.0, shift=(0.0, 0.0, 0.0)):
    """(468, 3) frame pixels, as a mesh with its own depth tells them."""
    return scale * (points.dot(rotation.from_angles(yaw, pitch, roll).T) * TO_HEAD_AXES) + shift


@pytest.mark.parametrize("pose", [
    {}, {"yaw": 40.0}, {"pitch": -35.0}, {"roll": 170.0}, {"scale": 0.01}, {"scale": 40.0}, {"shift": (1e4, -300.0, 55.0)},
    {"yaw": -60.0, "pitch": 20.0, "roll": -80.0, "scale": 3.3, "shift": (640.0, 360.0, -20.0)},
])
def test_pose_size_and_place_are_removed(pose):
    points = face_of_points()
    np.testing.assert_allclose(still.still_points(seen(points, **pose)), points, atol=1e-6)


def test_the_rotation_is_that_of_the_head():
    placed = still.placement(seen(face_of_points(), yaw=25.0, pitch=-10.0, roll=5.0, scale=2.0))
    np.testing.assert_allclose(rotation.angles(placed.rotation), (25.0, -10.0, 5.0), atol=1e-6)


def test_a_point_that_moves_is_moved_as_far_whatever_the_pose():
    points = face_of_points()
    points[13] += (1.0, 2.0, 3.0)
    moved = still.still_points(seen(points, yaw=30.0, scale=2.0)) - face_of_points()
    np.testing.assert_allclose(moved[13], (1.0, 2.0, 3.0), atol=1e-6)
    assert np.abs(np.delete(moved, 13, 0)).max() < 1e-6


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_points_that_are_no_numbers_give_none(wrong):
    for point in (still.ANCHORS[0, 0], 13):
        landmarks = seen(face_of_points())
        landmarks[int(point), 1] = wrong
        assert still.still_points(landmarks) is None


@pytest.mark.parametrize("landmarks", [np.zeros((POINTS, 3)), np.full((POINTS, 3), 7.0), np.full((POINTS, 3), 1e300)])
def test_points_of_no_face_give_none_without_a_warning(landmarks, recwarn):
    assert still.still_points(landmarks) is None
    assert not recwarn.list


def test_wild_points_give_none_or_numbers():
    chance = np.random.RandomState(3)
    for exponent in (-300, -30, 0, 30, 160, 300):
        found = still.still_points(chance.normal(size=(POINTS, 3)) * 10.0 ** exponent)
        assert found is None or np.isfinite(found).all()
