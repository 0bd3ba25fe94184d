"""The drawing shows what was measured, where it was measured, and leaves the packet alone."""
import numpy as np
import pytest

from edge.core.packet import Eyes, Face, Frame, Gaze, Iris, Packet, Pose, Roi, Span
from edge.geometry.rotation import FLIP, from_angles
from edge.outputs.pictures import overlay, text
from edge.outputs.pictures.overlay import Style, draw
from edge.outputs.pictures.stagetimes import TOTAL, StageTime, SteadyTimes, of_packet

BARE = Style(stage_times=False)
STAGES = ("capture", "detect", "align", "pose", "iris", "express")
NAN = float("nan")


def spans(work_ms=2.0):
    return tuple(Span(name, 100.0 + i, 100.001 + i, 100.001 + i + work_ms / 1000.0) for i, name in enumerate(STAGES))


def packet(*faces, size=(640, 480), level=60, with_spans=True):
    image = np.full((size[1], size[0], 3), level, np.uint8)
    image.flags.writeable = False
    return Packet(Frame(0, 99.9, 0.0, image), faces, spans() if with_spans else ())


def face(center=(320.0, 240.0), side=200.0, **fields):
    """Points spread over a square, irises and a gaze to the subject's left; `fields` replace parts of it."""
    x, y = center
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 26), np.linspace(-0.5, 0.5, 18)), -1).reshape(-1, 2)
    points = np.column_stack([grid * side + center, np.zeros(468)])
    points[1] = (x, y + 0.1 * side, -20.0)  # the tip of the nose
    radius = 0.03 * side
    full = Face(
        1, Roi(x, y, 1.5 * side, 0.0), 0.97, (x - side / 2, y - side / 2, x + side / 2, y + side / 2), landmarks=points,
        pose=Pose(np.eye(3), np.array([0.0, 0.0, 600.0]), 1.0),
        irises=Eyes(Iris(np.array([x - 0.2 * side, y - 0.1 * side]), radius, 0.9),
                    Iris(np.array([x + 0.2 * side, y - 0.1 * side]), radius, 0.9)),
        gaze=Gaze((-20.0, 0.0), (-20.0, 0.0), (-20.0, 0.0), np.array([0.342, 0.0, -0.94])),
        expression={"mouth_open": 0.1},
    )
    return full._replace(**fields)


def only(**fields):
    """A face of which only a few things are known."""
    return face(**dict(dict.fromkeys(("landmarks", "pose", "irises", "gaze", "expression")), **fields))


def changed(before, after):
    return (before.frame.image != after).any(axis=2)


def near(colour, image):
    """(N, 2) x, y of the pixels of that hue, drawn on black; the soft edge of a line counts from half its strength."""
    strength = np.linalg.norm(image.astype(float), axis=2)
    cosine = image.dot(np.array(colour, float)) / np.maximum(strength, 1.0) / np.linalg.norm(colour)
    return np.argwhere((cosine > 0.999) & (strength > 0.4 * np.linalg.norm(colour)))[:, ::-1]


def test_the_picture_of_the_packet_is_left_alone():
    taken = packet(face())
    drawn = draw(taken)
    assert (taken.frame.image == 60).all()
    assert drawn.shape == taken.frame.image.shape and drawn.dtype == np.uint8 and changed(taken, drawn).any()


def test_a_packet_without_faces_and_times_is_the_picture_itself():
    taken = packet(with_spans=False)
    assert (draw(taken) == taken.frame.image).all()


def test_points_are_drawn_where_they_are():
    taken = packet(face(pose=None, irises=None, gaze=None))
    drawn = draw(taken, BARE)
    at = np.rint(taken.faces[0].landmarks[:, :2]).astype(int)
    assert changed(taken, drawn)[at[:, 1], at[:, 0]].all()


def test_a_dot_is_placed_to_a_fraction_of_a_pixel():
    canvas = np.zeros((21, 21, 3), np.uint8)
    overlay._dots(canvas, np.array([[10.3, 9.8]]), 1.2, np.array([1.0]), (255, 255, 255))
    weight = canvas[:, :, 0] / canvas[:, :, 0].sum()
    y, x = np.mgrid[:21, :21]
    assert [(weight * x).sum(), (weight * y).sum()] == pytest.approx([10.3, 9.8], abs=0.1)


