"""The demo: its truth is the truth, the head stays in the picture, and it ends where it began."""
import cv2
import numpy as np
import pytest
from sources_clips import drain

from edge.sources import portrait
from edge.sources.choose import make_source
from edge.sources.spec import SourceOptions


def similarity(seq):
    """Scale and roll in degrees of a frame's truth; fails where it is no similarity."""
    m = portrait.truth(seq)
    assert m.shape == (2, 3) and np.allclose([m[0, 0], m[0, 1]], [m[1, 1], -m[1, 0]])
    return np.hypot(m[0, 0], m[1, 0]), np.degrees(np.arctan2(m[1, 0], m[0, 0]))


def test_ten_seconds_that_anybody_gets_again():
    frames = drain(make_source(SourceOptions(spec="portrait")))
    assert [f.seq for f in frames] == list(range(300))
    assert np.allclose([f.time_s for f in frames], np.arange(300) / 30.0)
    assert all(f.image.shape == (480, 640, 3) for f in frames)
    again = portrait.render(portrait.load(), 137)
    assert np.array_equal(frames[137].image, again)


def test_the_first_second_is_still_and_upright():
    first = portrait.truth(0)
    assert similarity(0) == pytest.approx((1, 0))
    assert all(np.array_equal(portrait.truth(seq), first) for seq in range(30))


def test_the_path_covers_its_ranges_and_closes():
    scales, rolls = zip(*(similarity(seq) for seq in range(300)))
    assert min(scales) == pytest.approx(0.5, abs=0.01) and max(scales) == pytest.approx(1.2, abs=0.01)
    assert min(rolls) == pytest.approx(-25, abs=0.1) and max(rolls) == pytest.approx(25, abs=0.1)
    assert all(np.array_equal(portrait.truth(300 + seq), portrait.truth(seq)) for seq in (0, 149, 299))


def test_the_motion_is_smooth():
    corners = np.array([[100.0, 80, 1], [380, 80, 1], [240, 350, 1]]).T
    steps = np.diff([portrait.truth(seq).dot(corners) for seq in range(302)], axis=0)
    assert np.abs(steps).max() < 8 and np.abs(np.diff(steps, axis=0)).max() < 1


@pytest.mark.parametrize("seq", range(0, 300, 5))
def test_the_head_is_always_whole(seq):
    m = portrait.truth(seq)
    x, y = m.dot(portrait.HEAD_CENTER + (1,))
    r = portrait.HEAD_RADIUS * similarity(seq)[0]
    assert r <= x <= portrait.WIDTH - 1 - r and r <= y <= portrait.HEIGHT - 1 - r


@pytest.mark.parametrize("seq", [0, 60, 80, 120, 200, 260])
def test_the_truth_gives_where_a_point_of_the_portrait_is(seq):
    """Undo the motion: what comes back is the portrait, around the face."""
    picture = portrait.load()
    back = cv2.warpAffine(portrait.render(picture, seq), portrait.truth(seq), picture.shape[1::-1],
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    face = (slice(130, 280), slice(170, 310))
    error = np.abs(back[face].astype(int) - picture[face]).mean()
    wrong = np.abs(np.roll(back, 4, axis=1)[face].astype(int) - picture[face]).mean()
    assert error < 5 and wrong > 1.4 * error


@pytest.mark.parametrize("start_s, end_s, first, count", [(2.0, None, 60, 240), (0, 1.0, 0, 30), (9.9, 20, 297, 3)])
def test_a_part_of_it(start_s, end_s, first, count):
    frames = drain(make_source(SourceOptions(spec="portrait", start_s=start_s, end_s=end_s)))
    assert len(frames) == count and np.array_equal(frames[0].image, portrait.render(portrait.load(), first))


def test_the_edges_are_plain_and_the_file_is_small():
    picture = portrait.load()
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert np.abs(border.astype(int) - portrait.BACKGROUND).max() <= 1
    with open(portrait.PICTURE, "rb") as f:
        assert len(f.read()) < 60000
