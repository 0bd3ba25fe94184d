"""An output of pictures writes a film, one picture or a folder, as its name says, and never over its source."""
import os

import cv2
import numpy as np
import pytest

from edge.app.targets import check_targets
from edge.config.load import load_config
from edge.core.errors import ConfigError
from edge.core.packet import Face, Frame, Packet, Roi
from edge.outputs import spec as specs
from edge.outputs.kinds import KINDS, PICTURES, Kind, OutputOptions, form_of
from edge.outputs.pictures.painter import Painter
from edge.outputs.pictures.target import output_of

FACE = Face(1, Roi(30.0, 30.0, 40.0, 0.0), 0.9, (10.0, 10.0, 50.0, 50.0))
TOY = Kind(PICTURES, "toy:make", "toys", "toy:a.mp4", {})


class Toy(Painter):
    """Its pictures change their size, as textures of several faces do."""

    def __init__(self):
        self.seen = []

    def see(self, packet):
        self.seen.append(packet.frame.seq)

    def paint(self, packet):
        assert packet.frame.seq in self.seen
        return np.full((64, 64 * (1 + packet.frame.seq % 3), 3), 20 * packet.frame.seq, np.uint8)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setitem(KINDS, "toy", TOY)
    monkeypatch.setitem(KINDS, "points", TOY._replace(files=(".ply",), each=".ply"))


def written(target, files=("", "", "")):
    spec = specs.parse_output("toy:" + str(target))
    output = output_of(spec, OutputOptions(False, False, True, lambda: 30.0), Toy())
    output.open()
    for seq, file in enumerate(files):
        output.emit(Packet(Frame(seq, 1.0 + seq / 30.0, seq / 30.0, np.zeros((48, 64, 3), np.uint8), file), (FACE,)))
    output.close()
    return spec


def test_the_name_decides(tmp_path):
    assert written(tmp_path / "a.MP4").path and not written(tmp_path / "b.png").is_folder
    film, sizes = cv2.VideoCapture(str(tmp_path / "a.MP4")), []
    while True:
        ok, picture = film.read()
        if not ok:
            break
        sizes.append(picture.shape)
    film.release()
    assert sizes == [(64, 64, 3)] * 3, "in the size of the first"
    assert cv2.imread(str(tmp_path / "b.png")).shape == (64, 192, 3)
    assert written(tmp_path / "new" / "seen").is_folder
    assert sorted(os.listdir(str(tmp_path / "new" / "seen"))) == ["000000.jpg", "000001.jpg", "000002.jpg"]
    written(tmp_path / "named", ("x/IMG_1.png", "y/IMG_1.png", "x/a.tif"))
    assert sorted(os.listdir(str(tmp_path / "named"))) == ["IMG_1-2.png", "IMG_1.png", "a.tif.jpg"]


def test_a_kind_may_name_its_files_otherwise(monkeypatch, tmp_path):
    monkeypatch.setitem(KINDS, "toy", TOY._replace(each=".png"))
    written(tmp_path / "lossless", ("x/IMG_1.jpg", "x/IMG_1.png", ""))
    assert sorted(os.listdir(str(tmp_path / "lossless"))) == ["000002.png", "IMG_1-2.png", "IMG_1.png"]
    assert not specs.parse_output("points:a.ply").is_folder and specs.parse_output("points:a").is_folder


@pytest.mark.parametrize("text, reason", [
    ("toy:", "where to? Write it as toy:FILE_OR_FOLDER"), ("toy:-", "pictures need a file or folder"),
    ("toy:a.webp", "a file ends in .mp4 or .png or .jpg or .jpeg"), ("toy:b.mov", "a file ends in"),
    ("points:c.png", "a file ends in .ply; a folder has any other name")])
def test_what_is_no_target_of_pictures(text, reason):
    with pytest.raises(ConfigError, match="--output " + text):
        specs.parse_output(text)
    with pytest.raises(ConfigError) as caught:
        specs.parse_output(text)
    assert reason in str(caught.value) and form_of("toy") == "toy:FILE_OR_FOLDER"


def test_nothing_is_written_over_the_source(tmp_path):
    cv2.imwrite(str(tmp_path / "IMG_1.jpg"), np.zeros((20, 20, 3), np.uint8))
    config = load_config(None, {"source.spec": str(tmp_path), "status.path": "none"}, None)

    def check(*texts):
        check_targets(specs.parse_outputs(text.format(tmp_path) for text in texts), config)

    with pytest.raises(ConfigError, match="over the source"):
        check("toy:{}")
    check("points:{}/other", "toy:{}/new")
    with pytest.raises(ConfigError, match="go to the same place"):
        check("toy:{}/new", "image:{}/new/000001.jpg")
    with pytest.raises(ConfigError, match="go to the same place"):
        check("toy:{}/new", "points:{}/new")
