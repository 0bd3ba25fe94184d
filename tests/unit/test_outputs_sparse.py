"""The 68 points drawn: each where it is, of all faces or the first, and asked for by the output itself."""
import cv2
import numpy as np
import pytest

from edge.core.packet import Face, Frame, Packet, Roi
from edge.outputs.exports.sparse import CLOSED, DOT, LINE, OPEN
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.spec import parse_output

CENTRES = ((170.0, 240.0), (470.0, 240.0))
POINTS = np.random.RandomState(5).uniform(-90.0, 90.0, (68, 2))


def packet(*centres):
    image = np.full((480, 640, 3), 60, np.uint8)
    image.flags.writeable = False
    faces = tuple(Face(i, Roi(320.0, 240.0, 250.0, 0.0), 0.9, (0.0, 0.0, 9.0, 9.0),
                       landmarks68=None if centre is None else POINTS + centre) for i, centre in enumerate(centres, 1))
    return Packet(Frame(0, 1.0, 0.0, image), faces)


def output(text, mirror=False):
    return make_output(parse_output(text), OutputOptions(False, mirror, True, lambda: 30.0))


def drawn(tmp_path, keys, *centres):
    made = output("sparse:{}{}".format(tmp_path / "a.png", keys))
    made.open()
    made.emit(packet(*centres))
    made.close()
    return cv2.imread(str(tmp_path / "a.png"))


def dotted(picture, points):
    """Which of the points have the colour of a dot."""
    at = np.rint(points).astype(int)
    return (np.abs(picture[at[:, 1], at[:, 0]].astype(int) - DOT) < 60).all(axis=1)


def test_every_point_of_every_face_is_a_dot_on_its_place(tmp_path):
    picture = drawn(tmp_path, "", *CENTRES)
    assert all(dotted(picture, POINTS + centre).mean() > 0.9 for centre in CENTRES)  # the later one lies on top
    near = min(np.hypot(*(np.argwhere((picture != 60).any(axis=2))[:, ::-1] - (320, 20)).T))
    assert near > 100.0, "nothing is drawn elsewhere"


def test_one_face_or_a_mirror_where_that_is_wanted(tmp_path):
    first = drawn(tmp_path, "?faces=first", *CENTRES)
    assert dotted(first, POINTS + CENTRES[0]).mean() > 0.9 and (first[:, 380:] == 60).all()
    assert np.array_equal(drawn(tmp_path, "?faces=first&mirror=true", *CENTRES), first[:, ::-1])


@pytest.mark.parametrize("centre", [None, (np.nan, 0.0), (5000.0, 5000.0), (1e9, 0.0)], ids=str)
def test_points_that_are_unknown_or_out_of_the_picture_leave_it_as_it_is(tmp_path, centre):
    assert (drawn(tmp_path, "", centre) == 60).all()


def test_the_lines_join_the_points_in_their_order():
    assert sorted(i for line in OPEN + CLOSED for i in line) == list(range(68)) and len(LINE) == 3


@pytest.mark.parametrize("target", ["a.mp4", "a.jpg", "folder"])
def test_it_asks_for_the_points_itself(target):
    made = output("sparse:" + target)
    assert made.parts.landmarks68 and not made.parts.landmarks and made.needs_picture
    assert not output("pose:" + target).parts.landmarks68
