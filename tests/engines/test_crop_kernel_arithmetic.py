"""The crop kernel shows what an exact bilinear reference and the CPU path show; its source runs here as C++."""
import os

import cv2
import numpy as np
import pytest
from crop_cases import (
    IMAGENET,
    LEVELS,
    UNIT,
    arguments,
    crop_of,
    exact,
    inside,
    letterbox,
    noise,
    turned,
    waves,
)
from crop_host import HostKernel, compiler
from crop_reference import filled
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.contracts import BGR, CONSTANT, REPLICATE, RGB
from edge.models.warp import Warper
from edge.runtimes.gpu import crop as cropkernel
from edge.runtimes.gpu.crop import placement

HERE = os.path.dirname(os.path.abspath(__file__))
PORTRAIT = os.path.join(HERE, "..", "..", "edge", "sources", "portrait.jpg")
needs_compiler = pytest.mark.skipif(compiler() is None, reason="needs g++ or clang++")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return HostKernel(str(tmp_path_factory.mktemp("host")))


@pytest.fixture(scope="module")
def portrait():
    image = cv2.imread(PORTRAIT)
    return cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA)


def reference(image, crop):
    return filled(arguments(image, crop), np.ascontiguousarray(image).ravel())


def levels(out, crop):
    """Grey levels, the crop's arithmetic taken back."""
    return (out.astype(np.float64) - np.array(crop.offset).reshape(3, 1, 1)) / crop.scale


