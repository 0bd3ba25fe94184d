"""A network sees exactly the part of the frame that its crop names: place, turn, colour order, arithmetic, border."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.contracts import BGR, CONSTANT, REPLICATE, RGB, Crop
from edge.core.errors import FrameError, ModelError
from edge.core.packet import Roi
from edge.geometry import roi as regions
from edge.models.warp import Warper, shown_part

NO_OFFSET = (0.0, 0.0, 0.0)
ARITHMETIC = {
    "bytes": (1.0, NO_OFFSET),
    "unit": (1.0 / 255.0, NO_OFFSET),
    "centred": (1.0 / 128.0, (-127.5 / 128.0,) * 3),
    "imagenet": (1.0 / 58.0, (-123.675 / 58.0, -116.28 / 58.0, -103.53 / 58.0)),
    "minus mean": (1.0, (-104.0, -117.0, -123.0)),
}
GRID_PX = 1.0 / 64.0 + 1.0 / 512.0  # OpenCV rounds the place of a sample to 1/32 pixel, in fixed point


def picture(width, height, seed=0, smooth=True):
    """Random, (height, width, 3) uint8; smooth: neighbours differ by a few grey levels."""
    random = np.random.RandomState(seed)
    if not smooth:
        return random.randint(0, 256, (height, width, 3)).astype(np.uint8)
    y, x = np.mgrid[:height, :width]
    steps, starts = random.uniform(25, 60, (3, 2)), random.uniform(0, 6, 3)
    waves = [128 + 127 * np.sin(x / step[0] + y / step[1] + start) for step, start in zip(steps, starts)]
    return np.stack(waves, axis=2).astype(np.uint8)


def sampled(image, crop):
    """Bilinear samples (H, W, 3) BGR in float64, and how far OpenCV's rounding of the place may lead it from them."""
    image = image.astype(np.float64)
    height, width = image.shape[:2]
    u, v = np.meshgrid(np.arange(crop.size[0]), np.arange(crop.size[1]))
    back = regions.invert(crop.matrix)
    x = back[0, 0] * u + back[0, 1] * v + back[0, 2]
    y = back[1, 0] * u + back[1, 1] * v + back[1, 2]
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]

    def pixel(xi, yi):
        values = image[np.clip(yi, 0, height - 1), np.clip(xi, 0, width - 1)]
        inside = (xi >= 0) & (xi < width) & (yi >= 0) & (yi < height)
        return values if crop.border == REPLICATE else values * inside[..., None]

    # one pixel further on every side: rounding may move a sample into the next cell
    around = np.stack([pixel(x0 + i, y0 + j) for j in (-1, 0, 1, 2) for i in (-1, 0, 1, 2)])
    (a, b), (c, d) = around.reshape((4, 4) + around.shape[1:])[1:3, 1:3]
    value = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy
    return value, 2.0 * GRID_PX * (around.max(axis=0) - around.min(axis=0))


def grey_levels(out, crop):
    """The arithmetic of the crop taken back: (H, W, 3) BGR."""
    levels = (out.astype(np.float64) - np.array(crop.offset).reshape(3, 1, 1)) / crop.scale
    levels = levels.transpose(1, 2, 0)
    return levels[..., ::-1] if crop.colour == RGB else levels


def filled(image, crop, warper=None):
    out = np.full((3, crop.size[1], crop.size[0]), np.nan, np.float32)
    (warper or Warper()).fill(image, crop, out)
    return out


def check(image, crop, warper=None):
    value, slack = sampled(image, crop)
    error = np.abs(grey_levels(filled(image, crop, warper), crop) - value)
    assert (error <= 1.0 + slack).all(), "worst {:.1f} grey levels".format((error - slack).max())


def crop_of(matrix, size=(32, 24), colour=BGR, arithmetic="bytes", border=CONSTANT):
    scale, offset = ARITHMETIC[arithmetic]
    return Crop(np.array(matrix, np.float64), size, colour, scale, offset, border)


def letterbox(width, height, size):
    """The whole frame, upright, at the input's upper left: outer edges to outer edges."""
    share = min(size[0] / float(width), size[1] / float(height))
    sx, sy = round(width * share) / float(width), round(height * share) / float(height)
    return np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])


@st.composite
def crops(draw):
    size = draw(st.sampled_from([16, 24, 33]))
    center, length = st.floats(-60.0, 180.0), st.floats(8.0, 200.0)
    roi = Roi(draw(center), draw(center), draw(length), draw(st.floats(-3.2, 3.2)))
    matrix = regions.matrix(roi, size, mirror=draw(st.booleans()))
    return crop_of(matrix, (size, size), draw(st.sampled_from([BGR, RGB])), draw(st.sampled_from(sorted(ARITHMETIC))),
                   draw(st.sampled_from([CONSTANT, REPLICATE])))


