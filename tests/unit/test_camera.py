"""Intrinsics from a file or a field of view; PnP finds the pose that made the points."""
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import ConfigError
from edge.geometry import camera as cam
from edge.geometry import rotation as rot

GOOD = {"fx": 600, "fy": 610, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480}
RNG = np.random.RandomState(0)
HEAD = np.concatenate([RNG.uniform(-70, 70, (30, 2)), RNG.uniform(-40, 50, (30, 1))], axis=1)


def project(model, rotation, t, camera):
    x = model.dot(rot.FLIP.dot(rotation).T) + t
    return x[:, :2] / x[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)


@settings(max_examples=60)
@given(st.floats(-50, 50), st.floats(-40, 40), st.floats(-170, 170), st.floats(-150, 150), st.floats(-100, 100),
       st.floats(300, 1500), st.tuples(*[st.floats(-0.05, 0.05)] * 3))
def test_pnp_finds_the_pose_that_made_the_points_from_one_that_is_some_degrees_off(yaw, pitch, roll, x, y, z, off):
    camera = cam.from_fov(640, 480, 60)
    rotation, t = rot.from_angles(yaw, pitch, roll), np.array([x, y, z])
    sight = cam.Sight(HEAD, project(HEAD, rotation, t, camera), camera)
    found, place = sight.solve_pnp(rotation.dot(rot.exp(off)))
    assert rot.distance_deg(found, rotation) < 0.01 and np.allclose(place, t, atol=0.05)


@given(st.floats(-50, 50), st.floats(-40, 40), st.floats(-170, 170), st.floats(-150, 150), st.floats(-100, 100),
       st.floats(300, 1500))
def test_a_head_of_known_rotation_is_placed_exactly(yaw, pitch, roll, x, y, z):
    camera = cam.from_fov(640, 480, 60)
    rotation, t = rot.from_angles(yaw, pitch, roll), np.array([x, y, z])
    fit = cam.Sight(HEAD, project(HEAD, rotation, t, camera), camera).fit(rotation)
    assert np.allclose(fit.translation, t, atol=1e-6) and fit.residual_px < 1e-6


@given(st.floats(-50, 50), st.floats(-40, 40), st.floats(-170, 170), st.floats(300, 1500), st.integers(0, 10 ** 6))
def test_a_head_is_placed_where_the_squares_of_the_gaps_to_its_rays_are_least(yaw, pitch, roll, z, seed):
    """Against numpy's least squares over all points, for noisy ones and two focal lengths."""
    camera, rotation = cam.Camera(600, 550, 310, 250, 640, 480), rot.from_angles(yaw, pitch, roll)
    seen = project(HEAD, rotation, np.array([40.0, -20.0, z]), camera) + np.random.RandomState(seed).normal(0, 1.0, (30, 2))
    rays = (seen - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    turned = HEAD.dot(rot.FLIP.dot(rotation).T)
    rows = np.concatenate([np.stack([np.full(30, axis == 0), np.full(30, axis == 1), -rays[:, axis]], 1) for axis in (0, 1)])
    gaps = np.concatenate([rays[:, axis] * turned[:, 2] - turned[:, axis] for axis in (0, 1)])
    expected = np.linalg.lstsq(rows, gaps, -1)[0]
    sight = cam.Sight(HEAD, seen, camera)
    fit = sight.fit(rotation)
    assert np.allclose(fit.translation, expected, atol=1e-6) and tuple(fit.translation) == sight.translation(rotation)
    off = project(HEAD, rotation, expected, camera) - seen
    assert fit.residual_px == pytest.approx(math.sqrt((off * off).sum() / 30))


def test_a_head_behind_the_camera_is_nowhere():
    camera = cam.from_fov(640, 480, 60)
    seen = project(HEAD, np.eye(3), np.array([0, 0, -600.0]), camera)  # as through a pinhole
    assert cam.Sight(HEAD, seen, camera).fit(np.eye(3)) is None


def test_points_in_one_place_are_nowhere():
    assert cam.Sight(HEAD, np.full((30, 2), 5.0), cam.from_fov(640, 480, 60)).fit(np.eye(3)) is None


def test_pnp_knows_about_the_lens():
    lens = cam.Camera(600, 600, 319.5, 239.5, 640, 480, (-0.2, 0.05, 0.0, 0.0))
    rotation, t = rot.from_angles(10, 5, 3), np.array([80.0, 40, 500])
    ideal = project(HEAD, rotation, t, lens)
    n = (ideal - (lens.cx, lens.cy)) / lens.fx
    r2 = (n * n).sum(axis=1, keepdims=True)
    seen = n * (1 - 0.2 * r2 + 0.05 * r2 * r2) * lens.fx + (lens.cx, lens.cy)
    assert np.allclose(cam.Sight(HEAD, seen, lens).solve_pnp(rotation)[1], t, atol=0.1)
    assert abs(cam.Sight(HEAD, seen, lens._replace(distortion=())).solve_pnp(rotation)[1][2] - 500) > 5


def test_a_field_of_view_spans_the_picture():
    camera = cam.from_fov(640, 480, 90)
    assert camera.fx == pytest.approx(320) and (camera.cx, camera.cy) == (319.5, 239.5)
    assert camera.ray([camera.cx, camera.cy]) == (0, 0, 1)


def test_intrinsics_follow_the_size_of_the_picture(tmp_path):
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(GOOD))
    camera = cam.load(str(path))
    half = camera.resized(320, 240)
    assert (half.fx, half.fy, half.cx, half.cy) == (300, 305, 159.5, 119.5)
    assert camera.resized(640, 480) is camera


