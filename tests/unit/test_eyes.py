"""Lids: the opening is measured whatever the size and turn of the eye, and the range is that of the person."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.face import eyes


def contour(opening, width=30.0, angle=0.0, at=(100.0, 80.0)):
    """71 points whose lids stand `opening` times the width apart all along their middle."""
    x = np.linspace(0, width, 9)
    points = np.zeros((71, 2))
    points[0:9, 0] = x
    points[1:8, 1] = opening * width / 2
    points[9:16, 0] = x[1:8]
    points[9:16, 1] = -opening * width / 2
    c, s = math.cos(angle), math.sin(angle)
    return points.dot(np.array([[c, s], [-s, c]])) + at


@given(st.floats(0.0, 0.6), st.floats(5, 300), st.floats(-3, 3))
def test_the_lid_distance_knows_no_size_and_no_turn(opening, width, angle):
    assert eyes.lid_distance(contour(opening, width, angle), width) == pytest.approx(opening, abs=1e-9)


@pytest.mark.parametrize("points, width", [(np.zeros((71, 2)), 30.0), (contour(0.3), 0.0)])
def test_an_eye_without_width_has_no_opening(points, width):
    assert eyes.lid_distance(points, width) is None


@pytest.mark.parametrize("open_level", [0.16, 0.24, 0.33])
def test_every_eye_learns_to_be_fully_open_and_fully_shut(open_level):
    learned, t = eyes.EyeRange(), 0.0
    for i in range(600):
        shut = i % 100 > 94
        learned.learn(0.15 * open_level if shut else open_level, t)
        t += 1 / 30
    assert learned.openness(open_level) > 0.95
    assert learned.openness(0.16 * open_level) < 0.05
    assert 0.3 < learned.openness(0.6 * open_level) < 0.7


def test_a_blink_is_seen_from_the_first_second():
    learned = eyes.EyeRange()
    for i in range(30):
        learned.learn(0.2, i / 30)
    assert learned.openness(0.2) > 0.9 and learned.openness(0.05) < 0.2


def test_eyes_shut_for_a_minute_do_not_become_open():
    learned = eyes.EyeRange()
    for i in range(30):
        learned.learn(0.25, i / 30)
    for i in range(1800):
        learned.learn(0.03, 1 + i / 30)
    assert learned.openness(0.03) < 0.1 and learned.openness(0.25) > 0.9


@given(st.lists(st.floats(0.0, 1.0), max_size=50), st.floats(0.0, 1.0))
def test_openness_stays_between_zero_and_one(history, now):
    learned = eyes.EyeRange()
    for i, distance in enumerate(history):
        learned.learn(distance, i / 30)
    assert 0.0 <= learned.openness(now) <= 1.0