@settings(max_examples=150, deadline=None)
@given(crop=crops(), smooth=st.booleans())
def test_any_turned_scaled_mirrored_crop_inside_or_outside_the_frame_is_its_bilinear_sample(crop, smooth):
    check(picture(100, 80, smooth=smooth), crop)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), width=st.integers(20, 120), height=st.integers(20, 120))
@pytest.mark.parametrize("border", [CONSTANT, REPLICATE])
def test_the_whole_frame_upright_is_its_bilinear_sample_wherever_it_lands(border, data, width, height):
    size = data.draw(st.sampled_from([(40, 32), (64, 64), (200, 200)]))
    matrix = letterbox(width, height, size)
    matrix[0, 2] += data.draw(st.sampled_from([0.0, 3.0, 0.5, -2.0]))
    matrix[1, 2] += data.draw(st.sampled_from([0.0, 5.0, 0.25, 1000.0]))
    check(picture(width, height), crop_of(matrix, size, border=border))


@pytest.mark.parametrize("size, target", [((640, 480), (320, 256)), ((480, 640), (320, 256)), ((320, 256), (320, 256)),
                                          ((333, 77), (320, 256)), ((1280, 720), (320, 256))])
@pytest.mark.parametrize("place", [(0, 0), (0, 9), (11, 0), (0.5, 0)])
def test_a_letterboxed_frame_leaves_black_beside_it_even_after_another_crop_was_there(size, target, place):
    warper = Warper()
    filled(picture(640, 640, 3), crop_of(np.eye(2, 3), target, border=REPLICATE), warper)
    image, matrix = picture(*size), letterbox(size[0], size[1], target)
    matrix[:, 2] += place
    check(image, crop_of(matrix, target), warper)


@pytest.mark.parametrize("name", sorted(ARITHMETIC))
@pytest.mark.parametrize("colour", [BGR, RGB])
@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_value_is_pixel_times_scale_plus_offset_to_float32_rounding(name, colour, shift):
    image = picture(32, 24, smooth=False)
    crop = crop_of([[1, 0, 0], [0, 1, 0]], colour=colour, arithmetic=name)
    crop = crop._replace(matrix=crop.matrix + [[0, 0, shift], [0, 0, 0]])
    pixels = np.zeros_like(image)
    pixels[:, int(shift):] = image[:, : 32 - int(shift)]
    planes = pixels.transpose(2, 0, 1)[:: -1 if colour == RGB else 1].astype(np.float64)
    expected = planes * crop.scale + np.array(crop.offset).reshape(3, 1, 1)
    largest = max(255.0 * crop.scale, max(abs(o) for o in crop.offset), 1.0)
    assert np.abs(filled(image, crop) - expected).max() <= 2.0 * np.finfo(np.float32).eps * largest


def test_one_pixel_of_the_frame_arrives_at_the_place_the_matrix_says():
    image = np.zeros((40, 60, 3), np.uint8)
    image[11, 23] = (10, 20, 30)
    turned = crop_of([[0, -1, 20], [1, 0, -10]], (30, 30), RGB)  # (23, 11) -> (9, 13)
    out = filled(image, turned)
    assert out[:, 13, 9].tolist() == [30, 20, 10] and np.count_nonzero(out) == 3


@pytest.mark.parametrize("border, expected", [(CONSTANT, 0.0), (REPLICATE, 200.0)])
def test_a_crop_wholly_outside_is_black_or_the_nearest_edge(border, expected):
    image = np.full((40, 60, 3), 200, np.uint8)
    assert (filled(image, crop_of([[1, 0, 5000], [0, 1, 0]], border=border)) == expected).all()


@pytest.mark.parametrize("border, first", [(CONSTANT, 100.0), (REPLICATE, 200.0)])
def test_the_border_begins_beyond_the_centre_of_the_outermost_pixel(border, first):
    image = np.full((40, 60, 3), 200, np.uint8)
    row = filled(image, crop_of([[1, 0, 0.5], [0, 1, 0]], border=border))[0, 5]
    assert row[0] == first and row[1] == 200.0


@pytest.mark.parametrize("view", [
    lambda a: a, lambda a: a[::2, ::2], lambda a: a[:, ::-1], lambda a: a[::-1], lambda a: a[5:, 7:-9],
    lambda a: np.asfortranarray(a), lambda a: a[..., ::-1], lambda a: a.transpose(1, 0, 2),
], ids=["whole", "every second", "mirrored", "upside down", "part", "by columns", "rgb", "transposed"])
@pytest.mark.parametrize("matrix", [[[0.7, 0.1, -3], [-0.1, 0.7, 2]], [[1, 0, 0], [0, 1, 0]]])
def test_a_read_only_view_with_any_strides_is_read_right_and_left_as_it_was(view, matrix):
    image = view(picture(90, 70, smooth=False))
    image.flags.writeable = False
    before = image.copy()
    check(image, crop_of(matrix))
    assert np.array_equal(image, before)


def test_only_the_slice_is_written_in_place():
    batch = np.full((3, 3, 24, 32), -1.0, np.float32)
    Warper().fill(picture(90, 70), crop_of([[1, 0, 0], [0, 1, 0]], border=REPLICATE), batch[1])
    assert (batch[0] == -1).all() and (batch[2] == -1).all() and (batch[1] >= 0).all()


