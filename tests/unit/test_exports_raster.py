"""The rasteriser of the exports sees what a loop over every pixel sees, and is not troubled by what is no face."""
import numpy as np
import pytest
from fakes.gridmesh import MESH, landmarks, rasterised

from edge.outputs.exports import raster
from edge.outputs.exports.raster import seen

WIDTH, HEIGHT = 160, 120


def drawn(points, triangles=MESH.triangles, colours=None, width=WIDTH, height=HEIGHT):
    shown = seen(points, triangles, width, height)
    canvas = np.zeros((height, width, 3), np.uint8)
    colours = np.random.RandomState(1).rand(len(points), 3) if colours is None else colours
    canvas.reshape(-1, 3)[shown.pixels] = np.clip(255 * shown.mean(colours), 0, 255).astype(np.uint8)
    return canvas


def expected(points, triangles=MESH.triangles, colours=None):
    colours = np.random.RandomState(1).rand(len(points), 3) if colours is None else colours
    return rasterised(points, triangles, colours, np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def towards(points):
    return points * (1, 1, -1)


@pytest.mark.parametrize("points", [
    landmarks(80.3, 60.7), landmarks(80.3, 60.7, yaw_deg=85), landmarks(80.3, 60.7, yaw_deg=175), landmarks(5, 118),
    landmarks(80, 60, 3.0), landmarks(-400, 60),
], ids=["before us", "in profile", "from behind", "in a corner", "larger than the picture", "outside"])
@pytest.mark.parametrize("turned", [False, True])
def test_it_sees_what_a_loop_over_every_pixel_sees(points, turned):
    triangles = MESH.triangles[:, ::-1] if turned else MESH.triangles
    got, wanted = drawn(towards(points), triangles), expected(towards(points), triangles)
    off = np.abs(got.astype(int) - wanted).max(axis=2)
    assert (off > 1).sum() <= 2, "at the edge of a triangle alone"


def test_of_many_triangles_over_a_pixel_it_sees_the_nearest():
    points, some = np.random.RandomState(2).uniform(-20, 180, (468, 3)), MESH.triangles[::29]
    heap = np.random.RandomState(3).permutation(468)[some]
    assert (np.abs(drawn(points, heap).astype(int) - expected(points, heap)).max(axis=2) > 1).sum() <= 2


def test_it_sees_the_same_in_pieces(monkeypatch):
    points = towards(landmarks(80, 60, 1.5, 60))
    whole = drawn(points)
    monkeypatch.setattr(raster, "MOST", 100)
    assert (drawn(points) == whole).all()


def test_pixels_on_a_common_edge_and_on_corners_belong_to_a_triangle_each():
    points = np.array([[10, 10, 0], [20, 10, 0], [20, 20, 0], [10, 20, 0]], float)
    shown = seen(points, np.array([[0, 1, 2], [0, 2, 3]]), WIDTH, HEIGHT)
    assert len(shown.pixels) == len(set(shown.pixels.tolist())) == 11 * 11
    assert abs(shown.weights.sum(axis=1) - 1).max() < 1e-9 and shown.weights.min() > -1e-5
    x, y = shown.pixels % WIDTH, shown.pixels // WIDTH
    np.testing.assert_allclose(shown.mean(points[:, :2]), np.column_stack([x, y]), atol=1e-4)


@pytest.mark.parametrize("first, second, wanted", [(1.0, 2.0, 1), (2.0, 1.0, 0), (0.0, 0.0, 0)])
def test_the_nearer_of_two_triangles_is_seen_and_of_equals_the_first(first, second, wanted):
    corners = [[10, 10], [40, 12], [20, 50]]
    points = np.array([xy + [first] for xy in corners] + [xy + [second] for xy in corners], float)
    shown = seen(points, np.array([[0, 1, 2], [5, 4, 3]]), WIDTH, HEIGHT)
    assert len(shown.pixels) and set((shown.corners // 3).ravel().tolist()) == {wanted}


@pytest.mark.parametrize("points", [
    np.full((468, 3), np.nan), np.full((468, 3), np.inf), np.zeros((468, 3)), np.random.RandomState(0).randn(468, 3) * 1e200,
    landmarks(1e7, 60), landmarks(80, 60, 1e-9),
], ids=["not numbers", "endless", "one point", "overflowing", "far away", "tiny"])
def test_what_is_no_surface_in_the_picture_has_no_pixels_and_no_warning(points):
    with np.errstate(all="raise"):
        shown = seen(points, MESH.triangles, WIDTH, HEIGHT)
    assert len(shown.pixels) == 0 and shown.mean(MESH.points).shape == (0, 3)


def test_points_that_are_not_numbers_take_their_own_triangles_away_and_no_others():
    points = towards(landmarks(80, 60))
    points[100] = np.nan
    left = MESH.triangles[(MESH.triangles != 100).all(axis=1)]
    clean = np.nan_to_num(points)
    assert 0 < len(left) < len(MESH.triangles)
    assert (drawn(points, colours=MESH.uv[:, [0, 1, 1]]) == drawn(clean, left, MESH.uv[:, [0, 1, 1]])).all()


def test_triangles_far_larger_than_the_picture_cover_it():
    points = np.array([[-1e9, -1e9, 1], [1e9, -1e9, 1], [0, 2e9, 1]])
    shown = seen(points, np.array([[0, 1, 2]] * 3), WIDTH, HEIGHT)
    assert len(shown.pixels) == WIDTH * HEIGHT