def test_an_iris_is_a_ring_of_its_radius():
    taken = packet(only(irises=Eyes(Iris(np.array([300.0, 200.0]), 20.0, 1.0), None)), level=0)
    ring = near(overlay.IRIS, draw(taken, BARE))
    inside = ring[np.hypot(*(ring - (300, 200)).T) < 30]
    assert len(inside) > 60 and np.abs(np.hypot(*(inside - (300, 200)).T) - 20.0).max() < 1.6


@pytest.mark.parametrize("yaw, pitch, roll", [
    (0, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 25, 0), (0, 0, 40), (20, -15, 10)])
def test_the_axes_point_where_the_head_does(yaw, pitch, roll):
    rotation = from_angles(yaw, pitch, roll)
    drawn = draw(packet(only(pose=Pose(rotation, None, None)), level=0), BARE)
    for axis, colour in enumerate(overlay.AXES):
        tip = np.array([320.0, 240.0]) + FLIP.dot(rotation)[:2, axis] * 0.4 * 200.0
        assert np.hypot(*(near(colour, drawn) - tip).T).min() < 1.5
    nose_x = near(overlay.AXES[2], drawn)[:, 0].mean() - 320.0
    assert yaw == 0 or (nose_x < 0) == (yaw > 0)  # yaw > 0: the nose toward the image's left


@pytest.mark.parametrize("direction, rightward", [((0.5, 0.0, -0.87), True), ((-0.5, 0.0, -0.87), False)])
def test_the_lines_of_sight_point_where_the_eyes_look(direction, rightward):
    gaze = Gaze((0.0, 0.0), None, (0.0, 0.0), np.array(direction))
    drawn = draw(packet(only(gaze=gaze, irises=face().irises), level=0), BARE)
    line = near(overlay.SIGHT, drawn)
    start = face().irises.left.center  # the right eye took no part in this gaze
    assert len(line) > 40 and ((line[:, 0].mean() > start[0]) == rightward)
    assert np.abs(line[:, 1] - start[1]).max() < 8


def test_a_mirror_flips_what_is_measured(monkeypatch):
    monkeypatch.setattr(text, "tag", lambda *args: None)
    taken = packet(face(center=(200.0, 210.0)), face(center=(480.0, 300.0), side=120.0))
    assert (draw(taken, BARE._replace(mirror=True)) == draw(taken, BARE)[:, ::-1]).all()


def test_a_mirror_does_not_flip_texts(monkeypatch):
    monkeypatch.setattr(overlay, "_draw_corners", lambda pen, box: None)
    taken = packet(only(center=(320.0, 240.0)), size=(641, 480))  # in the very middle: a mirror moves no text
    drawn = draw(taken)
    assert (draw(taken, Style(mirror=True)) == drawn).all()
    assert (drawn[:, ::-1] != drawn).any()


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (480, 640), (1920, 1080), (48, 32), (3, 2)])
@pytest.mark.parametrize("count", range(5))
def test_any_number_of_faces_on_any_size_of_picture(size, count):
    side = max(2.0, 0.4 * size[1])
    faces = [face((size[0] * (i + 0.5) / 4, size[1] * 0.4), side, track_id=i + 1) for i in range(count)]
    taken = packet(*faces, size=size)
    drawn = draw(taken, Style(mirror=True))
    assert drawn.shape == (size[1], size[0], 3)
    assert min(size) < 32 or changed(taken, drawn).any() or not count


@pytest.mark.parametrize("fields", [
    {"landmarks": None}, {"pose": None}, {"irises": None}, {"gaze": None}, {"expression": None}, {"score": NAN},
    {"irises": Eyes(None, None)}, {"irises": Eyes(None, Iris(np.array([NAN, 1.0]), 3.0, 1.0))},
    {"irises": Eyes(Iris(np.ones(2), -1.0, 1.0), None)},
    {"gaze": Gaze((0.0, 0.0), None, None, np.array([NAN, 0.0, -1.0]))}, {"landmarks": np.full((468, 3), NAN)},
    {"landmarks": np.full((468, 3), 1e300)}, {"box": (NAN, 0.0, 1.0, 1.0)}, {"box": (1e12, 1e12, 2e12, 2e12)},
    {"box": (50.0, 50.0, 40.0, 40.0)}, {"pose": Pose(np.full((3, 3), NAN), None, None)},
    {"landmarks": np.full((468, 3), -500.0)}, {"box": (-900.0, -900.0, -500.0, -500.0)},
], ids=str)
@pytest.mark.filterwarnings("error")
def test_what_is_missing_or_out_of_the_picture_is_not_drawn_and_nothing_fails(fields):
    good = face(center=(500.0, 300.0), side=100.0)
    taken = packet(face(**fields), good)
    drawn = draw(taken)
    assert changed(taken, drawn)[250:350, 450:550].any()  # the other face is