def test_crops_of_several_sizes_colours_and_offsets_share_one_warper():
    warper = Warper()
    for _ in range(2):
        for size in ((32, 24), (24, 32), (16, 16)):
            for colour in (BGR, RGB):
                for name in sorted(ARITHMETIC):
                    check(picture(50, 40), crop_of([[0.8, 0, 1], [0, 0.8, 1]], size, colour, name), warper)


@pytest.mark.parametrize("image, shape, error, text", [
    (np.zeros((40, 60), np.uint8), (3, 24, 32), FrameError, "(40, 60)"),
    (np.zeros((40, 60, 4), np.uint8), (3, 24, 32), FrameError, "(40, 60, 4)"),
    (np.zeros((40, 60, 3), np.float32), (3, 24, 32), FrameError, "float32"),
    (np.zeros((0, 60, 3), np.uint8), (3, 24, 32), FrameError, "60x0"),
    (np.zeros((1, 40000, 3), np.uint8), (3, 24, 32), FrameError, "40000x1"),
    (np.zeros((40, 60, 3), np.uint8), (3, 32, 24), ModelError, "32x24"),
])
def test_what_cannot_be_cropped_is_one_clear_line(image, shape, error, text):
    with pytest.raises(error) as caught:
        Warper().fill(image, crop_of([[1, 0.1, 0], [0, 1, 0]]), np.zeros(shape, np.float32))
    assert text in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(x=st.floats(-100, 700), y=st.floats(-100, 500), side=st.floats(128.1, 639), angle=st.floats(-3.2, 3.2),
       mirror=st.booleans())
def test_what_is_read_before_a_crop_is_all_that_it_shows_and_inside_the_frame(x, y, side, angle, mirror):
    crop = crop_of(regions.matrix(Roi(x, y, side, angle), 192, mirror=mirror), (192, 192))
    rows, columns = shown_part(640, 480, crop)
    u, v = np.meshgrid([0, 96, 191], [0, 96, 191])
    points = regions.apply(regions.invert(crop.matrix), np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64))
    for seen, span, limit in ((points[:, 0], columns, 640), (points[:, 1], rows, 480)):
        assert 0 <= span.start <= limit and 0 <= span.stop <= limit
        inside = seen[(seen >= 0) & (seen <= limit - 1)]
        assert ((inside >= span.start) & (inside < span.stop)).all()


@pytest.mark.parametrize("side, angle", [(127, 0.3), (20, 0.3), (641, 0.3), (3000, 0.3)])
def test_nothing_is_read_before_a_crop_that_shows_little_or_leaves_out_most(side, angle):
    assert shown_part(640, 480, crop_of(regions.matrix(Roi(320.0, 240.0, side, angle), 192), (192, 192))) is None


@pytest.mark.parametrize("fill, shape", [("fill", (3, 192, 192)), ("fill_pixels", (192, 192, 3))])
@pytest.mark.parametrize("matrix", [[[0.8, 0.1, np.nan], [-0.1, 0.8, 2]], [[0.8, 0.1, np.inf], [-0.1, 0.8, -np.inf]],
                                    [[0.8, 0.1, 1e300], [-0.1, 0.8, 2]], [[0.8, 0.8, 1], [0.8, 0.8, 2]]])
def test_a_place_that_is_none_is_no_reason_to_fail(fill, shape, matrix):
    out = np.full(shape, np.nan, np.float32)
    getattr(Warper(), fill)(picture(60, 40), crop_of(matrix, (192, 192)), out)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("size", [(32, 24), (192, 192)])
@pytest.mark.parametrize("border", [CONSTANT, REPLICATE])
def test_pixels_go_as_they_are_into_the_middle_of_a_wider_input_and_nowhere_else(size, border):
    image, crop = picture(300, 260, smooth=False), crop_of([[0.7, 0.2, -9], [-0.2, 0.7, 12]], size, RGB, "unit", border)
    wide = np.full((size[1] + 3, size[0] + 2, 3), -1.0, np.float32)
    Warper().fill_pixels(image, crop, wide[1:-2, :-2])
    planes = filled(image, crop._replace(colour=BGR, scale=1.0))
    assert np.array_equal(wide[1:-2, :-2], planes.transpose(1, 2, 0))
    wide[1:-2, :-2] = -1.0
    assert (wide == -1.0).all()


@pytest.mark.parametrize("matrix", [
    np.zeros((2, 3)), np.full((2, 3), np.nan), np.full((2, 3), 1e300), [[0.5, 0, np.nan], [0, 0.5, np.inf]]])
@pytest.mark.parametrize("border", [CONSTANT, REPLICATE])
def test_a_degenerate_matrix_fills_the_input_with_finite_values(matrix, border):
    assert np.isfinite(filled(picture(60, 40), crop_of(matrix, border=border))).all()