def grid(crop):
    return -(-crop.size[0] // cropkernel.BLOCK[0]), -(-crop.size[1] // cropkernel.BLOCK[1])


@st.composite
def crops(draw):
    size = draw(st.sampled_from([16, 24, 33]))
    place, side = st.floats(-60.0, 180.0), st.floats(2.0, 400.0)
    matrix = turned(draw(place), draw(place), draw(side), draw(st.floats(-3.2, 3.2)), size, draw(st.booleans()))
    if draw(st.booleans()):  # sheared and stretched, as no model asks for
        matrix[0] *= draw(st.floats(0.3, 3.0))
        matrix[1, 0] += draw(st.floats(-0.02, 0.02))
    return crop_of(matrix, (size, draw(st.sampled_from([size, 20]))), draw(st.sampled_from([BGR, RGB])),
                   draw(st.sampled_from([UNIT, LEVELS, IMAGENET])), draw(st.sampled_from([CONSTANT, REPLICATE])))


@settings(max_examples=250, deadline=None)
@given(crop=crops())
def test_any_crop_is_its_exact_bilinear_sample(crop):
    image = noise(100, 80)
    error = np.abs(levels(reference(image, crop), crop) - levels(exact(image, crop), crop)).max()
    assert error <= 0.02, "{:.4f} grey levels".format(error)


@pytest.mark.parametrize("border", [CONSTANT, REPLICATE])
@pytest.mark.parametrize("matrix, size", [
    (letterbox(3840, 2160, (320, 256)), (320, 256)),
    (letterbox(3840, 2160, (320, 256)) + [[0, 0, 0.37], [0, 0, -0.81]], (320, 256)),
    (turned(1921.3, 1079.7, 4300.0, 0.4, 192), (192, 192)),
    (turned(3700.2, 2051.9, 900.0, -2.1, 192), (192, 192)),
    (turned(3801.77, 11.31, 61.0, 0.03, 64, True), (64, 64)),
    (turned(3839.0, 2159.0, 3.0, 1.0, 64), (64, 64)),
    (np.array([[1.0, 0.0, -1800.25], [0.0, 1.0, -900.125]]), (1920, 1080)),
])
def test_float32_is_enough_for_a_4k_frame_of_noise(matrix, size, border):
    image, crop = noise(3840, 2160), crop_of(matrix, size, border=border)
    error = np.abs(reference(image, crop) - exact(image, crop)).max()
    assert error <= 0.2, "{:.4f} grey levels".format(error)


@needs_compiler
@settings(max_examples=150, deadline=None)
@given(crop=crops(), padding=st.sampled_from([0, 1, 20]), seed=st.integers(0, 3))
def test_the_source_itself_gives_the_twins_bits_whatever_pads_the_rows(host, crop, padding, seed):
    image = noise(100, 80, seed)
    rows = np.full((80, 300 + padding), 0xCC, np.uint8)
    rows[:, :300] = image.reshape(80, 300)
    out, outside = host.filled(arguments(image, crop, 300 + padding), rows.ravel(), grid(crop))
    assert outside == 0
    assert np.array_equal(out, reference(image, crop))
    record, frame = bytearray(cropkernel.RECORD.size + 8), rows.ravel()
    cropkernel.pack(record, 8, frame.ctypes.data, image.shape, 300 + padding, crop)
    from_record, outside = host.filled_from(record[8:], crop.size, grid(crop))
    assert outside == 0 and np.array_equal(from_record, out)


LIMITS = (np.inf, -np.inf, np.nan, 0.0, 1e-45, -1e-45, 1e38, -1e38, 3e9, -3e9, 1.0, -0.5, 100.0, 4194304.0)
WHOLE = (0, 1, -1, 99, 100, 2 ** 20, -2 ** 20, 2 ** 31 - 1, -2 ** 31)


@needs_compiler
@settings(max_examples=200, deadline=None)
@given(slopes=st.tuples(*[st.sampled_from(LIMITS)] * 4), parts=st.tuples(*[st.sampled_from(LIMITS)] * 2),
       wholes=st.tuples(*[st.sampled_from(WHOLE)] * 2), size=st.sampled_from([(33, 21), (16, 16), (1, 1)]),
       frame=st.sampled_from([(100, 80), (1, 1), (1, 9), (2, 3)]), replicate=st.integers(0, 1))
def test_no_place_however_absurd_is_read_outside_the_frame(host, slopes, parts, wholes, size, frame, replicate):
    image = noise(*frame)
    place = slopes + wholes + parts
    values = (0, frame[0], frame[1], 3 * frame[0], 0) + size + place + (1.0, 0.0, 0.0, 0.0, replicate, 0)
    out, outside = host.filled(values, image.ravel(), (-(-size[0] // 32), -(-size[1] // 4)))
    assert outside == 0
    assert np.isfinite(out).all() and out.min() >= 0 and out.max() <= 255


BAD = [[np.nan] * 3, [np.inf, 0, 0], [1, 0, np.nan], [1, 0, -np.inf], [1e300, 1e300, 0], [1e-300, 0, 0], [0, 0, 7],
       [1, 0, 1e12], [1, 0, -1e300], [5e-324, 0, 0], [1e9, 0, 3]]


@needs_compiler
@pytest.mark.parametrize("border", [CONSTANT, REPLICATE])
@pytest.mark.parametrize("first", BAD)
@pytest.mark.parametrize("second", [[0, 1, 0], [1e-200, 1e-310, 5], [np.nan, 1, 1]])
def test_a_matrix_that_is_none_ends_in_bytes_of_the_frame_or_black(host, first, second, border):
    image = noise(40, 30)
    crop = crop_of([first, second], (33, 21), border=border)
    values = arguments(image, crop)
    assert all(abs(v) < 3.4e38 for v in values) and all(isinstance(v, int) for v in values[11:13])
    out, outside = host.filled(values, image.ravel(), grid(crop))
    assert outside == 0 and np.isfinite(out).all() and out.min() >= 0 and out.max() <= 255
    assert np.array_equal(out, reference(image, crop))


@pytest.mark.parametrize("matrix", [[[0, 0, 5], [0, 0, 7]], [[1, 2, 3], [2, 4, 1]], [[0, 0, 0], [0, 1, 0]]])
def test_a_matrix_without_an_inverse_shows_what_the_cpu_shows(matrix):
    image, crop = noise(40, 30), crop_of(matrix, (16, 16))
    out = np.empty((3, 16, 16), np.float32)
    Warper().fill(image, crop, out)
    assert np.array_equal(reference(image, crop), out)


@pytest.mark.parametrize("border", [CONSTANT, REPLICATE])
@pytest.mark.parametrize("matrix", [
    [[1, 0, 5000], [0, 1, 0]], [[1, 0, -5e8], [0, 1, 0]], [[0.5, 0, 0], [0, 0.5, 3e9]], turned(-900, 40, 30, 1.0, 16),
])
def test_wholly_outside_is_black_or_the_nearest_edge(matrix, border):
    image, crop = noise(60, 40), crop_of(matrix, (16, 16), border=border)
    out = reference(image, crop)
    assert border == REPLICATE or not out.any()
    assert np.abs(out - exact(image, crop)).max() <= 0.02


def test_the_middle_of_the_input_is_placed_exactly():
    crop = crop_of(turned(3801.77, 11.31, 61.0, 0.3, 64), (64, 64))
    xu, xv, yu, yv, whole_x, whole_y, part_x, part_y = placement(crop)
    assert (whole_x, whole_y) == (3801, 11)
    assert abs(part_x - 0.77) < 1e-9 and abs(part_y - 0.31) < 1e-9
    assert abs(np.hypot(xu, yu) - 61.0 / 64.0) < 1e-12 and abs(xu - yv) < 1e-12 and abs(xv + yu) < 1e-12


PICTURES = {  # name: crop of a 640 x 480 frame
    "whole frame": crop_of(letterbox(640, 480, (320, 256)), (320, 256), RGB),
    "whole frame, square input": crop_of(letterbox(640, 480, (128, 128)), (128, 128), RGB),
    "face": crop_of(turned(320, 240, 300, 0.2, 192), (192, 192), RGB, UNIT),
    "face upside down": crop_of(turned(320, 240, 260, 3.0, 192), (192, 192), RGB, UNIT),
    "small face": crop_of(turned(330, 200, 90, -0.4, 192), (192, 192), RGB, UNIT),
    "partly outside": crop_of(turned(20, 470, 300, 0.7, 192), (192, 192), RGB, UNIT),
    "edge repeated": crop_of(turned(600, 30, 300, 0.7, 192), (192, 192), BGR, UNIT, REPLICATE),
    "wholly outside": crop_of(turned(2000, 200, 300, 0.7, 192), (192, 192), RGB, UNIT),
    "pose": crop_of(turned(310, 230, 280, 0.0, 120), (120, 120), BGR, (1 / 128.0, (-127.5 / 128.0,) * 3)),
    "iris": crop_of(turned(300.3, 200.8, 33.0, 0.1, 64), (64, 64), RGB, UNIT),
    "iris mirrored": crop_of(turned(350.3, 200.8, 41.0, 0.1, 64, True), (64, 64), RGB, UNIT),
}


@pytest.mark.parametrize("name", sorted(PICTURES))
@pytest.mark.parametrize("kind", ["portrait", "waves"])
def test_a_picture_is_what_the_cpu_path_shows_away_from_the_border(name, kind, portrait):
    image, crop = (portrait if kind == "portrait" else waves(640, 480)), PICTURES[name]
    out = np.empty((3, crop.size[1], crop.size[0]), np.float32)
    Warper().fill(image, crop, out)
    difference = np.abs(levels(reference(image, crop), crop) - levels(out, crop))
    where = inside(image, crop)
    if name == "wholly outside":
        assert not where.any() and difference.max() == 0.0
        return
    assert where.mean() > 0.3
    found = difference[:, where]
    assert found.mean() <= 0.5 and found.max() <= 4.0, "mean {:.3f}, worst {:.2f}".format(found.mean(), found.max())


@settings(max_examples=60, deadline=None)
@given(crop=crops())
def test_even_noise_differs_from_the_cpu_path_by_its_rounded_grid_alone(crop):
    image = noise(100, 80)
    out = np.empty((3, crop.size[1], crop.size[0]), np.float32)
    Warper().fill(image, crop, out)
    difference = np.abs(levels(reference(image, crop), crop) - levels(out, crop))
    # 1/64 pixel and the fixed point's share across, and as much down, times 255; and the bytes' own rounding
    assert difference.max() <= 1.0 + 2 * 255 * (1 / 64.0 + 1 / 512.0)
    assert difference.mean() <= 1.5
