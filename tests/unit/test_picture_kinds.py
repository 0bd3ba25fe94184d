"""Pictures of every kind: right size, upright, right colours, and no output of a library."""
import cv2
import numpy as np
import pytest
from picture_files import (
    EXACT,
    HEIGHT,
    INSIDE,
    KINDS,
    LOSSY,
    MOST,
    PATTERN,
    SEVERAL,
    UNTURNED,
    WIDTH,
    bmp_runs,
    exif,
    jpeg,
    made,
    png,
    saved,
    turned,
    webp_with_exif,
    with_exif,
    write,
)

from edge.sources import kinds
from edge.sources.pictures import still


@pytest.mark.parametrize("name, make, expected, tolerance", KINDS, ids=[kind[0] for kind in KINDS])
def test_every_kind_has_its_size_its_colours_and_stands_upright(tmp_path, capfd, name, make, expected, tolerance):
    path = write(tmp_path, name, made(make))
    assert kinds.is_picture_file(path)
    found = still.read(path, MOST)
    assert found.image.shape == (HEIGHT, WIDTH, 3) and found.image.dtype == np.uint8
    off = np.abs(found.image[:, :, ::-1].astype(int) - expected)
    assert (off if tolerance == EXACT else off[INSIDE]).max() <= tolerance
    assert not found.cut and found.pictures == SEVERAL.get(name, 1)
    assert capfd.readouterr() == ("", "")


def test_run_lengths_of_a_bmp_are_read(tmp_path):
    """Which not every Pillow does; OpenCV reads it then."""
    found = still.read(write(tmp_path, "runs.bmp", bmp_runs()), MOST).image
    assert found[:, :, 0].tolist() == [[200] * 4 + [100] * 4, [20] * 8]


@pytest.mark.parametrize("name, make", [(kind[0], kind[1]) for kind in KINDS if kind[0] not in ("lab.tif", "film.jpg")])
def test_opencv_sees_the_same(tmp_path, name, make):
    """Where it can read it at all: a second decoder that knows nothing of the first."""
    path = write(tmp_path, name, made(make))
    try:
        other = cv2.imread(path, cv2.IMREAD_COLOR)
    except cv2.error:
        other = None
    found = still.read(path, MOST).image
    if other is None or other.shape != found.shape:  # it turns JPEG alone, and not every kind is built in
        assert name.split(".")[-1] in ("tga", "dib", "jp2", "j2k", "avif", "png", "webp", "tif", "jpg", "mpo", "ppm")
        return
    limit = 16 if name == "cmyk.jpg" else 2
    assert np.abs(found.astype(int) - other).max() <= (limit if "turned" not in name else 255)


@pytest.mark.parametrize("orientation", sorted(UNTURNED))
@pytest.mark.parametrize("name, make", [
    ("a.jpg", lambda o: with_exif(jpeg(turned(o)), o)), ("a.png", lambda o: png(turned(o), [(b"eXIf", exif(o))])),
    ("a.webp", lambda o: webp_with_exif(turned(o), o)),
    ("a.tif", lambda o: saved(turned(o), "TIFF", tiffinfo={0x0112: o})),
    ("z.tif", lambda o: saved(turned(o), "TIFF", tiffinfo={0x0112: o}, compression="tiff_lzw")),
])
def test_all_eight_orientations(tmp_path, name, make, orientation):
    found = still.read(write(tmp_path, name, make(orientation)), MOST)
    assert found.image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(found.image[:, :, ::-1].astype(int) - PATTERN).max() <= LOSSY
