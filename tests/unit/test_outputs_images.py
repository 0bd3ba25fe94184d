"""Pictures on disk are whole, numbered, and of the newest face."""
import os

import cv2
import numpy as np
import pytest

from edge.core import clock
from edge.core.errors import OutputError
from edge.core.packet import Face, Frame, Packet, Roi
from edge.outputs.pictures import images
from edge.outputs.pictures.images import FolderOutput, PictureOutput
from edge.outputs.pictures.overlay import Overlay
from edge.outputs.spec import parse_output

FACE = Face(1, Roi(30.0, 30.0, 40.0, 0.0), 0.9, (10.0, 10.0, 50.0, 50.0))


def packet(seq, faces=(FACE,)):
    return Packet(Frame(seq, 1.0, 0.1 * seq, np.full((48, 64, 3), 10 * seq, np.uint8)), tuple(faces))


def level(path):
    """Which packet a picture is of."""
    picture = cv2.imread(str(path))
    assert picture is not None and picture.shape == (48, 64, 3)
    return int(round(float(np.median(picture[40:, 55:])) / 10.0))


@pytest.fixture
def now(monkeypatch):
    """A clock that stands until it is moved."""
    time = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: time[0])
    return time


def folder_output(target):
    return FolderOutput(parse_output("images:" + str(target)), True, Overlay())


def picture_output(target):
    return PictureOutput(parse_output("image:" + str(target)), True, Overlay())


def test_a_folder_gets_every_frame_by_its_number(tmp_path):
    output = folder_output(tmp_path / "new" / "frames")
    output.open()
    for seq in (0, 1, 12):
        output.emit(packet(seq))
    output.close()
    names = sorted(os.listdir(str(tmp_path / "new" / "frames")))
    assert names == ["000000.jpg", "000001.jpg", "000012.jpg"]
    assert [level(tmp_path / "new" / "frames" / name) for name in names] == [0, 1, 12]


def test_the_picture_is_rewritten_once_a_second_and_at_the_end(tmp_path, now):
    path = tmp_path / "new" / "face.jpg"
    output = picture_output(path)
    output.open()
    assert not path.exists()
    seen = []
    for seq, time in enumerate((100.0, 100.5, 100.99, 101.0, 101.5)):
        now[0] = time
        output.emit(packet(seq + 1))
        seen.append(level(path))
    output.close()
    assert seen == [1, 1, 1, 4, 4] and level(path) == 5


def test_the_picture_is_of_the_newest_face(tmp_path, now):
    output = picture_output(tmp_path / "face.jpg")
    output.open()
    for seq, faces in enumerate([(), (FACE,), (), ()]):
        now[0] += 5.0
        output.emit(packet(seq + 1, faces))
    output.close()
    assert level(tmp_path / "face.jpg") == 2


def test_a_run_without_a_face_leaves_its_newest_frame(tmp_path, now):
    path = tmp_path / "face.png"
    output = picture_output(path)
    output.open()
    for seq in (1, 2):
        output.emit(packet(seq, ()))
    assert not path.exists()
    output.close()
    output.close()
    assert level(path) == 2


def test_no_draft_is_left_and_an_old_picture_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "face.jpg"
    path.write_bytes(b"old")
    output = picture_output(path)
    output.open()
    assert path.read_bytes() == b"old"
    output.emit(packet(1))
    assert level(path) == 1

    def full(source, target, **folders):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    output.emit(packet(2))
    with pytest.raises(OutputError, match="free some space"):
        output.close()
    assert level(path) == 1 and os.listdir(str(tmp_path)) == ["face.jpg"]


def test_a_format_that_opencv_lacks_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imencode", lambda *args: (False, None))
    with pytest.raises(OutputError, match="use .jpg"):
        images.encoded(parse_output("image:a.png"), "a.png", np.zeros((4, 4, 3), np.uint8))
