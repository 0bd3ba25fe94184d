"""Pictures show shapes and events where somebody asked for them, on the side where they are seen, and nothing elsewhere."""
import numpy as np
import pytest
from test_outputs_overlay import BARE, changed, face, packet

from edge.core.packet import END, START, Event
from edge.core.parts import SHAPES, Parts
from edge.outputs.kinds import OutputOptions, make_output
from edge.outputs.pictures.overlay import draw
from edge.outputs.pictures.shapepanel import LINES, PAIRS, ROWS, Recent, rows_of
from edge.outputs.spec import parse_output

ASKING = BARE._replace(shapes=True, events=True)
NOD = Event("nod", 1, END, 1, 0.0, 0.4, 1.0)


def showing(expression, style=ASKING, told=(), size=(640, 480)):
    taken = packet(face(expression=expression), size=size, with_spans=False)
    return draw(taken, style, told=told)


def test_who_did_not_ask_sees_what_was_there_before():
    shown = {"mouth_open": 0.1, "jawOpen": 1.0, "eyeBlinkLeft": 1.0}
    plain = showing({"mouth_open": 0.1}, BARE)
    assert (showing(shown, BARE, ["blink L"]) == plain).all()
    assert (showing({"mouth_open": 0.1}) == plain).all() and (showing(shown) != plain).any()
    assert (showing({}, told=["blink L"]) != plain)[300:, :200].any()


def lit(picture, without):
    """The mean x of what is drawn beyond `without`, of the panel in the top right corner."""
    return float(np.argwhere((picture.astype(int) - without > 60).any(axis=2)[:200, 400:])[:, 1].mean())


@pytest.mark.parametrize("mirror, left_is_right", [(False, True), (True, False)])
def test_the_bar_of_a_side_is_where_the_picture_shows_that_side(mirror, left_is_right):
    style = ASKING._replace(mirror=mirror)
    neither = showing({"eyeBlinkLeft": 0.0, "eyeBlinkRight": 0.0}, style)
    left, right = (lit(showing(dict({"eyeBlinkLeft": 0.0, "eyeBlinkRight": 0.0}, **{name: 1.0}), style), neither)
                   for name in ("eyeBlinkLeft", "eyeBlinkRight"))
    assert (left > right) == left_is_right


def test_the_rows_are_the_strongest_in_the_order_of_the_names():
    every = {name: i / 100.0 for i, name in enumerate(SHAPES)}
    assert {name for names in PAIRS.values() for name in names} == set(SHAPES)
    labels = [row.label for row in rows_of(every)]
    assert len(labels) == ROWS and labels == [label for label in PAIRS if label in labels] and "tongueOut" in labels
    assert rows_of({"mouth_open": 1.0}) == []
    one, = rows_of({"eyeBlinkLeft": 0.5})
    assert one.label == "eyeBlink" and np.isnan(one.values[0]) and one.values[1] == 0.5


@pytest.mark.parametrize("size", [(16, 16), (120, 90), (320, 240), (1920, 1080), (400, 900)])
@pytest.mark.parametrize("value", [0.5, float("nan"), -1e9, 1e9, float("inf")])
def test_any_picture_and_any_value_can_be_drawn(size, value):
    expression = dict.fromkeys(SHAPES, value)
    assert showing(expression, told=["nod"] * LINES, size=size).shape == (size[1], size[0], 3)


def test_events_are_shown_for_a_second_of_the_frames_time():
    recent = Recent()

    def at(time_s, *events):
        taken = packet()
        return recent.update(taken._replace(frame=taken.frame._replace(time_s=time_s), events=events))

    wink = Event("blink", 2, END, 1, 4.8, 5.0, 1.0, {"side": "left"})
    assert at(5.0, NOD, wink) == ["nod", "blink L"] and at(5.9) == ["nod", "blink L"]
    assert at(5.95, Event("away", 3, START, 1, 5.0, None, 1.0, {"zone": "up"})) == ["nod", "blink L", "away up"]
    assert at(6.1, Event("eyes_closed", 4, END, 1, 4.9, 6.1, 1.0)) == ["away up", "eyes closed 1.2 s"]
    assert at(6.2, *[wink] * 9) == ["blink L"] * LINES and at(0.0) == []


@pytest.mark.parametrize("kind", ["video:a.mp4", "images:a", "image:a.jpg", "window"])
def test_a_picture_asks_for_what_the_run_or_its_own_option_says(kind):
    def parts(keys, **reported):
        options = OutputOptions(True, False, True, lambda: 30.0, **reported)
        return make_output(parse_output(kind + keys), options).parts

    assert parts("") == Parts() and parts("", shapes=True) == Parts(shapes=True)
    assert parts("?events=yes&shapes=no", shapes=True) == Parts(events=True)


def test_only_the_corners_are_used():
    taken = packet(face(expression={"jawOpen": 1.0}), with_spans=False)
    drawn = changed(packet(), draw(taken, ASKING, told=["nod"])) & ~changed(packet(), draw(taken, BARE))
    y, x = np.nonzero(drawn)
    assert ((x > 320) & (y < 240) | (x < 320) & (y > 240)).all() and len(x) > 100
