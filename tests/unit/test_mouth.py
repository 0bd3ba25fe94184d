"""The mouth: shut is 0, a yawn is 1, and a turn of the head changes nothing."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.face import mouth
from edge.geometry import rotation


def face(gap, scale=1.0):
    points = np.zeros((468, 3))
    points[33], points[263] = (-45, 0, 0), (45, 0, 0)
    for upper, lower in mouth.INNER_LIPS:
        points[upper], points[lower] = (0, 50, -10), (0, 50 + gap * 90, -10)
    return points * scale


@pytest.mark.parametrize("gap, expected", [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)])
def test_the_gap_of_the_lips_opens_the_mouth(gap, expected):
    assert mouth.opening(face(gap)) == pytest.approx(expected)


@given(st.floats(0, 0.5), st.floats(-60, 60), st.floats(-40, 40), st.floats(0.1, 10))
def test_neither_turn_nor_size_matters(gap, yaw, pitch, scale):
    turned = face(gap, scale).dot(rotation.from_angles(yaw, pitch, 10).T)
    assert mouth.opening(turned) == pytest.approx(mouth.opening(face(gap)), abs=1e-9)


def test_a_face_without_width_has_a_shut_mouth():
    assert mouth.opening(np.zeros((468, 3))) == 0.0


@pytest.mark.parametrize("upper, lower", [(13, 14), (82, 87), (312, 317)])
def test_each_of_three_places_of_the_lips_has_a_third_of_the_say(upper, lower):
    """The distance of points 33 and 263 is what the gap is measured by; half of it is wide open."""
    points = np.zeros((468, 3))
    points[33], points[263] = (-45, 0, 0), (45, 0, 0)
    points[upper], points[lower] = (0, 50, 0), (0, 59, 0)
    assert mouth.opening(points) == pytest.approx(9 / 90 / 0.5 / 3)
