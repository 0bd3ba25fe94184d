"""What all live outputs share: how often they send, and that no event is lost with the frames that are left out."""
import pytest
from fakes.records import blink, face, record

from edge.core import clock
from edge.core.errors import OutputError
from edge.outputs.kinds import OutputOptions
from edge.outputs.live.output import AvatarOutput, LiveOutput
from edge.outputs.spec import parse_output

OPTIONS = OutputOptions(landmarks=False, mirror=False, blocking=False, fps=lambda: 30.0)


class Kept(LiveOutput):
    def __init__(self, text):
        super().__init__(parse_output(text), OPTIONS)
        self.sent, self.fails = [], False

    def send(self, record, events, now):
        if self.fails:
            raise OutputError("gone")
        self.sent.append((None if record is None else record["frame"], [event["id"] for event in events]))

    def open(self):
        pass

    def close(self):
        pass


class Shown(AvatarOutput):
    def __init__(self, text="vmc"):
        super().__init__(parse_output(text), OPTIONS)
        self.shown = []

    def show(self, signals, now):
        self.shown.append(signals)

    open = close = Kept.close


@pytest.fixture
def time(monkeypatch):
    """[now]."""
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("rate, fps, least, most", [
    (10.0, 30.0, 99, 101), (15.0, 30.0, 149, 151), (30.0, 30.0, 299, 300), (60.0, 30.0, 300, 300), (24.0, 60.0, 235, 245),
    (20.0, 30.0, 195, 205)])
def test_no_more_is_sent_than_the_rate_allows_and_not_much_less(time, rate, fps, least, most):
    output = Kept("osc:5?rate={:g}".format(rate))
    for n in range(int(10.0 * fps)):
        time[0] = 100.0 + (n + (0.1 if n % 3 else 0.0)) / fps  # cameras are not exact
        output.emit(record(frame=n))
    assert least <= len(output.sent) <= most


def test_nothing_is_made_up_for_after_a_pause(time):
    output = Kept("osc:5?rate=2")
    for n, at in enumerate((0.0, 0.01, 5.0, 5.01, 5.02, 5.4, 5.5)):
        time[0] = 100.0 + at
        output.emit(record(frame=n))
    assert [frame for frame, _ in output.sent] == [0, 2, 5]  # a quarter of the gap early is not too early


def test_events_of_frames_that_are_left_out_come_with_the_next(time):
    output = Kept("osc:5?rate=1")
    for n in range(3):
        output.emit(record(frame=n, events=[blink(n)]))
    output.tick()
    assert output.sent == [(0, [0]), (None, [1, 2])]
    output.emit(record(frame=9, events=[blink(9)]))
    output.emit({"schema": 1, "events": []})  # the end of a run
    assert output.sent[2:] == [(None, [9])]


def test_events_that_waited_are_sent_once_where_a_send_fails(time):
    output = Kept("osc:5?rate=1")
    output.emit(record(frame=0))
    output.emit(record(frame=1, events=[blink(1)]))
    output.fails, time[0] = True, 102.0
    with pytest.raises(OutputError):
        output.emit(record(frame=2, events=[blink(2)]))
    output.fails = False
    output.emit(record(frame=2, events=[blink(2)]))  # the sender gives the item's own again
    output.tick()
    assert output.sent == [(0, []), (None, [1, 2])]


def test_an_address_may_want_no_shapes_or_events():
    assert Kept("osc:5").parts == (False, True, True, False, False)
    assert Kept("osc:5?shapes=no&events=no").parts == (False, False, False, False, False)
    assert not Shown("vmc?mirror=true").parts.landmarks68


def test_an_avatar_gets_one_whole_face_with_the_events(time):
    output = Shown("vmc?mirror=true")
    output.emit(record(face(yaw=20.0), events=[blink(3)]))
    output.tick()
    first, second = output.shown
    assert first.tracked and not second.tracked and first.rotation[0, 2] > 0.0 and second.events == ()
    assert [event["id"] for event in first.events] == [3] and not output.landmarks and len(first.shapes) == 52
