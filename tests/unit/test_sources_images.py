"""Pictures: frame i is the i-th picture, whatever its kind; a bad one keeps its number and is named."""
import os
import re
import struct

import cv2
import numpy as np
import pytest
from sources_clips import drain

from edge.core.errors import SourceError
from edge.sources.choose import make_source
from edge.sources.picture import is_picture, to_bgr
from edge.sources.spec import SourceOptions

BLUE, GREY = (200, 40, 10), (77, 77, 77)


def source(path, **options):
    return make_source(SourceOptions(spec=str(path), **options))


def plain(value, size=(20, 30)):
    return np.full(size + (3,), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Five names in order; the second and the fourth are no pictures. Sizes differ."""
    for name, image in (("a.png", plain(10)), ("c.bmp", plain(30, (16, 40))), ("e.tif", plain(50))):
        assert cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "d.jpg").write_bytes(b"")
    (tmp_path / "notes.md").write_text("not asked for")
    return tmp_path


def test_an_unreadable_picture_keeps_its_number_and_is_named(folder):
    s = source(folder)
    frames = drain(s)
    assert [(f.seq, int(f.image[0, 0, 0])) for f in frames] == [(0, 10), (2, 30), (4, 50)]
    assert [f.image.shape[:2] for f in frames] == [(20, 30), (16, 40), (20, 30)]
    assert s.warning.startswith("2 of 5 pictures cannot be read: ") and "b.png" in s.warning and "d.jpg" in s.warning
    assert s.frame_count == 5 and s.stills


def test_a_folder_whose_first_picture_is_bad_still_counts_from_the_first_name(tmp_path):
    (tmp_path / "0.png").write_bytes(b"bad")
    cv2.imwrite(str(tmp_path / "1.png"), plain(5))
    frames = drain(source(tmp_path, fps=10))
    assert [(f.seq, round(f.time_s, 3)) for f in frames] == [(1, 0.1)]


@pytest.mark.parametrize("content, message", [(b"", "is empty"), (b"text", "is damaged, or no picture")])
def test_a_single_unreadable_picture_is_an_error(tmp_path, content, message, capfd):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        source(tmp_path / "x.png").open()
    assert capfd.readouterr().err == ""


def test_a_folder_of_bad_pictures_is_an_error(tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(b"bad")
    with pytest.raises(SourceError, match="no picture in it can be read"):
        source(tmp_path).open()


def test_a_list_keeps_its_own_order(folder):
    spec = "{0}/e.tif,{0}/a.png".format(folder)
    assert [int(f.image[0, 0, 0]) for f in drain(source(spec))] == [50, 10]
    (folder / "list.txt").write_text("c.bmp\na.png\n")
    assert [int(f.image[0, 0, 0]) for f in drain(source(folder / "list.txt"))] == [30, 10]


@pytest.mark.parametrize("sequence, stills", [(False, True), (True, False)])
def test_pictures_are_unrelated_unless_they_are_a_sequence(folder, sequence, stills):
    assert source(folder, sequence=sequence).stills is stills


@pytest.mark.parametrize("name, image, expected", [
    ("grey.png", np.full((8, 9), 77, np.uint8), GREY),
    ("deep.png", np.full((8, 9), 77 * 257, np.uint16), GREY),
    ("deep.tif", np.full((8, 9, 3), 77 * 257, np.uint16), GREY),
    ("alpha.png", np.dstack([plain(BLUE, (8, 9)), np.zeros((8, 9), np.uint8)]), BLUE),
    ("colour.png", plain(BLUE, (8, 9)), BLUE),
    ("colour.webp", plain(GREY, (8, 9)), GREY),
])
def test_every_kind_becomes_bgr_bytes(tmp_path, name, image, expected):
    assert cv2.imwrite(str(tmp_path / name), image)
    frame = drain(source(tmp_path / name))[0]
    assert frame.image.shape == (8, 9, 3) and frame.image.dtype == np.uint8
    assert np.abs(frame.image.astype(int) - expected).max() <= 3


def with_orientation(jpeg, orientation):
    """Insert an EXIF segment that holds nothing but the orientation."""
    tiff = b"MM\x00\x2a" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("orientation, shape, bright", [
    (1, (16, 32), (2, 2)), (3, (16, 32), (13, 29)), (6, (32, 16), (2, 13)), (8, (32, 16), (29, 2)),
])
def test_a_photo_stands_upright(tmp_path, orientation, shape, bright):
    image = plain(0, (16, 32))
    image[:8, :8] = 255
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    (tmp_path / "photo.jpg").write_bytes(with_orientation(jpeg, orientation))
    frame = drain(source(tmp_path / "photo.jpg"))[0]
    assert frame.image.shape[:2] == shape and frame.image[bright].min() > 200


@pytest.mark.parametrize("start_s, end_s, values", [(0, None, [10, 30, 50]), (0.2, None, [30, 50]), (0, 0.3, [10, 30])])
def test_start_and_end_choose_pictures(folder, start_s, end_s, values):
    frames = drain(source(folder, fps=10, start_s=start_s, end_s=end_s, sequence=True))
    assert [int(f.image[0, 0, 0]) for f in frames] == values


def test_a_loop_begins_again(folder):
    s = source(folder, loop=True, fps=10)
    s.open()
    frames = [s.read(0) for _ in range(5)]
    assert [f.seq for f in frames] == [0, 2, 4, 5, 7] and frames[3].time_s == pytest.approx(0.5)
    s.close()


@pytest.mark.parametrize("image, good", [
    (None, False), (np.zeros((0, 4, 3), np.uint8), False), (np.zeros(5, np.uint8), False),
    (np.zeros((4, 4, 2), np.uint8), False), (np.zeros((4, 4, 3), np.float32), False),
    (np.zeros((4, 4, 3), np.uint8), True), (np.zeros((4, 4), np.uint16), True),
])
def test_garbage_of_a_driver_is_no_picture(image, good):
    assert is_picture(image) is good
    assert not good or to_bgr(image).shape == (4, 4, 3)


@pytest.mark.parametrize("flip, rotate, bright", [
    ("none", 0, (0, 0)), ("horizontal", 0, (0, -1)), ("vertical", 0, (-1, 0)), ("both", 0, (-1, -1)),
    ("none", 90, (0, -1)), ("none", 180, (-1, -1)), ("none", 270, (-1, 0)),
    ("horizontal", 90, (-1, -1)), ("vertical", 90, (0, 0)), ("horizontal", 270, (0, 0)),
])
def test_a_picture_is_flipped_first_and_then_rotated(tmp_path, flip, rotate, bright):
    image = plain(0, (10, 20))
    image[:3, :3] = 255
    cv2.imwrite(str(tmp_path / "x.png"), image)
    frame = drain(source(tmp_path / "x.png", flip=flip, rotate=rotate))[0]
    assert frame.image[bright].min() == 255 and frame.image.flags.c_contiguous and not frame.image.flags.writeable
    assert frame.image.shape[:2] == ((20, 10) if rotate in (90, 270) else (10, 20))


def test_a_frame_knows_its_file_and_a_film_has_none(folder):
    assert [f.file for f in drain(source(folder))] == [str(folder / name) for name in ("a.png", "c.bmp", "e.tif")]
    assert drain(source("portrait", end_s=0.05))[0].file == ""


def test_what_is_lost_is_counted_and_reported_in_one_line(folder):
    data = cv2.imencode(".jpg", np.random.RandomState(1).randint(0, 255, (160, 160, 3)).astype(np.uint8))[1].tobytes()
    (folder / "f.jpg").write_bytes(data[:len(data) // 2])
    s = source(folder)
    assert len(drain(s)) == 4 and s._recording.lost == 3
    assert re.match(r"2 of 6 pictures cannot be read: \S*b.png is damaged, .*, \S*d.jpg is empty; \S*f.jpg is cut off: "
                    r"[45]\d % of it are missing; 1 file of another kind is passed over: 1 .md$", s.warning)


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), plain(9, (100, 100)))
    with pytest.raises(SourceError, match="x.png has 100x100 pixels, more than source.max_pixels, 9999: .*max_pixels=10000"):
        source(tmp_path / "x.png", max_pixels=9999).open()
    assert len(drain(source(tmp_path / "x.png", max_pixels=10000))) == 1


def test_without_pillow_the_line_names_its_installation(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SourceError, match="-m pip install 'Pillow>=8"):
        source(folder / "a.png").open()


@pytest.mark.shared("cases/pictures")
@pytest.mark.parametrize("name, size, warning", [
    ("o6.webp", (450, 450), ""), ("trunc2.jpg", (450, 450), "trunc2.jpg is cut off: 5. % of it are missing$"),
    ("cut_right.png", (450, 239), ""),
])
def test_the_pictures_of_the_cases(shared, capfd, name, size, warning):
    s = source(os.path.join(str(shared), "cases", "pictures", name))
    assert drain(s)[0].image.shape[:2] == size and re.search(warning, s.warning) and bool(warning) == bool(s.warning)
    assert capfd.readouterr() == ("", "")