def test_the_panel_lists_every_stage_and_the_age():
    times = of_packet(packet())
    assert [time.stage for time in times] == list(STAGES) + [TOTAL]
    assert [time.work_ms for time in times[:-1]] == pytest.approx([2.0] * 6)
    assert times[-1].work_ms == pytest.approx((105.003 - 99.9) * 1000.0)


@pytest.mark.parametrize("style, shown", [(Style(), True), (Style(stage_times=False), False)])
def test_the_panel_can_be_left_out(style, shown):
    taken = packet(level=200)
    assert changed(taken, draw(taken, style))[:100, :100].any() == shown


@pytest.mark.parametrize("size, shown", [
    ((96, 96), False), ((176, 144), False), ((320, 180), False), ((320, 240), True), ((640, 360), True),
])
def test_the_panel_leaves_the_face_free_and_stays_away_where_it_cannot(size, shown):
    taken = packet(size=size, level=200)
    rows, columns = np.nonzero(changed(taken, draw(taken)))
    assert bool(len(rows)) == shown
    assert not shown or (rows.max() < 0.55 * size[1] and columns.max() < 0.55 * size[0])


def test_the_panel_shows_the_times_that_it_is_given():
    taken = packet()
    one, other = (draw(taken, Style(), [StageTime("align", ms)]) for ms in (1.0, 8.8))
    assert (one != other).any()


def test_numbers_of_the_panel_are_steady():
    steady = SteadyTimes(weight=0.1)
    first = steady.update(packet()._replace(spans=spans(2.0)))
    second = steady.update(packet()._replace(spans=spans(4.0)))
    for _ in range(200):
        last = steady.update(packet()._replace(spans=spans(4.0)))
    found = [times[0].work_ms for times in (first, second, last)]
    assert found == pytest.approx([2.0, 3.0, 4.0], abs=1e-3)


@pytest.mark.parametrize("corner", [(-5, -5), (300, 230), (100, 100), (5000, 5000)])
def test_a_tag_is_moved_to_where_it_can_be_read(corner):
    image = np.full((240, 320, 3), 128, np.uint8)
    text.tag(image, "1  0.97", corner, 8.0, ((255, 255, 255), (0, 0, 0)))
    rows, columns = np.where((image != 128).any(axis=2))
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (17, text.width_of("1  0.97", 8.0) + 10)
    assert (image > 200).any()


def test_the_dots_are_all_points_and_nothing_else():
    taken = packet(face(), level=0)
    drawn = draw(taken, Style(stage_times=False, dots=True))
    at = np.rint(taken.faces[0].landmarks[:, :2]).astype(int)
    assert (drawn[at[:, 1], at[:, 0]].astype(int) - overlay.DOT > -60).all(), "each of the 468"
    inked = drawn[(drawn > 60).any(axis=2)].astype(float)
    alike = inked.dot(overlay.DOT) / np.linalg.norm(inked, axis=1) / np.linalg.norm(overlay.DOT)
    assert alike.min() > 0.99, "in their colour alone"
    assert not draw(packet(only(irises=face().irises), level=0), Style(stage_times=False, dots=True)).any()


def test_the_dots_tell_the_networks_time_and_the_rate(monkeypatch):
    told = []
    monkeypatch.setattr(text, "tag", lambda canvas, words, *rest: told.append(words))
    painter = overlay.Overlay(Style(dots=True))
    for i in range(3):
        taken = packet(face())
        taken = taken._replace(frame=taken.frame._replace(captured_at=50.0 + i * 0.04), spans=spans(2.0 + i))
        painter.see(taken)
        painter.paint(taken)
    assert told == ["infer time: {}".format(one) for one in ("8.0 ms", "10.0 ms, FPS: 25.0", "12.0 ms, FPS: 25.0")]
    told.clear()
    draw(packet(face(), with_spans=False), Style(dots=True), fps=12.34)
    draw(taken, Style(dots=True, stage_times=False), fps=12.34)
    assert told == ["FPS: 12.3"]
