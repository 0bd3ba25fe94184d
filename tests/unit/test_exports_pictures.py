"""Depth and PNCC are those of a loop over every pixel by 3DDFA_V2's rules; textures are sampled, and heads are lit."""
import cv2
import numpy as np
import pytest
from fakes import gridmesh
from fakes.gridmesh import MESH, face, landmarks, packet, rasterised, written

from edge.core.errors import OutputError
from edge.core.records import Recorded
from edge.outputs.exports.raster import seen

HEIGHT, WIDTH = 120, 160
ONE, OTHER = landmarks(60.3, 60.7), landmarks(105.4, 55.2, 0.4, -35.0)
IMAGE = np.random.RandomState(4).randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
BOTH = (face(ONE), face(OTHER))


@pytest.fixture(autouse=True)
def mesh(monkeypatch):
    gridmesh.install(monkeypatch)


def picture(text, tmp_path, faces, image=IMAGE, **more):
    path = tmp_path / "a.png"
    written(text.format(path), packet(faces, image, **more))
    return cv2.imread(str(path))


def theirs(points):
    return np.column_stack([points[:, :2], points[:, 2].max() - points[:, 2]])


def their_depth(points):
    near = theirs(points)[:, 2]
    return np.repeat(((near - near.min()) / (near.max() - near.min()))[:, None], 3, axis=1)


def their_pncc(points):
    low, high = MESH.points.min(axis=0), MESH.points.max(axis=0)
    return (MESH.points - low) / (high - low)


@pytest.mark.parametrize("kind, code", [("depth", their_depth), ("pncc", their_pncc)])
@pytest.mark.parametrize("points", [(ONE,), (ONE, OTHER), (landmarks(5, 110, 1.5, 70),)], ids=["one", "two", "cut off"])
@pytest.mark.parametrize("background", ["", "?background=black"])
def test_depth_and_pncc_are_those_of_a_loop_over_every_pixel(kind, code, points, background, tmp_path):
    wanted = np.zeros_like(IMAGE) if background else IMAGE
    for each in points:
        wanted = rasterised(theirs(each), MESH.triangles[:, ::-1], code(each), wanted)
    got = picture(kind + ":{}" + background, tmp_path, [face(each) for each in points])
    off = np.abs(got.astype(int) - wanted).max(axis=2) > 3
    assert off.mean() < 0.001 and (got != IMAGE).any(axis=2).mean() > 0.2


def test_the_nearest_point_is_white_and_the_farthest_is_black(tmp_path):
    got = picture("depth:{}?background=black", tmp_path, [face(landmarks(80.3, 60.7, yaw_deg=0))])
    middle, border = got[60, 80], got[17, 47]
    assert middle.min() > 250 and border.max() < 60 and (got[:, :, 0] == got[:, :, 2]).all()


def test_a_code_tells_the_place_on_the_face_with_x_in_the_first_channel(tmp_path):
    got = picture("pncc:{}?background=black", tmp_path, [face(landmarks(80.3, 60.7, yaw_deg=0))]).astype(int)
    assert got[60, 110, 0] > 200 > 50 > got[60, 50, 0]  # x to the subject's left
    assert got[20, 80, 1] > 200 > 50 > got[100, 80, 1]  # y up
    assert got[60, 80, 2] > 240 > got[20, 50, 2]  # z toward the viewer


@pytest.mark.parametrize("kind", ["depth", "pncc", "mesh3d"])
def test_a_frame_without_a_face_stays_as_it_is(kind, tmp_path):
    assert (picture(kind + ":{}", tmp_path, [face(None)]) == IMAGE).all()


@pytest.mark.parametrize("kind", ["depth", "pncc", "mesh3d", "uv"])
def test_the_first_face_may_be_the_only_one_and_the_frame_is_not_touched(kind, tmp_path):
    image = IMAGE.copy()
    image.flags.writeable = False
    one = picture(kind + ":{}", tmp_path, [face(ONE)], image)
    assert (picture(kind + ":{}?faces=first", tmp_path, BOTH, image) == one).all()
    both = picture(kind + ":{}", tmp_path, BOTH, image)
    assert both.shape != one.shape or (both != one).any()
    assert (image == IMAGE).all()


