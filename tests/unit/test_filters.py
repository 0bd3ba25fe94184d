"""One-Euro: nothing changes a constant, lost frames change nothing in the long run, a gap starts afresh."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.geometry import rotation
from edge.geometry.filters import FORGET_AFTER_S, OneEuro, OneEuroNumbers, OneEuroRotation, OneEuroSettings, smoothing_factor

SETTINGS = OneEuroSettings(1.0, 0.05, 1.0)


@given(st.floats(-1e4, 1e4), st.lists(st.floats(0.001, 0.4), min_size=1, max_size=20))
def test_a_constant_stays(value, steps):
    f, t = OneEuro(SETTINGS), 0.0
    for step in steps:
        assert f(np.array([value]), t)[0] == pytest.approx(value)
        t += step


@given(st.integers(1, 10), st.floats(0.1, 20.0))
def test_one_long_step_weighs_as_much_as_its_short_ones_to_first_order(parts, cutoff):
    dt = 0.02
    short = 1.0 - (1.0 - smoothing_factor(cutoff, dt / parts)) ** parts
    assert smoothing_factor(cutoff, dt) <= short + 1e-12  # backward Euler never overshoots the continuous filter
    assert short <= 1.0 - math.exp(-2 * math.pi * cutoff * dt) + 1e-12


def test_noise_shrinks_and_a_ramp_is_followed():
    rng = np.random.RandomState(3)
    f = OneEuro(OneEuroSettings(1.0, 0.0, 1.0))
    still = np.array([f(rng.normal(0, 1, 4), i / 30.0) for i in range(300)])[100:]
    assert still.std() < 0.5
    fast = OneEuro(OneEuroSettings(1.0, 1.0, 1.0))
    ramp = [fast(np.array([100.0 * i / 30]), i / 30.0)[0] for i in range(60)]
    assert abs(ramp[-1] - 100.0 * 59 / 30) < 1.0


@pytest.mark.parametrize("later", [FORGET_AFTER_S + 0.1, -1.0])
def test_a_gap_or_a_step_back_in_time_starts_afresh(later):
    f = OneEuro(SETTINGS)
    f(np.array([0.0]), 0.0)
    assert f(np.array([5.0]), later)[0] == 5.0


def test_another_shape_starts_afresh():
    f = OneEuro(SETTINGS)
    f(np.zeros(3), 0.0)
    assert f(np.ones(4), 0.1).tolist() == [1, 1, 1, 1]


@given(st.lists(st.tuples(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=3), st.sampled_from([0.0, 0.01, 0.4, 0.6, -1.0]),
                          st.sampled_from([0.5, 1.0, 200.0])), min_size=1, max_size=12))
def test_a_few_numbers_are_filtered_as_an_array_is_to_the_last_digit(steps):
    """Through repeated times, gaps, steps back in time and another count of numbers, too."""
    numbers, array, t = OneEuroNumbers(SETTINGS), OneEuro(SETTINGS), 0.0
    for value, dt, unit in steps:
        t += dt
        assert list(numbers(value, t, unit)) == array(np.array(value), t, unit).tolist()


@given(st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.01, 0.3)), min_size=2, max_size=8))
def test_a_rotation_about_one_axis_is_filtered_as_its_angle_is(steps):
    """The speed of a rotation is a vector: about one axis it is the speed of an angle in radians."""
    f, angle, t = OneEuroRotation(SETTINGS), OneEuro(SETTINGS), 0.0
    for _, roll, dt in steps:
        found = f(rotation.from_angles(0, 0, roll), t)
        assert rotation.angles(found)[2] == pytest.approx(math.degrees(angle(np.array([math.radians(roll)]), t)[0]), abs=1e-6)
        t += dt


@given(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.01, 0.3))
def test_a_rotation_moves_along_the_shortest_path(yaw, roll, dt):
    f = OneEuroRotation(SETTINGS)
    a, b = np.eye(3), rotation.from_angles(yaw, 0, roll)
    f(a, 0.0)
    out = f(b, dt)
    whole = rotation.distance_deg(a, b)
    assert rotation.distance_deg(a, out) + rotation.distance_deg(out, b) == pytest.approx(whole, abs=1e-3)