@pytest.mark.parametrize("text, word", [
    ("", "cannot be read"), ("[1]", "missing"), (json.dumps({"fx": 1}), "fy"),
    (json.dumps(dict(GOOD, fx=0)), "positive"), (json.dumps(dict(GOOD, fx="a")), "number"),
    (json.dumps(dict(GOOD, cx=float("nan"))), "positive"), (json.dumps(dict(GOOD, distortion=[1, 2, 3])), "distortion"),
    (json.dumps(dict(GOOD, distortion=5)), "number"), (json.dumps(dict(GOOD, width=True)), "number"),
])
def test_a_bad_intrinsics_file_is_named_with_what_is_wrong(tmp_path, text, word):
    path = tmp_path / "camera.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as e:
        cam.load(str(path))
    assert word in str(e.value) and "camera.json" in str(e.value)


@pytest.mark.parametrize("change, taken", [
    ({"fx": 0.9e6}, True), ({"fx": 1.1e6}, False), ({"cy": -0.9e6}, True), ({"cy": -1.1e6}, False),
    ({"fy": 1.1e-6}, True), ({"fy": 0.9e-6}, False), ({"width": 1}, True), ({"height": 0.9}, False),
] + [({"distortion": [0.01] * count}, count in (0, 4, 5, 8)) for count in range(10)], ids=str)
def test_numbers_of_a_camera_have_their_limits(tmp_path, change, taken):
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(dict(GOOD, **change)))
    if taken:
        assert cam.load(str(path)).cx == 319.5
    else:
        with pytest.raises(ConfigError):
            cam.load(str(path))


@pytest.mark.parametrize("size, scale", [((1280, 960), 2.0), ((1280, 720), 2.0), ((480, 480), 1.0)])
def test_another_aspect_is_the_middle_of_the_same_view(size, scale):
    camera = cam.Camera(600, 610, 329.5, 229.5, 640, 480).resized(*size)
    assert (camera.fx, camera.fy) == (600 * scale, 610 * scale)
    assert (camera.cx - (size[0] - 1) / 2.0, camera.cy - (size[1] - 1) / 2.0) == (10.0 * scale, -10.0 * scale)


def test_a_missing_intrinsics_file_is_named(tmp_path):
    with pytest.raises(ConfigError) as e:
        cam.load(str(tmp_path / "none.json"))
    assert "none.json" in str(e.value)