def test_a_texture_of_colours_that_follow_the_place_is_exact_and_has_no_gap(tmp_path):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([x, 2 * y, 255 - x], axis=2).astype(np.uint8)
    got = picture("uv:{}?size=128", tmp_path, [face(ONE)], image).astype(float)
    assert got.shape == (128, 128, 3) and (got[:, :, 2] > 0).all(), "the sheet fills the whole texture"
    layout = seen(np.column_stack([127 * MESH.uv[:, 0], 127 - 127 * MESH.uv[:, 1], np.zeros(468)]), MESH.triangles, 128, 128)
    places = layout.mean(ONE[:, :2])
    wanted = np.column_stack([places[:, 0], 2 * places[:, 1], 255 - places[:, 0]])
    assert np.abs(got.reshape(-1, 3)[layout.pixels] - wanted).max() <= 0.51
    for number in (0, 17, 200, 467):  # the corners of triangles lie where they are told to
        u, v = np.round([127 * MESH.uv[number, 0], 127 - 127 * MESH.uv[number, 1]]).astype(int)
        assert abs(got[v, u, 0] - ONE[number, 0]) < 2 and abs(got[v, u, 1] - 2 * ONE[number, 1]) < 4


def test_a_texture_is_the_picture_between_the_points_too(tmp_path):
    fine = np.zeros_like(IMAGE)
    fine[::4] = 255  # stripes that a mesh of wider triangles would lose
    got = picture("uv:{}", tmp_path, [face(ONE)], fine)[:, 128, 0].astype(int)
    assert (np.abs(np.diff((got > 100).astype(int))) == 1).sum() >= 30


def test_textures_of_several_faces_lie_side_by_side_and_that_of_none_is_black(tmp_path):
    both = picture("uv:{}", tmp_path, BOTH)
    assert both.shape == (256, 512, 3)
    assert (both[:, 256:] == picture("uv:{}", tmp_path, BOTH[1:])).all()
    none = picture("uv:{}", tmp_path, [])
    assert none.shape == (256, 256, 3) and not none.any()


def test_a_face_half_outside_of_the_picture_gets_the_colours_of_its_border(tmp_path):
    got = picture("uv:{}", tmp_path, [face(landmarks(-10, 60))], np.full_like(IMAGE, 200))
    assert (got == 200).all()


def test_a_recording_has_no_texture_and_says_so_and_the_rest_lies_on_black(tmp_path):
    recorded = dict(image=np.zeros_like(IMAGE), recorded=Recorded(0.0, {}, (), ()))
    with pytest.raises(OutputError, match="output uv:.*: a recording has no pictures to take a texture from"):
        picture("uv:{}", tmp_path, [face(ONE)], **recorded)
    for kind in ("depth", "pncc", "mesh3d"):
        assert picture(kind + ":{}", tmp_path, [face(ONE)], **recorded).any()


def test_a_head_is_brighter_where_it_faces_the_light_and_lets_the_picture_through(tmp_path):
    grey = np.full_like(IMAGE, 100)
    solid = picture("mesh3d:{}?opacity=1", tmp_path, [face(landmarks(80.3, 60.7, yaw_deg=0))], grey).astype(int).sum(axis=2)
    assert solid[60, 60] > solid[60, 100] and solid[30, 80] > solid[90, 80]  # from above, and from the image's left
    assert (picture("mesh3d:{}?opacity=0", tmp_path, [face(ONE)], grey) == grey).all()
    half = picture("mesh3d:{}?opacity=0.5", tmp_path, [face(ONE)], grey).astype(int)
    solid = picture("mesh3d:{}?opacity=1", tmp_path, [face(ONE)], grey).astype(int)
    assert np.abs(half - (solid + grey) / 2.0).max() <= 1


@pytest.mark.parametrize("kind, suffix", [("depth", ".png"), ("pncc", ".png"), ("uv", ".png"), ("mesh3d", ".jpg")])
def test_a_folder_has_a_picture_for_each_frame_named_as_its_source(kind, suffix, tmp_path):
    written("{}:{}".format(kind, tmp_path / "out"), packet(BOTH, IMAGE, 0, "IMG_1.jpg"), packet(BOTH, IMAGE, 12))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(["IMG_1" + suffix, "000012" + suffix])


def test_a_film_of_shaded_heads_has_every_frame(tmp_path):
    written("mesh3d:{}".format(tmp_path / "a.mp4"), *(packet(BOTH, IMAGE, seq) for seq in range(3)))
    film, count = cv2.VideoCapture(str(tmp_path / "a.mp4")), 0
    while film.read()[0]:
        count += 1
    film.release()
    assert count == 3
